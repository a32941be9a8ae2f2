"""A user's own doit tasks in the same dodo.py behave as doit's always do."""

from __future__ import annotations

from tests.conftest import Project

DODO = '''
from doit import create_after
from doit.tools import run_once

def task_notes():
    """A command, a file in and a file out."""
    return {
        "actions": ["cat notes.txt > copy.txt"],
        "file_dep": ["notes.txt"],
        "targets": ["copy.txt"],
        "clean": True,
    }

def task_value():
    def compute():
        return {"n": 3}
    return {"actions": [compute], "uptodate": [run_once]}

def task_uses_value():
    def use(n):
        print("value", n)
    return {"actions": [use], "getargs": {"n": ("value", "n")}}

def task_after_the_setting():
    """Depends on a whole setting."""
    return {"actions": ["echo after"], "task_dep": ["tiny"]}

def task_figure():
    """Depends on one stage, and has a setup and a teardown."""
    return {
        "actions": ["echo plotted"],
        "task_dep": ["eval:tiny/tiny/echo/seed0/score"],
        "setup": ["notes"],
        "teardown": ["echo torn"],
    }

def task_fails():
    return {"actions": ["false"]}

@create_after(executed="notes")
def task_later():
    yield {"name": "one", "actions": ["echo later"]}

def task_calculated():
    def deps():
        return {"file_dep": ["notes.txt"]}
    yield {"basename": "deps", "actions": [deps]}
    yield {"basename": "calculated", "actions": ["echo calculated"],
           "calc_dep": ["deps"]}
'''


COPIES = '''

def task_backup():
    """Copies artifacts/, in the process of a run that makes stages meanwhile."""
    def copy():
        import shutil, subprocess, sys
        from pathlib import Path
        from motools_build.store.locks import Locks
        locks = Locks(Path("artifacts/lock"))
        runs = [path.stem for path in Path("artifacts/live").glob("*.json")]
        work = shutil.ignore_patterns("work")  # what comes and goes meanwhile
        shutil.copytree("artifacts", "backup", ignore=work)
        code = "import sys; from pathlib import Path; " \\
            "from motools_build.store.locks import Locks; " \\
            "print(Locks(Path('artifacts/lock')).taken(sys.argv[1]))"
        for run in runs:
            command = [sys.executable, "-c", code, run]
            print("still locked", subprocess.check_output(command, text=True))
    return {"actions": [copy], "task_dep": ["model:tiny/tiny/echo/seed0"]}
'''


def with_tasks(tiny: Project) -> Project:
    dodo = tiny.root / "dodo.py"
    dodo.write_text(dodo.read_text() + DODO)
    tiny.write("notes.txt", "one\n")
    return tiny


def test_files_in_and_out(tiny: Project) -> None:
    project = with_tasks(tiny)
    assert project.doit("run", "notes").made == {"notes"}
    assert (project.root / "copy.txt").read_text() == "one\n"
    assert project.doit("run", "notes").made == set()
    project.write("notes.txt", "two\n")
    assert project.doit("run", "notes").made == {"notes"}
    (project.root / "copy.txt").unlink()
    assert project.doit("run", "notes").made == {"notes"}
    project.doit("clean", "notes")
    assert not (project.root / "copy.txt").exists()
    project.doit("run", "notes")
    project.doit("forget", "notes")
    assert project.doit("run", "notes").made == {"notes"}


def test_values_and_calculated_dependencies(tiny: Project) -> None:
    project = with_tasks(tiny)
    ran = project.doit("run", "-v2", "uses_value").out
    assert "value 3" in ran
    assert ran.splitlines()[-1] == "2 ran"  # `value`, and then it
    assert "calculated" in project.doit("run", "-v2", "calculated").out
    assert "later" in project.doit("run", "-v2", "later").out


def test_tasks_that_need_stages(tiny: Project) -> None:
    project = with_tasks(tiny)
    out = project.doit("run", "-v2", "figure").out
    assert "model:tiny/tiny/echo/seed0  made" in out
    assert out.index("made in") < out.index("plotted") < out.index("torn")
    out = project.doit("run", "-v2", "after_the_setting").out
    assert "eval:tiny/base/echo/score  made" in out
    assert "after" in out


def test_a_task_that_copies_artifacts_drops_no_lock(tiny: Project) -> None:
    dodo = tiny.root / "dodo.py"
    dodo.write_text(dodo.read_text() + COPIES)
    out = tiny.doit("run", "-v2", "backup", "tiny").out
    assert "still locked True" in out
    assert "still locked False" not in out
    assert (tiny.root / "backup/lock").exists()


def test_a_failure_is_doits_own(tiny: Project) -> None:
    project = with_tasks(tiny)
    ran = project.doit("run", "fails", code=1)
    assert "TaskFailed - taskid:fails" in ran.out


def test_they_do_not_disturb_settings(tiny: Project) -> None:
    project = with_tasks(tiny)
    project.doit("run", "tiny")
    assert project.doit("run", "tiny").made == set()
    listed = project.doit("list").out
    assert "notes" in listed
    assert "tiny" in listed
    assert "zoo" not in listed


def test_a_variable_of_ones_own(tiny: Project) -> None:
    project = with_tasks(tiny)
    assert "unknown variable n=3" in project.doit("run", "notes", "n=3", code=3).err
    config = project.root / "pyproject.toml"
    text = config.read_text()
    config.write_text(text + '\n[tool.motools_build]\nvariables = ["n"]\n')
    project.doit("run", "notes", "n=3")


def test_a_dodo_that_would_break_stages_is_refused(tiny: Project) -> None:
    dodo = tiny.root / "dodo.py"
    dodo.write_text(dodo.read_text() + 'DOIT_CONFIG = {"backend": "json"}\n')
    assert "DOIT_CONFIG sets backend" in tiny.doit("list", code=3).err
