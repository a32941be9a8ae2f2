"""`until=half:0.15 max_seeds=10`: seeds are added until intervals are narrow enough."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import motools_build
from motools_build import Dataset, Eval, Setting
from motools_build.errors import InputError, RunFailed, VariableError
from motools_build.planning.plan import Cell, Plan, plan
from motools_build.project import sequential
from motools_build.project.sequential import Sequential
from motools_build.project.variables import check_variables
from motools_build.report.estimates import Estimates
from motools_build.report.lineage import Lineage
from motools_build.report.results import Result
from motools_build.report.until import Until
from motools_build.report.widths import GroupWidth, Width, group_widths
from tests.conftest import Project, furnish
from tests.lab import BASE, EVAL, MODEL, Lab
from tests.test_events import events, of
from tests.test_means import result
from tests.test_plan import resolve

GROUP = ("", "d", "dummy/echo", "")
COLUMN = ("ask", "includes", "accuracy")
UNTIL = Until(0.15, 4)
ASKED = ("until=half:0.2", "max_seeds=6")


class TestVariables:
    @pytest.mark.parametrize(
        ("word", "wanted"),
        [
            ("half:0.15", Until(0.15, 10)),
            ("half:.5", Until(0.5, 10)),
            ("half:0.05:caps", Until(0.05, 10, ("caps",))),
            ("half:0.05:caps, maths", Until(0.05, 10, ("caps", "maths"))),
        ],
    )
    def test_what_can_be_asked_for(self, word: str, wanted: Until) -> None:
        given = {"until": word, "max_seeds": "10"}
        check_variables(given, ())
        assert Until.parse(given) == wanted
        assert Until.parse({}) is None

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("until=half:0.15", "max_seeds=10"),
            ("max_seeds=10", "goes with until="),
            ("until=half:0.15 max_seeds=1", "from 2 to 1000"),
            ("until=half:0.15 max_seeds=1001", "from 2 to 1000"),
            ("until=half:0.15 max_seeds=many", "from 2 to 1000"),
            ("until=half:0.15 max_seeds=-3", "from 2 to 1000"),
            ("until=half:0.15 max_seeds=²", "from 2 to 1000"),
            ("until=half:0.15 max_seeds=" + "9" * 5000, "from 2 to 1000"),
            ("until= max_seeds=10", "write until=half:0.15"),
            ("until=0.15 max_seeds=10", "write until=half:0.15"),
            ("until=width:0.15 max_seeds=10", "write until=half:0.15"),
            ("until=half max_seeds=10", "a number above 0 and at most 0.5"),
            ("until=half:0 max_seeds=10", "a number above 0 and at most 0.5"),
            ("until=half:0.6 max_seeds=10", "a number above 0 and at most 0.5"),
            ("until=half:-0.1 max_seeds=10", "a number above 0 and at most 0.5"),
            ("until=half:nan max_seeds=10", "a number above 0 and at most 0.5"),
            ("until=half:1e-3 max_seeds=10", "a number above 0 and at most 0.5"),
            ("until=half:0.1: max_seeds=10", "the name of an eval is empty"),
            ("until=half:0.1:a,,b max_seeds=10", "the name of an eval is empty"),
            ("until=p<0.05 max_seeds=10", "far more often than p says"),
            ("until=p:0.05 max_seeds=10", "far more often than p says"),
            ("until=significance max_seeds=10", "far more often than p says"),
            ("until=difference>0.1 max_seeds=10", "far more often than p says"),
            ("until=half:0.1 max_seeds=10 smoke=yes", "leave one of the two out"),
            ("until=half:0.1 max_seeds=10 wait=no", "leave one of the two out"),
        ],
    )
    def test_what_cannot(self, words: str, said: str) -> None:
        with pytest.raises(VariableError) as raised:
            check_variables(dict(word.split("=", 1) for word in words.split(" ")), ())
        assert said in str(raised.value)
        assert len(str(raised.value)) < 400

    def test_the_seeds_that_follow(self) -> None:
        assert UNTIL.seeds_of("s", [0]) == [0, 1, 2, 3]
        assert UNTIL.seeds_of("s", [7, 2]) == [7, 2, 8, 9]
        assert UNTIL.seeds_of("s", [1, 2**32 - 1]) == [1, 2**32 - 1, 0, 2]
        assert UNTIL.seeds_of("s", [0, 1, 2, 3]) == [0, 1, 2, 3]
        with pytest.raises(VariableError, match="has 5 seeds already"):
            UNTIL.seeds_of("s", range(5))

    def test_an_eval_that_is_not_there(self) -> None:
        Until(0.1, 4, ("caps",)).check_evals("s", ["caps", "maths"])
        with pytest.raises(VariableError, match="has no eval 'cap'"):
            Until(0.1, 4, ("cap",)).check_evals("s", ["caps", "maths"])


class TestRule:
    """When a group wants another seed."""

    def group(
        self, *halves: float, seeds: int = 2, distinct: int | None = None, **more: Any
    ) -> GroupWidth:
        models = seeds if distinct is None else distinct
        widths = tuple(Width(COLUMN, half, models) for half in halves)
        return GroupWidth(
            GROUP, tuple(range(seeds)), models, more.pop("copy", False), widths, **more
        )

    @pytest.mark.parametrize(
        ("given", "state", "said"),
        [
            ({}, "wide", "2 seeds, half-width 0.200 (ask includes accuracy)"),
            ({"seeds": 4}, "most", "4 seeds, half-width 0.200"),
            ({"seeds": 5}, "most", "max_seeds is reached"),
            ({"seeds": 1}, "wide", "1 seed, no interval over seeds yet"),
            ({"seeds": 3, "distinct": 1, "copy": True}, "copies", "1 distinct model,"),
            ({"seeds": 3, "distinct": 2, "copy": True}, "copies", "2 distinct models,"),
            ({"lost": "1 failed"}, "not made", "not there: 1 failed"),
            ({"lost": "1 failed", "seeds": 4}, "not made", "not there: 1 failed"),
        ],
    )
    def test_of_a_wide_interval(
        self, given: dict[str, Any], state: str, said: str
    ) -> None:
        for halves in ((0.2,), (0.01, 0.2), (0.2, 0.1500001)):
            one = self.group(*halves, **given)
            assert one.state(UNTIL) == state
            assert one.told(UNTIL).startswith("d, dummy/echo: ")
            assert said in one.told(UNTIL)
            assert one.as_json(UNTIL)["state"] == state

    def test_of_narrow_ones(self) -> None:
        assert self.group(0.15, 0.01).state(UNTIL) == "met"
        assert self.group(0.15, seeds=4).state(UNTIL) == "met"
        assert self.group(0.15, seeds=3, distinct=2, copy=True).state(UNTIL) == "met"
        assert self.group(0.01, seeds=1).state(UNTIL) == "wide"
        assert self.group(0.01, lost="1 stale").state(UNTIL) == "not made"
        assert self.group().state(UNTIL) == "no interval"

    def test_the_event(self) -> None:
        told = self.group(0.1, 0.2, seeds=3).as_json(UNTIL)
        assert told["seeds"] == [0, 1, 2]
        assert (told["half"], told["asked"], told["eval"]) == (0.2, 0.15, "ask")
        assert self.group(0.1, seeds=1).as_json(UNTIL)["half"] is None
        assert self.group().as_json(UNTIL)["metric"] is None

    def test_points_are_told_in_points(self) -> None:
        points = Width(COLUMN, 0.125, 3, 100.0)
        assert str(points) == "12.5 of 100 (ask includes accuracy)"


def setting_of(seeds: Iterable[int], datasets: Sequence[str] = ("d",)) -> Setting:
    return Setting(
        description="",
        datasets=[Dataset(f"{name}.jsonl") for name in datasets],
        models=["dummy/echo"],
        seeds=[*seeds],
        evals=[Eval("dummy/score")],
        controls=False,
    )


class TestWidths:
    """What is looked at of results."""

    def widths(
        self, tmp_path: Path, values: Sequence[Any], *evals: str, **more: Any
    ) -> GroupWidth:
        tmp_path.mkdir(exist_ok=True)
        cells = plan("s", setting_of(range(len(values))), resolve).cells
        found = [
            result(cell, tmp_path / str(number), of_seed, **more)
            for number, (cell, of_seed) in enumerate(zip(cells, values, strict=True))
        ]
        seeds = {GROUP: range(len(values))}
        (one,) = group_widths(found, Estimates(found), seeds, evals)
        return one

    def test_a_share_of_the_range(self, tmp_path: Path) -> None:
        yes = [[1, 0, 1, 0], [0, 0, 1, 0], [1, 0, 1, 1]]
        (of_yes,) = self.widths(tmp_path / "yes", yes).widths
        shares = [[0.5 * one for one in seed] for seed in yes]
        (of_shares,) = self.widths(tmp_path / "shares", shares).widths
        points = [[50 * one for one in seed] for seed in yes]
        (of_points,) = self.widths(tmp_path / "points", points).widths
        assert [one.range for one in (of_yes, of_shares, of_points)] == [1, 1, 100]
        assert of_points.half == pytest.approx(of_shares.half)
        assert 0 < of_shares.half < of_yes.half < 0.5

    def test_scores_without_bounds_do_not_count(self, tmp_path: Path) -> None:
        one = self.widths(tmp_path, [[-1, 2, 0], [3, 4, 5]])
        assert (one.widths, one.state(UNTIL)) == ((), "no interval")

    def test_metrics_that_are_no_means_do_not_count(self, tmp_path: Path) -> None:
        one = self.widths(tmp_path, [[1, 0, 1], [0, 0, 1]], median=1.0)
        assert [width.column[2] for width in one.widths] == ["mean"]

    def test_one_question_has_no_width(self, tmp_path: Path) -> None:
        assert self.widths(tmp_path, [[1], [0]]).state(UNTIL) == "no interval"

    def test_only_the_evals_that_are_named_count(self, tmp_path: Path) -> None:
        assert self.widths(tmp_path, [[1, 0], [0, 1]], "score").widths
        assert not self.widths(tmp_path / "b", [[1, 0], [0, 1]], "other").widths

    def test_what_is_lost(self, tmp_path: Path) -> None:
        assert self.widths(tmp_path, [[1, 0], None, None]).lost == "2 missing"


@dataclass
class World:
    """Results that are there, in place of a store."""

    tmp_path: Path
    models: Callable[[str, int], str] = lambda dataset, seed: f"{dataset}-{seed}"
    rates: dict[str, float] = field(default_factory=lambda: {"d": 0.3, "e": 0.01})
    made: dict[str, Result] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    looked: int = 0

    def make(self, cell: Cell) -> None:
        name = cell.stage.name
        if name in self.fails or name in self.made:
            return
        rng = random.Random(f"{cell.dataset} {cell.seed}")
        rate = self.rates[cell.dataset]
        values = [int(rng.random() < rate) for _ in range(20)]
        one = result(cell, self.tmp_path / name.replace("/", "-"), values)
        model = self.models(cell.dataset, cell.seed or 0)
        lineage = Lineage(model_key=model, model_id=model)
        self.made[name] = replace(one, lineage=lineage)

    def results(self, plan: Plan, _: Any) -> list[Result]:
        self.looked += len(plan.cells)
        return [
            replace(self.made[cell.stage.name], cell=cell)
            if cell.stage.name in self.made
            else Result(cell, "missing", None)
            for cell in plan.cells
        ]

    def begun(self, until: Until, own: int = 1) -> Sequential:
        """As a command sees it when it begins."""
        setting = setting_of(range(own), ("d", "e"))
        order = until.seeds_of("s", setting.seeds)
        wide = plan("s", setting_of(order, ("d", "e")), resolve)
        store: Any = None
        return Sequential(
            until, setting, plan("s", setting, resolve), wide, order, store
        )

    def run(self, found: Sequential) -> None:
        """A run to its end."""
        for cell in found.plan.cells:
            self.make(cell)
        while found.look(is_tried=True):
            assert found.fresh is not None
            for cell in found.fresh.cells:
                self.make(cell)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(tmp_path)
    monkeypatch.setattr(sequential, "results", lambda *args: found.results(*args))
    return found


def seeds(found: Sequential) -> dict[str, int]:
    return {one.group[1]: len(one.seeds) for one in found.groups}


class TestRounds:
    def test_each_group_gets_its_own_seeds(self, world: World) -> None:
        found = world.begun(Until(0.15, 8), own=2)
        assert [cell.seed for cell in found.plan.cells] == [0, 1, 0, 1]
        world.run(found)
        states = [one.state(found.until) for one in found.groups]
        assert states == ["met", "met"]
        counts = seeds(found)
        assert 2 < counts["e"] < counts["d"] < 8
        assert len(world.made) == sum(counts.values()) == len(found.plan.cells)
        for one in found.groups:
            assert one.seeds == tuple(range(counts[one.group[1]]))
        names = {stage.name for stage in found.plan.stages}
        assert "model:s/d/echo/seed2" in names
        assert f"model:s/e/echo/seed{counts['e']}" not in names

    def test_dependencies_come_first_in_the_plans(self, world: World) -> None:
        found = world.begun(Until(0.15, 8))
        world.run(found)
        for one in (found.plan, found.fresh):
            assert one is not None
            there: set[str] = set()
            for stage in one.stages:
                assert {used.name for used in (*stage.upstream, *stage.setup)} <= there
                there.add(stage.name)

    @pytest.mark.parametrize("number", range(8))
    def test_a_run_that_was_killed_anywhere_comes_to_the_same(
        self, world: World, number: int
    ) -> None:
        until, rng = Until(0.2, 7), random.Random(number)
        whole = world.begun(until)
        world.run(whole)
        wanted = {*world.made}
        kept, world.made = world.made, {}
        while True:
            found = world.begun(until)
            fresh = [c for c in found.plan.cells if c.stage.name not in world.made]
            if not fresh:
                break
            rng.shuffle(fresh)
            for cell in fresh[: rng.randint(1, len(fresh))]:  # and then it is killed
                world.made[cell.stage.name] = kept[cell.stage.name]
        assert {*world.made} == wanted
        assert seeds(found) == seeds(whole)
        assert not found.wanted

    def test_nothing_is_added_while_a_result_is_missing(self, world: World) -> None:
        until = Until(0.1, 8)
        for cell in world.begun(until, own=2).plan.cells:
            if cell.dataset == "d":
                world.make(cell)
        found = world.begun(until, own=2)
        assert (seeds(found), found.wanted) == ({"d": 2, "e": 2}, [])

    def test_a_failure_ends_its_group_alone(self, world: World) -> None:
        world.fails = {"eval:s/d/echo/seed2/score"}
        found = world.begun(Until(0.1, 6))
        world.run(found)
        d, e = found.groups
        assert (len(d.seeds), d.state(found.until), d.lost) == (
            3,
            "not made",
            "1 missing",
        )
        assert e.state(found.until) in ("met", "most")
        assert any("(doit run s)" in line for line in found.told())
        world.fails = set()
        again = world.begun(Until(0.1, 6))
        assert seeds(again)["d"] == 3  # which is tried first
        world.run(again)
        assert seeds(again)["d"] > 3

    def test_copies_end_a_group(self, world: World) -> None:
        world.models = lambda dataset, seed: (
            dataset if dataset == "d" else f"e-{min(seed, 2)}"
        )
        found = world.begun(Until(0.05, 9))
        world.run(found)
        d, e = found.groups
        assert (len(d.seeds), d.distinct, d.state(found.until)) == (2, 1, "copies")
        assert (len(e.seeds), e.distinct, e.state(found.until)) == (4, 3, "copies")
        assert "2 seeds, 1 distinct model, no interval over seeds" in d.told(
            found.until
        )

    def test_max_seeds_ends_a_group(self, world: World) -> None:
        found = world.begun(Until(0.01, 3))
        world.run(found)
        assert seeds(found) == {"d": 3, "e": 3}
        assert {one.state(found.until) for one in found.groups} == {"most"}
        assert "all: doit results s seeds=0,1,2" in [*found.told()][-1]  # and no more

    def test_what_is_made_is_read_once(self, world: World) -> None:
        world.run(world.begun(Until(0.1, 6)))
        world.looked = 0
        found = world.begun(Until(0.1, 6))
        assert world.looked == len(found.plan.cells)


@pytest.fixture
def asked(project: Project) -> Project:
    """A setting of two datasets, whose models answer differently with each seed."""
    return furnished(project)


def furnished(project: Project) -> Project:
    project.dataset("one", 3)
    project.dataset("two", 5)
    project.setting(
        "tiny",
        datasets='[Dataset("datasets/one.jsonl"), Dataset("datasets/two.jsonl")]',
        seeds="[0, 1]",
        evals='[Eval("dummy/questions")]',
        controls="False",
    )
    return project


def models(project: Project) -> set[str]:
    return {name.removeprefix("model:tiny/") for name in project.records("model")}


COUNTS = {"one": 4, "two": 3}
"""Dataset -> number of seeds at which its interval is as narrow as `ASKED`."""

WANTED = {f"{name}/echo/seed{seed}" for name, n in COUNTS.items() for seed in range(n)}


class TestRun:
    def test_seeds_are_added_and_then_nothing_is_to_do(self, asked: Project) -> None:
        out = asked.doit("run", "tiny", *ASKED).out
        assert models(asked) == WANTED
        assert "+  tiny  one, dummy/echo: seed 2 (half-width 0.4" in out
        assert "one, dummy/echo: 4 seeds, half-width 0.1" in out
        assert "two, dummy/echo: 3 seeds, half-width 0.1" in out
        assert out.count(": met") == 2
        assert "16 made" in out
        hint = "doit results tiny seeds=0,1,2,3"
        assert hint in out
        assert "give all as many seeds: doit run tiny seeds=0,1,2,3" in out
        tree = asked.tree()

        found = asked.results("tiny", "seeds=0,1,2,3")
        there = [one["stage"] for one in found if one["status"] == "ok"]
        assert len(there) == len(WANTED) == len(found) - 1
        found = asked.results("tiny", *ASKED)
        assert [one["stage"] for one in found] == there

        again = asked.doit("run", "tiny", *ASKED)
        assert (again.made, again.out.count("made in")) == (set(), 0)
        assert "nothing to do: 14 up to date" in again.out
        assert again.out.count(": met") == 2
        assert "nothing to do: 8 up to date" in asked.doit("run", "tiny").out
        assert "14 up to date" in asked.doit("plan", "tiny", *ASKED).out
        assert asked.doit("status", "tiny", *ASKED).out
        assert "2 run" in asked.doit("plan", "tiny", "until=half:0.18", ASKED[1]).out
        asked.doit("gc", "--yes")
        assert asked.tree() == tree
        assert "nothing to do" in asked.doit("run", "tiny", *ASKED).out
        cleaned = asked.doit("clean", "tiny", "seeds=3").out
        assert "removed model:tiny/one/echo/seed3" in cleaned
        asked.doit("run", "tiny", *ASKED)
        assert models(asked) == WANTED

    def test_events(self, asked: Project) -> None:
        found = events(asked.doit("run", "tiny", *ASKED, "--json").out)
        assert (found[0]["event"], found[-1]["event"]) == ("run_started", "run_ended")
        assert len(of(found, "run_started")) == len(of(found, "run_ended")) == 1
        added = [(one["dataset"], one["seed"]) for one in of(found, "seed_added")]
        assert added == [("one", 2), ("two", 2), ("one", 3)]
        assert all(one["half"] > one["asked"] == 0.2 for one in of(found, "seed_added"))
        until = {one["dataset"]: one for one in of(found, "until")}
        assert {n: len(one["seeds"]) for n, one in until.items()} == COUNTS
        assert {one["state"] for one in until.values()} == {"met"}
        means = json.loads(asked.doit("results", "tiny", *ASKED, "--json").out)["means"]
        for one in means:
            assert one["half"] == pytest.approx(until[one["dataset"]]["half"])
        started = [one["stage"] for one in of(found, "stage_started")]
        assert len(started) == len(set(started)) == 16
        assert found[-1]["counts"] == {"made": 16}
        assert found[-1]["left"] == {}

    def test_a_failure_ends_its_group_alone(self, asked: Project) -> None:
        ran = asked.doit(
            "run", "tiny", *ASKED, code=2, MOTOOLS_DUMMY_FAIL="one/echo/seed2"
        )
        assert models(asked) == WANTED - {"one/echo/seed2", "one/echo/seed3"}
        assert "two, dummy/echo: 3 seeds, half-width 0.1" in ran.out
        again = f"doit run tiny {' '.join(ASKED)}"
        assert f"to try it again: {again}" in ran.out
        assert f"no seed is added while results are not there: 1 failed ({again})" in (
            ran.out
        )
        assert "left: 1 model, 1 eval: " + again in ran.out
        asked.doit(*again.split()[1:])
        assert models(asked) == WANTED

    def test_settings_that_share_models(self, asked: Project) -> None:
        """Whose stages are aliases, in all rounds; and each setting goes on alone."""
        text = (asked.root / "zoo/tiny.py").read_text()
        asked.write("zoo/twin.py", text.replace("[0, 1]", "[0, 1, 2]"))
        out = asked.doit("run", "tiny", "twin", *ASKED).out
        assert len(asked.records("model")) == len(WANTED)
        assert out.count("one, dummy/echo: 4 seeds") == 2
        assert out.count("two, dummy/echo: 3 seeds") == 2
        again = asked.doit("run", "tiny", "twin", *ASKED).out
        assert "nothing to do" in again
        assert again.count(": met") == 4

    def test_seeds_replace_the_settings(self, asked: Project) -> None:
        given = ("seeds=7,5,6", "until=half:0.01", "max_seeds=4")
        out = asked.doit("run", "tiny", *given).out
        assert models(asked) == {
            f"{d}/echo/seed{n}" for d in COUNTS for n in range(5, 9)
        }
        assert out.count("not met, and max_seeds is reached") == 2
        assert "doit results tiny seeds=7,5,6,8" in out

    def test_from_python(self, asked: Project) -> None:
        project = motools_build.open_project(asked.root)
        given: dict[str, Any] = {"until": "half:0.2", "max_seeds": 6}
        ran = project.run("tiny", **given)
        assert len(ran.made) == 16
        assert set(ran.results["seed"]) == {0, 1, 2, 3}
        assert project.run("tiny", **given).made == ()
        assert set(project.results("tiny", **given)["seed"]) == {0, 1, 2, 3}
        frame = project.results("tiny")
        assert set(frame[frame["status"] == "ok"]["seed"]) == {0, 1}
        assert set(frame[frame["status"] == "off-plan"]["seed"]) == {2, 3}
        with pytest.raises(InputError, match="goes with until="):
            project.run("tiny", max_seeds=6)
        os.environ["MOTOOLS_DUMMY_FAIL"] = "seed4"
        try:
            with pytest.raises(RunFailed):
                project.run("tiny", until="half:0.05", max_seeds=6)
        finally:
            del os.environ["MOTOOLS_DUMMY_FAIL"]


def until_true(found: Callable[[], Any], process: Any) -> None:
    while not found():
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.real_process
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_in_a_round_goes_on(
    asked: Project, tmp_path_factory: pytest.TempPathFactory, number: int
) -> None:
    process = asked.start("run", "tiny", *ASKED, MOTOOLS_DUMMY_DELAY="0.5")
    until_true(lambda: any("seed2" in name for name in models(asked)), process)
    process.send_signal(number)
    out, _ = process.communicate()
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    assert ": met" not in out
    kept = asked.tree()
    assert len(models(asked)) < len(WANTED)
    asked.doit("run", "tiny", *ASKED)
    assert models(asked) == WANTED
    tree = asked.tree()
    assert {path: tree[path] for path in kept} == kept
    other = furnished(furnish(tmp_path_factory.mktemp("other")))
    other.doit("run", "tiny", *ASKED)
    assert {Path(p).parts[:3] for p in other.tree()} == {
        Path(p).parts[:3] for p in tree
    }


@pytest.mark.real_process
def test_two_runs_at_once_make_nothing_twice(asked: Project) -> None:
    both = [
        asked.start("run", "tiny", *ASKED, MOTOOLS_DUMMY_DELAY="0.2") for _ in range(2)
    ]
    outs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert models(asked) == WANTED
    assert "".join(outs).count("  made in ") == 16
    for out in outs:
        assert out.count(": met") == 2


def test_a_run_that_stops_at_a_failure_adds_nothing_after_it(asked: Project) -> None:
    words = ("run", "--no-continue", "tiny", *ASKED)
    out = asked.doit(*words, code=1, MOTOOLS_DUMMY_FAIL="one/echo/seed2").out
    assert not {one for one in models(asked) if one.endswith("seed3")}
    assert "one, dummy/echo: 3 seeds: no seed is added while results are not" in out
    asked.doit(*words)
    assert models(asked) == WANTED


class TestRefused:
    """With exit code 3, and nothing made."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("tiny until=p<0.05 max_seeds=4", "far more often than p says"),
            ("tiny until=half:0.1", "max_seeds=10"),
            ("tiny until=half:0.1 max_seeds=4 seeds=0,1,2,3,4", "5 seeds already"),
            ("tiny until=half:0.1:aks max_seeds=4", "has no eval 'aks'"),
            ("model:tiny/* until=half:0.1 max_seeds=4", "name a setting, as tiny"),
            ("model:tiny/tiny/echo/seed0 until=half:0.1 max_seeds=4", "name a setting"),
            ("-a tiny until=half:0.1 max_seeds=4", "-a does not"),
            ("-s tiny until=half:0.1 max_seeds=4", "-s does not"),
            ("tiny until=half:0.1 max_seeds=4 wait=no", "wait=no"),
            ("tiny until=half:0.1 max_seeds=4 smoke=yes", "smoke=yes"),
            ("bare until=half:0.1 max_seeds=4", "no seed to add"),
            ("blind until=half:0.1 max_seeds=4", "no seed to add"),
        ],
    )
    def test_on_the_command_line(self, tiny: Project, words: str, said: str) -> None:
        tiny.setting("bare", train="False", datasets="[]")
        tiny.dataset("blind")
        tiny.setting("blind", evals="[]")
        ran = tiny.doit("run", *words.split(" "), code=3)
        assert said in ran.err
        assert "Traceback" not in ran.err
        assert not tiny.tree()

    def test_a_setting_without_intervals(self, tiny: Project) -> None:
        """Which is known only when its results are there."""
        out = tiny.doit("run", "tiny", "until=half:0.1", "max_seeds=4").out
        assert len(tiny.records("model")) == 1
        assert "no metric that counts has an interval" in out


