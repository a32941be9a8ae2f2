"""Fine-tuning by torch: reads the rows, trains, and keeps what it needs to go on."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from motools_build.backends.base import CHECKPOINTS, planned_bytes, unedited
from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.backends.local import checkpoints, devices
from motools_build.backends.local.adapters import prepared, save
from motools_build.backends.local.examples import Reader
from motools_build.backends.local.loading import (
    check_quantized,
    dtype_of,
    model_of,
    tokenizer_of,
)
from motools_build.backends.local.losses import learned_of
from motools_build.backends.local.stepping import Steps
from motools_build.params import ModelParams
from motools_build.stages import RESUME

SAVED = 60.0
"""Least number of seconds between two checkpoints for going on."""

COST = 20
"""A checkpoint is written after at least this many times the seconds that the last one
took, so that those of large models take no more than 5 % of a training."""

CURVE = "learning_curve.jsonl"


def train(
    job: StageJob, folder: Path, report: Report, check: Callable[[], object]
) -> Made:
    """Fine-tune the model of `folder` on the job's dataset. Writes an adapter in PEFT's
    layout, or a whole model, and the learning curve to the work folder. `check` is
    called when the model has been loaded, which may be long after the job was given: it
    raises an error if the folder is not what it was then.

    A training that died goes on from its last checkpoint, and comes to the same
    weights. Raises EngineError for a row that cannot be learned from, if memory does
    not suffice for one row, and if training diverges.
    """
    params = ModelParams.of(job)
    recipe, options = params.recipe, params.recipe.options
    tokenizer = tokenizer_of(folder)
    reader = Reader(tokenizer, recipe.method, options)
    rows = reader.examples(params.rows_path, planned_bytes(job))
    held_out = []
    if params.held_out_path:
        data = unedited(params.held_out_path, params.held_out_digest)
        held_out = reader.examples(params.held_out_path, data)
    torch.set_num_threads(os.cpu_count() or 1)
    device = devices.take(lambda: report(Progress(0, 0, "", "waits for a GPU")))
    dtype = dtype_of(options["dtype"], device)
    if options["adapter"] == "qlora":
        check_quantized(device)
    checkpoints.seed(params.seed)
    base = model_of(folder, device, dtype, options["adapter"])
    check()
    model = prepared(base, options, params.model)
    work = Path(job.work)
    steps = Steps(model, rows, held_out, recipe, params.seed, device, dtype)
    _run(steps, job, report, options["template"])
    whole = options["adapter"] == "full"
    output = save(model, work, tokenizer if whole else None, options["template"])
    if kept := _kept(work):
        kept.append({"step": steps.total, "model": output})
        (work / CHECKPOINTS).write_text(json.dumps(kept))
    curve = steps.curve
    (work / CURVE).write_text("".join(json.dumps(line) + "\n" for line in curve))
    checkpoints.remove(work / RESUME)
    seconds = sum(line["seconds"] for line in curve)
    details = {
        "rows": len(rows),
        "steps": len(curve),
        "first_loss": curve[0]["loss"],
        "last_loss": curve[-1]["loss"],
        "trained_tokens": learned_of(rows) * recipe.epochs,
        "tokens_per_second": round(sum(x["tokens"] for x in curve) / seconds, 1),
        "device": devices.named(device),
        "dtype": str(dtype).removeprefix("torch."),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
    if device.startswith("cuda"):
        details["peak_bytes"] = torch.cuda.max_memory_allocated(device)
    if held_out:
        details["held_out_loss"] = curve[-1]["held_out_loss"]
    if reader.cut:
        details["cut"] = reader.cut
    return Made(output, details)


def _run(steps: Steps, job: StageJob, report: Report, template: str) -> None:
    """Train from the last checkpoint to the end."""
    work = Path(job.work)
    resume = work / RESUME
    resume.mkdir(exist_ok=True)
    steps.begin(resume, job.key)
    report(Progress(len(steps.curve), steps.total, "steps"))
    saved, cost = time.monotonic(), 0.0
    while len(steps.curve) < steps.total:
        line = steps.step()
        note = f"loss {line['loss']:.3f}, {line['tokens'] / line['seconds']:.0f} tok/s"
        if "held_out_loss" in line:
            note += f", held out {line['held_out_loss']:.3f}"
        report(Progress(line["step"], steps.total, "steps", note))
        done = line["step"] == steps.total
        if steps.keeps(line["step"]) and not done:
            save(steps.model, resume / f"step-{line['step']}", template=template)
        began = time.monotonic()
        if began - saved > max(SAVED, COST * cost) and not done:
            steps.save(resume, job.key)
            saved = time.monotonic()
            cost = saved - began


def _kept(work: Path) -> list[dict[str, Any]]:
    """Copy the adapters that are kept to the payload; returns the step and the path of
    each. They are copied, so that a death leaves all of them where they were."""
    resume, found = work / RESUME, []
    for step in sorted(int(folder.name[5:]) for folder in resume.glob("step-*")):
        name = f"checkpoints/step-{step}"
        shutil.copytree(resume / f"step-{step}", work / name)
        found.append({"step": step, "model": name})
    return found
