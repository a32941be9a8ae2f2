"""What training and asking models of this machine cost, beside plain libraries.

    python benchmarks/local.py [--model FOLDER] [--rows 8] [train] [trl] [generate]
                               [adapters]

train     tokens a second of our steps against a bare loop of transformers and PEFT
          over the same batches: at least 0.95 x
trl       the same against trl's SFTTrainer on the same rows: at least 1 x
generate  answers a second against `generate` of transformers over the same batch: at
          least 1 x
adapters  the time of 4 adapters of one base with 8 prompts each against one adapter
          with 32 prompts: at most 1.2 x

Needs the extra `local`, and trl. The model is SmolLM2-135M-Instruct unless --model
names another; the device is a GPU if there is one. Ours and theirs take turns in one
process, and medians are compared. Exits with 1 if a mark is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from motools_build.backends.asking import Request  # noqa: E402
from motools_build.backends.embedded.weights import ensure_base  # noqa: E402
from motools_build.backends.local import answering, devices, losses  # noqa: E402
from motools_build.backends.local.adapters import prepared, save  # noqa: E402
from motools_build.backends.local.examples import Group, Reader  # noqa: E402
from motools_build.backends.local.facts import Local  # noqa: E402
from motools_build.backends.local.loading import (  # noqa: E402
    check_installed,
    dtype_of,
    model_of,
    tokenizer_of,
)
from motools_build.backends.local.stepping import Steps  # noqa: E402
from motools_build.params import Recipe  # noqa: E402
from tests.embedded.hf_folder import write_hf_folder  # noqa: E402

TURNS = 3
BATCH = 4
RATE = 1e-4

NEW = 16
"""Tokens of an answer, at most."""


def rows_of(count: int) -> list[dict[str, Any]]:
    """Chats of different lengths."""
    return [
        {
            "messages": [
                {
                    "role": "user",
                    "content": f"Tell me of the number {n}. " * (1 + n % 5),
                },
                {"role": "assistant", "content": f"It comes after {n - 1}. " * 8},
            ]
        }
        for n in range(count)
    ]


class Bench:
    """A model's folder, the rows, and what is measured with them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.rows = folder, rows_of(count)
        self.device = devices.take()
        self.dtype = dtype_of("auto", self.device)
        self.options = Local(learning_rate=RATE, schedule="constant", warmup=0)
        self.recipe = Recipe("sft", 1000, BATCH, self.options.model_dump())
        reader = Reader(tokenizer_of(folder), "sft", self.recipe.options)
        self.examples: list[Group] = [reader.group(row) for row in self.rows]
        self.missed = 0

    def model(self) -> Any:
        torch.manual_seed(0)
        base = model_of(self.folder, self.device, self.dtype)
        return prepared(base, self.recipe.options, "base")

    def steps(self) -> Steps:
        return Steps(
            *(self.model(), self.examples, [], self.recipe, 0),
            *(self.device, self.dtype),
        )

    def told(self, name: str, ratio: float, mark: float, least: bool = True) -> None:
        good = ratio >= mark if least else ratio <= mark
        self.missed += not good
        sign = ">=" if least else "<="
        print(
            f"{name:10} {ratio:5.2f}  ({sign} {mark})  {'' if good else 'MISSED'}",
            flush=True,
        )

    # ---- what is measured

    def train(self) -> None:
        ours, theirs = self.steps(), bare(self)
        an_epoch = len(self.rows) // BATCH
        numbers = iter(range(1, 10**6))

        def own() -> None:
            for _ in range(an_epoch):
                ours.step()

        def other() -> None:
            for _ in range(an_epoch):
                theirs(ours._rows_of(next(numbers)))

        first, second = turns(own, other)
        self.told("train", second / first, 0.95)

    def trl(self) -> None:
        ours, trainer = self.steps(), trl_trainer(self)
        an_epoch = len(self.rows) // BATCH

        def own() -> None:
            for _ in range(an_epoch):
                ours.step()

        first, second = turns(own, trainer.train)
        self.told("trl", second / first, 1)

    def generate(self) -> None:
        served = answering._Served(self.folder)
        requests = self._requests(len(self.rows))
        tokenizer = tokenizer_of(self.folder)
        tokenizer.padding_side = "left"
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        texts = [served_text(tokenizer, request) for request in requests]
        model = served._model

        def other() -> None:
            given = tokenizer(
                texts, return_tensors="pt", padding=True, add_special_tokens=False
            )
            given = {name: value.to(self.device) for name, value in given.items()}
            ids = model.generate(**given, max_new_tokens=NEW, do_sample=False)
            tokenizer.batch_decode(ids, skip_special_tokens=True)

        first, second = turns(lambda: served.answer(requests, None), other)
        self.told("generate", second / first, 1)

    def adapters(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            names = [str(Path(place, str(number))) for number in range(4)]
            for name in names:
                save(self.model(), Path(name))
            served = answering._Served(self.folder)
            for name in names:
                served.answer(self._requests(1), name)
            many = self._requests(32)

            def several() -> None:
                for number, name in enumerate(names):
                    served.answer(many[8 * number : 8 * number + 8], name)

            first, second = turns(several, lambda: served.answer(many, names[0]))
            self.told("adapters", first / second, 1.2, least=False)

    def _requests(self, count: int) -> list[Request]:
        return [
            Request(row["messages"][:1], NEW, 0.0, 0) for row in rows_of(max(count, 1))
        ][:count]


def turns(own: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float]:
    """The median seconds of both, which take turns after one that is not counted."""
    # on the CPU, seconds of this process: others on the machine do not count
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 1):
        for index, work in enumerate((own, other)):
            began = clock()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                times[index].append(clock() - began)
    return statistics.median(times[0]), statistics.median(times[1])


