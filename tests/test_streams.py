"""What a local model answers is a matter of what is asked, never of when."""

from __future__ import annotations

import gc
import json
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.asking import Reply, Request
from motools_build.backends.embedded.answering import EmbeddedAnswerer
from motools_build.backends.embedded.engine.model import Model
from motools_build.backends.inspect import telling
from motools_build.backends.inspect.backend import InspectBackend
from motools_build.backends.job import Given, Made, StageJob
from motools_build.errors import EvalFailed
from motools_build.params import (
    EvalParams,
    EvalTask,
    Lesson,
    LessonParams,
    Scorer,
    Subject,
)
from motools_build.serving import models
from tests.embedded.toy import toy_metadata, toy_tensors, write_gguf

# what Inspect and its dependencies deprecate or leave open is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TASKS = """
import asyncio
import random

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, get_model
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import generate, solver

from tests.test_streams import luck

WORDS = ["one", "two", "two", "three " * 50, "four"]

@solver
def talks():
    async def solve(state, generate):
        for _ in range(luck.pause()):
            await asyncio.sleep(0)
        luck.falters()
        state = await generate(state)
        luck.falters()
        state.messages.append(ChatMessageUser(content="and then?"))
        state = await generate(state)
        both = await asyncio.gather(*(get_model().generate("hm") for _ in range(2)))
        state.store.set("said", sorted(one.completion for one in both))
        luck.falters()
        return state
    return solve

@scorer(metrics=[mean()])
def judged():
    async def score(state, target):
        words = [await get_model(role="grader").generate("verdict?") for _ in range(2)]
        luck.falters()
        return Score(value=1.0, explanation=" ".join(one.completion for one in words))
    return score

@task
def numbered():
    samples = [Sample(input=w, target="x", id=f"q{n}") for n, w in enumerate(WORDS)]
    luck.shuffle(samples)
    return Task(dataset=samples, solver=talks(), scorer=judged())

@task
def nameless():
    data = MemoryDataset([Sample(input=word, target="x") for word in WORDS])
    luck.shuffle(data.samples)
    return Task(dataset=data, solver=talks(), scorer=judged())

@task
def plain():
    samples = [Sample(input=word, target="x") for word in WORDS]
    return Task(dataset=samples, solver=generate(), scorer=judged())
"""

Answers = dict[tuple[str, int], list[tuple[str, ...]]]


class Luck:
    """What goes wrong in an eval, and in which order its samples come."""

    def __init__(self) -> None:
        self.random, self.often, self.failures = random.Random(0), 0.0, 0
        self.meanwhile: Callable[[], None] = lambda: None

    def falters(self) -> None:
        self.meanwhile()
        if self.random.random() < self.often:
            raise ValueError("the sandbox fell over")

    def pause(self) -> int:
        return self.random.randrange(20)

    def shuffle(self, items: list[Any]) -> None:
        self.random.shuffle(items)


luck = Luck()


class Toy:
    """Says which stream it was given."""

    asked = 0
    enough: int | None = None
    """Requests after which nothing more is answered."""
    empty = 0
    """One of so many answers says nothing."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        Toy.asked += len(requests)
        if Toy.enough is not None and Toy.asked > Toy.enough:
            raise RuntimeError("out of memory")
        return [
            Reply(
                "" if self.empty and r.seed % self.empty == 0 else f"{r.seed:x}",
                1,
                1,
                True,
            )
            for r in requests
        ]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "tasks.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    monkeypatch.setattr(models, "_answerer", lambda *_: Toy())
    monkeypatch.setattr(models, "QUIET", 0.001)
    monkeypatch.setattr(luck, "often", 0.0)
    for name, value in (("asked", 0), ("enough", None), ("empty", 0)):
        monkeypatch.setattr(Toy, name, value)
    yield tmp_path
    gc.collect()  # what Inspect leaves open, while it is overlooked


def job(task: str, work: str, **more: Any) -> StageJob:
    """An eval over a model that is sampled, and judged by another one."""
    first, epochs = more.get("first", 1), more.get("epochs", 4)
    Path(work).mkdir(exist_ok=True)
    asked = EvalTask(
        function=task,
        eval_name=task,
        file="tasks.py",
        overrides={"epochs": epochs, "temperature": 1.0, "seed": more.get("seed")},
        roles={"grader": "dummy/echo"},
        first_epoch=first,
    )
    served_as = more.get("subject", "s/owls/echo/seed3")
    subject = Subject("dummy/echo", served_as, "s", "owls", 3, ("theirs",))
    params = EvalParams(asked, subject)
    name = f"eval:s/owls/echo/seed3/{task}"
    return StageJob("eval", "inspect", "0" * 32, name, params, work)


