"""The run log: what it tells is what was noted, however it is stored."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motools_build.errors import NewerFormat
from motools_build.stages import Stage
from motools_build.store.locks import Locks
from motools_build.store.records import check_format
from motools_build.store.run_index import RunIndex
from motools_build.store.runs import DAY, Run, RunLog
from tests.conftest import ROOT

START = 1_700_000_000.0


class Log:
    """A run log in a folder, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "runs.jsonl"
        self.clock = START
        self.again()

    def again(self) -> None:
        """As another process sees it."""
        self.runs = RunLog(self.file, Locks(self.folder / "lock"))

    def note(
        self, setting: str, stages: dict[str, str], files: Any = (), **variables: str
    ) -> None:
        self.clock += 10
        its = [SimpleNamespace(name=n, key=k) for n, k in stages.items()]
        more = {"files": dict(files), "commit": "c" * 40, "dirty": False}
        with mock.patch("time.time", return_value=self.clock):
            self.runs.note(variables, {setting: cast(list[Stage], its)}, lambda s: more)

    def prune(self, days: float) -> None:
        with mock.patch("time.time", return_value=self.clock):
            self.runs.prune(days)

    def keys(self) -> dict[str, list[str]]:
        """Every name's keys, by the index."""
        self.runs.refresh()
        names = {name for run in self.runs for name in run.stages}
        return {name: self.runs.keys_of(name) for name in names}

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def told(runs: Iterator[Run] | RunLog | list[Run]) -> list[tuple[Any, ...]]:
    """All that the runs have, to be compared."""
    return [
        (r.id, r.time, r.setting, dict(r.variables), dict(r.stages), dict(r.files))
        for r in runs
    ]


def by_hand(runs: list[Run]) -> dict[str, list[str]]:
    """Every name's keys, the latest last, in the simplest way."""
    keys: dict[str, list[str]] = {}
    for run in runs:
        for name, key in run.stages.items():
            keys[name] = [k for k in keys.get(name, []) if k != key] + [key]
    return keys


def older_keys(log: RunLog) -> dict[str, list[str]]:
    """The same by what each line of the log changed."""
    keys: dict[str, dict[str, None]] = {}
    for change in log.changes():
        for name, key in change.stages.items():
            keys.setdefault(name, {}).pop(key, None)
            keys[name][key] = None
    return {name: list(found) for name, found in keys.items()}


MANY = {f"model:s/d/m/seed{n}": f"{n:032x}" for n in range(300)}


class TestLines:
    def test_one_tells_what_changed(self, log: Log) -> None:
        log.note("s", MANY, {"a.py": "1", "b.py": "1"})
        changed = {**MANY, "model:s/d/m/seed7": "f" * 32, "model:s/new": "e" * 32}
        del changed["model:s/d/m/seed8"]
        log.note("s", changed, {"a.py": "2"})
        first, second = log.lines()
        assert (first["format"], second["format"]) == (1, 2)
        assert second["before"] == first["id"]
        assert second["stages"] == {
            "model:s/d/m/seed7": "f" * 32,
            "model:s/new": "e" * 32,
        }
        assert second["gone"] == ["model:s/d/m/seed8"]
        assert (second["files"], second["files_gone"]) == ({"a.py": "2"}, ["b.py"])
        runs = list(log.runs)
        assert [run.stages for run in runs] == [MANY, changed]
        assert [run.files for run in runs] == [
            {"a.py": "1", "b.py": "1"},
            {"a.py": "2"},
        ]
        assert [run.id for run in runs] == [first["id"], second["id"]]
        computed = Run(runs[1].time, "s", changed, {})
        assert computed.id == second["id"]

    def test_an_earlier_version_refuses_it(self, log: Log) -> None:
        log.note("s", MANY)
        log.note("s", {**MANY, "model:s/x": "k"})
        whole, short = log.lines()
        check_format(whole, "a line")
        with pytest.raises(NewerFormat, match=r"upgrade motools_build to 0\.1\.0"):
            check_format(short, "a line")

    def test_small_runs_are_told_whole_now_and_then(self, log: Log) -> None:
        for number in range(200):
            log.note("s", {**MANY, "model:s/d/m/seed0": f"{number:032x}"})
        formats = [line["format"] for line in log.lines()]
        assert 2 < formats.count(1) < 10
        size = log.file.stat().st_size
        whole = len(json.dumps(MANY))
        assert size < 200 * whole / 20

    def test_variables_have_lines_of_their_own(self, log: Log) -> None:
        few = {"model:s/smoke/d/m/seed0": "a" * 32}
        for number in range(4):
            log.note("s", {**MANY, "model:s/x": str(number)})
            log.note("s", few, smoke="yes")
        assert [line["format"] for line in log.lines()[2:]] == [2] * 6
        assert [len(run.stages) for run in log.runs] == [301, 1] * 4

    def test_a_forgotten_set_of_variables_is_told_whole(self, log: Log) -> None:
        for number in range(20):
            log.note("s", {**MANY, "model:s/x": str(number)}, seeds=str(number))
        log.note("s", {**MANY, "model:s/x": "k"}, seeds="0")
        log.note("s", MANY, seeds="19")
        assert [line["format"] for line in log.lines()] == [*[1] * 21, 2]
        assert len(list(log.runs)) == 22

    def test_lines_of_earlier_versions_are_gone_on_from(self, log: Log) -> None:
        old = {"time": "2020-01-01T00:00:00Z", "setting": "s", "variables": {}}
        log.file.write_text(json.dumps({**old, "stages": MANY}) + "\n")
        log.note("s", {**MANY, "model:s/x": "k"})
        assert log.lines()[1]["format"] == 2
        assert [len(run.stages) for run in log.runs] == [300, 301]
        assert log.runs.keys_of("model:s/x") == ["k"]


