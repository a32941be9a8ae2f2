"""Means over what is not named: what they are of, and how wide their intervals are."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from scipy import stats

import motools_build
from motools_build import Arm, Dataset, Eval, Setting
from motools_build.errors import InputError, SelectionError
from motools_build.planning.plan import plan
from motools_build.report.estimates import Estimates
from motools_build.report.intervals import UNBOUNDED, YES_NO, interval
from motools_build.report.means import means
from motools_build.report.pooled import PARTS, Pooled, named, pooled
from motools_build.report.results import Result
from motools_build.report.strata import stratified
from tests.conftest import Project, furnish
from tests.test_means import result
from tests.test_plan import resolve
from tests.test_properties import doit_here

D = {name: Dataset(f"datasets/{name}.jsonl") for name in ("a", "b", "c")}
QUESTIONS = 20

Rates = Mapping[str, Sequence[int | None]]
"""Dataset -> for each seed, questions of 20 that its model answers with yes."""

Found = Callable[[Rates], list[Result]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """The results of two arms, `x` of the datasets a and b, `y` of b and c."""
    folders = (tmp_path / str(number) for number in count())

    def make(rates: Rates) -> list[Result]:
        setting = Setting(
            description="",
            arms=[
                Arm("x", datasets=[D["a"], D["b"]]),
                Arm("y", datasets=[D["b"], D["c"]]),
            ],
            models=["dummy/echo"],
            seeds=list(range(len(next(iter(rates.values()))))),
            evals=[Eval("dummy/score")],
        )
        results = []
        for cell in plan("s", setting, resolve).cells:
            rate = 1 if cell.seed is None else rates[cell.dataset][cell.seed]
            values = None if rate is None else answers(rate, cell.seed or 0)
            results.append(result(cell, next(folders), values))
        return results

    return make


def answers(rate: int, seed: int) -> list[int]:
    """So many questions answered with yes: others for each seed."""
    return [int((n + 3 * seed) % QUESTIONS < rate) for n in range(QUESTIONS)]


RATES: Rates = {"a": [3, 6, 4], "b": [11, 14, 13], "c": [19, 17, 18]}


def by(found: list[Result], *names: str) -> dict[tuple[Any, ...], Pooled]:
    return {tuple(one.named.values()): one for one in pooled("s", found, names).means}


def by_hand(strata: Sequence[Sequence[Sequence[int]]]) -> tuple[float, float]:
    """The bounds for yes or no, by docs/statistics.md; all strata have several seeds
    and the same questions."""
    x = [np.array(of, dtype=float) for of in strata]
    k, q = len(x), x[0].shape[1]
    seeds = [of.mean(1).var(ddof=1) / len(of) / k**2 for of in x]
    questions = np.mean([of.mean(0) for of in x], axis=0).var(ddof=1) / q
    both = 0.0
    for of in x:
        rest = of - of.mean(1, keepdims=True) - of.mean(0) + of.mean()
        both += (rest**2).sum() / ((len(of) - 1) * (q - 1)) / of.size / k**2
    variance = max(sum(seeds) + questions - both, sum(seeds), questions)
    free = sum(seeds) ** 2 / sum(
        v**2 / (len(of) - 1) for v, of in zip(seeds, x, strict=True)
    )
    t = stats.t.ppf(0.975, min(free, q / 2 - 1))
    p = float(np.mean([of.mean() for of in x]))
    n = min(p * (1 - p) / variance, sum(of.size for of in x))
    middle = (p + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(p * (1 - p) / n + t**2 / (4 * n**2))
    return float(middle - half), float(middle + half)


def test_all_parts_named_are_the_means_over_seeds(found: Found) -> None:
    results = found(RATES)
    ours = by(results, *PARTS)
    usual = {mean.group: mean for mean in means(results, Estimates(results))}
    assert ours.keys() == usual.keys()
    for group, mean in usual.items():
        one = ours[group]
        assert one.estimate == mean.estimate
        assert (one.seeds, one.of, one.distinct) == (mean.seeds, mean.of, mean.distinct)
        assert (one.pooled, one.over) == (1, "seeds and questions")


def test_datasets_of_an_arm_are_strata(found: Found) -> None:
    results = found(RATES)
    ours = by(results, "arm")
    assert list(ours) == [("x",), ("y",)]
    one = ours["x",]
    strata = [[answers(r, s) for s, r in enumerate(RATES[d])] for d in "ab"]
    assert one.estimate.value == pytest.approx(
        fmean(rate / QUESTIONS for d in "ab" for rate in RATES[d])
    )
    assert (one.estimate.low, one.estimate.high) == pytest.approx(by_hand(strata))
    assert (one.pooled, one.seeds, one.of) == (2, 6, 6)
    # as if all were seeds of one training: far too wide, since the datasets differ
    every = [dict(enumerate([float(v)] for v in seed)) for of in strata for seed in of]
    naive: Any = interval(every, YES_NO)
    assert one.estimate.high is not None
    assert one.estimate.low is not None
    assert one.estimate.high - one.estimate.low < 0.8 * (naive.high - naive.low)


def test_a_dataset_of_two_arms_counts_once(found: Found) -> None:
    results = found(RATES)
    (one,) = by(results).values()
    assert (one.pooled, one.seeds) == (3, 9)
    assert one.estimate.value == pytest.approx(
        fmean(rate / QUESTIONS for rates in RATES.values() for rate in rates if rate)
    )


def test_without_one_of_its_datasets_there_is_no_mean(found: Found) -> None:
    ours = by(found({**RATES, "a": [None, None, None]}), "arm")
    assert (ours["x",].estimate.value, ours["x",].status) == (None, "missing")
    assert (ours["x",].seeds, ours["x",].of, ours["x",].over) == (3, 6, "")
    assert ours["y",].status == "ok"


def test_without_a_seed_it_says_so(found: Found) -> None:
    one = by(found({**RATES, "a": [3, None, 4]}), "arm")["x",]
    assert (one.seeds, one.of, one.status) == (5, 6, "missing")
    assert one.estimate.value == pytest.approx(fmean([3.5, 38 / 3]) / QUESTIONS)


def test_single_seeds_are_over_questions_alone(found: Found) -> None:
    results = found({"a": [3], "b": [11], "c": [18]})
    one = by(results, "arm")["x",]
    assert (one.over, one.seeds) == ("questions", 2)
    several = by(found(RATES), "arm", "seed")
    assert several["x", 1].over == "questions"
    assert several["x", 1].estimate.value == pytest.approx(fmean([6, 14]) / QUESTIONS)


def test_a_name_that_is_none_is_refused(found: Found) -> None:
    with pytest.raises(InputError, match=r"'arms' does not name a cell.*arm, dataset"):
        named(["arms"])
    assert named(["setting", "arm", "eval", "arm"]) == ("arm",)


@pytest.mark.parametrize("seeds", [(3, 3), (5, 1), (2, 4, 3)])
def test_it_holds_for_new_seeds_and_questions(seeds: tuple[int, ...]) -> None:
    draw = random.Random(1)
    held = trials = 0
    for _ in range(400):
        centres = [draw.uniform(-9, 9) for _ in seeds]
        easy = [draw.gauss(0, 1) for _ in range(24)]
        strata = []
        for centre, number in zip(centres, seeds, strict=True):
            of = []
            for _ in range(number):
                own = centre + draw.gauss(0, 0.7)
                of.append({q: [own + e + draw.gauss(0, 1)] for q, e in enumerate(easy)})
            strata.append(of)
        shown = fmean(
            fmean(fmean(v for (v,) in one.values()) for one in of) for of in strata
        )
        within = stratified(strata, UNBOUNDED, shown, [[1] * n for n in seeds])
        assert within is not None
        trials += 1
        held += within.low <= fmean(centres) <= within.high
    assert 0.92 <= held / trials <= 0.995


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = furnish(tmp_path_factory.mktemp("pooled"))
    for first, name in enumerate("ab"):
        project.dataset(name, first=first)
    datasets = '[Dataset("datasets/a.jsonl"), Dataset("datasets/b.jsonl")]'
    project.setting("a", datasets=datasets, seeds="[0, 1]")
    assert doit_here(project.root, "run", "a").code == 0
    return project


def test_every_form_has_the_same_numbers(ran: Project) -> None:
    def told(*words: str) -> str:
        ran_by = doit_here(ran.root, "results", "a", *words)
        assert ran_by.code == 0, ran_by.err
        return ran_by.out

    body = json.loads(told("--by", "model", "--json"))
    (mean,) = body["means"]
    assert (body["setting"], body["by"]) == ("a", ["model"])
    assert (mean["model"], mean["pooled"], mean["seeds"]) == ("dummy/echo", 2, 4)
    (row,) = csv.DictReader(io.StringIO(told("--by=model", "--csv")))
    assert row == {
        "setting": "a",
        **{n: "" if v is None else str(v) for n, v in mean.items()},
    }
    frame = motools_build.open_project(ran.root).means("a", by=["model"])
    (of_frame,) = frame.to_dict("records")
    assert of_frame["value"] == mean["value"]
    assert list(frame.columns) == list(row)
    text = f"{mean['value']:.2f}"
    for words in ((), ("--format=md",), ("--format=latex",)):
        out = told("--by=model", *words)
        assert text in out
        assert "4 (2 groups)" in out


def test_wrong_words_are_refused(ran: Project) -> None:
    refused = doit_here(ran.root, "results", "a", "--by=colour")
    assert (refused.code, "'colour' does not name a cell" in refused.err) == (3, True)
    refused = doit_here(ran.root, "results", "a", "--by=arm", "--differences")
    assert (refused.code, "exclude each other" in refused.err) == (3, True)
    project = motools_build.open_project(ran.root)
    with pytest.raises(InputError, match=r"write a list: by=\['arm'\]"):
        project.means("a", by="arm")
    with pytest.raises(SelectionError):
        project.means("none", by=["arm"])
