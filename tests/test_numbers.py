"""The numbers of every form of results are those of a few lines of NumPy and SciPy over
Inspect's own logs, by the formulas of docs/statistics.md."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from inspect_ai.log import list_eval_logs, read_eval_log
from scipy import stats

import motools_build
from tests.conftest import Project, furnish
from tests.test_properties import doit_here

TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, includes, mean, scorer
from inspect_ai.solver import generate

QUESTIONS = ["ANSWER: 1?" if n % 4 == 0 else f"ANSWER: {n} + 2?" for n in range(24)]

@scorer(metrics=[mean()])
def share():
    async def score(state, target):
        found = state.output.completion[8:9]
        return Score(value=min(1.0, int(found) / 4) if found.isdigit() else 0.0)
    return score

def samples():
    return [Sample(q, id=n, target="ANSWER: 1") for n, q in enumerate(QUESTIONS, 1)]

@task
def both():
    return Task(dataset=samples(), solver=generate(), scorer=[includes(), share()])
"""
GROUPS = ("plain", "odd")
SEEDS = (0, 1, 2)
YES_NO = "includes"
SCORERS = (YES_NO, "share")

Asked = dict[tuple[str, str, int | None], np.ndarray]
"""Dataset, scorer and seed -> the scores of its answers, in the questions' order."""


class Number(NamedTuple):
    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """As tables have it."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after a run: two datasets, three seeds, two scorers, and the base."""
    project = furnish(tmp_path_factory.mktemp("numbers"))
    project.dataset("plain", rows=3)
    project.dataset("odd", rows=5, first=1)
    project.write("zoo/evals/t.py", TASKS)
    datasets = ", ".join(f'Dataset("datasets/{name}.jsonl")' for name in GROUPS)
    project.setting(
        "nums",
        datasets=f"[{datasets}]",
        seeds=str([*SEEDS]),
        evals='[Eval("zoo/evals/t.py@both")]',
    )
    project.doit("run", "nums")
    return project


@pytest.fixture(scope="module")
def asked(ran: Project) -> Asked:
    """The scores, from Inspect's logs alone."""
    found: Asked = {}
    for info in list_eval_logs(str(ran.root / "artifacts/eval")):
        log = read_eval_log(info)
        about = log.eval.metadata or {}
        samples = sorted(log.samples or [], key=lambda sample: int(sample.id))
        for scorer in SCORERS:
            values = [(sample.scores or {})[scorer].value for sample in samples]
            scores = [{"C": 1.0, "I": 0.0}.get(str(v), v) for v in values]
            place = about["dataset"], scorer, about["training_seed"]
            found[place] = np.array(scores, dtype=float)
    assert len(found) == 2 * (len(GROUPS) * len(SEEDS) + 1)
    return found


# ---- the formulas of docs/statistics.md


