"""Two folders and one store: what is made once is there for both."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.store.records import Record
from motools_build.store.shared import sweep
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from tests.conftest import Project, furnish
from tests.shared.servers import Bucket


def member(folder: Path, store: str) -> Project:
    """A project with one setting on the dummy backend, and a shared store."""
    project = furnish(folder)
    project.dataset("tiny")
    project.setting("tiny", seeds="[0, 1]")
    file = project.root / "pyproject.toml"
    file.write_text(file.read_text() + f'\n[tool.motools_build]\nstore = "{store}"\n')
    return project


@pytest.fixture
def both(tmp_path: Path) -> tuple[Project, Project]:
    """Two colleagues who share a folder."""
    store = str(tmp_path / "team")
    return member(tmp_path / "one", store), member(tmp_path / "two", store)


def keys(project: Project) -> dict[str, str]:
    return {
        kind + name: record["output"]
        for kind in ("model", "eval")
        for name, record in project.records(kind).items()
    }


def test_a_colleague_has_it_from_the_store(both: tuple[Project, Project]) -> None:
    one, two = both
    one.doit("run", "tiny")
    ran = two.doit("run", "tiny")
    count = len(keys(one))
    assert f"{count} up to date from the store" in ran.out
    assert " made " not in ran.out
    assert keys(two) == keys(one)
    assert json.loads(two.doit("results", "tiny", "--json").out) == json.loads(
        one.doit("results", "tiny", "--json").out
    )
    assert two.doit("verify").code == 0
    assert "up to date from" not in two.doit("run", "tiny").out
    # the run logs of both tell a gc what is used
    team = one.root.parent / "team"
    assert len([*team.glob("writers/*/runs.jsonl")]) == 2


def test_over_s3(tmp_path: Path, s3: Bucket) -> None:
    one = member(tmp_path / "one", s3.address)
    two = member(tmp_path / "two", s3.address)
    one.doit("run", "tiny", **s3.environ)
    s3.proxy.log.clear()
    ran = two.doit("run", "tiny", **s3.environ)
    assert "up to date from the store" in ran.out
    listings = [line for line in s3.proxy.log if "list-type=2" in line]
    assert len(listings) == 1
    s3.proxy.log.clear()
    for project in both_of(one, two):
        project.doit("run", "tiny", **s3.environ)
    assert s3.proxy.log == []  # a no-op asks for nothing


def both_of(one: Project, two: Project) -> tuple[Project, Project]:
    return one, two


def test_offline_is_queued_and_said(tmp_path: Path, s3: Bucket) -> None:
    one = member(tmp_path / "one", s3.address)
    two = member(tmp_path / "two", s3.address)
    s3.proxy.is_down = True
    ran = one.doit("run", "tiny", **s3.environ)
    assert "not pushed yet" in ran.out
    assert "doit push" in ran.out
    s3.proxy.is_down = False
    one.doit("push", **s3.environ)
    assert list((one.root / "artifacts/unpushed").glob("*/*")) == []
    assert "up to date from the store" in two.doit("run", "tiny", **s3.environ).out


def test_the_first_record_wins_and_weights_never_mix(
    both: tuple[Project, Project],
) -> None:
    one, two = both
    one.doit("run", "tiny")
    model = next(iter(one.records("model").values()))
    store = one.root.parent / "team"
    # the colleague made the same models, with other weights, before there was a store
    file = two.root / "pyproject.toml"
    with_store = file.read_text()
    file.write_text(with_store.partition("\n[tool.motools_build]")[0])
    two.doit("run", "tiny")
    file.write_text(with_store)
    two.doit("push")
    assert keys(two) == keys(one)
    assert len(list((store / "records/model").iterdir())) == len(one.records("model"))
    assert model["output"] in {r["output"] for r in two.records("model").values()}


def test_a_flipped_byte_is_refused(both: tuple[Project, Project]) -> None:
    one, two = both
    one.doit("run", "tiny")
    store = one.root.parent / "team"
    for path in store.glob("payload/*/*"):
        data = bytearray(path.read_bytes())
        if data:
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    ran = two.doit("run", "tiny", code=None)
    pulled = keys(two)
    assert "is damaged in the shared store" in ran.out + ran.err
    assert pulled == keys(one)  # made here instead
    for path in two.root.glob("artifacts/*/*/record.json"):
        assert two.doit("verify").code == 0, path


def test_a_damaged_record_is_refused(both: tuple[Project, Project]) -> None:
    one, two = both
    one.doit("run", "tiny")
    for path in (one.root.parent / "team").glob("records/eval/*/*"):
        path.write_bytes(path.read_bytes().replace(b"tiny", b"tinY", 1))
    ran = two.doit("run", "tiny", code=None)
    assert "is damaged: its bytes are not what a run wrote" in ran.out + ran.err


def test_lost_artifacts_come_back(both: tuple[Project, Project]) -> None:
    one, _ = both
    one.doit("run", "tiny")
    before = keys(one)
    for kind in ("model", "eval"):
        shutil.rmtree(one.root / "artifacts" / kind)
    assert "up to date from the store" in one.doit("run", "tiny").out
    assert keys(one) == before


def test_without_the_store_what_was_left_there_is_told(
    both: tuple[Project, Project],
) -> None:
    one, two = both
    one.doit("run", "tiny")
    two.doit("run", "tiny")
    file = two.root / "pyproject.toml"
    file.write_text(file.read_text().partition("\n[tool.motools_build]")[0])
    assert two.doit("results", "tiny").code == 0


def test_a_no_op_does_not_even_import_obstore(both: tuple[Project, Project]) -> None:
    one, _ = both
    one.doit("run", "tiny")
    dodo = one.root / "dodo.py"
    told = (
        "import atexit, sys\natexit.register(lambda: print('obstore' in sys.modules))\n"
    )
    dodo.write_text(dodo.read_text() + told)
    process = one.start("run", "tiny")
    out, err = process.communicate(timeout=120)
    assert out.splitlines()[-1] == "False", out + err


def test_what_the_store_has_is_told(both: tuple[Project, Project]) -> None:
    one, two = both
    one.doit("run", "tiny")
    out = two.doit("status", "--store", "tiny").out
    assert "only there: doit pull" in out
    # uploads and base models, which two has not, are not shared
    assert "neither here nor there" not in two.doit("pull", "tiny").out
    assert keys(two) == keys(one)
    out = two.doit("status", "--store", "tiny").out
    assert "are here and there" in out
    assert "only" not in out
    assert "has everything" in two.doit("push").out


def test_pushed_again_what_is_damaged_there(both: tuple[Project, Project]) -> None:
    one, two = both
    one.doit("run", "tiny")
    payloads = [*(one.root.parent / "team").glob("payload/*/*")]
    good = {path: path.read_bytes() for path in payloads}
    for path in payloads:
        path.write_bytes(b"x" * len(good[path]))
    assert "is damaged in" in two.doit("pull", "tiny", code=1).out
    one.doit("push", "--again")
    assert {path: path.read_bytes() for path in payloads} == good
    two.doit("pull", "tiny")
    assert keys(two) == keys(one)


def test_commands_without_a_store_say_how_to_have_one(tiny: Project) -> None:
    for words in (("push",), ("pull", "tiny"), ("status", "--store")):
        ran = tiny.doit(*words, code=3)
        assert "has no shared store" in ran.out + ran.err


def test_a_hostile_record_writes_nothing_outside(both: tuple[Project, Project]) -> None:
    """A store is written to by many: names of files that lead out are refused."""
    one, two = both
    one.doit("run", "tiny")
    for path in (one.root.parent / "team").glob("records/*/*/*"):
        record = Record.decode(path.read_bytes())
        assert record
        evil = {"../../../zoo/evil.py": (1, record.key)}
        path.write_bytes(replace(record, payload=evil).encode())
    ran = two.doit("run", "tiny")
    assert "is damaged" in ran.out
    assert not (two.root / "zoo/evil.py").exists()
    assert keys(two) == keys(one)


def test_a_reader_has_it_from_where_it_was_shared(
    both: tuple[Project, Project], tmp_path: Path
) -> None:
    one, _ = both
    one.doit("run", "tiny")
    place = tmp_path / "published"
    one.doit("lock", "tiny")
    assert "locks and pages" in one.doit("share", "tiny", f"--to={place}").out
    assert (place / "shared/tiny.lock.json").exists()
    reader = member(tmp_path / "reader", str(place))
    assert "up to date from the store" in reader.doit("run", "tiny").out
    assert keys(reader) == keys(one)
    assert "a setting and a place" in one.doit("share", "tiny", code=3).err


def test_gc_of_the_store_takes_two_steps(
    both: tuple[Project, Project], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, two = both
    one.doit("run", "tiny")
    team = Objects(Address.parse(str(tmp_path / "team")))
    before = {o.name for o in team.list("records")}
    # the colleague's settings refer to something else
    two.dataset("tiny", first=50)
    two.doit("run", "tiny")
    theirs = {o.name for o in team.list("records")} - before
    assert theirs
    present = {name.split("-")[-1].split("/")[0] for name in theirs}
    assert sweep.sweep(team, present, 90, True).marked == []  # one's run log counts
    for log in (tmp_path / "team/writers").glob("*/runs.jsonl"):
        log.unlink()
    team.put("payload/killed/x-1", b"x")
    found = sweep.sweep(team, present, 90, True)
    assert before <= {o.name for o in found.marked}
    assert "payload/killed/x-1" in {o.name for o in found.marked}
    assert found.removable == []
    assert sweep.sweep(team, present, 90, True).removable == []  # not yet a week
    monkeypatch.setattr(sweep, "GRACE", 0.0)
    team.put("payload/killed/x-1", b"x")  # somebody writes it again: a push goes on
    dry = sweep.sweep(team, present, 90, False)
    assert before <= {o.name for o in team.list("records")}
    assert before <= {o.name for o in dry.removable}
    sweep.sweep(team, present, 90, True)
    assert {o.name for o in team.list("records")} == theirs
    names = {o.name for o in team.list("payload")}
    assert "payload/killed/x-1" in names
    fresh = member(tmp_path / "fresh", str(tmp_path / "team"))
    fresh.dataset("tiny", first=50)
    fresh.doit("run", "tiny")
    assert fresh.doit("pull", "tiny").code == 0
    assert keys(fresh) == keys(two)


def test_gc_of_the_store_by_the_command(both: tuple[Project, Project]) -> None:
    one, _ = both
    one.doit("run", "tiny")
    assert "0 objects would be removed" in one.doit("gc", "--store").out
    told = json.loads(one.doit("gc", "--store", "--yes", "--json").out)
    assert told["marked"] == told["removed"] == 0
    assert told["left"] > 0