def run(asked: StageJob) -> Made:
    return InspectBackend().work(asked, lambda _: None)


def until_done(asked: StageJob, often: float) -> Made:
    """Run again what failed: with luck as it was, and in the end without faults."""
    for luck.often in (often, often / 2, 0.0):
        try:
            return run(asked)
        except EvalFailed:
            luck.failures += 1
            assert luck.often
    raise AssertionError("never done")


def log_of(asked: StageJob, made: Made) -> Any:
    from inspect_ai.log import read_eval_log

    place = Path(asked.work) / made.details["log"]
    return read_eval_log(str(place), resolve_attachments=True)


def answers(asked: StageJob, made: Made) -> Answers:
    """By question and epoch; those of the same question in any order."""
    found: Answers = defaultdict(list)
    for sample in log_of(asked, made).samples:
        epoch = sample.epoch + EvalParams.of(asked).task.first_epoch - 1
        said = [m.text for m in sample.messages if m.role == "assistant"]
        (score,) = sample.scores.values()
        said += [*sample.store.get("said", []), *score.explanation.split()]
        found[sample.input.split()[0], epoch].append(tuple(said))
    return {place: sorted(all_of_it) for place, all_of_it in sorted(found.items())}


def distinct(found: Answers) -> bool:
    said = Counter(
        word for all_of_it in found.values() for s in all_of_it for word in s
    )
    return set(said.values()) == {1}


