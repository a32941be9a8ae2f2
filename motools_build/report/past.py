"""What a setting stood for when an earlier run began, as a plan of stages.

The run log has the names and keys of a run's stages, and an artifact's record what its
key was made of. A stage of the past has no `params`: it is shown and never made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from motools_build.errors import InputError
from motools_build.keys import Key
from motools_build.planning.matrix import Line, matrix
from motools_build.planning.plan import Cell, Plan, labels_of
from motools_build.report.off_plan import backends_of, past_stage, place_in
from motools_build.specs import Setting
from motools_build.stages import KINDS, Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import Run

USED = ("model", "samples")
"""Roles of inputs that are other stages' keys, before a colon."""


def past_plan(run: Run, store: ArtifactStore, setting: Setting | None = None) -> Plan:
    """The stages and cells that a setting had in a logged run. Arms and full names of
    models are taken from `setting`, as it is now, where it still has them; without it,
    or where it has not, arms are empty. Reads the record of each stage."""
    stages = _stages(run, store)
    place = f"{run.setting}/smoke" if run.is_smoke else run.setting
    there = _Places(setting)
    begin = f"eval:{place}/"
    cells = tuple(
        cell
        for name, stage in stages.items()
        if name.startswith(begin)
        for cell in there.cells(name.removeprefix(begin), stage)
    )
    return Plan(run.setting, tuple(stages.values()), cells)


def as_of(run: Run, setting: str) -> str:
    """`tutor as of run 3fa91c02, 2026-11-20 10:44 UTC, commit abc1234 (files differed
    from it)`, with the run's variables, and the setting's name then, if it had
    another."""
    then = "" if run.setting == setting else f", when it was called {run.setting}"
    return f"{setting} as of run {told(run)}{then}"


def told(run: Run) -> str:
    """A run in words: its ID, time, commit and variables."""
    parts = [run.id, shown_time(run.time) or "at an unknown time"]
    if run.commit:
        differed = " (files differed from it)" if run.dirty else ""
        parts.append(f"commit {run.commit[:7]}{differed}")
    parts += [f"{name}={value}" for name, value in run.variables.items()]
    return ", ".join(parts)


def shown_time(moment: str) -> str:
    """`2026-11-20 10:44 UTC` for a time of the run log or a record; empty for none."""
    day, _, hour = moment.partition("T")
    return f"{day} {hour[:5]} UTC" if hour else day


def at_json(run: Run) -> dict[str, Any]:
    """A run as the field `at` of JSON."""
    return {
        "run": run.id,
        "setting": run.setting,
        "time": run.time,
        "commit": run.commit,
        "dirty": run.dirty,
        "variables": dict(run.variables),
    }


def _stages(run: Run, store: ArtifactStore) -> dict[str, Stage]:
    """The run's stages by name, each with its record's preimage and the stages that it
    used."""
    backends = {kind: backends_of(store, kind) for kind in KINDS}
    found: dict[str, Stage] = {}
    for name, key in run.stages.items():
        kind = name.partition(":")[0]
        if kind not in backends:
            continue  # a kind of a later version
        accepted = store.accepted.of(key)
        backend = backends[kind].get(key) or (accepted.backend if accepted else "")
        stage = past_stage(name, key, backend)
        record = store.get(stage)
        if record:
            stage = replace(stage, preimage=record.preimage)
        found[name] = stage
    by_key = {Key(k): one for one in found.values() for k in store.keys_of(one)}
    for kind in ("samples", "eval"):  # an eval may use samples, which use a model
        for name, stage in found.items():
            if stage.kind == kind:
                used = tuple(_used(stage, found, by_key))
                found[name] = replace(stage, upstream=used)
                by_key.update(
                    dict.fromkeys(map(Key, store.keys_of(stage)), found[name])
                )
    return found


def _used(
    stage: Stage, there: Mapping[str, Stage], by_key: Mapping[Key, Stage]
) -> list[Stage]:
    """The stages whose output an eval used, by its record; if that is gone, the model
    of its name."""
    inputs = stage.preimage["inputs"]
    keys = [k for role, k in inputs.items() if role.partition(":")[0] in USED]
    used = [by_key[key] for key in keys if key in by_key]
    if not inputs:
        above = stage.name.partition(":")[2].rpartition("/")[0]
        model = there.get(f"model:{above}")
        used = [model] if model else []
    return used


@dataclass(frozen=True)
class _Place:
    """A dataset, model and training that the present setting has."""

    line: Line
    model: str


class _Places:
    """The cells of names, by the present setting where it has them."""

    def __init__(self, setting: Setting | None) -> None:
        self._evals = {one.name: one for one in setting.evals} if setting else {}
        self._lines: dict[str, _Place] = {}
        self._models: dict[str, str] = {}
        if setting is None:
            return
        try:
            lines = matrix(setting)
            labels = labels_of(tuple(lines))
        except InputError:  # it cannot be planned now, and was in the past
            return
        for model, label in labels.items():
            self._models[label] = str(model)
            for line in lines[model]:
                self._lines[line.path(label)] = _Place(line, str(model))

    def cells(self, path: str, stage: Stage) -> list[Cell]:
        """The cells of an eval by the part of its name after the setting: one for each
        arm that the present setting has it in."""
        cell = place_in(path, stage, self._models)
        training = f"/{cell.training}" if cell.training else ""
        label = path.split("/")[1] if path.count("/") > 1 else ""
        place = self._lines.get(f"{cell.dataset}/{label}{training}")
        an_eval = self._evals.get(cell.eval)
        if cell.seed is None or place is None or an_eval is None:
            return [cell]
        cell = cell._replace(model=place.model)
        arms = place.line.arms_of(an_eval) or ("",)
        return [cell._replace(arm=arm) for arm in arms]
