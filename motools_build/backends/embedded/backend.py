"""The embedded backend: a real LoRA fine-tune of SmolLM2-135M-Instruct on the CPU.

No key, no GPU, no torch.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

from motools_build.backends.asking import Answerer
from motools_build.backends.base import Backend, planned_bytes
from motools_build.backends.embedded.answering import EmbeddedAnswerer
from motools_build.backends.embedded.facts import WEIGHTS
from motools_build.backends.embedded.weights import (
    fetch_base,
    load,
    local_base,
    threads,
)
from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.data.rows.checks import read_rows
from motools_build.errors import EngineError, InputError
from motools_build.keys import digest_file
from motools_build.params import ModelParams


class EmbeddedBackend(Backend):
    """Makes `base` by download, and `model` by training in a worker."""

    in_worker = frozenset({"model"})

    async def make(self, job: StageJob, report: Report) -> Made:
        path = await fetch_base(report)
        return Made(WEIGHTS, {"local": True, "bytes": path.stat().st_size})

    def local_file(self, output: str) -> Path | None:
        return local_base(output)

    def prepare(self, job: StageJob) -> None:
        if "base" in job.given:
            load(job.given["base"].path)

    def keeps(self, job: StageJob) -> str | None:
        return job.given["base"].output if "base" in job.given else None

    def answerer(self, weights: str | None, folder: str | None) -> Answerer:
        return EmbeddedAnswerer(weights, folder)

    def work(self, job: StageJob, report: Report) -> Made:
        return train(job, report)

    def export(self, payload: str, model: str, folder: Path, merge: bool) -> None:
        if merge:
            raise InputError(
                f"{model}: --merge needs the base model as Hugging Face has it; export "
                "without --merge, and merge by PEFT, or train local/ models"
            )
        folder.mkdir(parents=True)
        for path in Path(payload).glob("adapter_*"):
            shutil.copyfile(path, folder / path.name)


def train(job: StageJob, report: Report) -> Made:
    """Fine-tune on the job's dataset; writes the adapter in PEFT's layout and the
    learning curve to the work folder. Blocks; imports NumPy.

    Raises EngineError for a row of more than max_length tokens, and if training
    diverges.
    """
    from motools_build.backends.embedded.engine.train import fit

    params = ModelParams.of(job)
    recipe, lora = params.recipe, params.recipe.options
    rows = read_rows(params.rows_path, planned_bytes(job))
    model = load(job.given["base"].path)
    examples = []
    for number, row in enumerate(rows, 1):
        example = model.tokenizer.example(row["messages"])
        if len(example.ids) > lora["max_length"]:
            raise EngineError(
                f"{params.rows_path}: row {number} has {len(example.ids)} "
                f"tokens, more than max_length {lora['max_length']}; shorten it, or "
                "raise Training(embedded=LoRA(max_length=...)), up to 2048"
            )
        examples.append(example)

    steps = math.ceil(len(rows) / recipe.batch_size) * recipe.epochs
    report(Progress(0, steps, "steps"))

    def on_step(step: int, steps: int, loss: float) -> None:
        report(Progress(step, steps, "steps", f"loss {loss:.3f}"))

    adapter, losses = fit(
        model,
        examples,
        rank=lora["rank"],
        alpha=lora["alpha"],
        learning_rate=lora["learning_rate"],
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=params.seed,
        threads=threads(),
        on_step=on_step,
    )
    work = Path(job.work)
    adapter.save(work)
    with open(work / "learning_curve.jsonl", "w") as file:
        for step, loss in enumerate(losses, 1):
            file.write(json.dumps({"step": step, "loss": loss}) + "\n")
    weights = digest_file(work / "adapter_model.safetensors")
    return Made(
        weights,
        {
            "rows": len(rows),
            "steps": len(losses),
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "trained_tokens": sum(sum(e.trained) for e in examples) * recipe.epochs,
        },
    )
