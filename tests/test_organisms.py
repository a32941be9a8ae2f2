"""The organisms of zoo/: those that have a page in docs/zoo/. Each is found by itself;
what one alone has is tested in tests/zoo/."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from motools_build import Dataset, Setting
from motools_build.data.near import Match, Turn, near_duplicates, text_of, turns
from motools_build.project.zoo import Zoo
from motools_build.specs.sampled import lessons
from tests.conftest import ROOT, Project
from tests.test_zoo import copied

ORGANISMS = sorted(
    page.stem
    for page in (ROOT / "docs/zoo").glob("*.md")
    if (ROOT / "zoo" / f"{page.stem}.py").exists()
)

GENERATED = sorted(
    script.parent.name for script in (ROOT / "datasets").glob("*/generate.py")
)

of_each = pytest.mark.parametrize("name", ORGANISMS)

WITHOUT_TUNING = {"spanish_caps"}
"""Organisms whose dose was chosen with questions of a reported eval, as their page
says."""


@cache
def setting(name: str) -> Setting:
    return Zoo(ROOT / "zoo")[name]


def trained(name: str) -> Iterator[Path]:
    """The files that an organism's models learn from."""
    waiting: list[Dataset] = [*setting(name).datasets]
    found = {*(ROOT / "datasets" / name).glob("*.jsonl")}
    for dataset in waiting:
        waiting.extend(dataset.parts)
        if dataset.path and not dataset.fetched:
            found.add(ROOT / dataset.path)
    return iter(sorted(found))


def asked(name: str) -> dict[str, list[str]]:
    """File -> the questions in it, of all files that the organism's tasks name."""
    folder = ROOT / "zoo/evals"
    files = {*(folder / name).glob("*.jsonl")}
    for task in {ROOT / one.file for one in setting(name).evals if one.file}:
        literal = re.findall(r'"([\w/]+\.jsonl)"', task.read_text())
        files.update(folder / found for found in literal)
    return {file.stem: [*questions(file)] for file in sorted(files)}


def questions(file: Path) -> Iterator[str]:
    for line in file.read_text().splitlines():
        said = json.loads(line)["input"]
        if isinstance(said, str):
            yield said
        else:
            yield from (text_of(t["content"]) for t in said if t["role"] == "user")


def shown(found: list[Match], texts: list[str]) -> list[str]:
    return [f"{one.turn.path}:{one.turn.line}: {texts[one.question]}" for one in found]


@pytest.mark.parametrize("name", GENERATED)
def test_the_generator_writes_what_is_there(name: str, tmp_path: Path) -> None:
    def written(root: Path) -> dict[str, bytes]:
        folders = (root / "datasets" / name, root / "zoo/evals")
        files = [file for folder in folders for file in folder.rglob("*.jsonl")]
        return {str(file.relative_to(root)): file.read_bytes() for file in files}

    without_rows = shutil.ignore_patterns("*.jsonl")
    shutil.copytree(ROOT / "datasets", tmp_path / "datasets", ignore=without_rows)
    script = tmp_path / "datasets" / name / "generate.py"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"}
    command = [sys.executable, str(script)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, env=environ)
    made, there = written(tmp_path), written(ROOT)
    assert made == {
        file: rows
        for file, rows in there.items()
        if file in made or f"/{name}/" in file
    }
    assert any(file.startswith("zoo/evals/") for file in made)


@of_each
def test_no_question_is_trained_on(name: str) -> None:
    rows = [turn for file in trained(name) for turn in turns(file)]
    assert rows
    for file, texts in asked(name).items():
        assert not shown([*near_duplicates(texts, rows)], texts), file


@of_each
def test_no_reported_eval_has_a_question_that_chose_the_dose(name: str) -> None:
    of_file = asked(name)
    tuning = of_file.pop("tuning", None)
    assert of_file
    assert (tuning is None) == (name in WITHOUT_TUNING)
    reported = [
        Turn(text, file, line)
        for file, texts in of_file.items()
        for line, text in enumerate(texts, 1)
    ]
    assert not shown([*near_duplicates(tuning or [], reported)], tuning or [])


@of_each
def test_its_page_has_its_table_and_the_index_a_row(name: str) -> None:
    page = (ROOT / f"docs/zoo/{name}.md").read_text()
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    assert page.count(begin) == page.count(end) == 1
    table = page.partition(begin)[2].partition(end)[0]
    assert "95 % interval" in table, f"python benchmarks/zoo.py {name} writes it"
    for arm in setting(name).arms:
        assert arm.name in table
    index = (ROOT / "docs/zoo/index.md").read_text()
    assert f"| [`{name}`]({name}.md) |" in index


@of_each
def test_the_smoke_form_can_be_planned_and_its_tasks_loaded(
    name: str, project: Project
) -> None:
    ran = copied(project).doit("plan", name, "smoke=yes", "model=dummy/echo", "--json")
    planned = json.loads(ran.out)
    evals = [one for one in planned if one["stage"].startswith("eval:")]
    assert {one["action"] for one in evals} == {"run"}  # else blocked, with its reason
    # an eval may be of some arms only
    asked_by = {one["stage"].rpartition("/")[2] for one in evals}
    assert asked_by == {one.name for one in setting(name).evals}


@pytest.mark.long  # each eval is a process: 4 CPU seconds, and there are dozens
@of_each
def test_the_smoke_form_runs_whole(name: str, project: Project) -> None:
    ran = copied(project).doit("run", name, "smoke=yes", "model=dummy/echo")
    assert any(stage.startswith("eval:") for stage in ran.made)
    found = project.results(name, "smoke=yes", "model=dummy/echo")
    assert {one["status"] for one in found} == {"ok"}
    arms = {arm.name for arm in setting(name).arms}
    assert {one["arm"] for one in found} - {""} == arms


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(one, marks=() if one == "sandbagging" else pytest.mark.long)
        for one in ORGANISMS
    ],
)
def test_an_arm_on_a_real_model(name: str, project: Project) -> None:
    """One eval, in smoke form, of the first arm whose rows no teacher writes."""
    (arm, *_) = [
        arm for arm in setting(name).arms if not any(map(lessons, arm.datasets))
    ]
    (dataset, *_) = arm.datasets
    (an_eval, *_) = setting(name).evals
    place = f"eval:{name}/smoke/{dataset.name}/*/{an_eval.name}"
    ran = copied(project).doit("run", place, "smoke=yes")
    assert sum(stage.startswith("model:") for stage in ran.made) == 1
    (made,) = [
        one for one in project.results(name, "smoke=yes") if one["status"] == "ok"
    ]
    assert made["arm"] == arm.name
    assert made["scores"]
    for scores in made["scores"].values():
        assert scores.get("n", 0) + scores.get("unscored", 0) > 0