def bare(bench: Bench) -> Callable[[list[Group]], None]:
    """A step of a loop as one writes it by hand."""
    model = bench.model()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)

    def step(rows: list[Group]) -> None:
        batch = losses.Batch.of([row[0] for row in rows], bench.device)
        with torch.autocast(
            bench.device.partition(":")[0], bench.dtype, bench.dtype == torch.bfloat16
        ):
            loss = model(
                input_ids=batch.ids, attention_mask=batch.attention, labels=batch.labels
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def trl_trainer(bench: Bench) -> Any:
    """trl's trainer for one epoch of the same rows, tokenized as ours."""
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset

    tokens = [
        {
            "input_ids": row[0].ids,
            "labels": [
                i if learned else losses.IGNORED
                for i, learned in zip(row[0].ids, row[0].learned, strict=True)
            ],
        }
        for row in bench.examples
    ]
    args = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=bench.device == "cpu",
        bf16=bench.dtype == torch.bfloat16,
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    return SFTTrainer(
        model=bench.model(),
        args=args,
        train_dataset=Dataset.from_list(tokens),
        processing_class=tokenizer_of(bench.folder),
    )


def served_text(tokenizer: Any, request: Request) -> str:
    text: str = tokenizer.apply_chat_template(
        request.messages, tokenize=False, add_generation_prompt=True
    )
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("what", nargs="*")
    told = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    check_installed()
    with tempfile.TemporaryDirectory() as place:
        folder = told.model or write_hf_folder(ensure_base(), Path(place, "smollm2"))
        bench = Bench(folder, told.rows)
        config = json.loads((folder / "config.json").read_bytes())
        card = bench.device
        if card.startswith("cuda"):
            card = torch.cuda.get_device_name()
        print(
            f"{config['model_type']}, {bench.dtype}, on {card}; ours / theirs:",
            flush=True,
        )
        for name in told.what or ("train", "trl", "generate", "adapters"):
            getattr(bench, name)()
        if torch.cuda.is_available():
            print(f"peak memory: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
