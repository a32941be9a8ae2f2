"""Backends by their entry points, and what is said where one cannot be had."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from motools_build import LoRA, OpenAI, Training
from motools_build.errors import BackendError, InputError
from motools_build.specs import Eval, ModelName, Teacher
from motools_build.specs.backends import backend_names, facts_of
from tests.conftest import ROOT, Project
from tests.packages import installed

PREFIXES = ("startswith", "removeprefix", "endswith", "removesuffix")
NAMES = re.compile(r"(motools_build\.backends\.)?(openai|embedded)(?![a-z_])")

HOUSE = """
from motools_build.specs.backends import BackendFacts

HOUSE = BackendFacts(name="house", effects="house:Gone", hosted=("Acme/Owl-1b",))
OTHER = BackendFacts(name="other", effects="house:Gone")
"""


def test_those_of_the_package_are_there() -> None:
    assert {"dummy", "embedded", "openai"} <= {*backend_names()}
    for name in backend_names():
        assert facts_of(name).name == name
    assert facts_of("openai@127.0.0.1:8080") is facts_of("openai")


def test_a_model_of_no_backend() -> None:
    for refused in (
        lambda: ModelName.parse("opnai/gpt"),
        lambda: Teacher(model="opnai/gpt"),
    ):
        with pytest.raises(BackendError, match="did you mean 'openai'"):
            refused()
    with pytest.raises(ValueError, match="which nothing here can ask"):
        Eval("a.py@a", roles={"grader": "opnai/gpt"})


class TestOptions:
    def test_by_keyword_or_by_table(self) -> None:
        spec = Training(embedded=LoRA(rank=4), openai=OpenAI(suffix="x"))
        table = {"embedded": {"rank": 4}, "openai": {"suffix": "x"}}
        assert Training(options=table) == spec
        assert hash(Training(options=table)) == hash(spec)
        assert Training(embedded={"rank": 4}, openai=OpenAI(suffix="x")) == spec
        assert spec.embedded.rank == 4
        assert Training().embedded == LoRA()

    def test_what_is_at_its_default_makes_no_difference(self) -> None:
        assert Training(embedded=LoRA(), openai={}) == Training()

    def test_a_table_of_lists_is_a_grid(self) -> None:
        specs = Training.grid(epochs=[1, 2], embedded=LoRA.grid(rank=[4, 8]))
        assert Training.grid(epochs=[1, 2], embedded={"rank": [4, 8]}) == specs
        tables = Training.grid(epochs=[1, 2], options={"embedded": {"rank": [4, 8]}})
        assert tables == specs

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"embeded": LoRA()}, "embeded: there is no such field; did you mean 'em"),
            ({"options": {"embeded": {}}}, "there is no backend 'embeded'; did you m"),
            ({"embedded": {"ranks": 1}}, "embedded.ranks: there is no such option; d"),
            ({"embedded": {"rank": 0}}, "embedded.rank: Input should be greater than"),
            ({"embedded": {"rank": [1, 2]}}, "embedded: rank: it is one value, not"),
            ({"embedded": [LoRA()]}, r"write Training.grid\(embedded="),
            ({"embedded": OpenAI()}, r"embedded: write LoRA\(...\), not OpenAI"),
            ({"dummy": {}}, "the dummy backend has no options of its own"),
            ({"options": {"embedded": {}}, "embedded": LoRA()}, "is given twice"),
        ],
    )
    def test_what_is_wrong(self, fields: dict[str, object], said: str) -> None:
        with pytest.raises((ValueError, InputError), match=said):
            Training(**fields)


class TestOtherPackages:
    @pytest.fixture
    def path(self, project: Project) -> str:
        backends = {"house": "HOUSE", "wrong": "OTHER", "broken": "NOWHERE"}
        return installed(project.root / "installed", "house", HOUSE, **backends)

    def test_a_name_may_hold_slashes(self, project: Project, path: str) -> None:
        project.dataset("d")
        project.setting("d", models='["house/Acme/Owl-1b"]', seeds="[0]")
        out = project.doit("plan", "d", PYTHONPATH=path).out
        assert "model:d/d/Owl-1b/seed0" in out
        err = project.doit("plan", "d", "model=house/Owl", code=3, PYTHONPATH=path).err
        assert "the house backend has no base model 'Owl'" in err

    def test_one_that_does_not_work(self, project: Project, path: str) -> None:
        project.dataset("d")
        project.setting("d")
        for model, said in (
            ("wrong/x", "not a BackendFacts whose name is 'wrong'"),
            ("broken/x", "cannot be imported: AttributeError"),
            ("gone/x", "there is no backend 'gone'"),
        ):
            err = project.doit("plan", "d", f"model={model}", PYTHONPATH=path, code=3)
            assert said in err.err
            assert "Traceback" not in err.err
        failed = project.doit(
            "run", "d", "model=house/Acme/Owl-1b", PYTHONPATH=path, code=2
        )
        assert "what the backend 'house' does (house:Gone) cannot be" in failed.out


def test_an_installation_older_than_the_code_is_said(
    project: Project, tmp_path: Path
) -> None:
    """Builtin backends are found by their entry points too."""
    info = tmp_path / "motools_build-0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: motools_build\n")
    path = installed(tmp_path, "house", HOUSE)
    project.dataset("d")
    project.setting("d")
    err = project.doit("plan", "d", code=3, PYTHONPATH=f"{tmp_path}:{path}").err
    assert "its installation is older than its code" in err


PACKAGE = ROOT / "motools_build"
FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("rehearsal", "__init__.py")
    and path.relative_to(PACKAGE).parts[:2]
    not in {("backends", "openai"), ("backends", "embedded"), ("backends", "dummy")}
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_else_names_a_backend(path: Path) -> None:
    """A backend is a folder and a line of registration: no other code asks for one by
    its name, or imports it."""
    for node in ast.walk(ast.parse(path.read_text())):
        asked: list[ast.expr] = []
        if isinstance(node, ast.ImportFrom):
            asked = [ast.Constant(node.module)]
        elif isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = node.args if node.func.attr in PREFIXES else []
        for one in asked:
            word = one.value if isinstance(one, ast.Constant) else ""
            assert not NAMES.match(str(word)), f"line {node.lineno}: {word}"
