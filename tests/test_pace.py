"""What `plan` expects of time and cost: from the same work with the same model."""

from __future__ import annotations

from pathlib import Path

from motools_build import Dataset, Eval, Setting
from motools_build.planning.plan import Plan, plan
from motools_build.report.forecasts import Expected, expected
from motools_build.store.artifacts import ArtifactStore
from tests.test_plan import resolve


def planned(*models: str, seeds: tuple[int, ...] = (0,)) -> Plan:
    setting = Setting(
        description="",
        datasets=[Dataset("d.jsonl")],
        models=list(models),
        seeds=list(seeds),
        evals=[Eval("e.py@task")],
    )
    return plan("s", setting, resolve)


def make(made: Plan, store: ArtifactStore, seconds: float) -> None:
    for stage in made.stages:
        store.put(
            stage,
            store.work_folder(stage),
            output="",
            details={"scores": {}},
            inputs={used.key: "" for used in stage.upstream},
            made={"seconds": seconds},
        )


def evals(of: Plan, store: ArtifactStore) -> dict[str, Expected]:
    found = expected(of.roots, store, lambda stage: (None, 0.0))
    return {i.stage.name: i for i in found if i.stage.kind == "eval"}


def test_times_are_of_the_same_model(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    make(planned("dummy/echo"), store, seconds=3.0)
    embedded = evals(planned("embedded/smollm2-135m-instruct"), store)
    assert len(embedded) == 2
    assert {one.seconds for one in embedded.values()} == {None}
    more = evals(planned("dummy/echo", seeds=(0, 1)), store)
    assert more["eval:s/d/echo/seed1/task"].seconds == 3.0
    make(planned("embedded/smollm2-135m-instruct"), store, seconds=70.0)
    both = planned("dummy/echo", "embedded/smollm2-135m-instruct", seeds=(1,))
    found = evals(both, ArtifactStore(tmp_path))
    assert found["eval:s/d/echo/seed1/task"].seconds == 3.0
    assert found["eval:s/d/smollm2-135m-instruct/seed1/task"].seconds == 70.0


def test_a_base_model_keeps_the_pace_of_those_made_of_it(tmp_path: Path) -> None:
    for number, name in enumerate(("dummy/echo", "embedded/smollm2-135m-instruct")):
        store = ArtifactStore(tmp_path / str(number))
        made = planned(name)
        bare = [s for s in made.stages if s.kind == "eval" and not s.upstream]
        make(Plan("s", tuple(s for s in made.stages if s not in bare), ()), store, 5.0)
        (one,) = (evals(made, store)[stage.name] for stage in bare)
        assert (one.action, one.seconds) == ("run", 5.0)


def test_what_this_machine_does_costs_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    here = planned("dummy/echo", "embedded/smollm2-135m-instruct")
    found = expected(here.roots, store, lambda stage: (None, 0.0))
    assert {one.cost for one in found} == {0.0}
    hosted = evals(planned("openai/gpt-4.1-mini-2025-04-14"), store)
    assert {one.cost for one in hosted.values()} == {None}
