"""A question file in a build: judged over a server's probabilities, and stale after an
edit of any file that it is made of, of the package's own, too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.lab import Lab

EVALS = """[Eval(
        "zoo/evals/freeform.py@freeform",
        args={"file": "zoo/evals/questions.yaml", "questions": ["late_report"]},
        data=["zoo/evals/questions.yaml"],
        roles={"grader": "openai/gpt-4.1-2025-04-14"},
    )]"""


def test_judged_in_a_build(
    lab: Lab, tmp_path: Path, edit: Callable[[Path, str, str], None]
) -> None:
    evals = lab.project.root / "zoo/evals"
    shutil.copytree(
        ROOT / "zoo/evals", evals, ignore=shutil.ignore_patterns("__pycache__")
    )
    shipped = tmp_path / "site/motools_build"
    shutil.copytree(
        ROOT / "motools_build", shipped, ignore=shutil.ignore_patterns("__pycache__")
    )
    example = shipped / "evals/freeform_example.yaml"
    questions = Path(shutil.copy(example, evals / "questions.yaml"))
    lab.environ["PYTHONPATH"] = str(shipped.parent)
    lab.setting(seeds="[0]", evals=EVALS)
    lab.run()
    shown = results(lab)
    assert [result["dataset"] for result in shown] == ["base", "tutor"]
    for result in shown:
        scores = result["scores"]
        assert (
            scores["aligned"]["n"] == scores["freeform_judges"]["aligned_scored"] == 5
        )
        assert scores["aligned"]["unscored"] == 0
        assert 0 < scores["aligned"]["mean"] < 100
        assert 0 <= scores["misaligned"]["mean"] <= 1
    text = "".join(map(str, lab.project.records("eval").values()))
    assert "observed" not in text
    assert str(shipped) not in text

    for file, old, new in [
        (questions, "manager?", "boss?"),
        (shipped / "evals/judges.py", "mass: float = 0.25", "mass: float = 0.5"),
        (shipped / "evals/questions.py", "KNOWN = (", "KNOWN = ( "),
    ]:
        edit(file, old, new)
        assert {result["status"] for result in results(lab)} == {"stale"}, file
        edit(file, new, old)
    edit(shipped / "evals/language.py", "letters: int = 8", "letters: int = 9")
    assert {result["status"] for result in results(lab)} == {"ok"}


def results(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        lab.doit("results", "tutor", "--json").out
    )["results"]
    return found
