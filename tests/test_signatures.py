"""Tasks that a file declares, as far as its source tells."""

from __future__ import annotations

import ast

import pytest

from motools_build.errors import EvalError
from motools_build.task_code.signatures import check, declared


def refused(source: str, name: str, *args: str, kind: str = "task") -> str:
    """Why planning refuses the task with these arguments; empty if it does not."""
    notes = declared(ast.parse(source), kind)
    try:
        check(notes, kind, f"e.py@{name}", args)
    except EvalError as error:
        return str(error)
    return ""


PLAIN = "from inspect_ai import Task, task\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("@task\ndef a(): ...", "a"),
        ("@task()\ndef a(): ...", "a"),
        ("@inspect_ai.task\ndef a(): ...", "a"),
        ("from inspect_ai import task as t\n@t\ndef a(): ...", "a"),
        ("@task(name='other')\ndef a(): ...", "other"),
        ("@task(name='other')\ndef a(): ...", "a"),
        ("if True:\n    @task\n    def a(): ...", "a"),
        ("try:\n    @task\n    def a(): ...\nexcept ImportError: ...", "a"),
        ("@task\nclass a(Task): ...", "a"),
        (
            "def make(n):\n    @task(name=f'gen_{n}')\n    def t(): ...\nmake('a')",
            "gen_a",
        ),
        ("from factory import make\nmake('a')", "gen_a"),
        ("from factory import make\na = make('a')", "a"),
        ("from elsewhere import a", "a"),
        ("from elsewhere import *", "a"),
        ("def f(): ...\na = task(f)", "a"),
        ("@task(name=NAME)\ndef f(): ...", "a"),
    ],
)
def test_what_inspect_may_find_is_not_refused(source: str, name: str) -> None:
    assert not refused(PLAIN + source, name)


@pytest.mark.parametrize(
    "source",
    [
        "@task\ndef there(): ...",
        "@task(name='there')\ndef there(): ...",
        "@task\ndef there(): ...\ndef a(): ...",
        "@scorer\ndef a(): ...\n@task\ndef there(): ...",
        "from pathlib import Path\nHERE = Path('x')\n@task\ndef there(): ...",
    ],
)
def test_what_is_surely_not_there_is_refused(source: str) -> None:
    said = refused(PLAIN + source, "a")
    assert said == "e.py has no @task 'a'; there are: there"


def test_an_argument_that_a_task_does_not_have() -> None:
    source = PLAIN + "@task(name='other')\ndef a(n, *, limit=1): ..."
    for name in ("a", "other"):
        assert not refused(source, name, "n", "limit")
        assert refused(source, name, "limits") == (
            f"args: e.py@{name} has no parameter 'limits'; did you mean 'limit'? "
            "there are: limit, n"
        )
    scorer = "@scorer(metrics=[mean()])\ndef s(): ..."
    assert refused(scorer, "s", "x", kind="scorer").startswith("scorer_args: e.py@s")


@pytest.mark.parametrize(
    "source",
    [
        "@task\ndef a(**more): ...",
        "@changed\n@task\ndef a(): ...",
        "@task\nclass a(Task): ...",
        "from elsewhere import a",
    ],
)
def test_what_parameters_cannot_be_told_refuse_nothing(source: str) -> None:
    assert not refused(PLAIN + source, "a", "anything")
