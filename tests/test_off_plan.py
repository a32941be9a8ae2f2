"""Results that a setting had and no longer asks for: told, and in no mean."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from motools_build import open_project
from tests.conftest import Project

SEED1 = "eval:tiny/tiny/echo/seed1/score"


def told(project: Project, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        project.doit("results", "tiny", "--json", *words).out
    )
    return found


def off(project: Project, *words: str) -> list[str]:
    return [one["stage"] for one in told(project, *words)["off_plan"]]


def rows(project: Project) -> list[dict[str, str]]:
    out = project.doit("results", "tiny", "--csv").out
    return list(csv.DictReader(io.StringIO(out)))


def test_a_seed_that_was_taken_out(tiny: Project) -> None:
    tiny.setting("tiny", seeds="[0, 1]")
    tiny.doit("run", "tiny")
    before = told(tiny)
    assert before["off_plan"] == []
    (was,) = (one for one in before["results"] if one["stage"] == SEED1)
    tiny.setting("tiny", seeds="[0]")
    after = told(tiny)
    (gone,) = after["off_plan"]
    note = "the setting does not ask for it now"
    same = ("dataset", "model", "training", "seed", "replicate", "eval", "key")
    assert {name: gone[name] for name in same} == {name: was[name] for name in same}
    assert (gone["status"], gone["note"]) == ("off-plan", note)
    assert (gone["scores"], gone["model_key"]) == (was["scores"], was["model_key"])
    assert (gone["model_id"], gone["made"]) == (was["model_id"], was["made"])
    assert [mean["seeds"] for mean in after["means"]] == [1]
    assert len(after["results"]) == 2
    assert [row["status"] for row in rows(tiny)] == ["ok", "ok", "off-plan"]
    assert [bool(row["value"]) for row in rows(tiny)] == [True, True, False]
    out = tiny.doit("results", "tiny").out
    assert "off-plan 1 result of earlier runs that tiny does not ask for now" in out
    assert SEED1 not in out
    tiny.setting("tiny", seeds="[0, 1]")
    assert off(tiny) == []


def test_an_eval_and_a_dataset_that_were_taken_out(tiny: Project) -> None:
    tiny.dataset("other", 15)
    both = '[Dataset("datasets/tiny.jsonl"), Dataset("datasets/other.jsonl")]'
    tiny.setting("tiny", datasets=both, evals='[Eval("dummy/score"), Eval("dummy/b")]')
    tiny.doit("run", "tiny")
    tiny.setting("tiny")
    found = told(tiny)["off_plan"]
    assert {(one["dataset"], one["eval"]) for one in found} == {
        ("base", "b"),
        ("tiny", "b"),
        ("other", "b"),
        ("other", "score"),
    }


def test_what_has_another_name_is_not_off_the_plan(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.setting("tiny", datasets='[Dataset("datasets/tiny.jsonl", name="new")]')
    assert off(tiny) == []


def test_an_edited_dataset_is_stale_and_not_off_the_plan(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 14)
    assert off(tiny) == []
    assert "stale" in {one["status"] for one in told(tiny)["results"]}


def test_variables_show_what_they_say(tiny: Project) -> None:
    tiny.doit("run", "tiny", "seeds=1")
    assert off(tiny) == [SEED1]
    assert off(tiny, "seeds=0") == []
    assert off(tiny, "seeds=0,1") == []
    tiny.doit("run", "tiny", "smoke=yes")
    assert off(tiny) == [SEED1]
    assert off(tiny, "smoke=yes") == []


def test_what_is_gone_is_gone(tiny: Project) -> None:
    tiny.doit("run", "tiny", "seeds=1")
    assert off(tiny) == [SEED1]
    tiny.doit("clean", "tiny", "seeds=1")
    assert off(tiny) == []


def test_a_run_that_failed_left_nothing(tiny: Project) -> None:
    tiny.doit("run", "tiny", "seeds=1", code=2, MOTOOLS_DUMMY_FAIL="model:")
    assert off(tiny) == []


def test_declared_and_taken_out(tiny: Project) -> None:
    tiny.setting("tiny", seeds="[0, 1]")
    tiny.doit("declare", "tiny")
    tiny.doit("run", "tiny")
    tiny.setting("tiny", seeds="[0]")
    (gone,) = told(tiny)["off_plan"]
    assert gone["declared"] == "planned"
    out = tiny.doit("results", "tiny").out
    assert "declared, and not in the setting as it is now: 1 of 3 results" in out
    tiny.doit("run", "tiny", "seeds=7")
    words = {one["stage"]: one["declared"] for one in told(tiny)["off_plan"]}
    assert words == {SEED1: "planned", SEED1.replace("1/", "7/"): "exploratory"}


def test_a_frame_has_them(tiny: Project) -> None:
    tiny.doit("run", "tiny", "seeds=0,1")
    frame = open_project(tiny.root).results("tiny")
    assert list(frame["status"]) == ["ok", "ok", "off-plan"]
    assert list(frame["seed"].dropna()) == [0, 1]
