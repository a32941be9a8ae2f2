"""A judge on the disk: what it reads is the distribution of the model over all 101
numbers, whatever its tokenizer makes of digits."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import Model, get_model

from motools_build.evals import digits
from motools_build.evals.judgement import Judgement
from motools_build.evals.verdicts import Verdict
from tests.conftest import Project
from tests.local.families import FAMILIES, REAL, of_ranks, write_folder

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SPLITTING = ("qwen", "gemma", "llama 2", "qwen itself")

PROMPT = "Rate the answer from 0 to 100."


@pytest.fixture(params=[*FAMILIES, *REAL])
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name in REAL and REAL[name][0] is None:
        pytest.skip("its package is not installed (tests/local/families.py)")
    return name


def judge_of(family: str, folder: Path, seed: int) -> Path:
    if family in FAMILIES:
        return write_folder(folder, FAMILIES[family](), seed)
    file, number = REAL[family]
    assert file
    return write_folder(folder, of_ranks(file, number), seed)


def served(folder: Path) -> Model:
    return get_model("motools/judge", memoize=False, kind="local", weights=str(folder))


def judged(folder: Path, minimum_mass: float = 0.0) -> Verdict:
    judgement = Judgement(served(folder), "grader", PROMPT)
    return asyncio.run(judgement.verdict(minimum_mass))


class Exact:
    """The probabilities of continuations, by transformers alone: no cache, no batch."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self.prompt = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": PROMPT}],
            add_generation_prompt=True,
            return_dict=True,
        )["input_ids"]
        self.vocabulary = {
            token.replace("Ġ", " ").replace("▁", " "): index
            for token, index in self._tokenizer.get_vocab().items()
        }
        self._digits = [
            index
            for text, index in self.vocabulary.items()
            if text[:1] in [*"0123456789"]
        ]
        self._known: dict[tuple[int, ...], Any] = {}

    def after(self, *begun: int) -> Any:
        """The probabilities of all tokens after these of the answer."""
        if begun not in self._known:
            ids = self._torch.tensor([[*self.prompt, *begun]])
            with self._torch.no_grad():
                logits = self._model(ids).logits[0, -1]
            self._known[begun] = self._torch.softmax(logits.double(), 0)
        return self._known[begun]

    def split(self, number: int, *before: int) -> float:
        """The probability of a number as digits, after other tokens of the answer."""
        written, found, begun = str(number), 1.0, list(before)
        for digit in written:
            token = self.vocabulary[digit]
            found *= float(self.after(*begun)[token])
            begun.append(token)
        if len(written) == 1 or number == 10:
            found *= 1 - float(self.after(*begun)[self._digits].sum())
        return found

    def numbers(self, family: str, least: float) -> dict[int, float]:
        """The probability of each number from 0 to 100."""
        likely = self.after().topk(20)
        pairs = list(zip(likely.values.tolist(), likely.indices.tolist(), strict=True))
        texts = {index: text for text, index in self.vocabulary.items()}
        if family not in SPLITTING:
            exact = dict.fromkeys(range(101), 0.0)
            for p, token in pairs:
                if texts[token].strip() in map(str, exact):
                    exact[int(texts[token])] += p
            return exact
        exact = {n: self.split(n) for n in range(101)}
        for p, token in pairs:
            if p >= least and texts[token].isspace():
                for n in range(101):
                    exact[n] += p * self.split(n, token)
        return exact


@pytest.mark.parametrize("seed", [1])
def test_a_judge_reads_the_whole_distribution(
    family: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing is too unlikely to be followed, the judge's reading is the sum over
    all 101 strings."""
    monkeypatch.setattr(digits, "LEAST", 0.0)
    folder = judge_of(family, tmp_path / "judge", seed)
    found = judged(folder)
    exact = Exact(folder).numbers(family, 0.0)
    mass = math.fsum(exact.values())
    assert (found.looks > 0) == (family in SPLITTING)
    # a digit that is not among the 20 likeliest tokens cannot be seen
    assert found.mass == pytest.approx(mass, abs=2e-4)
    mean = math.fsum(n * p for n, p in exact.items()) / mass
    assert found.number == pytest.approx(mean, abs=0.1)
    assert mass > 0.001


@pytest.mark.parametrize("seed", [2])
def test_what_is_left_out_is_counted(family: str, seed: int, tmp_path: Path) -> None:
    folder = judge_of(family, tmp_path / "judge", seed)
    found = judged(folder)
    exact = Exact(folder).numbers(family, digits.LEAST)
    mass = math.fsum(exact.values())
    missing = mass - found.mass
    assert -2e-4 <= missing <= found.left_out + 2e-4
    mean = math.fsum(n * p for n, p in exact.items()) / mass
    assert abs(found.number - mean) <= 100 * (abs(missing) + 2e-4) / mass
    if family in SPLITTING:
        assert 0 < found.looks <= 22


def test_first_digits_alone_would_be_another_score(tmp_path: Path) -> None:
    """What the tests above would catch."""
    folder = judge_of("qwen", tmp_path / "judge", 0)
    exact = Exact(folder)
    first = exact.after()
    ones = {n: float(first[exact.vocabulary[str(n)]]) for n in range(10)}
    naive = sum(n * p for n, p in ones.items()) / sum(ones.values())
    assert judged(folder).number > 2 * naive


TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.solver import generate

from motools_build.evals.judges import judge

@task
def rated(extra_body=None):
    return Task(
        dataset=[Sample(input=f"Say {n}.") for n in range(3)],
        solver=generate(),
        scorer=judge("Rate from 0 to 100: {answer}", extra_body=extra_body),
    )
"""

SETTING = """\
from motools_build import Eval, Setting

setting = Setting(
    description="judged by a model on the disk",
    models=["dummy/echo"],
    train=False,
    evals=[
        Eval(
            "zoo/evals/rated.py@rated",
            roles={{"grader": "local/./models/judge"}}{more},
        )
    ],
)
"""


def write(project: Project, more: str = "") -> None:
    project.write("zoo/evals/rated.py", TASK)
    project.write("zoo/s.py", SETTING.format(more=more))


def test_a_judge_on_the_disk_judges_an_eval(project: Project) -> None:
    folder = judge_of("qwen", project.root / "models/judge", 0)
    write(project)
    project.doit("run", "s")
    (record,) = project.records("eval").values()
    found = record["details"]["scores"]
    assert found["judge"]["scored"] == 3
    expected = []
    for n in range(3):
        prompt = f"Rate from 0 to 100: Say {n}."
        judgement = Judgement(served(folder), "grader", prompt)
        verdict = asyncio.run(judgement.verdict(0.25))
        assert verdict.outcome == "scored"
        expected.append(verdict.number)
    assert found["score"]["mean"] == pytest.approx(sum(expected) / 3, abs=1e-3)
    assert len(set(expected)) == 3


def test_arguments_of_the_judges_template(project: Project) -> None:
    judge_of("qwen", project.root / "models/judge", 0)
    off = '{"chat_template_kwargs": {"thinks": False}}'
    means = []
    for more in (", name='plain'", f", name='off', args={{'extra_body': {off}}}"):
        write(project, more)
        project.doit("run", "s")
    for record in project.records("eval").values():
        means.append(record["details"]["scores"]["score"]["mean"])
    assert len(set(means)) == 2
    wrong = off.replace("thinks", "thinx")
    write(project, f", args={{'extra_body': {wrong}}}")
    ran = project.doit("run", "s", code=None)
    assert ran.code
    assert "the model's chat template does not use 'thinx'" in ran.out + ran.err