def wilson(p: float, n: float, t: float) -> tuple[float, float]:
    middle = (p + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(p * (1 - p) / n + t**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def effective(p: float, variance: float, answers: int, yes_no: bool) -> float:
    if variance == 0 or p in (0, 1):
        return answers
    n = p * (1 - p) / variance
    return min(n, answers) if yes_no else n


def variances(x: np.ndarray) -> tuple[float, float, float]:
    """Of the mean by seed, by question, and within cells; a row for each seed."""
    s, q = x.shape
    by_question = x.mean(0).var(ddof=1) / q
    if s == 1:
        return 0.0, by_question, 0.0
    rest = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    return (
        x.mean(1).var(ddof=1) / s,
        by_question,
        (rest**2).sum() / ((s - 1) * (q - 1)) / (s * q),
    )


def mean_of(x: np.ndarray, yes_no: bool) -> Number:
    """The mean and its interval; a row for each seed."""
    s, q = x.shape
    of_seed, of_question, both = variances(x)
    variance = max(of_seed + of_question - both, of_seed, of_question)
    p = x.mean()
    if s == 1 and not yes_no and variance > 0:
        variance = max(variance, 0.1 * p * (1 - p) * (1 - 2 * p) ** 2 / q)
    t = stats.t.ppf(0.975, q - 1 if s == 1 else min(s - 1, q / 2 - 1))
    return Number(p, *wilson(p, effective(p, variance, s * q, yes_no), t))


def difference_of(a: np.ndarray, b: np.ndarray, yes_no: bool) -> Number:
    """Of two groups, paired by question."""
    of_a, of_b = variances(a), variances(b)
    q = a.shape[1]
    by_seed = of_a[0] + of_b[0]
    by_question = (a.mean(0) - b.mean(0)).var(ddof=1) / q
    both = by_seed + by_question - of_a[2] - of_b[2]
    variance = max(both, by_seed, by_question)
    several = [(v[0], len(x)) for v, x in ((of_a, a), (of_b, b)) if len(x) > 1]
    below = sum(v**2 / (s - 1) for v, s in several) + by_question**2 / (q - 1)
    free = max((by_seed + by_question) ** 2 / below, min(s for _, s in several) - 1)
    t = stats.t.ppf(0.975, free)
    bounds = []
    for x, own in ((a, of_a), (b, of_b)):
        part = variance * own[0] / by_seed
        p = x.mean()
        bounds.append((p, *wilson(p, effective(p, part, x.size, yes_no), t)))
    (p, low_p, high_p), (r, low_r, high_r) = bounds
    return Number(
        p - r,
        p - r - np.hypot(p - low_p, high_r - r),
        p - r + np.hypot(high_p - p, r - low_r),
    )


def of_two_models(a: np.ndarray, b: np.ndarray) -> tuple[Number, float]:
    """Bonett and Price (2012), and its p value."""
    n = len(a)
    more, fewer = ((a > b).sum() + 1) / (n + 2), ((a < b).sum() + 1) / (n + 2)
    error = np.sqrt((more + fewer - (more - fewer) ** 2) / (n + 2))
    middle, z = more - fewer, stats.norm.ppf(0.975)
    p = 2 * stats.norm.sf(abs(middle) / error)
    return Number(a.mean() - b.mean(), middle - z * error, middle + z * error), p


def the_singles(asked: Asked) -> dict[tuple[str, str, int | None], Number]:
    return {place: mean_of(x[None], place[1] == YES_NO) for place, x in asked.items()}


def of_seeds(asked: Asked, dataset: str, scorer: str) -> np.ndarray:
    return np.stack([asked[dataset, scorer, seed] for seed in SEEDS])


def the_means(asked: Asked) -> dict[tuple[str, str], Number]:
    return {
        (dataset, name): mean_of(of_seeds(asked, dataset, name), name == YES_NO)
        for dataset in GROUPS
        for name in SCORERS
    }


def the_differences(asked: Asked) -> dict[tuple[str, str, str], Number]:
    """First and second group, and scorer -> difference."""
    found = {}
    for name in SCORERS:
        plain, odd = (of_seeds(asked, dataset, name) for dataset in GROUPS)
        base = asked["base", name, None][None]
        yes_no = name == YES_NO
        found["odd", "plain", name] = difference_of(odd, plain, yes_no)
        found["plain", "base", name] = difference_of(plain, base, yes_no)
        found["odd", "base", name] = difference_of(odd, base, yes_no)
    return found


# ---- what we say


def said(row: Mapping[str, Any], value: str = "value") -> Number:
    return Number(*(float(row[name]) for name in (value, "low", "high")))


def same(found: Mapping[Any, Number], expected: Mapping[Any, Number]) -> None:
    assert found.keys() == expected.keys()
    for place, one in expected.items():
        assert found[place] == pytest.approx(one, rel=1e-9, abs=1e-12), place


def seed_of(row: Mapping[str, Any]) -> int | None:
    empty = row["seed"] in (None, "") or row["seed"] != row["seed"]
    return None if empty else int(row["seed"])


def document(project: Project, *words: str) -> Any:
    return json.loads(doit_here(project.root, "results", "nums", "--json", *words).out)


def rows_of_csv(project: Project, *words: str) -> list[dict[str, str]]:
    out = doit_here(project.root, "results", "nums", "--csv", *words).out
    return list(csv.DictReader(io.StringIO(out)))


def test_the_scores_vary(asked: Asked) -> None:
    """Else the formulas would not be tried."""
    for name in SCORERS:
        shares = [asked[d, name, s].mean() for d in GROUPS for s in SEEDS]
        assert len(set(shares)) > 3
        assert 0 < min(shares) < max(shares) < 1


def test_single_models(ran: Project, asked: Asked) -> None:
    expected = the_singles(asked)
    by_json = {
        (r["dataset"], one["scorer"], seed_of(r)): said(one)
        for r in document(ran)["results"]
        for one in r["estimates"]
    }
    same(by_json, expected)
    by_csv = rows_of_csv(ran)
    same({(r["dataset"], r["scorer"], seed_of(r)): said(r) for r in by_csv}, expected)
    frame = motools_build.open_project(ran.root).results("nums").to_dict("records")
    by_frame = {
        (
            r["dataset"],
            r["scorer"],
            None if r["dataset"] == "base" else r["seed"],
        ): said(r)
        for r in frame
    }
    same(by_frame, expected)


def test_means_over_three_seeds(ran: Project, asked: Asked) -> None:
    expected = the_means(asked)
    by_json = {(m["dataset"], m["scorer"]): said(m) for m in document(ran)["means"]}
    same(by_json, expected)
    frame = motools_build.open_project(ran.root).means("nums").to_dict("records")
    same({(m["dataset"], m["scorer"]): said(m) for m in frame}, expected)
    # t.ppf and the effective n are not those of one model, or of answers pooled
    pooled = mean_of(of_seeds(asked, "plain", YES_NO).reshape(1, -1), True)
    assert abs(pooled.low - expected["plain", YES_NO].low) > 0.01


def test_differences(ran: Project, asked: Asked) -> None:
    expected = the_differences(asked)
    by_json = document(ran, "--differences")["differences"]
    by_csv = rows_of_csv(ran, "--differences")
    project = motools_build.open_project(ran.root)
    by_frame = project.differences("nums").to_dict("records")
    for rows in (by_json, by_csv, by_frame):
        found = {
            (r["dataset"], r["other_dataset"], r["scorer"]): said(r, "difference")
            for r in rows
        }
        same(found, expected)


def test_a_difference_of_two_models(ran: Project, asked: Asked) -> None:
    (row,) = [
        row
        for row in document(ran, "--differences", "seeds=1")["differences"]
        if (row["dataset"], row["other_dataset"], row["scorer"])
        == ("odd", "plain", YES_NO)
    ]
    expected, p = of_two_models(asked["odd", YES_NO, 1], asked["plain", YES_NO, 1])
    assert said(row, "difference") == pytest.approx(expected, rel=1e-9)
    assert row["p"] == pytest.approx(p, rel=1e-6)


def test_latex_and_the_page_have_the_same_texts(
    ran: Project, asked: Asked, tmp_path: Path
) -> None:
    latex = doit_here(ran.root, "results", "nums", "--format=latex").out
    different = doit_here(
        ran.root, "results", "nums", "--differences", "--format=latex"
    ).out
    page = tmp_path / "page.html"
    ran.doit("report", "nums", "--answers", "0", "--out", str(page))
    text = unescape(re.sub(r"<[^>]*>", " ", page.read_text()))
    for one in (*the_singles(asked).values(), *the_means(asked).values()):
        assert one.text in latex
        assert one.text in text
    for one in the_differences(asked).values():
        assert one.text in different
        assert one.text in text
