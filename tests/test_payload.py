"""Payloads: trees of files, files of this machine, and what becomes of damage."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.errors import ArtifactError
from motools_build.keys import DigestMemo, Key, canonical, digest_bytes, digest_file
from motools_build.stages import Stage
from motools_build.store import upkeep
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from tests.test_store import put, stage


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def put_tree(store: ArtifactStore) -> Record:
    work = store.work_folder(stage())
    (work / "weights").write_bytes(b"weights")
    (work / "tokenizer/merges").mkdir(parents=True)
    (work / "tokenizer/vocab.json").write_bytes(b"{}")
    (work / "tokenizer/merges/1.txt").write_bytes(b"a b")
    (work / "empty").mkdir()
    return store.put(stage(), work, output="out", details={}, inputs={}, made={})


class TestTrees:
    def test_a_payload_has_folders(self, store: ArtifactStore) -> None:
        record = put_tree(store)
        names = ["tokenizer/merges/1.txt", "tokenizer/vocab.json", "weights"]
        assert sorted(record.payload) == names
        assert record.size == 12
        again = ArtifactStore(store.root)
        found_again = again.get(stage())
        assert found_again
        assert found_again.payload.keys() == record.payload.keys()
        again.check_payload(stage())
        folder = again.materialise(stage())
        assert (folder / "tokenizer/vocab.json").read_bytes() == b"{}"
        (found,) = upkeep.artifacts(again)
        assert upkeep.broken(found) is None
        assert found.size() == 12 + (folder / "record.json").stat().st_size

    def test_damage_below_is_found(self, store: ArtifactStore) -> None:
        put_tree(store)
        file = store.materialise(stage()) / "tokenizer/vocab.json"
        file.write_bytes(b"[]")
        assert ArtifactStore(store.root).why_stale(stage()) is None
        (found,) = upkeep.artifacts(store)
        assert str(upkeep.broken(found)).startswith("tokenizer/vocab.json is damaged")
        with pytest.raises(ArtifactError, match=r"tokenizer/vocab.json is damaged"):
            store.check_payload(stage())
        put_tree(store)
        file.write_bytes(b"{")
        again = ArtifactStore(store.root)
        assert again.why_stale(stage()) == "tokenizer/vocab.json has 1 bytes, not 2"
        shutil.rmtree(file.parent)
        again = ArtifactStore(store.root)
        assert "is missing" in str(again.why_stale(stage()))

    def test_what_does_not_belong_to_it_is_found_below(
        self, store: ArtifactStore
    ) -> None:
        put_tree(store)
        (store.materialise(stage()) / "tokenizer/more").write_bytes(b"?")
        (found,) = upkeep.artifacts(store)
        assert upkeep.broken(found) == "tokenizer/more does not belong to it"

    @pytest.mark.parametrize("what", ["link", "folder", "pipe", "record.json"])
    def test_links_are_refused(
        self, store: ArtifactStore, tmp_path: Path, what: str
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "file").write_bytes(b"private")
        work = store.work_folder(stage())
        (work / "sub").mkdir()
        if what == "link":
            (work / "sub/link").symlink_to(tmp_path / "file")
        elif what == "folder":
            (work / "sub/link").symlink_to(tmp_path / "elsewhere")
        elif what == "pipe":
            os.mkfifo(work / "sub/link")
        else:
            (work / what).write_bytes(b"{}")
        with pytest.raises(ArtifactError, match="cannot be kept: an artifact holds"):
            store.put(stage(), work, output="o", details={}, inputs={}, made={})
        assert store.why_stale(stage()) == "not made yet"
        assert (tmp_path / "file").exists()

    def test_they_are_removed_whole(self, store: ArtifactStore) -> None:
        put_tree(store)
        put_tree(store)  # in the place of the one before
        store.remove(stage())
        assert [p for p in store.root.rglob("*") if p.is_file()] == []

    def test_the_next_attempt_begins_without_them(self, store: ArtifactStore) -> None:
        (store.work_folder(stage()) / "half/a/tree").mkdir(parents=True)
        assert list(store.work_folder(stage()).iterdir()) == []


def base() -> Stage:
    preimage = {"kind": "base", "spec": {}}
    key = Key(digest_bytes(canonical(preimage)))
    return replace(
        stage(),
        kind="base",
        backend="engine",
        key=key,
        preimage=preimage,
        name="base:b",
    )


class Engine(Backend):
    """Has its base model in a folder, as `cache` says."""

    cache: Path

    def local_file(self, output: str) -> Path | None:
        path = self.cache / output
        return path if path.exists() else None


class TestABaseModel:
    """It lies in the user's cache, and is found by its digest."""

    @pytest.fixture(autouse=True)
    def engine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
        engine = Engine()
        engine.cache = tmp_path / "cache"
        engine.cache.mkdir()
        monkeypatch.setattr(registry, "get", lambda name: engine)
        return engine

    def put(self, store: ArtifactStore, engine: Engine, **details: object) -> Path:
        (engine.cache / "new").write_bytes(b"gigabytes")
        digest = digest_file(engine.cache / "new")
        path = (engine.cache / "new").rename(engine.cache / digest)
        work = store.work_folder(base())
        told = {"bytes": 9, **(details or {"local": True})}
        store.put(base(), work, output=digest, details=told, inputs={}, made={})
        return path

    def test_no_record_says_where(self, store: ArtifactStore, engine: Engine) -> None:
        path = self.put(store, engine)
        assert store.materialise(base()) == path
        store.check_payload(base())
        for file in store.root.rglob("*"):
            if file.is_file():
                assert str(engine.cache).encode() not in file.read_bytes()

    def test_artifacts_move_to_another_machine(
        self, store: ArtifactStore, engine: Engine, tmp_path: Path
    ) -> None:
        path = self.put(store, engine)
        store.root.rename(tmp_path / "there")
        elsewhere = ArtifactStore(tmp_path / "there")
        engine.cache = path.parent.rename(tmp_path / "another-users-cache")
        assert elsewhere.why_stale(base()) is None
        assert elsewhere.materialise(base()) == engine.cache / path.name
        (engine.cache / path.name).unlink()
        elsewhere.forget(base())
        assert "is not on this machine" in str(elsewhere.why_stale(base()))
        with pytest.raises(ArtifactError, match="is not on this machine"):
            elsewhere.materialise(base())
        (found,) = upkeep.artifacts(elsewhere)
        assert upkeep.broken(found) is None  # the next run fetches it

    def test_a_record_of_before_is_valid(
        self, store: ArtifactStore, engine: Engine, tmp_path: Path
    ) -> None:
        own = tmp_path / "own.gguf"
        own.write_bytes(b"gigabytes")
        path = self.put(store, engine, file=str(own))
        assert store.materialise(base()) == own
        own.unlink()  # the folder was moved, or the cache
        again = ArtifactStore(store.root)
        assert again.materialise(base()) == path

    def test_it_is_read_once(
        self,
        store: ArtifactStore,
        engine: Engine,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path = self.put(store, engine)
        old = time.time() - 60
        os.utime(path, (old, old))
        monkeypatch.setattr("motools_build.keys.RACY_NS", 0)  # the ctime is of now
        read = []
        digest_stream = digest_file.__globals__["digest_stream"]
        monkeypatch.setattr(
            "motools_build.keys.digest_stream",
            lambda file: read.append(file.name) or digest_stream(file),
        )
        with_memo = ArtifactStore(store.root, DigestMemo(tmp_path / "memo.json"))
        for _ in range(3):
            with_memo.check_payload(base())
        assert read == [str(path)]
        path.write_bytes(b"gigabites")
        with pytest.raises(ArtifactError, match="is damaged"):
            with_memo.check_payload(base())


class TestDamage:
    """What is damaged is set aside, by a run as by `doit verify --repair`."""

    def aside(self, store: ArtifactStore) -> Path:
        return store.root / "broken" / stage().folder.replace("/", "-")

    def test_a_run_that_finds_it(self, store: ArtifactStore) -> None:
        put(store, stage())
        (store.materialise(stage()) / "weights").write_bytes(b"weighty")
        with pytest.raises(ArtifactError, match=r"was moved to .*broken/model-dummy-"):
            store.check_payload(stage())
        assert (self.aside(store) / "weights").read_bytes() == b"weighty"

    def test_a_run_that_makes_it_anew(self, store: ArtifactStore) -> None:
        put(store, stage())
        (store.materialise(stage()) / "weights").write_bytes(b"half")
        again = ArtifactStore(store.root)
        assert again.why_stale(stage()) == "weights has 4 bytes, not 7"
        put(again, stage(), payload=b"new")
        assert (self.aside(store) / "weights").read_bytes() == b"half"
        put(again, stage(), payload=b"newer")  # what is whole is not kept
        assert (self.aside(store) / "weights").read_bytes() == b"half"

    def test_repair_leaves_what_a_run_uses(self, store: ArtifactStore) -> None:
        put(store, stage())
        (store.materialise(stage()) / "weights").write_bytes(b"half")
        (found,) = upkeep.artifacts(store)
        with store.live.using([stage()]):
            (said,) = upkeep.repair([found], store)
            assert "in use" in said
        assert store.locks.take(stage().key)
        (said,) = upkeep.repair([found], store)
        assert "in use" in said
        store.locks.drop(stage().key)
        assert found.folder.exists()
        (said,) = upkeep.repair([found], store)
        assert said == f", now {self.aside(store)}"
        assert not found.folder.exists()

    def test_gc_removes_it_in_time(self, store: ArtifactStore) -> None:
        put(store, stage())
        (store.materialise(stage()) / "weights").write_bytes(b"half")
        (found,) = upkeep.artifacts(store)
        list(upkeep.repair([found], store))
        assert upkeep.broken_before(store, 90) == []
        before = time.time() - 91 * 86400
        os.utime(self.aside(store), (before, before))
        assert upkeep.broken_before(store, 90) == [self.aside(store)]
