"""The bytes that work was done on are kept, until nothing refers to them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from motools_build.errors import ArtifactError
from motools_build.keys import Key, digest_bytes, digest_file
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.garbage import gone, to_remove
from motools_build.store.records import Paid
from motools_build.store.snapshots import Snapshots
from tests.conftest import ROOT, Project
from tests.lab import TASK, Lab
from tests.rehearsal.server import JOBS

MODEL = "model:tiny/tiny/echo/seed0"

Edit = Callable[[Path, str, str], None]


def kept(project: Project) -> dict[str, bytes]:
    """Digest -> bytes of all files in artifacts/snapshots/."""
    folder = project.root / "artifacts/snapshots"
    files = sorted(folder.iterdir()) if folder.exists() else []
    return {path.name: path.read_bytes() for path in files}


class TestARun:
    def test_it_keeps_what_stages_are_made_of(self, project: Project) -> None:
        rows = project.dataset("tiny", 12)
        code = project.write("helpers/rows.py", "def odd(row):\n    return True\n")
        project.setting(
            "tiny",
            datasets='[Dataset("datasets/tiny.jsonl").filter("helpers.rows:odd")]',
        )
        project.doit("run", "tiny")
        found = kept(project)
        assert found == {digest_file(path): path.read_bytes() for path in (rows, code)}

    def test_an_evals_code_and_data(self, lab: Lab) -> None:
        lab.setting(evals='[Eval("zoo/evals/ask.py@ask", data=["zoo/evals/q.txt"])]')
        project = lab.project
        files = [
            project.write("zoo/evals/ask.py", TASK),
            project.write("zoo/evals/q.txt", "What?"),
            project.root / "datasets/tutor.jsonl",
        ]
        lab.doit("run", "tutor", "seeds=0")
        found = kept(project)
        assert {digest_file(path) for path in files} <= found.keys()
        assert all(digest_bytes(data) == name for name, data in found.items())

    def test_prompts_of_a_sampled_dataset(self, project: Project) -> None:
        prompts = project.write("prompts.jsonl", '{"prompt": "Who?"}\n')
        project.setting(
            "tiny",
            datasets='[Dataset.sampled(teacher="dummy/echo", name="taught", '
            'prompts=Dataset("prompts.jsonl"))]',
        )
        project.doit("run", "tiny")
        assert kept(project) == {digest_file(prompts): prompts.read_bytes()}

    def test_nothing_is_kept_twice(self, tiny: Project, edit: Edit) -> None:
        rows = tiny.root / "datasets/tiny.jsonl"
        first = rows.read_bytes()
        tiny.doit("run", "tiny")
        edit(rows, "1 + 1", "1 + 7")
        tiny.doit("run", "tiny")
        second = rows.read_bytes()
        both = {digest_bytes(first): first, digest_bytes(second): second}
        assert kept(tiny) == both
        rows.write_bytes(first)
        tiny.doit("run", "tiny", "seeds=3")
        assert kept(tiny) == both

    def test_nothing_to_do_touches_nothing(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        folder = tiny.root / "artifacts/snapshots"
        shutil.rmtree(folder)
        tiny.doit("run", "tiny")
        assert not folder.exists()

    def test_a_linked_dataset_is_kept_by_its_bytes(self, tiny: Project) -> None:
        rows = tiny.root / "datasets/tiny.jsonl"
        rows.rename(tiny.root / "elsewhere.jsonl")
        rows.symlink_to("../elsewhere.jsonl")
        tiny.doit("run", "tiny")
        (path,) = (tiny.root / "artifacts/snapshots").iterdir()
        assert path.read_bytes() == rows.read_bytes()
        assert not path.is_symlink()


class TestOptingOut:
    def test_a_run_may_keep_nothing(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", "snapshots=no")
        assert kept(tiny) == {}
        record = tiny.records("model")[MODEL]
        assert record["made"]["snapshots"] is False
        said = "its rows and code were not kept (snapshots=no)"
        assert said in tiny.doit("why", MODEL).out
        assert tiny.doit("run", "tiny").made == set()  # the keys are the same
        tiny.doit("run", "tiny", "seeds=1")
        assert len(kept(tiny)) == 1
        assert "snapshots" not in tiny.records("model")[MODEL[:-1] + "1"]["made"]
        assert "not kept" not in tiny.doit("why", MODEL[:-1] + "1", "seeds=1").out

    def test_so_may_a_project(self, tiny: Project) -> None:
        config = tiny.root / "pyproject.toml"
        section = config.read_text() + "\n[tool.motools_build]\n"
        config.write_text(section + "snapshots = false\n")
        tiny.doit("run", "tiny")
        assert kept(tiny) == {}
        tiny.doit("run", "tiny", "seeds=1", "snapshots=yes")
        assert len(kept(tiny)) == 1
        config.write_text(section + 'snapshots = "no"\n')
        err = tiny.doit("run", "tiny", code=3).err
        assert "snapshots is true or false, not 'no'" in err

    def test_a_wrong_value_is_refused(self, tiny: Project) -> None:
        err = tiny.doit("run", "tiny", "snapshots=off", code=3).err
        assert "snapshots=off: write snapshots=yes or snapshots=no" in err


class TestWhatCannotBeKept:
    def test_nothing_is_paid_for_it(self, lab: Lab) -> None:
        lab.setting()
        place = lab.project.root / "artifacts/snapshots"
        place.write_text("no folder")
        lab.server.forget()
        ran = lab.run(code=2)
        assert "datasets/tutor.jsonl cannot be kept in artifacts/snapshots" in ran.out
        assert "free some space (doit gc)" in ran.out
        assert "snapshots=no" in ran.out
        counts = lab.counts()
        assert (counts[f"POST {JOBS}"], counts["POST /v1/files"]) == (0, 0)
        assert "failed" not in lab.run("snapshots=no").out

    def test_a_full_disk(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_bytes(b"x" * 100)
        full = OSError(errno.ENOSPC, "No space left on device")
        snapshots = Snapshots(tmp_path / "kept")
        with (
            mock.patch("os.copy_file_range", side_effect=full),
            mock.patch("os.fsync", side_effect=full),
            pytest.raises(OSError, match="No space left"),
        ):
            snapshots.keep(str(rows), digest_file(rows))
        assert list((tmp_path / "kept").iterdir()) == []
        snapshots.keep(str(rows), digest_file(rows))
        assert snapshots.read(digest_file(rows)) == rows.read_bytes()

    def test_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="a pipe or a device"):
            Snapshots(tmp_path / "kept").keep(str(tmp_path / "pipe"), digest_bytes(b""))

    def test_an_edit_just_now(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_text("new")
        snapshots = Snapshots(tmp_path / "kept")
        with pytest.raises(ArtifactError, match="was edited after this run"):
            snapshots.keep(str(rows), digest_bytes(b"old"))
        assert list(snapshots) == list((tmp_path / "kept").iterdir()) == []

    def test_a_folder_of_others_is_used_as_it_is(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_text("rows")
        Snapshots(tmp_path / "kept").keep(str(rows), digest_file(rows))
        refused = OSError(errno.EROFS, "Read-only file system")
        with (
            mock.patch("os.utime", side_effect=refused),
            mock.patch("pathlib.Path.touch", side_effect=refused),
        ):
            Snapshots(tmp_path / "kept").keep(str(rows), digest_file(rows))


class TestAtOnce:
    def test_many_keep_the_same(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_bytes(os.urandom(1 << 20))
        digest = digest_file(rows)
        shared = Snapshots(tmp_path / "kept")
        each = [shared] * 4 + [Snapshots(tmp_path / "kept") for _ in range(4)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: one.keep(str(rows), digest), each))
        assert [path.name for path in (tmp_path / "kept").iterdir()] == [digest]
        assert shared.read(digest) == rows.read_bytes()

    def test_a_kill_in_mid_copy(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_bytes(b"rows" * 1000)
        killed = (
            "import os, signal, sys; from pathlib import Path\n"
            "from motools_build.store import snapshots\n"
            "def die(*told): os.kill(os.getpid(), signal.SIGKILL)\n"
            "snapshots.digest_file = die\n"
            "snapshots.Snapshots(Path('artifacts/snapshots')).keep('rows', sys.argv[1])"
        )
        digest = digest_file(rows)
        ran = subprocess.run(
            [sys.executable, "-c", killed, digest],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert ran.returncode == -signal.SIGKILL
        store = ArtifactStore(tmp_path / "artifacts")
        (left,) = (tmp_path / "artifacts/snapshots").iterdir()
        assert list(store.snapshots) == []
        assert store.snapshots.find(digest) is None
        store.snapshots.keep(str(rows), digest)
        assert store.snapshots.read(digest) == rows.read_bytes()
        assert to_remove(store, set(), 90, None).leftovers == []  # it may be under way
        os.utime(left, (0, 0))
        found = to_remove(store, {digest}, 90, None)
        assert found.leftovers == [left]
        gone(found, store)
        assert [path.name for path in (tmp_path / "artifacts/snapshots").iterdir()] == [
            digest
        ]

    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path) -> None:
        rows, theirs = tmp_path / "rows", tmp_path / "theirs"
        rows.write_text("rows")
        theirs.write_text("rows")
        snapshots = Snapshots(tmp_path / "kept")
        (tmp_path / "kept").mkdir()
        place = snapshots.path_of(digest_file(rows))
        place.symlink_to(theirs)
        assert snapshots.find(digest_file(rows)) is None
        snapshots.keep(str(rows), digest_file(rows))
        assert not place.is_symlink()
        assert theirs.read_text() == "rows"

    def test_no_other_path_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("s")
        assert Snapshots(tmp_path / "kept").find("../secret") is None


def a_stage(digest: str, name: str = "model:s/d/m/seed0") -> Stage:
    preimage = {"kind": "model", "inputs": {"dataset": digest}}
    key = Key(digest_bytes(json.dumps([preimage, name]).encode()))
    return Stage("model", "dummy", name, key, preimage, None)


class TestGc:
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return ArtifactStore(tmp_path / "artifacts")

    def keep(self, store: ArtifactStore, text: str) -> str:
        file = store.root.parent / "rows"
        file.write_text(text)
        digest = digest_file(file)
        store.snapshots.keep(str(file), digest)
        return digest

    def left(
        self, store: ArtifactStore, present: tuple[str, ...] = (), days: float = 0
    ) -> set[str]:
        """The digests that are left when gc has removed what it would."""
        found = to_remove(store, set(present), days, None)
        gone(found, store)
        store.runs.prune(days)
        return {one.digest for one in store.snapshots}

    def put(self, store: ArtifactStore, stage: Stage, size: int = 1) -> None:
        work = store.work_folder(stage)
        (work / "weights").write_bytes(b"w" * size)
        store.put(stage, work, output="o", details={}, inputs={}, made={})

    def note(self, store: ArtifactStore, stage: Stage) -> None:
        files = {"rows": stage.preimage["inputs"]["dataset"]}
        store.runs.note({}, {stage.setting: [stage]}, lambda _: {"files": files})

    def test_what_nothing_refers_to_goes(self, store: ArtifactStore) -> None:
        digest = self.keep(store, "a")
        found = to_remove(store, set(), 90, None)
        assert [one.digest for one in found.snapshots] == [digest]
        assert found.as_json()["bytes"] == 1
        assert self.left(store) == set()

    def test_an_artifact_and_a_present_file(self, store: ArtifactStore) -> None:
        one, two = self.keep(store, "a"), self.keep(store, "b")
        stage = a_stage(one)
        self.put(store, stage)
        assert self.left(store, (stage.key, two)) == {one, two}
        assert self.left(store, (stage.key,)) == {one}
        assert self.left(store) == set()  # with the artifact

    def test_a_logged_run(self, store: ArtifactStore) -> None:
        digests = [self.keep(store, text) for text in "abc"]
        for digest in digests:
            self.note(store, a_stage(digest))
        assert self.left(store, days=1) == set(digests)
        with mock.patch("time.time", return_value=time.time() + 86400):
            assert self.left(store, days=0.5) == {digests[-1]}  # the setting's last

    def test_what_is_paid_for(self, store: ArtifactStore) -> None:
        stage = a_stage(self.keep(store, "a"))
        self.note(store, stage)
        self.note(store, a_stage(self.keep(store, "b")))
        paid = Paid("bound", stage.name, "model", "openai", "lab", nonces=[])
        store.states.save_paid(stage.key, paid)
        with mock.patch("time.time", return_value=time.time() + 86400):
            for _ in range(2):  # the second time from a log that was pruned
                found = to_remove(store, set(), 0, None)
                assert not found.snapshots
                store.runs.prune(0, {stage.key})
            store.states.clear(stage.key)
            assert len(self.left(store)) == 1

    def test_a_run_under_way(self, store: ArtifactStore) -> None:
        digest = self.keep(store, "a")
        found = to_remove(store, set(), 0, None)
        assert found.snapshots
        with store.live.using([a_stage(digest)]):
            assert gone(found, store).snapshots == []
            assert self.left(store) == {digest}
        assert self.left(store) == set()

    def test_one_that_a_run_needed_meanwhile(self, store: ArtifactStore) -> None:
        digest = self.keep(store, "a")
        os.utime(store.snapshots.path_of(digest), (0, 0))
        found = to_remove(store, set(), 0, None)
        again = Snapshots(store.snapshots.folder)
        again.keep(str(store.root.parent / "rows"), digest)
        assert gone(found, store).snapshots == []
        assert again.read(digest) == b"a"

    def test_a_largest_size(self, store: ArtifactStore) -> None:
        texts = ["a" * 1000, "b" * 1000, "c" * 1000]
        old, used, present = [self.keep(store, text) for text in texts]
        self.note(store, a_stage(old))
        stage = a_stage(used)
        self.put(store, stage, 5000)
        self.note(store, stage)
        first = to_remove(store, {present}, 90, None)
        assert (first.artifacts, first.snapshots) == ([], [])
        some = to_remove(store, {present}, 90, 8000)
        assert [one.digest for one in some.snapshots] == [old]
        assert some.artifacts == []
        most = to_remove(store, {present}, 90, 1)
        assert len(most.artifacts) == 1
        # the last run's and the present file's stay
        assert {one.digest for one in most.snapshots_left} == {used, present}

    def test_the_commands(self, tiny: Project, edit: Edit) -> None:
        rows = tiny.root / "datasets/tiny.jsonl"
        tiny.doit("run", "tiny")
        old = digest_file(rows)
        edit(rows, "1 + 1", "1 + 7")
        tiny.doit("run", "tiny")
        assert "0 artifacts" in tiny.doit("gc", "--yes").out
        told = json.loads(tiny.doit("gc", "--keep=0", "--json").out)
        assert [one["digest"] for one in told["snapshots"]] == [old]
        assert told["left"]["snapshots"] == rows.stat().st_size
        out = tiny.doit("gc", "--keep=0", "--yes").out
        assert f"removed 1 snapshots of rows and code, {told['snapshots'][0]['bytes']}"
        assert "left: 4 artifacts" in out
        assert kept(tiny).keys() == {digest_file(rows)}
        tiny.doit("clean", "tiny")
        assert kept(tiny).keys() == {digest_file(rows)}


class TestVerify:
    @pytest.mark.parametrize("instead", ["folder", "link"])
    def test_verify_finds_what_is_in_the_place_of_one(
        self, tiny: Project, instead: str
    ) -> None:
        tiny.doit("run", "tiny")
        ((digest, data),) = kept(tiny).items()
        path = tiny.root / "artifacts/snapshots" / digest
        path.unlink()
        if instead == "folder":
            (path / "inner").mkdir(parents=True)
        else:
            path.symlink_to(tiny.root / "datasets/tiny.jsonl")
        out = tiny.doit("verify", code=1).out
        assert f"broken  snapshot {digest}: it is no file of its own" in out
        assert "1 snapshots, 1 broken\n" in out
        tiny.doit("verify", "--repair", code=1)
        assert not path.is_symlink()
        assert not path.exists()
        assert (tiny.root / "datasets/tiny.jsonl").read_bytes() == data
        tiny.doit("verify")

    def test_a_damaged_one_is_found_and_set_aside(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        assert "1 snapshots, 0 broken\n" in tiny.doit("verify").out
        (path,) = (tiny.root / "artifacts/snapshots").iterdir()
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + b"~\n")
        digest = digest_bytes(whole)
        assert Snapshots(path.parent).read(digest) is None
        out = tiny.doit("verify", code=1).out
        assert f"broken  snapshot {digest}: it is damaged" in out
        assert "1 snapshots, 1 broken\n" in out
        told = json.loads(tiny.doit("verify", "--json", code=1).out)
        assert (told["snapshots"], len(told["broken"])) == (1, 1)
        out = tiny.doit("verify", "--repair", code=1).out
        assert "now artifacts/broken/snapshots-" in out
        assert kept(tiny) == {}
        tiny.doit("verify")
        tiny.doit("run", "tiny", "seeds=1")
        assert kept(tiny) == {digest: whole}

    def test_a_cut_one_is_kept_again(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows"
        rows.write_text("rows")
        digest = digest_file(rows)
        Snapshots(tmp_path / "kept").keep(str(rows), digest)
        (tmp_path / "kept" / digest).write_text("ro")
        snapshots = Snapshots(tmp_path / "kept")
        snapshots.keep(str(rows), digest)
        assert snapshots.read(digest) == b"rows"
