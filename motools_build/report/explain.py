"""What a run would do, and why: actions of stages, and what keys differ in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from motools_build.records import Record
from motools_build.stages import Stage
from motools_build.store import ArtifactStore

Action = Literal["up to date", "run", "check"]


@dataclass(frozen=True)
class Intent:
    """What a run would do with a stage."""

    stage: Stage
    action: Action
    """`check`: its model is made anew; it runs if other weights come out."""
    reason: str
    seconds: float | None
    """An estimate from what the same work took before; None where none is known."""

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage.name,
            "key": self.stage.key,
            "action": self.action,
            "reason": self.reason,
            "seconds": self.seconds,
            "cost": 0 if self.is_free() else None,
        }

    def is_free(self) -> bool:
        """Whether it surely costs nothing; an eval's own judge may charge."""
        return self.action == "up to date" or self.stage.backend in FREE


FREE = frozenset({"embedded", "dummy"})
"""Backends that charge nothing: they run on this machine."""


def intents(stages: Iterable[Stage], store: ArtifactStore) -> list[Intent]:
    """What a run of these stages would do, in an order in which it could. What is
    made on demand is listed only if it is needed."""
    wanted: dict[str, Stage] = {}
    for stage in stages:
        if stage.kind not in ("base", "upload"):
            _add(stage, wanted, store)
    made: dict[str, Intent] = {}
    pace = _Pace(store)
    for key, stage in wanted.items():
        made[key] = _intent(stage, store, made, pace)
    return list(made.values())


def _add(stage: Stage, wanted: dict[str, Stage], store: ArtifactStore) -> None:
    for used in stage.upstream:
        _add(used, wanted, store)
    needed = store.why_stale(stage) is not None
    for used in stage.setup if needed else ():
        wanted.setdefault(used.key, used)
    wanted.setdefault(stage.key, stage)


def _intent(
    stage: Stage, store: ArtifactStore, made: Mapping[str, Intent], pace: _Pace
) -> Intent:
    reason = store.why_stale(stage)
    if reason is None:
        for used in stage.upstream:
            if used.key in made and made[used.key].action == "run":
                why = f"runs if {used.name} comes out with other weights"
                return Intent(stage, "check", why, pace.of(stage))
        return Intent(stage, "up to date", "", None)
    failure = store.failure(stage)
    if failure:
        reason = f"failed before: {failure.message.splitlines()[0]}"
    return Intent(stage, "run", reason, pace.of(stage))


class _Pace:
    """Seconds a unit of work, from records of the same kind of work."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._known: dict[tuple[str, str, str], float] | None = None

    def of(self, stage: Stage) -> float | None:
        if self._known is None:
            self._known = {}
            for kind in ("base", "upload", "model", "eval"):
                for record in self._store.records(kind):
                    seconds = record.made.get("seconds")
                    if seconds is not None:
                        like = _alike(record.kind, record.backend, record.preimage)
                        self._known[like] = seconds
        return self._known.get(_alike(stage.kind, stage.backend, stage.preimage))


def _alike(
    kind: str, backend: str, preimage: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Work of the same size: the same dataset and training but for the seed, or the
    same eval but for the model."""
    spec = {name: v for name, v in preimage["spec"].items() if name != "seed"}
    inputs = {n: v for n, v in preimage["inputs"].items() if n != "model"}
    return kind, backend, repr((sorted(spec.items(), key=str), sorted(inputs.items())))


# ---- why


def flat(preimage: Mapping[str, Any]) -> dict[str, Any]:
    """A preimage as `spec.epochs` -> 3, `inputs.dataset` -> digest."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from walk(inner, f"{path}.{name}" if path else name)
        else:
            yield path, value

    return dict(walk(preimage, ""))


Difference = tuple[str, Any, Any]
"""Field, its value in the other artifact, its value in the stage; None: not there."""


def differences(stage: Stage, record: Record) -> list[Difference]:
    """The fields of the key that differ from a recorded one."""
    new, old = flat(stage.preimage), flat(record.preimage)
    return [
        (name, old.get(name), new.get(name))
        for name in sorted({*new, *old})
        if old.get(name) != new.get(name)
    ]


def nearest(stage: Stage, store: ArtifactStore) -> Record | None:
    """The artifact that differs from the stage in the fewest fields; of several, the
    one that had the stage's name, and then the latest."""
    others = [r for r in store.records(stage.kind) if r.key != stage.key]
    return min(
        others,
        key=lambda record: (
            len(differences(stage, record)),
            record.name != stage.name,
            [-ord(digit) for digit in record.made.get("time", "")],
        ),
        default=None,
    )


def older_versions(record: Record, present: Mapping[str, str]) -> list[str]:
    """Libraries that were others when the artifact was made; shown, never re-run."""
    return [
        f"{name} {was}, now {present[name]}"
        for name, was in sorted(record.made.get("versions", {}).items())
        if name in present and present[name] != was
    ]