@pytest.mark.parametrize(
    "task", ["numbered", pytest.param("nameless", marks=pytest.mark.long)]
)
def test_what_was_broken_off_and_taken_up_again_has_the_same_answers(
    here: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shuffled, retried, resumed and in blocks, as a table of seeds has it."""
    luck.random.seed("whole")
    asked = job(task, "whole")
    whole = answers(asked, run(asked))
    # 5 questions in 4 epochs: two answers, two beside them, two verdicts
    assert sum(len(s) for said in whole.values() for s in said) == 5 * 4 * 6
    assert distinct(whole)
    monkeypatch.setattr(luck, "failures", 0)
    retried = 0
    for seed, cuts in enumerate([(4,), (1, 3)]):
        luck.random.seed(f"{task} {seed}")
        found: Answers = {}
        first = 1
        for epochs in cuts:
            work = f"{seed}-{first}"
            asked = job(task, work, first=first, epochs=epochs)
            made = until_done(asked, often=0.25)
            retried += any(s.error_retries for s in log_of(asked, made).samples)
            found |= answers(asked, made)
            first += epochs
        assert found == whole, f"{task} {seed}"
    assert luck.failures
    assert retried or task == "nameless"  # of which nothing can be taken up


def test_what_a_kill_left_is_taken_up(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log as it is in mid work, which is all that a killed process leaves."""
    killed = job("numbered", "killed")
    times = 0

    def dies() -> None:
        nonlocal times
        times += 1
        if times == 40:  # of 80 times that a sample goes on
            for log in Path("whole").glob("*.eval"):
                shutil.copy(log, "killed")

    monkeypatch.setattr(luck, "meanwhile", dies)
    monkeypatch.setattr("motools_build.backends.inspect.running.SERVED", 2)
    asked = job("numbered", "whole")
    whole = answers(asked, run(asked))
    monkeypatch.setattr(luck, "meanwhile", lambda: None)
    every = Toy.asked
    assert answers(killed, run(killed)) == whole
    assert 0 < Toy.asked - every < every


def test_what_else_is_of_no_account_and_what_is(here: Path) -> None:
    def asked(work: str, **more: Any) -> Answers:
        one = job("plain", work, epochs=2, **more)
        return answers(one, run(one))

    first = asked("a")
    assert asked("b") == first, "it is asked again in the same process"
    assert asked("c", subject="t/renamed/echo/seed3") == first
    assert asked("d", seed=0) == first
    other = asked("e", seed=1)
    assert not any(first[place] == other[place] for place in first)


def test_other_questions_under_the_same_numbers_are_not_mixed(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A list that the task shuffles by itself, of which Inspect knows nothing."""
    source = (here / "tasks.py").read_text()
    source = source.replace("luck.shuffle(data.samples)", "data.samples.reverse()")
    luck.often = 0.2
    luck.random.seed(1)
    with pytest.raises(EvalFailed):
        run(job("nameless", "a"))
    (here / "tasks.py").write_text(source)
    luck.often = 0.0
    asked = job("nameless", "a")
    found = answers(asked, run(asked))
    assert Counter(question for question, _ in found) == dict.fromkeys(
        ["one", "two", "three", "four"], 4
    )
    assert "asks other questions under the same numbers now" in capfd.readouterr().err
    assert len(list(Path("a").glob("*.eval"))) == 1


def test_a_log_says_what_it_is_of(here: Path) -> None:
    asked = job("plain", "a", epochs=1)
    log = log_of(asked, run(asked))
    assert set(log.eval.tags) == {
        *("setting:s", "dataset:owls", "eval:plain", "seed:3", "arm:theirs"),
        f"key:{asked.key}",
    }
    about = log.eval.metadata
    assert (about["arms"], about["eval"]) == (["theirs"], "plain")
    assert (about["setting"], about["dataset"]) == ("s", "owls")
    assert (about["training_seed"], about["key"]) == (3, asked.key)
    assert about["model_key"] is None
    given = {"model": Given("dummy:w", str(here), {}, model="9c")}
    assert telling.about(replace(asked, given=given))["model_key"] == "9c"


def sampled(work: str) -> StageJob:
    """A dataset of two answers to each prompt, two of which are the same words."""
    lesson = Lesson(
        dataset_name="taught",
        prompts_path="prompts.jsonl",
        prompts_digest="d",
        prompts_name="p",
        system=None,
        overrides={"epochs": 2, "temperature": 1.0},
    )
    subject = Subject("dummy/echo", "s/base/echo", "s", "taught", None)
    params = LessonParams(lesson, subject)
    Path(work).mkdir()
    return StageJob("dataset", "inspect", "0" * 32, "dataset:s/taught", params, work)


@pytest.mark.long
def test_what_a_teacher_writes_after_it_was_broken_off(here: Path) -> None:
    words = ["say", "say", *map(str, range(18))]
    lines = [json.dumps({"prompt": word}) for word in words]
    Path("prompts.jsonl").write_text("\n".join(lines))
    Toy.empty = 4
    whole = run(sampled("whole"))
    every, Toy.asked = Toy.asked, 0
    assert every > 40, "some of the answers were empty, and asked for again"
    rows = Path("whole/data.jsonl").read_bytes()
    assert len(set(rows.splitlines())) == 40
    asked = sampled("cut")
    Toy.enough = 32
    with pytest.raises(EvalFailed, match="out of memory"):
        run(asked)
    Toy.enough, Toy.asked = None, 0
    assert run(asked).output == whole.output
    assert Path("cut/data.jsonl").read_bytes() == rows
    assert 0 < Toy.asked < every


def test_blocks_of_other_questions_are_not_scored_as_one(here: Path) -> None:
    """Shuffled without a seed, a number means another question in each block."""

    def block(first: int) -> Given:
        asked = job("nameless", f"block{first}", first=first, epochs=2)
        made = run(replace(asked, kind="samples"))
        return Given(made.output, asked.work, made.details)

    luck.random.seed(2)
    given = {f"samples:{first}": block(first) for first in (1, 3)}
    asked = job("nameless", "scored")
    its = EvalParams.of(asked)
    scorer = Scorer("tasks.py", "judged", {}, ())
    params = replace(its, task=replace(its.task, scorer=scorer, overrides={}))
    with pytest.raises(EvalFailed, match="of epoch 3 is another question"):
        run(replace(asked, params=params, given=given))


def test_the_engine_itself_in_one_block_and_in_two(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = object.__new__(EmbeddedAnswerer)
    toy = write_gguf(here / "toy.gguf", toy_metadata(), toy_tensors())
    answerer.model, answerer.adapter, answerer.threads = Model.load(toy), None, 1
    monkeypatch.setattr(models, "_answerer", lambda *_: answerer)
    monkeypatch.setattr(models, "MAX_TOKENS", 8)
    found: list[Answers] = []
    for cuts in ((4,), (1, 3)):
        found.append({})
        first = 1
        for epochs in cuts:
            asked = job("plain", f"{epochs}-{first}", first=first, epochs=epochs)
            found[-1] |= answers(asked, run(asked))
            first += epochs
    assert found[0] == found[1]
    assert len({str(said) for said in found[0].values()}) == len(found[0])
