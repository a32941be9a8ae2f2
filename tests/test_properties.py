"""Whatever happened before, a run ends where a build from scratch ends.

Hypothesis makes up histories of a project: edits, damage, kills, runs at once. It is
steady by default; for a longer search, on other histories each time:

    MOTOOLS_EXAMPLES=200 pytest tests/test_properties.py
"""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from doit import cmd_run
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from motools_build.doit import run
from motools_build.keys import digest_file
from motools_build.store.records import Record
from tests.conftest import Project, Ran, forks
from tests.forking import client

LONG = "MOTOOLS_EXAMPLES" in os.environ

SEARCH = settings(
    max_examples=int(os.environ.get("MOTOOLS_EXAMPLES", "6")),
    stateful_step_count=10,
    derandomize=not LONG,
    # to shrink a failing history takes minutes, and each says what happened in it
    phases=[Phase.generate, *([Phase.shrink] if LONG else [])],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

DATASETS = ("shared", "left", "right")
SETTINGS = ("one", "two")
DATASETS_OF = {"one": ("shared", "left"), "two": ("shared", "right")}
EVALS_OF = {"one": ("score",), "two": ("score", "more")}

TIMESTAMPS_NS = 50_000_000
"""Coarsest timestamp of the file systems that tests run on, in nanoseconds."""

BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""As it is for users: Python may keep the bytecode of dodo.py and the zoo."""

Made = dict[str, tuple[str, str, Any]]
"""Artifact's folder -> key, output and payload of its record."""

some_datasets = st.sampled_from(DATASETS)
some_settings = st.sampled_from(SETTINGS)
some_files = st.sampled_from(["record.json", "answers.json"])
positions = st.integers(0, 2**16)
"""Of anything; taken modulo how many there are."""


class History(RuleBasedStateMachine):
    """A project that things happen to."""

    def __init__(self, empty: Path, known: dict[object, Made]) -> None:
        super().__init__()
        self.empty = empty
        self.known = known
        """What builds from scratch gave, by what they were built from."""
        self.project = copied(empty)
        self.edits: list[tuple[Path, bytes]] = []
        """Edited file and its bytes before, the latest last."""
        self.hidden_damage = False
        """Whether a payload may have other bytes, of the recorded number."""
        self.story: list[str] = []
        self.abandoned: set[str] = set()
        """What killed runs left in work/."""
        for number, name in enumerate(DATASETS, start=1):
            self.project.dataset(name, first=10 * number)
        for seed, name in enumerate(SETTINGS):
            self.reseed(name, [0, seed + 1])

    def teardown(self) -> None:
        """Every history ends with a run of everything."""
        error = sys.exception()
        try:
            if error is None:
                self.run_everything()
        except BaseException as failed:
            error = failed
            raise
        finally:
            if error:  # a kill is never quite the same twice, so Hypothesis may not say
                error.add_note("\n".join(["what happened:", *self.story]))
            shutil.rmtree(self.project.root)

    @initialize(built=st.integers(0, 3))
    def begin(self, built: int) -> None:
        """Most histories begin with a project that is up to date."""
        if built:
            self.run_everything()

    # ---- what people do to their files

    @rule(
        name=some_datasets,
        row=positions,
        number=st.integers(10, 19),
        same_time=st.booleans(),
    )
    def edit(self, name: str, row: int, number: int, same_time: bool) -> None:
        self.story.append(f"edit {name}: row {row}, {number}, {same_time=}")
        path = self.project.root / f"datasets/{name}.jsonl"
        stat = path.stat()
        lines = path.read_text().splitlines()
        chosen = json.loads(lines[row % len(lines)])
        chosen["messages"][1]["content"] = f"ANSWER: {number}"
        lines[row % len(lines)] = json.dumps(chosen)
        self.edits.append((path, path.read_bytes()))
        path.write_text("\n".join(lines) + "\n")
        if same_time:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    @rule()
    def undo(self) -> None:
        if self.edits:
            path, before = self.edits.pop()
            self.story.append(f"undo the edit of {path.name}")
            path.write_bytes(before)

    @rule(name=some_datasets)
    def touch(self, name: str) -> None:
        self.story.append(f"touch {name}")
        os.utime(self.project.root / f"datasets/{name}.jsonl")

    @rule(
        name=some_settings,
        seeds=st.sampled_from([[0, 1], [0, 2], [0, 3], [1, 2], [2, 3], [1], [0, 1, 2]]),
    )
    def reseed(self, name: str, seeds: list[int]) -> None:
        self.story.append(f"seeds of {name}: {seeds}")
        datasets = (f"Dataset('datasets/{of}.jsonl')" for of in DATASETS_OF[name])
        evals = (f"Eval('dummy/{of}')" for of in EVALS_OF[name])
        path = self.project.setting(
            name,
            datasets=f"[{', '.join(datasets)}]",
            seeds=str(seeds),
            evals=f"[{', '.join(evals)}]",
        )
        os.utime(path, (0, 0))  # two edits within a second, as far as Python can tell

    # ---- what happens to artifacts

    @rule(which=positions)
    def delete(self, which: int) -> None:
        folders = sorted((self.project.root / "artifacts").glob("*/dummy-*"))
        if folders:
            folder = folders[which % len(folders)]
            self.story.append(f"delete {folder.parent.name}/{folder.name}")
            shutil.rmtree(folder)

    @rule(file=some_files, which=positions, where=positions)
    def flip(self, file: str, which: int, where: int) -> None:
        """One bit of a record or a payload."""
        for path in self._any(file, "flip", which):
            data = bytearray(path.read_bytes())
            if data:
                data[where % len(data)] ^= 1 << where % 8
                path.write_bytes(data)
                self.hidden_damage |= file != "record.json"

    @rule(file=some_files, which=positions, size=positions)
    def truncate(self, file: str, which: int, size: int) -> None:
        for path in self._any(file, "truncate", which):
            data = path.read_bytes()
            path.write_bytes(data[: size % max(1, len(data))])

    def _any(self, file: str, what: str, which: int) -> Iterator[Path]:
        artifacts = self.project.root / "artifacts"
        found = sorted(artifacts.glob(f"*/dummy-*/{file}"))
        if found:
            path = found[which % len(found)]
            self.story.append(f"{what} {path.relative_to(artifacts)}")
            yield path

    # ---- runs

    @rule(name=some_settings)
    def run_one(self, name: str) -> None:
        self.story.append(f"run {name}")
        ran = doit_here(self.project.root, "run", name)
        if ran.code and self.hidden_damage:  # refused, and what is damaged is removed
            assert ran.code == 2, ran.out + ran.err
            assert "is damaged (its digest is not the recorded one)" in ran.out
            return
        assert ran.code == 0, ran.out + ran.err
        if not self.hidden_damage:
            needed, made = self._from_scratch(name), made_in(self.project.root)
            assert {folder: made.get(folder) for folder in needed} == needed

    @rule()
    def run_everything(self) -> None:
        self.story.append("run everything")
        self._repair()
        ran = doit_here(self.project.root, "run", *SETTINGS)
        assert ran.code == 0, ran.out + ran.err
        self._is_as_from_scratch()

    @rule()
    def run_two_at_once(self) -> None:
        self.story.append("run everything, twice at once")
        self._repair()
        delay = {"MOTOOLS_DUMMY_DELAY": "0.1"}
        both = [
            self.project.start("run", *SETTINGS, **delay, **BYTECODE) for _ in range(2)
        ]
        outs = []
        for process in both:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, out + err
            outs.append(out)
        made = [line.split()[0] for out in outs for line in made_lines(out)]
        assert len(made) == len(set(made)), "\n".join(outs)
        self._is_as_from_scratch()

    @rule(name=st.sampled_from([*SETTINGS, ""]), after=st.integers(0, 600))
    def kill(self, name: str, after: int) -> None:
        """A run, killed so many milliseconds after it began to make something."""
        self.story.append(f"kill a run of {name or 'everything'} after {after} ms")
        log = self.project.root / "artifacts/runs.jsonl"
        before = log.stat().st_size if log.exists() else 0
        process = self.project.start(
            *("run", *([name] if name else SETTINGS)),
            MOTOOLS_DUMMY_DELAY="0.2",
            **BYTECODE,
        )
        while process.poll() is None:
            if log.exists() and log.stat().st_size > before:
                time.sleep(after / 1000)
                break
            time.sleep(0.005)
        process.kill()
        process.communicate()
        self.abandoned.update(self._in_work())

    # ---- what must hold

    def _repair(self) -> None:
        ran = doit_here(self.project.root, "verify", "--repair")
        assert ran.code in (0, 1), ran.out + ran.err
        again = doit_here(self.project.root, "verify")
        assert again.code == 0, again.out + again.err
        self.hidden_damage = False

    def _is_as_from_scratch(self) -> None:
        root = self.project.root
        needed, made = self._from_scratch(*SETTINGS), made_in(root)
        assert {folder: made.get(folder) for folder in needed} == needed
        verified = doit_here(root, "verify")
        assert verified.code == 0, verified.out + verified.err
        keys = {key for key, _, _ in needed.values()}
        in_work = self._in_work()
        assert in_work <= self.abandoned
        assert not in_work & keys
        self.abandoned &= in_work
        again = doit_here(root, "run", *SETTINGS)
        assert again.code == 0, again.out + again.err
        assert again.made == set()
        assert made_in(root) == made

    def _in_work(self) -> set[str]:
        return {path.name for path in (self.project.root / "artifacts/work").glob("*")}

    def _from_scratch(self, *names: str) -> Made:
        """What a build of these settings makes of the present files."""
        sources = [f"zoo/{name}.py" for name in names]
        for name in names:
            sources += [f"datasets/{of}.jsonl" for of in DATASETS_OF[name]]
        texts = {path: (self.project.root / path).read_text() for path in sources}
        built_from = tuple(texts.items())
        if built_from not in self.known:
            fresh = copied(self.empty)
            for path, text in texts.items():
                fresh.write(path, text)
            ran = doit_here(fresh.root, "run", *names)
            assert ran.code == 0, ran.out + ran.err
            self.known[built_from] = made_in(fresh.root)
            shutil.rmtree(fresh.root)
        return self.known[built_from]


def copied(empty: Path) -> Project:
    """A new project beside an empty one."""
    root = Path(tempfile.mkdtemp(dir=empty.parent))
    shutil.copytree(empty, root, dirs_exist_ok=True)
    return Project(root)


def made_in(root: Path) -> Made:
    """Every whole model and eval of a project, each byte of it looked at."""
    made: Made = {}
    for kind in ("model", "eval"):
        for folder in (root / "artifacts" / kind).glob("*"):
            files = {path.name: path for path in folder.iterdir()}
            data = files.pop("record.json").read_bytes()
            record = Record.decode(data)
            digests = {n: [p.stat().st_size, digest_file(p)] for n, p in files.items()}
            if record is not None and digests == record.payload:
                identity = (record.key, record.output, record.payload)
                made[f"{kind}/{folder.name}"] = identity
    return made


def made_lines(out: str) -> list[str]:
    """The lines of a run's output that say that a stage was made."""
    return [line for line in out.splitlines() if "  made in " in line]


def doit_here(root: Path, *args: str) -> Ran:
    """`doit ARGS` in this process: ten times as fast as in one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(root),
        as_a_new_process(),
        mock.patch.dict(os.environ, client.environ_of_forks() if forks.used else {}),
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.dict(cmd_run.opt_outfile, default=out),
        # so that digests are remembered here, where nothing is ever two seconds old
        mock.patch("motools_build.keys.RACY_NS", TIMESTAMPS_NS),
    ):
        code = run(args)
    return Ran(int(code or 0), out.getvalue(), err.getvalue())


@contextmanager
def as_a_new_process() -> Iterator[None]:
    """No module of a project is loaded, before or after."""
    with (
        mock.patch.object(sys, "path", [*sys.path, str(client.REGISTERED)]),
        mock.patch.object(sys, "dont_write_bytecode", False),
    ):
        try:
            yield
        finally:
            for name in [*sys.modules]:
                if name == "dodo" or name.split(".")[0] == "zoo":
                    del sys.modules[name]
            gc.unfreeze()  # the loader froze what a process of its own would end with


def test_any_history_ends_as_a_build_from_scratch(project: Project) -> None:
    empty = project.root / "empty"
    empty.mkdir()
    for path in [*project.root.iterdir()]:
        if path != empty:
            path.rename(empty / path.name)
    known: dict[object, Made] = {}
    run_state_machine_as_test(lambda: History(empty, known), settings=SEARCH)