class TestDamage:
    def test_a_lost_line_is_noticed(self, log: Log) -> None:
        for number in range(3):
            log.note("s", {**MANY, "model:s/x": str(number)})
        lines = log.file.read_bytes().splitlines(keepends=True)
        log.file.write_bytes(lines[0] + lines[2])
        assert [run.stages for run in log.runs] == [{**MANY, "model:s/x": "0"}]
        log.again()
        log.note("s", {**MANY, "model:s/x": "3"})
        assert log.lines()[-1]["format"] == 1  # begins anew
        assert [run.stages["model:s/x"] for run in log.runs] == ["0", "3"]

    def test_a_cut_line_is_noticed(self, log: Log) -> None:
        log.note("s", MANY)
        log.note("s", {**MANY, "model:s/x": "1"})
        log.file.write_bytes(log.file.read_bytes()[:-9])
        log.note("s", {**MANY, "model:s/x": "2"})
        assert [run.stages.get("model:s/x") for run in log.runs] == [None, "2"]
        assert log.runs.keys_of("model:s/x") == ["2"]

    def test_a_full_disk_is_an_error(self, log: Log) -> None:
        log.note("s", MANY)
        before = log.file.read_bytes()
        with (
            mock.patch("os.write", side_effect=OSError(28, "No space left on device")),
            pytest.raises(OSError, match="No space"),
        ):
            log.note("s", {**MANY, "model:s/x": "1"})
        assert log.file.read_bytes() == before
        log.note("s", {**MANY, "model:s/x": "1"})
        assert len(list(log.runs)) == 2

    def test_a_kill_before_it_is_remembered(self, log: Log) -> None:
        """The log has B as the latest, and the file of latest runs has A."""
        log.note("s", MANY)
        latest = (log.folder / "runs.latest.json").read_bytes()
        log.note("s", {**MANY, "model:s/d/m/seed0": "f" * 32})
        (log.folder / "runs.latest.json").write_bytes(latest)
        log.again()
        log.note("s", MANY)
        keys = [run.stages["model:s/d/m/seed0"] for run in log.runs]
        assert keys == [f"{0:032x}", "f" * 32, f"{0:032x}"]

    @pytest.mark.parametrize("what", ["lost", "cut", "other", "newer"])
    def test_a_damaged_index_costs_a_reading(
        self, log: Log, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("motools_build.store.run_index.MOST_UNSAVED", 0)
        for number in range(3):
            log.note("s", {**MANY, "model:s/x": str(number)})
            log.runs.refresh()
        index = log.folder / "runs/index.json"
        for path in sorted((log.folder / "runs").iterdir()):
            if what == "lost":
                path.unlink()
            elif what == "cut":
                path.write_bytes(path.read_bytes()[:-1])
            elif what == "other" and path != index:
                path.write_text("{}")
        if what == "newer":
            body = json.loads(index.read_bytes()[33:])
            from motools_build.store.run_index import _sealed

            index.write_bytes(_sealed(json.dumps({**body, "format": 9}).encode()))
        log.again()
        assert log.runs.keys_of("model:s/x") == ["0", "1", "2"]
        log.again()
        log.note("s", {**MANY, "model:s/x": "1"})
        assert log.runs.keys_of("model:s/x") == ["0", "2", "1"]
        body = json.loads(index.read_bytes()[33:]) if index.exists() else {}
        assert (body.get("format") == 9) == (what == "newer")

    def test_the_index_is_used(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("motools_build.store.run_index.MOST_UNSAVED", 0)
        for number in range(3):
            log.note("s", {**MANY, "model:s/x": str(number)})
        log.runs.refresh()
        log.again()
        with mock.patch.object(RunIndex, "_fold", side_effect=AssertionError):
            assert log.runs.keys_of("model:s/x") == ["0", "1", "2"]


class TestPrune:
    def test_back_again_is_another_run(self, log: Log) -> None:
        for key in ("a", "b", "a"):
            log.note("s", {**MANY, "model:s/x": key})
        before = told(log.runs)
        log.prune(1)
        assert told(log.runs) == before
        assert log.runs.keys_of("model:s/x") == ["b", "a"]

    def test_what_equals_both_its_neighbours_goes(self, log: Log) -> None:
        for _ in range(5):
            log.clock += DAY
            log.note("s", MANY)
        log.note("s", {**MANY, "model:s/x": "1"})
        assert len(list(log.runs)) == 6
        before = told(log.runs)
        log.prune(100)
        assert told(log.runs) == [before[0], before[4], before[5]]
        log.again()
        log.note("s", {**MANY, "model:s/x": "2"})
        assert log.lines()[-1]["format"] == 2
        assert len(list(log.runs)) == 4

    def test_old_ones_go_but_for_the_last(self, log: Log) -> None:
        for setting in ("s", "t"):
            for key in ("a", "b", "c"):
                log.note(setting, {**MANY, f"model:{setting}/x": key})
        log.clock += 10 * DAY
        log.note("s", {**MANY, "model:s/x": "d"})
        before = told(log.runs)
        log.prune(5)
        assert told(log.runs) == [before[5], before[6]]
        assert log.lines()[0]["stages"]["model:t/x"] == "c"

    def test_fields_of_a_later_version_stay(self, log: Log) -> None:
        log.note("s", MANY)
        log.note("s", {**MANY, "model:s/x": "1"})
        log.note("s", {**MANY, "model:s/x": "2"})
        lines = log.lines()
        lines[2]["more"] = ["kept"]
        log.file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        log.clock = START + 40 + DAY
        with mock.patch("time.time", return_value=START + 30 + DAY):
            log.runs.prune(1 - 5 / DAY)
        assert [line["more"] for line in log.lines()] == [["kept"]]


NAMES = [f"model:{s}/{n}" for s in "ab" for n in range(4)]

STAGES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("xyz"), max_size=8)

STEPS = st.one_of(
    st.tuples(st.just("note"), st.sampled_from("ab"), STAGES, st.sampled_from("012")),
    st.tuples(st.just("prune"), st.sampled_from([0.0, 1e-4, 1.0, 100.0])),
    st.tuples(st.just("days"), st.integers(1, 5)),
    st.tuples(
        st.sampled_from(
            ["again", "cut", "tear", "lose index", "lose latest", "stale latest"]
        ),
        st.integers(1, 200),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25), st.booleans())
def test_it_tells_what_was_noted(steps: list[tuple[Any, ...]], saves: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    most = 0 if saves else 1 << 20
    try:
        with mock.patch("motools_build.store.run_index.MOST_UNSAVED", most):
            _play(steps, Log(folder))
    finally:
        shutil.rmtree(folder)


def _play(steps: list[tuple[Any, ...]], log: Log) -> None:
    model: list[tuple[Any, ...]] = []
    stale = log.folder / "stale"
    latest = log.folder / "runs.latest.json"
    for step in steps:
        match step:
            case "note", setting, stages, seed:
                if latest.exists():
                    shutil.copy(latest, stale)
                files = {f"{setting}.py": stages.get(NAMES[0], "-")}
                log.note(setting, stages, files, seeds=seed)
                own = [one for one in model if one[2] == setting]
                if not own or own[-1][4] != stages or own[-1][1] < _day_ago(log):
                    time = list(log.runs)[-1].time
                    run = Run(time, setting, stages, {"seeds": seed}, files)
                    model += told([run])
            case "prune", days:
                log.prune(days)
                model = _pruned(model, log.clock - days * DAY)
            case "days", number:
                log.clock += number * DAY
            case "again", _:
                log.again()
            case "cut", size if model:  # a power cut: the last line is torn
                data = log.file.read_bytes()
                if not data.endswith(b"\n"):
                    continue  # it is torn already
                last = len(data) - data[:-1].rfind(b"\n") - 1
                log.file.write_bytes(data[: len(data) - 2 - size % (last - 2)])
                model.pop()
            case "tear", _ if model:
                with log.file.open("ab") as file:
                    file.write(b'{"torn')
            case "lose index", _:
                shutil.rmtree(log.folder / "runs", ignore_errors=True)
            case "lose latest", _:
                latest.unlink(missing_ok=True)
            case "stale latest", _ if stale.exists():
                shutil.copy(stale, latest)
        assert told(log.runs) == model
        runs = list(log.runs)
        assert log.keys() == by_hand(runs) == older_keys(log.runs)


def _day_ago(log: Log) -> str:
    from motools_build.store.runs import moment

    return moment(log.clock - DAY + 1)


def _pruned(model: list[tuple[Any, ...]], since: float) -> list[tuple[Any, ...]]:
    from motools_build.store.runs import seconds_of

    left = []
    for setting in sorted({one[2] for one in model}):
        own = [one for one in model if one[2] == setting]
        for n, one in enumerate(own):
            beside = own[max(0, n - 1) : n + 2]
            middle = len(beside) == 3 and all(o[3:] == one[3:] for o in beside)
            old = seconds_of(one[1]) < since and n < len(own) - 1
            if not middle and not old:
                left.append(one)
    return [one for one in model if one in left]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_lost_line_is_never_a_wrong_run(seed: int) -> None:
    """Any lines are lost: what is told was noted, and what is noted next is told."""
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    log = Log(folder)
    try:
        for number in range(12):
            stages = {n: chance.choice("xy") for n in NAMES if chance.random() < 0.9}
            log.note(chance.choice("ab"), {**MANY, **stages, "model:a/n": str(number)})
        noted = told(log.runs)
        lines = log.file.read_bytes().splitlines(keepends=True)
        left = [line for line in lines if chance.random() < 0.7]
        log.file.write_bytes(b"".join(left))
        found = told(log.runs)
        assert all(one in noted for one in found)
        log.again()
        for setting in "ab":
            log.note(setting, {**MANY, "model:a/n": "new"})
        assert told(log.runs)[: len(found)] == found
        assert [run.stages["model:a/n"] for run in log.runs][-2:] == ["new"] * 2
        assert log.keys() == by_hand(list(log.runs))
    finally:
        shutil.rmtree(folder)


WRITER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from motools_build.store.locks import Locks
from motools_build.store import run_index
from motools_build.store.runs import RunLog
run_index.MOST_UNSAVED = 2000
folder, setting, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = RunLog(folder / "runs.jsonl", Locks(folder / "lock"))
for number in range(first, first + 40):
    names = [f"model:{setting}/{n}" for n in range(60)]
    its = [SimpleNamespace(name=name, key=f"{0:032x}") for name in names]
    its.append(SimpleNamespace(name=f"model:{setting}/new", key=f"{number:032x}"))
    log.note({}, {setting: its})
    log.refresh()
    print(number, flush=True)
"""


def test_writers_at_once_of_whom_one_is_killed(log: Log) -> None:
    writers = [("s", 0), ("s", 1000), ("t", 2000), ("t", 3000)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(log.folder), setting, str(first)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for setting, first in writers
    ]
    killed = started[0]
    assert killed.stdout is not None
    for _ in range(5):
        killed.stdout.readline()
    killed.kill()
    outs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started[1:]] == [0, 0, 0]
    runs = list(log.runs)
    assert {len(run.stages) for run in runs} == {61}
    noted = [int(run.stages[f"model:{run.setting}/new"], 16) for run in runs]
    for out, (_, first) in zip(outs, writers, strict=True):
        told = [int(word) for word in out.split()]
        own = [number for number in noted if first <= number < first + 1000]
        assert own[: len(told)] == told
    assert len([n for n in noted if n >= 1000]) == 120
    assert any(line["format"] == 2 for line in log.lines())
    assert log.keys() == by_hand(runs)
    assert list((log.folder / "runs").glob(".*")) == []
