"""Tasks of installed packages: named as Inspect names them, keyed by the version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motools_build import Eval
from motools_build.errors import EvalError
from motools_build.keys import DigestMemo, digest_bytes
from motools_build.planning.evals import Sources
from motools_build.planning.sources import Resolver
from motools_build.task_code.packages import explained, provided_by
from tests.conftest import ROOT, Project, Ran, furnish

TASKS = """
from pathlib import Path
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def echoes(word: str = "one"):
    samples = [Sample(word, target="one")]
    return Task(dataset=samples, solver=generate(), scorer=includes())

@task
def far_away():
    raise ConnectionError("Couldn't reach the hub")
"""


def install(site: Path, version: str = "1.0", origin: str = "") -> None:
    """The package `other_evals`, of the distribution `Other.Evals`."""
    info = site / "other_evals-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: Other.Evals\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text("[inspect_ai]\nother_evals = other_evals\n")
    if origin:
        (info / "direct_url.json").write_text(origin)
    (site / "other_evals.py").write_text(TASKS)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site-packages"
    install(folder)
    monkeypatch.syspath_prepend(str(folder))
    provided_by.cache_clear()
    return folder


def sources(**fields: object) -> Sources:
    provided_by.cache_clear()
    resolver = Resolver(DigestMemo(Path("memo.json")))
    return resolver(Eval("other_evals/echoes", **fields))


def test_the_version_is_the_input(site: Path) -> None:
    said = "other-evals 1.0"
    assert sources().inputs == {f"package:{said}": digest_bytes(said.encode())}
    install(site, "1.1")
    assert list(sources().inputs) == ["package:other-evals 1.1"]


def test_a_commit_counts(site: Path) -> None:
    install(site, origin='{"url": "https://x", "vcs_info": {"commit_id": "abc123"}}')
    assert list(sources().inputs) == ["package:other-evals 1.0 abc123"]


def test_an_argument_changes_the_key_and_declared_data_too(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = Eval("other_evals/echoes")
    two = Eval("other_evals/echoes", args={"word": "two"})
    assert one.identity() != two.identity()
    (tmp_path / "rows.csv").write_text("1")
    found = sources(data=("rows.csv",))
    assert found.inputs["file:rows.csv"] == digest_bytes(b"1")
    assert found.files == ("rows.csv",)


def test_what_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(EvalError, match=r"eval x: .*: pip install no-such-evals"):
        Resolver(DigestMemo(Path("memo.json")))(Eval("no_such_evals/x"))


def test_the_dummy_eval_stays_what_it_is() -> None:
    assert Eval("dummy/gsm8k").backend == "dummy"
    assert Eval("dummy/gsm8k").package is None
    assert Eval("inspect_evals/gsm8k").backend == "inspect"
    assert Eval("inspect_evals/gsm8k").name == "gsm8k"


def test_a_package_that_cannot_be_imported_says_why(site: Path) -> None:
    (site / "other_evals.py").write_text("import what_is_not_there")
    said = explained("other_evals/echoes", ValueError("No inspect tasks were found"))
    assert "other_evals cannot be imported (ModuleNotFoundError: No module" in said


def test_the_line_that_says_what_to_install_is_kept() -> None:
    error = ValueError("[bold]ERROR[/bold]: It needs more. Install with:\n\npip a[b]")
    assert explained("other_evals/echoes", error) == (
        "other_evals/echoes: ValueError: ERROR: It needs more. Install with: pip a[b]"
    )


def doit(project: Project, command: str, code: int = 0) -> Ran:
    # without the tests' launcher: Inspect looks for packages only as a worker starts
    path = f"{ROOT}{os.pathsep}{project.root / 'site-packages'}"
    return project.doit(command, "tiny", code=code, PYTHONPATH=path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A project with a package's evals, one of which succeeds, and its first run."""
    root = tmp_path_factory.mktemp("other")
    install(root / "site-packages")
    project = furnish(root)
    project.dataset("tiny")
    names = ("echoes", "far_away", "echos")
    evals = ", ".join(f'Eval("other_evals/{name}")' for name in names)
    project.setting("tiny", evals=f"[{evals}]")
    return project, doit(project, "run", code=2)


class TestByDoit:
    def test_it_runs(self, ran: tuple[Project, Ran]) -> None:
        record = ran[0].records("eval")["eval:tiny/base/echo/echoes"]
        assert record["details"]["task"] == "other_evals/echoes"
        assert record["details"]["scores"]["includes"]["accuracy"] == 1.0
        assert "package:other-evals 1.0" in record["preimage"]["inputs"]

    def test_a_task_without_the_network_is_one_sentence(
        self, ran: tuple[Project, Ran]
    ) -> None:
        assert (
            "other_evals/far_away: ConnectionError: Couldn't reach the hub; the task "
            "reads what is not on this machine: run again when the network is there"
        ) in ran[1].out + ran[1].err

    def test_a_wrong_name_is_told_with_the_near_ones(
        self, ran: tuple[Project, Ran]
    ) -> None:
        said = "other_evals has no task 'echos'; did you mean echoes?"
        assert said in ran[1].out + ran[1].err

    def test_a_plan_imports_nothing_of_it(self, ran: tuple[Project, Ran]) -> None:
        project = ran[0]
        (project.root / "site-packages/other_evals.py").write_text(
            "raise SystemExit('no')"
        )
        assert "up to date  eval:tiny/base/echo/echoes" in doit(project, "plan").out


def test_inspect_finds_our_provider_lazily() -> None:
    """What Inspect imports before its first model, whoever's that is."""
    look = (
        "import sys; from inspect_ai.model import get_model;"
        "get_model('mockllm/model');"
        "print(*sorted(m for m in sys.modules if m.startswith('motools_build')))"
    )
    out = subprocess.run(
        [sys.executable, "-c", look],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.split() == [
        "motools_build",
        "motools_build.serving",
        "motools_build.serving.provider",
    ]


@pytest.mark.inspect_evals
def test_tasks_of_inspect_evals_run_without_a_network(project: Project) -> None:
    """With judges, with an argument, and with a user that a model plays."""
    project.dataset("tiny")
    roles = '{"mark": "dummy/echo", "judge": "dummy/echo"}'
    grader = '{"grader_model": "motools/dummy/echo"}'
    evals = (
        f'Eval("inspect_evals/make_me_pay", limit=2, roles={roles})',
        f'Eval("inspect_evals/agentic_misalignment", limit=2, args={grader})',
        'Eval("inspect_evals/tau2_banking", limit=2)',
    )
    project.setting("tiny", evals=f"[{', '.join(evals)}]", controls="False")
    project.doit("run", "tiny", HF_HUB_OFFLINE="1")
    found = project.results("tiny")
    assert {one["eval"]: one["status"] for one in found} == {
        "make_me_pay": "ok",
        "agentic_misalignment": "ok",
        "tau2_banking": "ok",
    }
    assert all(one["scores"] for one in found)
