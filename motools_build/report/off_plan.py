"""Results that a setting had and no longer asks for: of a seed, an arm or an eval that
was taken out of it, or that a run was given on the command line.

Their artifacts are as good as others, until `doit gc` removes them. They are told with
a status of their own, and are in no mean and no comparison.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from motools_build.keys import Key
from motools_build.planning.plan import Cell, Plan
from motools_build.report.lineage import Lineage
from motools_build.report.results import Result
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.folders import folders_of
from motools_build.store.records import Record

NOTE = "the setting does not ask for it now"

TUNED = re.compile(
    r"(?P<dataset>[^/]+)/(?P<model>[^/]+)(?:/(?P<training>.+))?"
    r"/seed(?P<seed>\d+)(?:-r(?P<replicate>\d+))?/(?P<eval>[^/]+)"
)
"""A name of an eval of a fine-tuned model, without its setting."""

BASE = re.compile(r"(?P<dataset>base)/(?P<model>[^/]+)/(?P<eval>[^/]+)")

KEY = re.compile(r"[0-9a-f]{32}")

NOTHING: Mapping[str, Any] = {"spec": {}, "inputs": {}}
"""The preimage of a stage of which nothing but its name and key is known."""


def off_plan(plan: Plan, store: ArtifactStore) -> list[Result]:
    """The results of logged runs of a setting that its plan lacks, by name, with an
    artifact of the key that the name had last. A result that the plan has under
    another name is not among them, and neither are those of smoke runs."""
    names = {cell.stage.name for cell in plan.cells}
    keys = {cell.stage.key for cell in plan.cells}
    gone: dict[str, str] = {}
    begin = f"eval:{plan.setting}/"
    had = {n for n in store.runs.names_of(plan.setting) if n.startswith(begin)}
    if had <= names:
        return []
    for run in store.runs.changes():
        if run.setting != plan.setting or run.is_smoke:
            continue
        for name, key in run.stages.items():
            if name.startswith(begin) and name not in names and key not in keys:
                gone.pop(name, None)
                gone[name] = key
    backends = backends_of(store, "eval")
    models = {_label(cell): cell.model for cell in plan.cells}
    found = []
    for name, key in gone.items():
        accepted = store.accepted.of(key)
        backend = backends.get(key) or (accepted.backend if accepted else "")
        if not backend:
            continue
        stage = past_stage(name, key, backend)
        record = store.get(stage)
        if record is None:
            continue
        folder = store.folder_of(record)
        cell = place_in(name.removeprefix(begin), stage, models)
        note = f"{NOTE}; {accepted.note}" if accepted else NOTE
        told = Result(cell, "off-plan", record, note, folder, _lineage(record))
        found.append(replace(told, accepted=accepted))
    return found


def backends_of(store: ArtifactStore, kind: str) -> dict[str, str]:
    """Key of each artifact of a kind -> its backend, from the names of their
    folders."""
    parts = (name.rpartition("-") for name in folders_of(store.root, kind))
    return {key: backend for backend, _, key in parts}


def past_stage(name: str, key: str, backend: str) -> Stage:
    """A stage as it was, with nothing but what its artifact is found by."""
    return Stage(
        kind=name.partition(":")[0],  # type: ignore[arg-type]
        backend=backend,
        name=name,
        key=Key(key),
        preimage=NOTHING,
        params=None,
    )


def place_in(path: str, stage: Stage, models: Mapping[str, str]) -> Cell:
    """The cell of an eval by its name's path, without the setting. `models` is label ->
    base model. An arm is in no name, and so it is not known."""
    match = TUNED.fullmatch(path) or BASE.fullmatch(path)
    if match is None:  # a version that named stages otherwise
        return Cell("", "", None, 0, path.rpartition("/")[2], stage)
    parts = match.groupdict()
    seed, replicate = parts.get("seed"), parts.get("replicate")
    return Cell(
        parts["dataset"],
        models.get(parts["model"], parts["model"]),
        None if seed is None else int(seed),
        int(replicate or 0),
        parts["eval"],
        stage,
        training=parts.get("training") or "",
    )


def _label(cell: Cell) -> str:
    """The part of a cell's stage name that stands for its base model."""
    parts = cell.stage.name.split("/")
    return parts[2] if len(parts) > 2 else ""


def _lineage(record: Record) -> Lineage:
    asked = str(record.preimage["inputs"].get("model", ""))
    key = asked if KEY.fullmatch(asked) else None
    answered = record.inputs.get(asked) or (None if key else asked or None)
    return Lineage.of(record, key, answered)
