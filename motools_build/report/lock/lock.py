"""A lock as data: made from a setting's plan and artifacts, or from its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from motools_build.errors import InputError
from motools_build.planning.plan import Plan
from motools_build.report.declared import Standing
from motools_build.report.lock.document import FORMAT, decode
from motools_build.report.lock.numbers import NUMBERS, numbers_of
from motools_build.report.lock.packed import (
    Packed,
    unpacked_result,
    unpacked_stage,
)
from motools_build.report.results import Result
from motools_build.specs.contrast import Contrast
from motools_build.store.artifacts import ArtifactStore
from motools_build.text.visible import whole

MADE = ("version", "locked", "commit", "dirty", "digest")
"""Fields that say how the lock was made; a lock that differs in these alone says the
same."""


@dataclass(frozen=True)
class Lock:
    """What a lock says."""

    body: Mapping[str, Any]
    """The content of its file."""
    results: tuple[Result, ...]
    off_plan: tuple[Result, ...]

    @property
    def setting(self) -> str:
        return str(self.body["setting"])

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of the command that locked which change the plan."""
        found: Mapping[str, str] = self.body["variables"]
        return found

    @property
    def primary(self) -> Contrast | None:
        found = self.body["primary"]
        return None if found is None else Contrast(**found)

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The numbers that follow from its scores."""
        return {kind: self.body[kind] for kind in NUMBERS}

    @property
    def when(self) -> str:
        """`locked 2026-11-29 at commit abc1234`."""
        body, told = self.body, f"locked {str(self.body['locked'])[:10]}"
        if body["commit"]:
            told += f" at commit {str(body['commit'])[:7]}"
        return told + (" with uncommitted changes" if body["dirty"] else "")

    def says_the_same_as(self, other: Mapping[str, Any]) -> bool:
        """Whether another lock's body differs only in how it was made."""
        return all(
            self.body.get(name) == other.get(name)
            for name in {*self.body, *other}.difference(MADE)
        )


def body_of(
    plan: Plan,
    store: ArtifactStore,
    found: Sequence[Result],
    off_plan: Sequence[Result],
    standing: Standing,
    made: Mapping[str, Any],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The body of a plan's lock, without its digest. `made` has the fields `MADE` but
    the digest, and `variables`; `files` are the digests of source files.

    Raises ArtifactError if scores cannot be read, InputError if a secret is part of a
    key.
    """
    packed = Packed()
    stages = [packed.stage(stage, store.get(stage)) for stage in plan.stages]
    there = {stage["name"] for stage in stages}
    for one in off_plan:
        if one.record is not None and one.cell.stage.name not in there:
            stage = replace(one.cell.stage, preimage=one.record.preimage)
            stages.append(packed.stage(stage, one.record))
    results = [packed.result(one) for one in found]
    gone = [packed.result(one) for one in off_plan]
    primary = standing.primary
    body = {
        "format": FORMAT,
        "version": made["version"],
        "setting": plan.setting,
        "locked": made["locked"],
        "commit": made["commit"],
        "dirty": made["dirty"],
        "variables": made["variables"],
        "primary": primary.model_dump(mode="json") if primary else None,
        "declarations": [one.as_json()["digest"] for one in standing.declarations],
        "problems": list(standing.problems),
        "files": dict(files),
        **numbers_of(found, standing),
        "results": results,
        "off_plan": gone,
        "stages": stages,
        "records": packed.records,
        "specs": packed.specs,
        "versions": packed.versions,
        "questions": packed.questions,
    }
    kept: dict[str, Any] = whole(body)
    return kept


def read_lock(data: bytes, what: str) -> Lock:
    """The lock of a file's bytes; `what` names the file in errors.

    Raises NewerFormat or InputError, as `decode`; InputError also if a key is not the
    hash of what it was made from, or a field is missing.
    """
    body = decode(data, what)
    try:
        stages = {told["name"]: unpacked_stage(body, told) for told in body["stages"]}

        def results(listed: Iterable[Mapping[str, Any]]) -> tuple[Result, ...]:
            return tuple(
                unpacked_result(body, told, stages[told["stage"]]) for told in listed
            )

        found = Lock(body, results(body["results"]), results(body["off_plan"]))
        _ = found.when, found.variables, found.primary, found.numbers, found.setting
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{what} is not as `doit lock` writes it ({error}), so none of its numbers "
            f"is shown; restore it (git checkout {what}), or lock again"
        ) from error
    return found
