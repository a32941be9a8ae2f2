"""A run under way, as other processes read it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from motools_build.store.artifacts import ArtifactStore
from motools_build.store.progress import RunningStage, Snapshot, UnderWay
from tests.conftest import Project


@pytest.fixture
def slow(project: Project) -> Project:
    project.dataset("slow")
    project.setting("slow", models='["dummy/echo"]', seeds="[0, 1]")
    return project


def until(
    project: Project, holds: Callable[[UnderWay], bool], seconds: float = 60
) -> UnderWay:
    """The first run under way of which that holds."""
    store = ArtifactStore(project.root / "artifacts")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [run for run in store.live.runs_under_way() if holds(run)]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError([*store.live.runs_under_way()])


def runs(run: UnderWay) -> bool:
    return bool(run.snapshot and run.snapshot.running and run.snapshot.running[0].note)


def test_a_run_that_does_not_wait_does_not_wait_for_another_run(slow: Project) -> None:
    process = slow.start("run", "slow", "seeds=0", MOTOOLS_DUMMY_DELAY="60")
    try:
        until(slow, runs)
        ran = slow.doit("run", "slow", "seeds=0", "wait=no")
        assert "another process is making it; run again" in ran.out
        assert not slow.records("model")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.real_process
def test_a_killed_run_is_told_from_one_that_goes_on(slow: Project) -> None:
    variables = ("seeds=0,1",)
    process = slow.start("run", "slow", *variables, MOTOOLS_DUMMY_DELAY="60")
    try:
        found = until(slow, runs)
        assert found.alive
        snapshot = found.snapshot
        assert snapshot is not None
        assert (snapshot.settings, snapshot.pid) == (("slow",), process.pid)
        assert snapshot.variables == {"seeds": "0,1"}
        assert snapshot.started <= snapshot.written <= time.time()
        kinds = [one.kind for one in snapshot.running]
        assert sorted(kinds) == ["eval", "model", "model"]
        assert snapshot.running[0].note == "waits 60 s"
        assert len(snapshot.running[0].key) == 32
        assert snapshot.counts["model"] == {"running": 2}
        assert snapshot.counts["eval"]["waiting"] > 0
        assert snapshot.cost is None
    finally:
        process.kill()
        process.communicate()
    store = ArtifactStore(slow.root / "artifacts")
    (dead,) = store.live.runs_under_way()
    assert (dead.id, dead.alive, dead.snapshot) == (found.id, False, snapshot)
    store.live.sweep()
    assert store.live.runs_under_way() == ()
    assert list((slow.root / "artifacts/live").iterdir()) == []


@pytest.mark.real_process
def test_failures_are_told_and_nothing_stays(slow: Project) -> None:
    environ = {"MOTOOLS_DUMMY_FAIL": "slow/base", "MOTOOLS_DUMMY_DELAY": "2"}
    process = slow.start("run", "slow", **environ)
    failed = until(slow, lambda run: bool(run.snapshot and run.snapshot.failed))
    assert failed.snapshot is not None
    first = failed.snapshot.failed[0]
    assert first.name.startswith("eval:slow/base/")
    assert "the dummy backend was told to fail" in first.error
    assert "\n" not in first.error
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2, out
    assert list((slow.root / "artifacts/live").iterdir()) == []
    last = ArtifactStore(slow.root / "artifacts").live.last_run()
    assert last is not None
    assert last.ended is not None
    assert first.at <= last.ended <= time.time()
    assert (last.settings, last.running) == (("slow",), ())
    assert last.counts["model"] == {"made": 2}
    assert last.summary[0] == "5 made, 1 failed"
    assert last.summary[1].startswith("took ")


def test_a_no_op_writes_nothing(slow: Project) -> None:
    slow.doit("run", "slow")
    folder, last = slow.root / "artifacts/live", slow.root / "artifacts/last-run.json"
    before, told = folder.stat().st_mtime_ns, last.read_bytes()
    assert "nothing to do: 5 up to date" in slow.doit("run", "slow").out
    assert folder.stat().st_mtime_ns == before
    assert last.read_bytes() == told


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b'{"format": 1, "settings": ["a"]}',
        b'{"format": 99, "settings": ["a"], "pid": 1, "host": "h", "started": 1.0, '
        b'"written": 1.0}',
        b'{"format": 1, "settings": "a", "pid": 1, "host": "h", "started": 1, '
        b'"written": 1}',
        b'{"format": 1, "settings": ["a"], "pid": 1, "host": "h", "started": 1, '
        b'"written": 1, "running": [{"name": 1}]}',
        b'{"format": 1, "settings": ["a"], "pid": 1, "host": "h", "started": 1, '
        b'"written": 1, "counts": {"model": {"made": "x"}}}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_snapshot_tells_nothing(data: bytes, tmp_path: Path) -> None:
    assert Snapshot.from_json(data) is None
    store = ArtifactStore(tmp_path)
    (tmp_path / "live").mkdir()
    (tmp_path / "live/abc.json").write_text("[]")
    (tmp_path / "live/abc.progress").write_bytes(data)
    assert store.live.runs_under_way() == (UnderWay("abc", False, None),)


def test_a_snapshot_survives_being_written() -> None:
    running = RunningStage(
        "model:a", "k", "model", 1.0, 3, 9, "steps", "loss 1", 2, 4.5
    )
    snapshot = Snapshot(
        *(("a",), 1, "host", 1.0, 2.0),
        variables={"smoke": "yes"},
        counts={"model": {"running": 1}},
        cost=0.5,
        running=(running,),
    )
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    told = json.loads(snapshot.to_json())
    told["of a later version"] = 1
    told["running"][0]["of a later version"] = 1
    assert Snapshot.from_json(json.dumps(told).encode()) == snapshot


def test_the_lock_of_this_process_counts(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert store.live.runs_under_way() == ()
    with store.live.using([]) as place:
        (run,) = store.live.runs_under_way()
        assert (run.alive, run.snapshot) == (True, None)
        snapshot = Snapshot((), 1, "host", 1.0, 2.0)
        place.tell(snapshot)
        (run,) = store.live.runs_under_way()
        assert (run.alive, run.snapshot) == (True, snapshot)
    assert store.live.runs_under_way() == ()
