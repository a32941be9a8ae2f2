"""Which work counts as the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from motools_build.running.alike import Alike
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore


def preimage(kind: str, spec: dict[str, Any], **inputs: str) -> dict[str, Any]:
    return {"kind": kind, "backend": "inspect", "spec": spec, "inputs": inputs}


def record(name: str, what: dict[str, Any], resolved: str, tokens: int) -> Any:
    details = {"resolved": {"samples": resolved}, "usage": {"m": [tokens, 1]}}
    return SimpleNamespace(name=name, backend="inspect", preimage=what, details=details)


class Store:
    """Answers to a file's questions, of one model, and their scores."""

    answers = preimage("samples", {"task": "ask", "limit": 9}, task="t1", model="m1")
    scores = preimage("eval", {"scorer": "judge"}, scorer="s", **{"samples:1": "k1"})

    def records(self, kind: str) -> list[Any]:
        return [record("first", self.scores, "x", 2)] if kind == "eval" else []

    def by_key(self, kind: str, backend: str, key: str) -> Any:
        return record("a", self.answers, "x", 0) if key == "k1" else None


def scored(answers: dict[str, Any]) -> Stage:
    """The scores of those answers, by the same scorer."""
    samples = SimpleNamespace(key="k2", preimage=answers)
    what = preimage("eval", {"scorer": "judge"}, scorer="s", **{"samples:1": "k2"})
    return cast(Stage, SimpleNamespace(preimage=what, upstream=(samples,)))


ALIKE = Alike(cast(ArtifactStore, Store()))


def test_scores_of_another_models_answers_are_the_same_work() -> None:
    stage = scored(preimage("samples", Store.answers["spec"], task="t1", model="m2"))
    assert ALIKE.usage(stage) == {"m": (2, 1)}
    told = ALIKE.undeclared(stage, {"resolved": {"samples": "y"}})
    assert told == {"samples": "first"}


@pytest.mark.parametrize(
    ("spec", "task"),
    [
        ({"task": "ask", "limit": 5, "epochs": 1}, "t1"),  # smoke
        ({"task": "ask", "limit": 9}, "t2"),  # another question file
    ],
)
def test_scores_of_other_questions_are_not(spec: dict[str, Any], task: str) -> None:
    stage = scored(preimage("samples", spec, task=task, model="m1"))
    assert ALIKE.usage(stage) is None
    assert ALIKE.undeclared(stage, {"resolved": {"samples": "y"}}) == {}
