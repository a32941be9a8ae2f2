"""What a project's own files name: one line of pyproject.toml, and `motools`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motools_build.doit_host.main import COMMANDS
from tests.conftest import ROOT, Project, Ran

BEFORE = """\
[tool.doit]
loader = "motools"

[tool.doit.plugins.loader]
motools = "motools_build.doit_host.loader:Loader"

[tool.doit.plugins.backend]
motools = "motools_build.doit_host.dependencies:StoreBackend"

[tool.doit.plugins.reporter]
motools = "motools_build.doit_host.reporter:Reporter"

[tool.doit.plugins.command]
run = "motools_build.doit_host.commands:Run"
clean = "motools_build.doit_host.commands:Clean"
forget = "motools_build.doit_host.commands:Forget"
ignore = "motools_build.doit_host.commands:Ignore"
results = "motools_build.doit_host.queries:Results"
plan = "motools_build.doit_host.queries:Plan"
why = "motools_build.doit_host.queries:Why"
status = "motools_build.doit_host.queries:Status"
samples = "motools_build.doit_host.samples:Samples"
datasets = "motools_build.doit_host.datasets:Datasets"
gc = "motools_build.doit_host.upkeep:Gc"
verify = "motools_build.doit_host.upkeep:Verify"
jobs = "motools_build.doit_host.paying:Jobs"
cancel = "motools_build.doit_host.paying:Cancel"
retry = "motools_build.doit_host.paying:Retry"
adopt = "motools_build.doit_host.paying:Adopt"
spent = "motools_build.doit_host.spent:Spent"
"""
"""The section that `doit new` wrote before there was `motools_build.doit`."""

DODO_BEFORE = """\
from motools_build.doit_host import zoo_tasks


def task_zoo():
    return zoo_tasks()
"""

HELLO = """
import sys, types
from motools_build.doit_host import main
from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import current


class Hello(Query):
    name = "hello"
    doc_purpose = "say how many settings there are"
    cmd_options = ()

    def _execute(self) -> int:
        self._say(f"hello {len(current().project.zoo.names)}")
        return 0


folder = types.ModuleType("motools_build.doit_host.hello")
folder.Hello = Hello
sys.modules[folder.__name__] = folder
main.COMMANDS["hello"] = "hello:Hello"

from doit.__main__ import main
main()
"""
"""A command's module and its line of registration, then `doit WORDS`."""


def motools(folder: Path, *words: str) -> Ran:
    """`motools WORDS` in that folder."""
    code = "import sys; from motools_build.doit import main; sys.exit(main())"
    return script(folder, code, *words)


def script(folder: Path, code: str, *words: str) -> Ran:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


class TestTheSection:
    def test_a_project_from_before_goes_on(self, tiny: Project) -> None:
        tiny.write("pyproject.toml", BEFORE)
        tiny.write("dodo.py", DODO_BEFORE)
        assert len(tiny.doit("run", "tiny").made) == 4
        assert tiny.doit("clean", "-n", "tiny").out.count("would remove") == 4
        for command in ("results", "plan", "status", "list"):
            tiny.doit(command, "tiny")
        for command in ("datasets", "gc", "verify", "jobs", "spent"):
            tiny.doit(command)

    def test_it_names_one_module(self) -> None:
        text = (ROOT / "pyproject.toml").read_text()
        lines = text[text.index("[tool.doit]") :].splitlines()
        assert [line for line in lines if "motools_build." in line] == [
            'motools = "motools_build.doit:loader"'
        ]

    def test_each_command_is_there(self, project: Project) -> None:
        lines = project.doit("help").out.splitlines()
        assert {*COMMANDS} <= {
            words[1] for line in lines if (words := line.split())[1:]
        }

    @pytest.mark.parametrize("section", ["now", "before"])
    def test_a_command_is_one_line_more(self, tiny: Project, section: str) -> None:
        if section == "before":
            tiny.write("pyproject.toml", BEFORE)
        ran = script(tiny.root, HELLO, "hello")
        assert (ran.code, ran.out) == (0, "hello 1\n")
        assert "say how many settings there are" in script(tiny.root, HELLO, "help").out

    def test_a_command_of_the_users_own_stays(self, tiny: Project) -> None:
        section = (tiny.root / "pyproject.toml").read_text()
        mine = '[tool.doit.plugins.command]\nmine = "mine:Mine"\nresults = "mine:Mine"'
        tiny.write("pyproject.toml", f"{section}\n{mine}\n")
        tiny.write(
            "mine.py",
            "from doit.cmd_base import Command\n\n\n"
            "class Mine(Command):\n"
            "    def execute(self, opt_values, pos_args):\n"
            "        print('mine', pos_args)\n",
        )
        environ = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tiny.root}"}
        assert tiny.doit("mine", "a", **environ).out == "mine ['a']\n"
        assert tiny.doit("results", **environ).out == "mine []\n"


class TestMotools:
    def test_in_a_project_it_is_doit(self, tiny: Project) -> None:
        ran = motools(tiny.root, "run", "tiny")
        assert (ran.code, len(ran.made)) == (0, 4)
        words = ("results", "tiny", "--json")
        assert motools(tiny.root, *words).out == tiny.doit(*words).out
        assert motools(tiny.root, "status", "tiny", "seeds=5").code == 1

    def test_in_an_empty_folder_it_says_what_to_do(self, tmp_path: Path) -> None:
        ran = motools(tmp_path, "run")
        assert (ran.code, ran.out) == (3, "")
        assert f"there is no project in {tmp_path}; begin one" in ran.err
        assert "`motools new NAME`" in ran.err
        assert "make what is stale" in motools(tmp_path, "--help").out
        assert motools(tmp_path, "new", "demo").code == 0
        assert "demo" in motools(tmp_path, "list").out

    def test_below_a_project_it_says_where_to_go(self, tiny: Project) -> None:
        ran = motools(tiny.root / "zoo", "run")
        said = f"{tiny.root / 'zoo'} is part of the project in {tiny.root}: go there"
        assert (ran.code, said in ran.err) == (3, True)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (b"[tool.doit]\nx = 1\n# caf\xe9\n", ":3: byte 0xe9 is not UTF-8"),
            (b"[tool.doit]\nloader = \n", ":2: Invalid value (at line 2"),
            (b'[tool.doit]\nx = """\n', ":3: "),
        ],
    )
    def test_a_broken_pyproject_is_one_sentence(
        self, tmp_path: Path, text: bytes, said: str
    ) -> None:
        (tmp_path / "pyproject.toml").write_bytes(text)
        for words in (["run"], ["new", "demo"]):
            ran = motools(tmp_path, *words)
            assert (ran.code, ran.out) == (3, "")
            assert ran.err.startswith(f"ERROR: pyproject.toml{said}")
            assert ran.err.count("\n") == 1
