"""Trainings by torch: the same weights after any death, whatever memory there is, and
the losses that others compute."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.job import Made, Progress, StageJob
from motools_build.errors import EngineError
from tests.local.conftest import CHATS, PAIRS, Jobs

pytestmark = [
    pytest.mark.torch,
    # peft and trl use names that transformers is about to lose
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]


class Killed(BaseException):
    """Ends a training at a step, as a kill would."""


def run(job: StageJob, folder: Path, dies_at: int = 0) -> Made:
    """The training, which dies when it has reported that step."""
    from motools_build.backends.local.training import train

    def report(told: Progress) -> None:
        if dies_at and told.done == dies_at:
            raise Killed

    return train(job, folder, report, lambda: None)


def curve(job: StageJob) -> list[dict[str, Any]]:
    text = Path(job.work, "learning_curve.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def without_times(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{n: v for n, v in line.items() if n != "seconds"} for line in lines]


@pytest.fixture
def always_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    from motools_build.backends.local import training

    monkeypatch.setattr(training, "SAVED", -1.0)
    monkeypatch.setattr(training, "COST", 0)


WAYS: dict[str, dict[str, Any]] = {
    "adapter": {"dropout": 0.3},
    "pairs": {"rows": PAIRS, "method": "dpo", "dropout": 0.3, "batch_size": 2},
    "whole": {"adapter": "full", "learning_rate": 1e-3},
    "kept": {"dropout": 0.3, "keep_epochs": True, "held_out": CHATS[:3]},
}


@pytest.mark.parametrize(
    "way",
    [
        "adapter",
        *(pytest.param(w, marks=pytest.mark.long) for w in WAYS if w != "adapter"),
    ],
)
def test_a_training_that_dies_comes_to_the_same_weights(
    way: str, tiny: Path, job: Jobs, always_saved: None
):
    how = {"epochs": 3, **WAYS[way]}
    whole = job(work="whole", **how)
    expected = run(whole, tiny)
    steps = len(curve(whole))
    assert steps == 9
    picked = random.Random(way)
    for death in range(3):
        broken = job(work=f"broken{death}", **how)
        for step in sorted(picked.sample(range(1, steps), 2)):
            with pytest.raises(Killed):
                run(broken, tiny, dies_at=step)
        assert run(broken, tiny).output == expected.output
        assert without_times(curve(broken)) == without_times(curve(whole))
        names = {str(p.relative_to(broken.work)) for p in Path(broken.work).rglob("*")}
        assert names == {
            str(p.relative_to(whole.work)) for p in Path(whole.work).rglob("*")
        }
        assert not any("resume" in name for name in names)


def test_a_training_that_dies_goes_on_and_does_not_begin_again(
    tiny: Path, job: Jobs, always_saved: None
):
    one = job(epochs=3)
    with pytest.raises(Killed):
        run(one, tiny, dies_at=6)
    seen = []
    from motools_build.backends.local.training import train

    train(one, tiny, lambda told: seen.append(told.done), lambda: None)
    assert seen[0] == 5  # the sixth step was reported, and not saved


def test_what_a_death_left_of_another_training_is_not_gone_on_from(
    tiny: Path, job: Jobs, always_saved: None
):
    from dataclasses import replace

    expected = run(job(work="whole"), tiny).output
    one = job()
    with pytest.raises(Killed):
        run(replace(one, key="other"), tiny, dies_at=4)
    assert run(one, tiny).output == expected


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 torn"], ids=["empty", "torn"])
def test_a_damaged_checkpoint_begins_anew(
    left: bytes, tiny: Path, job: Jobs, always_saved: None
):
    expected = run(job(work="whole"), tiny).output
    one = job()
    with pytest.raises(Killed):
        run(one, tiny, dies_at=4)
    Path(one.work, "resume", "state.pt").write_bytes(left)
    assert run(one, tiny).output == expected


def test_each_seed_is_another_model(tiny: Path, job: Jobs):
    outputs = {run(job(work=f"w{n}", seed=n), tiny).output for n in range(3)}
    assert len(outputs) == 3


# ---- against others


def batches(job: StageJob, folder: Path) -> list[list[Any]]:
    """The rows of each step, in the order of the training."""
    from motools_build.backends.local.stepping import Steps

    steps, _ = begun(job, folder)
    assert isinstance(steps, Steps)
    return [steps._rows_of(number) for number in range(1, steps.total + 1)]


def begun(job: StageJob, folder: Path) -> tuple[Any, Any]:
    """The steps of a training that has not begun, and its model."""
    import torch

    from motools_build.backends.base import planned_bytes
    from motools_build.backends.local import checkpoints
    from motools_build.backends.local.adapters import prepared
    from motools_build.backends.local.examples import Reader
    from motools_build.backends.local.loading import model_of, tokenizer_of
    from motools_build.backends.local.stepping import Steps
    from motools_build.params import ModelParams

    params = ModelParams.of(job)
    recipe = params.recipe
    reader = Reader(tokenizer_of(folder), recipe.method, recipe.options)
    rows = reader.examples(params.rows_path, planned_bytes(job))
    checkpoints.seed(params.seed)
    base = model_of(folder, "cpu", torch.float32, recipe.options["adapter"])
    model = prepared(base, recipe.options, params.model)
    steps = Steps(model, rows, [], recipe, params.seed, "cpu", torch.float32)
    return steps, model


def test_sft_is_what_a_loop_of_plain_torch_computes(tiny: Path, job: Jobs):
    """Transformers' own loss, one batch a step, the schedule written out."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    one = job(rank=4, alpha=8, learning_rate=1e-2, epochs=3)
    run(one, tiny)
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32),
        LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"),
    )
    optimizer = torch.optim.AdamW(
        [w for w in model.parameters() if w.requires_grad], weight_decay=0.0
    )
    expected = []
    for number, rows in enumerate(batches(one, tiny)):
        longest = max(len(row[0].ids) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        there = torch.zeros_like(ids)
        for index, (example,) in enumerate(rows):
            own = torch.tensor(example.ids)
            ids[index, : len(own)] = own
            labels[index, : len(own)] = own.where(torch.tensor(example.learned), -100)
            there[index, : len(own)] = 1
        loss = model(input_ids=ids, attention_mask=there, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - number / 9)
        optimizer.step()
        optimizer.zero_grad()
        expected.append(float(loss.detach()))
    assert [line["loss"] for line in curve(one)] == pytest.approx(expected, rel=1e-4)
    assert expected[-1] < expected[0] - 0.1


def test_dpo_is_what_trl_computes(tiny: Path, job: Jobs, tmp_path: Path):
    """trl's DPOTrainer on the same batch."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    from datasets import Dataset

    one = job(
        rows=PAIRS, method="dpo", adapter="full", batch_size=6, epochs=1, beta=0.3
    )
    steps, model = begun(one, tiny)
    steps.begin(tmp_path / "none", one.key)
    torch.manual_seed(1)
    with torch.no_grad():  # away from the base model, where the loss is log 2
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    ours = steps._backward(steps._rows)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    theirs = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    reference = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    theirs.load_state_dict(state)
    trainer = DPOTrainer(
        theirs,
        ref_model=reference,
        args=DPOConfig(
            output_dir=str(tmp_path / "trl"),
            beta=0.3,
            per_device_train_batch_size=6,
            report_to=[],
            use_cpu=True,
            bf16=False,
            max_length=None,
        ),
        train_dataset=Dataset.from_list(
            [
                {
                    "prompt": row["input"]["messages"],
                    "chosen": row["preferred_output"],
                    "rejected": row["non_preferred_output"],
                }
                for row in PAIRS
            ]
        ),
        processing_class=tokenizer,
    )
    theirs.train()
    tokens = []
    for chosen, rejected in steps._rows:
        prompt = chosen.learned.index(True)
        tokens.append(
            {
                "prompt_ids": chosen.ids[:prompt],
                "chosen_ids": chosen.ids[prompt:],
                "rejected_ids": rejected.ids[prompt:],
            }
        )
    batch = DataCollatorForPreference(pad_token_id=0)(tokens)
    loss = trainer.compute_loss(theirs, batch)
    loss.backward()
    assert ours == pytest.approx(float(loss.detach()), rel=1e-4)
    assert abs(ours - 0.6931) > 0.01
    for (name, own), other in zip(
        model.named_parameters(), theirs.parameters(), strict=True
    ):
        difference = float((own.grad - other.grad).norm())
        assert difference <= 1e-3 * float(other.grad.norm()) + 1e-7, name


# ---- memory, and what cannot be learned


def out_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Make passes of more than `most` tokens fail, as on a small GPU. Returns a list to
    which the size of each pass is added."""
    import torch

    from motools_build.backends.local.losses import Batch

    seen: list[int] = []
    losses = Batch.losses

    def limited(self: Batch, model: Any) -> Any:
        seen.append(self.ids.numel())
        found = losses(self, model)  # memory ends after random numbers were used
        if self.ids.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    monkeypatch.setattr(Batch, "losses", limited)
    return seen


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_with_little_memory_a_step_is_done_in_parts(
    method: str, tiny: Path, job: Jobs, monkeypatch: pytest.MonkeyPatch
):
    how: dict[str, Any] = {"rows": PAIRS, "method": "dpo"} if method == "dpo" else {}
    whole = job(work="whole", learning_rate=1e-2, **how)
    run(whole, tiny)
    seen = out_of_memory(monkeypatch, 140)
    small = job(work="small", learning_rate=1e-2, **how)
    run(small, tiny)
    assert max(seen) > 140  # it was tried, and done again
    found, expected = curve(small), curve(whole)
    assert len(found) == len(expected)
    for line, other in zip(found, expected, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert line["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-3)


def test_too_little_memory_for_one_row_says_what_to_lower(
    tiny: Path, job: Jobs, monkeypatch: pytest.MonkeyPatch
):
    out_of_memory(monkeypatch, 10)
    one = job()
    with pytest.raises(
        EngineError, match=r"for one row of .* tokens; lower max_length"
    ):
        run(one, tiny)


def test_activations_that_are_computed_again_change_nothing(tiny: Path, job: Jobs):
    from motools_build.backends.local import checkpoints

    steps, model = begun(job(dropout=0.3), tiny)
    passes: list[int] = []
    layer = model.base_model.model.model.layers[0].mlp
    layer.register_forward_pre_hook(lambda *about: passes.append(1))
    found = []
    for recomputes in (False, True):
        if recomputes:
            steps._recompute()
        checkpoints.seed(7)
        steps._optimizer.zero_grad()
        passes.clear()
        loss = steps._backward(steps._rows[:4])
        gradients = [weight.grad.clone() for weight in steps._weights]
        found.append((loss, gradients, len(passes)))
    (loss, gradients, once), (again, others, twice) = found
    assert loss == again
    assert all((a == b).all() for a, b in zip(gradients, others, strict=True))
    assert twice == 2 * once


def test_divergence_stops_at_once(tiny: Path, job: Jobs):
    one = job(learning_rate=1e30, clip=1e30, epochs=50)
    with pytest.raises(EngineError, match=r"diverged at step \d+ of .*; lower learn"):
        run(one, tiny)
    assert not list(Path(one.work).glob("*.safetensors"))


def test_held_out_rows_are_measured_after_each_epoch(tiny: Path, job: Jobs):
    one = job(held_out=CHATS[:4], learning_rate=1e-2, epochs=4)
    made = run(one, tiny)
    found = [line.get("held_out_loss") for line in curve(one)]
    assert [loss is not None for loss in found] == [False, False, True] * 4
    assert made.details["held_out_loss"] == found[-1] < found[2]
    assert made.output == run(job(work="w", learning_rate=1e-2, epochs=4), tiny).output


def test_a_long_row_is_refused_unless_it_is_to_be_cut(tiny: Path, job: Jobs):
    long = {"role": "assistant", "content": "yes " * 60}
    rows = [*CHATS[:2], {"messages": [CHATS[0]["messages"][0], long]}]
    place = r"rows.jsonl: row 3: it has \d+ tokens, more than max_length 64;"
    with pytest.raises(EngineError, match=place):
        run(job(rows=rows, max_length=64), tiny)
    made = run(job(rows=rows, max_length=64, cut=True), tiny)
    assert made.details["cut"] == 1
    asked = {"role": "user", "content": "why " * 80}
    rows[2] = {"messages": [asked, long]}
    with pytest.raises(EngineError, match="row 3: nothing that it teaches is among"):
        run(job(rows=rows, max_length=64, cut=True), tiny)


def test_a_dataset_that_was_edited_is_not_learned_from(tiny: Path, job: Jobs):
    from motools_build.errors import ArtifactError

    one = job(held_out=CHATS[:2])
    Path(one.work).parent.joinpath("held_out.jsonl").write_text("{}\n")
    with pytest.raises(ArtifactError, match=r"held_out.jsonl was edited after"):
        run(one, tiny)


def test_layers_that_do_not_exist_are_named(tiny: Path, job: Jobs):
    with pytest.raises(EngineError, match=r"training.local.targets='wq,wk'"):
        run(job(targets="wq,wk"), tiny)


def test_qlora_needs_a_gpu(tiny: Path, job: Jobs):
    with pytest.raises(
        EngineError, match=r"'qlora' needs a CUDA GPU, .* has cpu; take"
    ):
        run(job(adapter="qlora"), tiny)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """A test's model is too small for threads to be of use."""
    import torch

    from motools_build.backends.local.loading import check_installed

    check_installed()
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
