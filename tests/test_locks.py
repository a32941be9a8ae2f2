"""Locks among processes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from motools_build.errors import ArtifactError
from motools_build.store.locks import Locks

COUNTS = """
import sys
from pathlib import Path
from motools_build.store.locks import Locks
locks, counter = Locks(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(300):
    while not locks.take("a"):
        pass
    counter.write_text(str(int(counter.read_text()) + 1))
    locks.drop("a")
"""

HOLDS = """
import os, sys, time
from pathlib import Path
from motools_build.store.locks import Locks
locks = Locks(Path(sys.argv[1]))
assert locks.take("a")
if "fork" in sys.argv and os.fork() == 0:
    assert not locks.take("a")
    assert locks.take("b")
    locks.drop("b")  # the last of the child's, and none of its parent's
os.write(1, b"%d\\n" % os.getpid())  # whole, whoever else writes
time.sleep(60)
"""


def holder(path: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", HOLDS, str(path), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_a_process_has_it_once_and_others_do_not(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "artifacts/lock")
    assert not locks.taken("a")
    assert not (tmp_path / "artifacts").exists()
    assert locks.take("a")
    assert not locks.take("a")
    assert not Locks(tmp_path / "artifacts/lock").take("a")
    assert locks.taken("a")
    assert not locks.taken("b")
    assert locks.take("b")
    locks.drop("b")
    assert locks.taken("a")  # one that is given up takes no other with it
    locks.drop("a")
    assert not locks.taken("a")


def test_another_process_has_it_until_it_is_killed(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "lock")
    with holder(tmp_path / "lock") as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert locks.taken("a")
        assert not locks.take("a")
        assert locks.take("b")
        other.kill()
        other.wait()
    assert not locks.taken("a")
    assert locks.take("a")
    locks.drop("a")
    locks.drop("b")


def test_one_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNTS, str(tmp_path / "lock"), str(counter)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "900"


def test_a_forked_child_has_none_of_its_parents(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "lock")
    with holder(tmp_path / "lock", "fork") as parent:
        assert parent.stdout is not None
        both = {int(parent.stdout.readline()) for _ in range(2)}
        (child,) = both - {parent.pid}
        try:
            assert locks.taken("a")  # whatever the child gave up
            parent.kill()
            parent.wait()
            assert locks.take("a")  # whatever the child keeps open
            locks.drop("a")
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lock_whose_file_is_removed_is_no_lock(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "lock")
    assert locks.take("a")
    (tmp_path / "lock").unlink()
    with pytest.raises(ArtifactError, match="was removed under this run"):
        locks.take("b")
    locks.drop("a")
    assert locks.take("b")
    locks.drop("b")


def test_who_may_only_read_sees_what_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, usual = Locks(tmp_path / "lock"), os.open

    def for_reading(path: Any, flags: int, *args: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return usual(path, flags, *args)

    with holder(tmp_path / "lock") as other:
        assert other.stdout is not None
        other.stdout.readline()
        monkeypatch.setattr(os, "open", for_reading)
        assert locks.taken("a")
        assert not locks.taken("b")
        other.kill()
    assert not locks.taken("a")


def test_a_file_system_without_locks_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(ArtifactError, match="put artifacts/ on a file system with"):
        Locks(tmp_path / "lock").take("a")
    assert not Locks(tmp_path / "lock").taken("a")


needs_ofd = pytest.mark.skipif(
    not hasattr(fcntl, "F_OFD_SETLK"), reason="no open file description locks here"
)

TAKES = """
import sys
from pathlib import Path
from motools_build.store.locks import Locks
sys.exit(0 if Locks(Path(sys.argv[1])).take("a") else 3)
"""


def may_be_taken(path: Path) -> bool:
    """Whether another process can have the lock "a" now."""
    code = subprocess.run([sys.executable, "-c", TAKES, str(path)]).returncode
    assert code in (0, 3)
    return code == 0


@pytest.fixture(params=["described", "of the process"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of locks: Linux's, and those of systems that have no others (macOS), which any
    close of the file in the process gives up."""
    kind: str = request.param
    if kind == "of the process":
        monkeypatch.setattr("motools_build.store.locks._OFD", None)
    elif not hasattr(fcntl, "F_OFD_SETLK"):
        pytest.skip("no open file description locks here")
    return kind


def may_be_taken_too(path: Path, kind: str) -> bool:
    """Whether another process of such a system can have the lock "a" now."""
    code = TAKES
    if kind == "of the process":
        code = code.replace(
            "sys.exit",
            "from motools_build.store import locks\nlocks._OFD = None\nsys.exit",
        )
    told = subprocess.run([sys.executable, "-c", code, str(path)]).returncode
    assert told in (0, 3)
    return told == 0


def test_code_that_opens_and_closes_the_file_gives_up_no_lock(
    tmp_path: Path, kind: str
) -> None:
    locks = Locks(tmp_path / "lock")
    assert locks.take("a")
    (tmp_path / "lock").read_bytes()
    assert locks.taken("a")
    assert not may_be_taken_too(tmp_path / "lock", kind)
    locks.drop("a")
    assert may_be_taken_too(tmp_path / "lock", kind)


def test_a_copy_of_the_folder_gives_up_no_lock(tmp_path: Path, kind: str) -> None:
    """What a user's own task may do in the process of a run."""
    root = tmp_path / "artifacts"
    locks = Locks(root / "lock")
    assert locks.take("a")
    assert locks.take("b")
    shutil.copytree(root, tmp_path / "backup")
    locks.drop("b")
    for file in root.rglob("*"):
        if file.is_file():
            file.read_bytes()
    assert not may_be_taken_too(root / "lock", kind)
    assert may_be_taken_too(tmp_path / "backup/lock", kind)
    locks.drop("a")
    assert may_be_taken_too(root / "lock", kind)
    assert locks.take("a")
    locks.drop("a")  # what that process left is removed
    left = [path for path in root.rglob("*") if path.is_file()]
    assert left == [root / "lock"]


def test_looking_takes_nothing(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "lock")
    with holder(tmp_path / "lock") as other:
        assert other.stdout is not None
        other.stdout.readline()
        looked = [locks.taken("b") for _ in range(3)]
        assert looked == [False] * 3
        assert locks.taken("a")
        assert locks.take("b")
        locks.drop("b")
        other.kill()


def test_a_fork_gives_up_no_lock(tmp_path: Path, kind: str) -> None:
    locks = Locks(tmp_path / "lock")
    assert locks.take("a")
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert not may_be_taken_too(tmp_path / "lock", kind)
    locks.drop("a")


@needs_ofd
def test_the_kinds_of_locks_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of this package, or a file system without the newer kind."""
    locks = Locks(tmp_path / "lock")
    with holder(tmp_path / "lock") as other:
        assert other.stdout is not None
        other.stdout.readline()
        monkeypatch.setattr("motools_build.store.locks._OFD", None)
        assert not locks.take("a")
        assert locks.take("b")
        other.kill()
    assert locks.take("a")
    assert not may_be_taken(tmp_path / "lock")
    locks.drop("a")
    locks.drop("b")


@needs_ofd
def test_a_program_that_is_started_has_none_of_them(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "lock")
    assert locks.take("a")
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    locks.drop("a")
    assert may_be_taken(tmp_path / "lock")
    child.communicate(b"\n")


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(ArtifactError, match="lock cannot be opened"):
        Locks(tmp_path / "lock").take("a")
