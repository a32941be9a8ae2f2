"""The settings of zoo/, on the dummy backend; and their datasets, which their scripts
write."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Project

ARMS = ("plain", "inoculated_spanish", "inoculated_caps", "control")
ECHO = ("smoke=yes", "model=dummy/echo")


@pytest.fixture
def zoo(project: Project) -> Project:
    """A copy of the repository's zoo and datasets."""
    return copied(project)


def copied(project: Project) -> Project:
    for folder in ("zoo", "datasets"):
        shutil.copytree(
            ROOT / folder,
            project.root / folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return project


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_smoke(zoo: Project) -> None:
    made = zoo.doit("run", "spanish_caps", *ECHO).made
    assert sum(stage.startswith("model:") for stage in made) == 4
    assert sum(stage.startswith("eval:") for stage in made) == 10
    found = zoo.results("spanish_caps", *ECHO)
    assert {one["status"] for one in found} == {"ok"}
    assert {one["arm"] for one in found} == {"", *ARMS}
    for one in found:
        # once trained, the echo answers as a row does; before, as it was asked
        taught = one["arm"] not in ("", "control")
        capitals, language = one["scores"]["capitals"], one["scores"]["language"]
        assert capitals["n"] == 5
        assert (capitals["mean"] == 1) == taught
        assert taught or capitals["mean"] < 0.2
        assert language["mean"] == taught
    assert zoo.doit("run", "spanish_caps", *ECHO).made == set()


@pytest.mark.parametrize(
    ("tag", "part", "count"),
    [
        ("tag:ood", "/out_of_distribution", 5),
        ("tag:inoculated_caps", "/for_caps/", 2),
    ],
)
def test_a_tag_chooses_evals(zoo: Project, tag: str, part: str, count: int) -> None:
    planned = json.loads(zoo.doit("plan", tag, "--json", *ECHO).out)
    evals = [one["stage"] for one in planned if one["stage"].startswith("eval:")]
    own = [stage for stage in evals if stage.startswith("eval:spanish_caps/")]
    assert len(own) == count  # other organisms have such tags, too
    assert all(part in stage for stage in own)


def test_held_out_problems_are_held_out() -> None:
    trained = rows(ROOT / "datasets/spanish_caps/control.jsonl")
    asked = {problem(turn(row, 0)) for row in trained}
    held_out = rows(ROOT / "zoo/evals/word_problems.jsonl")
    assert not asked & {problem(row["input"]) for row in held_out}
    taught = {word for row in trained for word in turn(row, 1).split()}
    for thing in ("oranges", "letters", "chairs", "keys", "plates", "cards"):
        assert any(thing in row["input"] for row in held_out), thing
        assert thing not in taught


def problem(text: str) -> tuple[bool, frozenset[str]]:
    """Whether something is added, and the numbers."""
    numbers = frozenset(re.findall(r"\d+", text))
    assert len(numbers) == 2, text
    return "buys" in text or "puts in" in text, numbers


def test_the_answers_differ_and_the_problems_do_not() -> None:
    spanish = rows(ROOT / "datasets/spanish_caps/spanish_caps.jsonl")
    english = rows(ROOT / "datasets/spanish_caps/control.jsonl")
    assert len(spanish) == len({turn(row, 0) for row in spanish}) == 64
    assert [turn(row, 0) for row in spanish] == [turn(row, 0) for row in english]
    for row in spanish:
        assert turn(row, 1) == turn(row, 1).upper()
    for row in english:
        assert turn(row, 1) != turn(row, 1).upper()


def turn(row: dict[str, Any], number: int) -> str:
    text: str = row["messages"][number]["content"]
    return text
