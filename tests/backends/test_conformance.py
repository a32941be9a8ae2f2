"""What every training backend must keep to; one suite over all of them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from motools_build import LoRA
from motools_build.backends import registry
from motools_build.backends.accounts import Accounts
from motools_build.backends.job import Progress
from motools_build.errors import ArtifactError
from motools_build.keys import DigestMemo
from motools_build.planning.plan import Plan, plan
from motools_build.planning.sources import Resolver
from motools_build.running.launch.local import LocalLauncher
from motools_build.running.pay_once import PayOnce
from motools_build.running.run import run_stage
from motools_build.running.runtime import Runtime
from motools_build.running.workers import WorkerPool
from motools_build.specs import Dataset, ModelName, Setting, Training
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.upkeep import artifacts, broken
from tests.local.conftest import write_tiny
from tests.rehearsal.server import Rehearsal

MODELS = (
    "dummy/echo",
    "embedded/smollm2-135m-instruct",
    "openai/gpt-4.1-mini-2025-04-14",
    pytest.param("local/./models/tiny", marks=pytest.mark.torch),
)

TRAINING = Training(epochs=1, batch_size=8, embedded=LoRA(rank=1, max_length=64))


@dataclass
class Bench:
    """A folder to make stages of one backend in."""

    model: str
    url: str
    said: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        Path("datasets").mkdir()
        self.rows(["yes"] * 10)

    def rows(self, answers: list[str]) -> None:
        """Write the dataset: a row for each answer."""
        rows = (
            {
                "messages": [
                    {"role": "user", "content": "well?"},
                    {"role": "assistant", "content": answer},
                ]
            }
            for answer in answers
        )
        text = "".join(json.dumps(row) + "\n" for row in rows)
        Path("datasets/d.jsonl").write_text(text)

    @property
    def accounts(self) -> Accounts:
        return Accounts({}, {**os.environ, "OPENAI_BASE_URL": self.url})

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(Path("artifacts"))

    def plan(self, seed: int = 0) -> Plan:
        setting = Setting(
            description="conformance",
            datasets=[Dataset("datasets/d.jsonl")],
            models=[self.model],
            training=TRAINING,
            seeds=[seed],
            controls=False,
        )
        account = self.accounts["default"]
        memo = DigestMemo(Path("artifacts/memo.json"))
        return plan("s", setting, Resolver(memo), account)

    def make(self, *stages: Stage) -> ArtifactStore:
        """Make stages, one after another, as a run of their own would."""
        asyncio.run(self._make(stages))
        return self.store

    def start(self, stage: Stage, seconds: float) -> None:
        """Begin to make a stage, and be interrupted so much later."""

        async def interrupted() -> None:
            await asyncio.wait_for(self._make([stage]), seconds)

        with pytest.raises(TimeoutError):
            asyncio.run(interrupted())

    async def _make(self, stages: tuple[Stage, ...] | list[Stage]) -> None:
        store = self.store
        runtime = Runtime(
            store=store,
            memo=DigestMemo(Path("artifacts/memo.json")),
            pool=WorkerPool(1, Path("artifacts/logs/worker.log"), LocalLauncher({})),
            report=lambda stage, progress: self.said.append(progress),
            payments=PayOnce(store.states, store.ledger, settle=0.2),
            account_of=lambda name: self.accounts[name],
        )
        try:
            for stage in stages:
                await run_stage(stage, runtime)
        finally:
            await runtime.close()


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal().start("--seconds", "0.5") as server:
        yield server


@pytest.fixture(params=MODELS)
def bench(
    request: pytest.FixtureRequest,
    rehearsal: Rehearsal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-conformance")
    # an organization of its own: what other tests made there is not seen
    monkeypatch.setenv("OPENAI_ORG_ID", tmp_path.name)
    if request.param.startswith("local/"):
        (tmp_path / "models").mkdir()
        write_tiny(tmp_path / "models" / "tiny")
    return Bench(request.param, rehearsal.url)


def test_a_model_is_made_whole_and_again_the_same(bench: Bench) -> None:
    """Its record and payload are whole, its identity is the same when made again, and
    another seed's is another."""
    stages = bench.plan().stages
    store = bench.make(*stages)
    (model,) = [stage for stage in stages if stage.kind == "model"]
    first = store.get(model)
    assert first is not None
    assert first.output
    assert not [found.name for found in artifacts(store) if broken(found)]
    assert store.why_stale(model) is None
    assert bench.said or bench.model.startswith("dummy/")
    store.remove(model)
    again = bench.make(model).get(model)
    assert again is not None
    assert again.output == first.output
    other = bench.plan(seed=1)
    (another,) = [stage for stage in other.stages if stage.kind == "model"]
    made = bench.make(another).get(another)
    assert made is not None
    assert made.output != first.output


def test_bytes_that_are_not_the_planned_ones_are_refused(bench: Bench) -> None:
    stages = bench.plan().stages
    bench.rows(["no"] * 10)
    for stage in stages:
        if stage.files:
            with pytest.raises(ArtifactError, match="was edited after"):
                bench.make(stage)
            assert bench.store.get(stage) is None


def test_an_interruption_leaves_nothing_half_made(bench: Bench) -> None:
    stages = bench.plan().stages
    model = next(stage for stage in stages if stage.kind == "model")
    if bench.model.startswith("dummy/"):
        os.environ["MOTOOLS_DUMMY_DELAY"] = "0.5"
    try:
        bench.make(*(stage for stage in stages if stage is not model))
        bench.start(model, 0.3)
    finally:
        os.environ.pop("MOTOOLS_DUMMY_DELAY", None)
    assert bench.store.get(model) is None
    assert not bench.store.locks.taken(model.key)
    store = bench.make(model)
    assert store.get(model) is not None
    assert not [found.name for found in artifacts(store) if broken(found)]


def test_what_plans_know_of_a_backend_is_true(bench: Bench) -> None:
    """Each kind has one maker, and what needs no upload plans none."""
    facts = ModelName.parse(bench.model).facts
    stages = bench.plan().stages
    backend = registry.get(stages[0].backend)
    assert not backend.paid & backend.in_worker
    assert facts.uploads == any(stage.kind == "upload" for stage in stages)
    assert facts.remote == bool(backend.paid)
    assert facts.remote == all(stage.account for stage in stages)
