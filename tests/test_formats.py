"""Files of other versions: what is unknown is kept, what is newer is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.errors import NewerFormat
from motools_build.keys import DigestMemo, Key
from motools_build.running.pay_once import PayOnce
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record, check_format
from tests.test_pay_once import (  # noqa: F401  # fixtures
    Folder,
    Toy,
    a_job,
    anyio_backend,
    folder,
)
from tests.test_run_log import older_keys
from tests.test_store import put, stage

OLD, NOW, LATER = (Key(digit * 32) for digit in "123")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


class TestALedgerOfSeveralVersions:
    """Each line is read by what this version knows of it; nothing is paid again."""

    @pytest.fixture
    async def toys(self, folder: Folder) -> dict[Key, Toy]:  # noqa: F811
        """The provider of each key, whose job only the ledger knows from now on."""
        toys = {key: Toy() for key in (OLD, NOW, LATER)}
        for key, toy in toys.items():
            await self.make(folder, toy, key)
            folder.states.clear(key)
            toy.lag = 1e9
        file = folder.root / "ledger.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            if line["key"] == OLD:  # of the first versions
                del line["format"]
            if line["key"] == NOW:  # of the next ones
                line |= {"region": "eu", "shared": {"with": "them"}}
        newer = {"format": 2, "version": "0.9.1", "key": LATER, "events": []}
        lines.insert(1, newer)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return toys

    async def make(self, folder: Folder, toy: Toy, key: Key) -> str:  # noqa: F811
        machine = PayOnce(folder.states, folder.ledger, settle=0.01)
        return (await machine.make(replace(a_job(), key=key), toy, folder._say)).output

    @pytest.mark.anyio
    async def test_what_is_known_is_taken_up(
        self,
        folder: Folder,  # noqa: F811
        toys: dict[Key, Toy],
    ) -> None:
        for key in (OLD, NOW):
            assert await self.make(folder, toys[key], key) == "model of job-0"
            assert toys[key].submissions == 1

    @pytest.mark.anyio
    async def test_what_is_newer_is_refused_alone(
        self,
        folder: Folder,  # noqa: F811
        toys: dict[Key, Toy],
    ) -> None:
        before = (folder.root / "ledger.jsonl").read_bytes()
        with pytest.raises(
            NewerFormat, match=r"a line of .*ledger\.jsonl was .* to 0\.9\.1 or later"
        ):
            await self.make(folder, toys[LATER], LATER)
        assert toys[LATER].submissions == 1
        assert (folder.root / "ledger.jsonl").read_bytes() == before
        assert {*folder.ledger} == {OLD, NOW, LATER}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.9.1", "upgrade motools_build to 0.9.1 or later"),
        (None, "upgrade motools_build (pip install -U 'motools_build')"),
        ("'; rm -rf ~", "upgrade motools_build (pip install -U 'motools_build')"),
    ],
)
def test_the_version_to_install_is_told(version: str | None, said: str) -> None:
    with pytest.raises(NewerFormat) as told:
        check_format({"format": 2, "version": version}, "artifacts/x")
    assert str(told.value).startswith("artifacts/x was written by a newer")
    assert said in str(told.value)


def test_what_is_written_has_its_format(store: ArtifactStore) -> None:
    record = put(store, stage())
    assert json.loads(json.dumps(vars(record)))["format"] == 1
    store.states.record_failure("k", "s", ValueError("no"), None)
    state = json.loads((store.root / "state/k.json").read_bytes())
    store.runs.note({}, {"s": [stage()]})
    memo = DigestMemo(store.root / "memo.json")
    memo.renote("what", "digest", 1)
    memo.save()
    run = json.loads((store.root / "runs.jsonl").read_bytes())
    saved = json.loads((store.root / "memo.json").read_bytes())
    assert [state["format"], run["format"], saved["format"]] == [1, 1, 1]


class TestTheRunLog:
    def test_a_newer_line_is_refused_and_left(self, store: ArtifactStore) -> None:
        store.runs.note({}, {"s": [stage()]})
        file = store.root / "runs.jsonl"
        with file.open("a") as log:
            log.write('{"format": 3, "stages": ["k"]}\n')
        before = file.read_bytes()
        for look in (lambda: list(store.runs), lambda: store.runs.prune(0)):
            with pytest.raises(NewerFormat, match=r"a line of .*runs\.jsonl was"):
                look()
        assert file.read_bytes() == before

    def test_it_is_pruned(self, store: ArtifactStore) -> None:
        file = store.root / "runs.jsonl"
        store.root.mkdir()

        def line(day: int, setting: str, key: str, **more: object) -> str:
            time = f"2020-01-{day:02}T00:00:00Z"
            stages = {f"model:{setting}": key}
            return json.dumps(
                {"time": time, "setting": setting, "stages": stages, **more}
            )

        lines = [
            line(1, "a", "k1"),  # never again
            line(2, "a", "k2"),
            line(2, "a", "k2"),  # the same, between two such
            line(3, "a", "k2"),
            line(4, "a", "k3"),
            line(5, "a", "k2", shared={"with": "them"}),  # back again
            line(6, "b", "k4"),  # long ago, and its last
            '{"torn',
        ]
        file.write_text("\n".join(lines))
        store.runs.prune(1e6)  # all of them are young
        assert file.read_text().splitlines() == [*lines[:2], *lines[3:-1]]
        assert older_keys(store.runs) == {
            "model:a": ["k1", "k3", "k2"],
            "model:b": ["k4"],
        }
        store.runs.prune(1)
        assert file.read_text().splitlines() == [lines[5], lines[6]]
        store.runs.note({}, {"c": [stage()]})
        assert len(list(store.runs)) == 3

    def test_who_notes_waits_for_who_prunes(self, store: ArtifactStore) -> None:
        assert not store.locks.taken("runs.jsonl")
        with store.runs._writing():
            assert store.locks.taken("runs.jsonl")


class TestLiveFiles:
    def test_a_newer_one_stops_gc(self, store: ArtifactStore) -> None:
        file = store.root / "live/theirs.json"
        file.parent.mkdir(parents=True)
        file.write_text('{"format": 2, "uses": []}')
        assert store.live.keys() == set()  # of a run that died
        assert store.locks.take("theirs")
        with pytest.raises(NewerFormat, match=r"live/theirs\.json was written"):
            store.live.keys()
        file.write_text('{"format": 1, "keys": ["k"], "more": 1}')
        assert store.live.keys() == {"k"}
        file.write_text('["k"]')
        assert store.live.keys() == {"k"}
        store.locks.drop("theirs")


class TestTheMemo:
    def test_a_newer_one_is_not_written_over(self, tmp_path: Path) -> None:
        file = tmp_path / "memo.json"
        file.write_text('{"format": 2, "digests": {}, "notes": {"a:b": 1}}')
        before = file.read_bytes()
        memo = DigestMemo(file)
        assert memo.noted("a", "b") is None
        memo.renote("a", "b", 2)
        memo.save()
        assert file.read_bytes() == before

    def test_it_is_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("motools_build.keys.MOST", 3)
        first = DigestMemo(tmp_path / "memo.json")
        for number in range(5):
            first.renote("what", str(number), number)
        first.save()
        assert [first.noted("what", str(n)) for n in range(5)] == [0, 1, 2, 3, 4]
        second = DigestMemo(tmp_path / "memo.json")
        assert second.noted("what", "0") == 0, "what a process uses stays"
        for number in (7, 8):
            second.renote("what", str(number), number)
        second.save()
        third = DigestMemo(tmp_path / "memo.json")
        told = [third.noted("what", str(n)) for n in (0, 1, 2, 3, 4, 7, 8)]
        assert told == [0, None, None, None, None, 7, 8]

    def test_notes_of_former_files_are_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("motools_build.keys.MOST_OTHERS", 2)
        for number in range(6):
            memo = DigestMemo(tmp_path / "memo.json")
            memo.renote("python", str(number), number)
            memo.save()
        saved = json.loads((tmp_path / "memo.json").read_bytes())
        assert list(saved["notes"].values()) == [3, 4, 5]


def test_a_record_keeps_what_it_does_not_know_to_itself() -> None:
    record = Record("model", "b", OLD, {}, "n", "o", {}, {}, {})
    newer = replace(record, format=2)
    with pytest.raises(NewerFormat):
        Record.decode(newer.encode(), "record.json")
