"""Artifacts: whole, or absent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.errors import ArtifactError, StageFailed
from motools_build.keys import Key, canonical, digest_bytes
from motools_build.params import StepParams
from motools_build.serving.lookup import find_model
from motools_build.stages import Stage
from motools_build.store import upkeep
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record, _sealed
from motools_build.store.upkeep import remove
from tests.conftest import Project


def stage(seed: int = 0, *, upstream: tuple[Stage, ...] = ()) -> Stage:
    kind = "eval" if upstream else "model"
    preimage = {"kind": kind, "spec": {"seed": seed}}
    return Stage(
        kind=kind,  # type: ignore[arg-type]
        backend="dummy",
        name=f"{kind}:s/d/m/seed0",
        key=Key(digest_bytes(canonical(preimage))),
        preimage=preimage,
        params=StepParams("d", {}, ()),  # of any kind: without, it is of the past
        upstream=upstream,
    )


def put(
    store: ArtifactStore,
    a_stage: Stage,
    output: str = "out",
    payload: bytes = b"weights",
) -> Record:
    work = store.work_folder(a_stage)
    (work / "weights").write_bytes(payload)
    inputs = {}
    for used in a_stage.upstream:
        record = store.get(used)
        inputs[used.key] = record.output if record else ""
    return store.put(
        a_stage, work, output=output, details={"n": 1}, inputs=inputs, made={}
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def test_what_is_put_is_got(store: ArtifactStore) -> None:
    assert store.why_stale(stage()) == "not made yet"
    put(store, stage())
    again = ArtifactStore(store.root)
    assert again.why_stale(stage()) is None
    record = again.get(stage())
    assert record is not None
    assert record.output == "out"
    assert record.preimage == stage().preimage
    assert not list((store.root / "work").iterdir())


@pytest.mark.parametrize("cut", range(0, 700, 23))
def test_a_damaged_record_is_no_record(store: ArtifactStore, cut: int) -> None:
    put(store, stage())
    path = (store.root / stage().folder) / "record.json"
    whole = path.read_bytes()
    at = cut % len(whole)
    for broken in (whole[:at], whole[:at] + b"~" + whole[at + 1 :]):
        path.write_bytes(broken)
        again = ArtifactStore(store.root)
        assert again.get(stage()) is None
        assert again.why_stale(stage()) == "its record is damaged"


def test_what_a_newer_version_made_is_neither_made_again_nor_removed(
    tiny: Project,
) -> None:
    tiny.doit("run", "tiny")
    (file,) = (tiny.root / "artifacts/model").glob("*/record.json")
    record = Record.decode(file.read_bytes())
    assert record
    newer = {**vars(record), "format": 2, "weights": {}}
    file.write_bytes(_sealed(json.dumps(newer).encode()))
    before = file.read_bytes()
    for words in (("run", "tiny"), ("gc", "--yes"), ("verify", "--repair")):
        said = tiny.doit(*words, code=3).err
        assert "record.json was written by a newer motools_build (format 2" in said
        assert "upgrade motools_build" in said
    assert file.read_bytes() == before


def test_a_record_of_another_key_is_no_record(store: ArtifactStore) -> None:
    put(store, stage())
    other = stage(1)
    (store.root / stage().folder).rename(store.root / other.folder)
    assert ArtifactStore(store.root).why_stale(other) == "its record is damaged"


def test_a_record_whose_preimage_is_another_keys_is_no_record(
    store: ArtifactStore,
) -> None:
    record = put(store, stage())
    file = (store.root / stage().folder) / "record.json"
    other = Record(**{**vars(record), "preimage": stage(1).preimage})
    file.write_bytes(other.encode())  # sealed, as a tool that rewrites records does
    again = ArtifactStore(store.root)
    assert again.get(stage()) is None
    assert "its preimage is not its key's" in str(again.why_stale(stage()))
    assert again.by_key("model", "dummy", stage().key) is None
    assert list(again.records("model")) == []
    (found,) = upkeep.artifacts(again)
    assert "is not that of its key" in str(upkeep.broken(found))
    file.write_bytes(record.encode())
    (found,) = upkeep.artifacts(again)
    assert upkeep.broken(found) is None
    assert again.by_key("model", "dummy", stage().key) is not None


def test_a_truncated_payload_is_found_at_once(store: ArtifactStore) -> None:
    put(store, stage())
    ((store.root / stage().folder) / "weights").write_bytes(b"wei")
    again = ArtifactStore(store.root)
    assert again.why_stale(stage()) == "weights has 3 bytes, not 7"
    ((store.root / stage().folder) / "weights").unlink()
    assert ArtifactStore(store.root).why_stale(stage()) == "weights is missing"


def test_a_flipped_bit_is_found_before_the_payload_is_used(
    store: ArtifactStore,
) -> None:
    put(store, stage())
    ((store.root / stage().folder) / "weights").write_bytes(b"weighty")
    assert store.why_stale(stage()) is None
    with pytest.raises(ArtifactError, match="weights is damaged"):
        store.check_payload(stage())
    assert store.why_stale(stage()) == "not made yet"


def test_a_model_with_other_weights_makes_its_eval_stale(store: ArtifactStore) -> None:
    an_eval = stage(2, upstream=(stage(),))
    put(store, stage(), output="first")
    put(store, an_eval)
    put(store, stage(), output="first")  # made again, the same weights
    assert store.why_stale(an_eval) is None
    put(store, stage(), output="second")
    assert store.why_stale(an_eval) == "model:s/d/m/seed0 has other weights now"


def test_an_eval_outlives_its_model(store: ArtifactStore) -> None:
    an_eval = stage(2, upstream=(stage(),))
    put(store, stage())
    put(store, an_eval)
    store.remove(stage())
    assert store.why_stale(an_eval) is None


def test_put_replaces_what_was_damaged(store: ArtifactStore) -> None:
    put(store, stage(), payload=b"old")
    ((store.root / stage().folder) / "leftover").write_bytes(b"?")
    put(store, stage(), payload=b"new")
    names = sorted(path.name for path in (store.root / stage().folder).iterdir())
    assert names == ["record.json", "weights"]


def remember(store: ArtifactStore, error: Exception, log: str | None) -> None:
    store.states.record_failure(stage().key, stage().name, error, log)


def test_a_failure_is_remembered_until_success(store: ArtifactStore) -> None:
    remember(store, StageFailed("no luck"), "artifacts/logs/x")
    remember(store, StageFailed("again"), None)
    failure = ArtifactStore(store.root).states.failure(stage().key)
    assert failure is not None
    assert (failure.error, failure.message) == ("StageFailed", "again")
    assert failure.attempts == 2
    put(store, stage())
    assert store.states.failure(stage().key) is None


def test_a_torn_line_of_the_run_log_is_passed_over(store: ArtifactStore) -> None:
    store.runs.note({"model": "dummy/echo"}, {"s": [stage()]})
    with open(store.root / "runs.jsonl", "ab") as file:
        file.write(b'{"torn')
    assert [run.setting for run in store.runs] == ["s"]
    store.runs.note({}, {"t": [stage()]})
    assert [run.setting for run in store.runs] == ["s", "t"]


def test_the_same_run_is_noted_once_a_day(store: ArtifactStore) -> None:
    for _ in range(3):
        store.runs.note({}, {"s": [stage()]})
    assert len(list(store.runs)) == 1
    store.runs.note({}, {"s": [stage(1)]})
    store.runs.note({}, {"s": [stage()]})
    assert len(list(store.runs)) == 3


def test_a_model_is_found_by_name_and_by_key(store: ArtifactStore) -> None:
    put(store, stage())
    key = stage().key
    for word in ("model:s/d/m/seed0", "s/d/m/seed0", key[:8]):
        assert find_model(store, word).key == key
    for word in (key[:7], "s/d/m/seed1"):
        with pytest.raises(ArtifactError, match="model:s/d/m/seed0"):
            find_model(store, word)


def test_a_name_means_what_the_last_run_made_of_it(store: ArtifactStore) -> None:
    for seed in (0, 1):  # the dataset was edited between
        put(store, stage(seed))
        store.runs.note({}, {"s": [stage(seed)]})
    assert find_model(store, "s/d/m/seed0").key == stage(1).key


class TestLinks:
    """Who may write to a shared folder may put links there; nothing follows them."""

    @pytest.fixture
    def victim(self, tmp_path: Path) -> Path:
        folder = tmp_path / "victim"
        (folder / "sub").mkdir(parents=True)
        (folder / "file").write_text("precious")
        return folder

    def whole(self, victim: Path) -> bool:
        return (victim / "sub").is_dir() and (victim / "file").exists()

    @pytest.mark.parametrize(
        "place", ["work/KEY", "work/KEY/inside", "model/dummy-KEY"]
    )
    @pytest.mark.parametrize("what", ["put", "remove"])
    def test_what_they_point_to_stays(
        self, store: ArtifactStore, victim: Path, place: str, what: str
    ) -> None:
        link = store.root / place.replace("KEY", stage().key)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(victim, target_is_directory=True)
        if what == "put":
            put(store, stage())
            assert store.get(stage()) is not None
        else:
            store.remove(stage())
        assert self.whole(victim)
        assert not link.is_symlink()

    def test_gc_removes_the_link(self, store: ArtifactStore, victim: Path) -> None:
        link = store.root / "work/left"
        link.parent.mkdir(parents=True)
        link.symlink_to(victim, target_is_directory=True)
        assert list(remove([("left", link)], store)) == [(link, True)]
        assert self.whole(victim)
        assert not link.is_symlink()


def test_nothing_is_written_outside(store: ArtifactStore) -> None:
    for backend in ("openai@/../../../x", "a/b", "../.."):
        with pytest.raises(ArtifactError, match="is outside of"):
            store.planned_file(replace(stage(), backend=backend), "x")


class TestWhatARunUses:
    def test_is_kept_until_it_ends(self, store: ArtifactStore) -> None:
        model = stage()
        put(store, model)
        paths = [(model.key, (store.root / model.folder))]
        with store.live.using([stage(1, upstream=(model,))]):
            assert list(remove(paths, store)) == [((store.root / model.folder), False)]
        assert list(remove(paths, store)) == [((store.root / model.folder), True)]

    def test_is_what_is_being_made(self, store: ArtifactStore) -> None:
        model = stage()
        put(store, model)
        assert store.locks.take(model.key)
        paths = [(model.key, (store.root / model.folder))]
        assert list(remove(paths, store)) == [((store.root / model.folder), False)]
        store.locks.drop(model.key)

    def test_a_run_that_died_uses_nothing(self, store: ArtifactStore) -> None:
        left = store.root / "live/abc.json"
        left.parent.mkdir(parents=True)
        left.write_text(f'["{"0" * 32}"]')
        assert store.live.keys() == set()
        list(remove([], store))
        assert not left.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"key": ["x"], "event": 1}', []),
        ('{"event":"zz","time":5,"key":[1],"attempt":"x","stage":null,"kind":1,'
         '"backend":2,"account":3}', []),
    ],
)  # fmt: skip
def test_a_line_that_no_run_wrote_is_passed_over(
    store: ArtifactStore, line: str, said: list[str]
) -> None:
    store.root.mkdir()
    (store.root / "ledger.jsonl").write_text(line + "\n")
    assert list(store.ledger) == said


@pytest.mark.parametrize("name", ["ledger.jsonl", "runs.jsonl"])
def test_a_folder_in_the_place_of_a_file_is_an_error(
    store: ArtifactStore, name: str
) -> None:
    (store.root / name).mkdir(parents=True)
    with pytest.raises(ArtifactError, match=f"{name}.* cannot be read"):
        list(store.ledger if name == "ledger.jsonl" else store.runs)