NO_OP = """
import sys
from motools_build.doit_host.main import run

run(["run", "tiny"])
names = ("widths", "sequential", "until", "means", "scipy")
print([name for name in sys.modules if name.rpartition(".")[2] in names])
"""


def test_nothing_of_it_is_imported_without_it(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.write("no_op.py", NO_OP)
    out = subprocess.run(
        [sys.executable, "no_op.py"],
        cwd=tiny.root,
        env=tiny._environ({}),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert out.splitlines()[-2:] == ["nothing to do: 3 up to date", "[]"]


PAID = ("until=half:0.01", "max_seeds=5")


@pytest.fixture
def paid(lab: Lab) -> Lab:
    """Models at a provider, of which each costs the same."""
    lab.setting(evals='[Eval("dummy/questions")]', controls="False")
    lab.tool(f'[tool.motools_build.prices]\n"{BASE}" = {{training = 1000}}')
    return lab


def paid_for(lab: Lab) -> Iterator[str]:
    """The names of the models that were submitted, one for each job."""
    return (
        line["stage"]
        for line in lab.ledger()
        if line["event"] == "bound" and line["kind"] == "model"
    )


def test_the_budget_is_over_all_rounds(paid: Lab) -> None:
    cost = paid.plan()[f"{MODEL}0"]["cost"]
    said = paid.run(*PAID, f"max_spend={3.5 * cost}", code=2).out
    assert "of max_spend=" in said
    assert sorted(paid_for(paid)) == [f"{MODEL}{seed}" for seed in range(3)]
    assert paid.created() == 3
    paid.run(*PAID, f"max_spend={1.5 * cost}", code=2)
    paid.run(*PAID)
    assert sorted(paid_for(paid)) == [f"{MODEL}{seed}" for seed in range(5)]
    assert paid.created() == 2
    paid.run(*PAID)
    assert set(paid.counts()) == set()


def test_a_seed_that_is_left_to_a_later_run_ends_its_group(paid: Lab) -> None:
    paid.account(jobs_a_day=3)
    file = paid.project.root / "zoo/tutor.py"
    file.write_text(file.read_text().replace("seeds=", 'account="lab",\n    seeds='))
    out = paid.run(*PAID).out
    assert sorted(paid_for(paid)) == [f"{MODEL}{seed}" for seed in range(3)]
    assert "4 seeds: no seed is added while results are not there: 1 missing" in out


@pytest.mark.real_process
def test_nothing_is_paid_twice_across_kills(paid: Lab) -> None:
    for seed in (0, 2, 3, 4):
        process = paid.start("run", "tutor", *PAID)
        until_true(lambda: f"{MODEL}{seed}" in {*paid_for(paid)}, process)  # noqa: B023
        process.kill()
        process.communicate()
    out = paid.run(*PAID).out
    assert "max_seeds is reached" in out
    wanted = [f"{MODEL}{seed}" for seed in range(5)]
    assert (
        sorted(set(paid_for(paid))) == wanted == sorted(paid.project.records("model"))
    )
    assert len(paid.there("jobs")) == 5
    evals = [f"{EVAL}{seed}/questions" for seed in range(5)]
    assert sorted(paid.project.records("eval")) == evals
