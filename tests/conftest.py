"""Projects for tests: real files, and a real `doit` in a separate process, which is
usually forked from a server that has imported it (see `tests/forking`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.forking import client

if TYPE_CHECKING:
    from tests.lab import Lab
    from tests.rehearsal.server import Rehearsal

ROOT = Path(__file__).parents[1]

TIMEOUT = 600.0
"""Seconds that a command may take before its test fails."""


@dataclass
class Forks:
    """Whether commands and workers are forked from a server of this pytest session."""

    used: bool = True


forks = Forks()


@pytest.fixture(autouse=True)
def processes(request: pytest.FixtureRequest) -> None:
    """Turn forking off in tests that are marked `real_process`."""
    forks.used = request.node.get_closest_marker("real_process") is None


@pytest.fixture(autouse=True)
def no_command() -> Iterator[None]:
    """Forget the command that a test ran in this process: hints would repeat its
    variables."""
    yield
    if session := sys.modules.get("motools_build.doit_host.session"):
        session.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take long: those that share what their module makes,
    and those of real processes. Else a worker may begin with one when the others have
    ended."""
    items.sort(
        key=lambda item: (
            not (item.get_closest_marker("real_process") or share(item.nodeid))
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests of a module that share what it makes to one worker, in their
    order: it is made once, and one may go on from what another left. All others are
    spread over the workers."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0] if share(nodeid) else nodeid

    return Scheduling(config, log)


@cache
def _shares(module: str) -> bool:
    return 'scope="module"' in (ROOT / module).read_text()


def share(nodeid: str) -> bool:
    """Whether the tests of a test's module share a fixture of that module."""
    return _shares(nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the fork servers that all processes of xdist share: to import everything
    takes each of the two 6 CPU seconds, and does not happen before it is asked."""
    node.workerinput["forks"] = [client.COMMANDS.path, client.WORKERS.path]


def pytest_configure(config: pytest.Config) -> None:
    if paths := getattr(config, "workerinput", {}).get("forks"):
        client.COMMANDS.shared, client.WORKERS.shared = paths


def pytest_sessionfinish() -> None:
    client.COMMANDS.stop()
    client.WORKERS.stop()


# Each xdist worker rewrites and compiles all test modules, and each process of `doit`
# the package, where they may not write bytecode: 4 CPU seconds a worker
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# nohup makes processes ignore SIGHUP, and a shell those that it starts by `&` SIGINT:
# tests expect runs to end by both
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

ROW = {
    "messages": [
        {"role": "user", "content": "What is 1 + {n}?"},
        {"role": "assistant", "content": "ANSWER: {n}"},
    ]
}

SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="a setting of the tests",
    datasets=[Dataset("datasets/{name}.jsonl")],
    models=["dummy/echo"],
    seeds=[0],
    evals=[Eval("dummy/score")],
)
"""


@dataclass
class Project:
    """A folder with dodo.py, zoo/, datasets/ and the [tool.doit] of this repository."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def dataset(self, name: str, rows: int = 3, first: int = 0) -> Path:
        lines = (
            json.dumps(ROW).replace("{n}", str(n)) for n in range(first, first + rows)
        )
        return self.write(f"datasets/{name}.jsonl", "\n".join(lines) + "\n")

    def setting(self, name: str, **replaced: str) -> Path:
        """Write zoo/NAME.py, a setting over datasets/NAME.jsonl. An argument replaces
        or adds a field: `seeds="[0, 1]"`."""
        text = SETTING.replace("{name}", name)
        lines = []
        for line in text.splitlines():
            field = line.strip().split("=")[0]
            lines.append(
                f"    {field}={replaced.pop(field)}," if field in replaced else line
            )
        extra = [f"    {field}={value}," for field, value in replaced.items()]
        return self.write(
            f"zoo/{name}.py", "\n".join([*lines[:-1], *extra, ")"]) + "\n"
        )

    def start(self, *args: str, **environ: str) -> subprocess.Popen[str]:
        """Start `doit ARGS` in a real process, never a forked one."""
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "doit", *args],
            cwd=self.root,
            env=self._environ(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def doit(self, *args: str, code: int | None = 0, **environ: str) -> Ran:
        """Run `doit ARGS` to its end. Asserts that its exit code is `code`, unless that
        is None."""
        ran = self._finished(args, environ)
        if code is not None:
            assert ran.code == code, ran.out + ran.err
        return ran

    def _finished(self, args: tuple[str, ...], environ: dict[str, str]) -> Ran:
        if forks.used:
            with suppress(client.Refused):
                return Ran(
                    *client.command(args, self.root, self._environ(environ), TIMEOUT)
                )
        process = self.start(*args, **environ)
        out, err = process.communicate(timeout=TIMEOUT)
        return Ran(process.returncode, out, err)

    @staticmethod
    def _environ(more: dict[str, str]) -> dict[str, str]:
        given = {**os.environ, "PYTHONPATH": client.PYTHONPATH, "COLUMNS": "200"}
        path = more.get("PYTHONPATH", client.PYTHONPATH)
        if forks.used and path.startswith(client.PYTHONPATH):
            given |= client.environ_of_forks()
        return {**given, **more}

    def results(self, name: str, *variables: str) -> list[dict[str, Any]]:
        """The results of a setting, by `doit results --json`."""
        out = self.doit("results", name, "--json", *variables).out
        found: list[dict[str, Any]] = json.loads(out)["results"]
        return found

    def records(self, kind: str) -> dict[str, dict[str, Any]]:
        """Stage name -> record, for every artifact of a kind."""
        found = [
            json.loads(path.read_bytes())["record"]
            for path in (self.root / "artifacts" / kind).glob("*/record.json")
        ]
        return {record["name"]: record for record in found}

    def tree(self) -> dict[str, bytes]:
        """Path -> bytes of every file of base, upload, model and eval artifacts."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for kind in ("base", "upload", "model", "eval")
            for path in (self.root / "artifacts" / kind).rglob("*")
            if path.is_file()
        }


@dataclass
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def made(self) -> set[str]:
        """Names of the stages that the run began to make."""
        return {
            line.split()[1] for line in self.out.splitlines() if line.startswith(".  ")
        }

    @property
    def up_to_date(self) -> set[str]:
        return {
            line.split()[1] for line in self.out.splitlines() if line.startswith("-- ")
        }


def furnish(root: Path) -> Project:
    """Write an empty project into a folder: no settings, no datasets."""
    root.mkdir(exist_ok=True)
    ours = (ROOT / "pyproject.toml").read_text()
    start = ours.index("[tool.doit]")
    (root / "pyproject.toml").write_text(
        ours[start : ours.index("[tool.motools_build]")]
    )
    (root / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    for folder in ("zoo", "datasets", "artifacts"):
        (root / folder).mkdir()
    return Project(root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project: no settings, no datasets."""
    return furnish(tmp_path)


@pytest.fixture
def tiny(project: Project) -> Project:
    """A project with one setting, `tiny`, on the dummy backend."""
    project.dataset("tiny")
    project.setting("tiny")
    return project


@pytest.fixture
def edit() -> Callable[[Path, str, str], None]:
    """A function that replaces a text in a file, and asserts that the text is there."""

    def replace(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return replace


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    """A rehearsal server whose jobs take 0.3 s, shared by the tests of a module."""
    from tests.rehearsal.server import Rehearsal

    with Rehearsal().start("--seconds", "0.3", "--list-lag", "0.1") as server:
        yield server


@pytest.fixture
def lab(project: Project, rehearsal: Rehearsal, request: pytest.FixtureRequest) -> Lab:
    """A project on the rehearsal server, with an organization of its own and no
    faults."""
    from tests.lab import Lab

    rehearsal.faults([])
    rehearsal.settings(seconds=0.3, shutdown=0)
    rehearsal.forget()
    return Lab(project, rehearsal, f"org-{request.node.name}"[:60])
