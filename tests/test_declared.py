"""Declarations: what was declared before its result was there, and the primary
contrast, which is not adjusted for the others."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from motools_build import Arm, Contrast, Dataset, Eval, Setting
from motools_build.planning.plan import Plan
from motools_build.report.comparisons import compared
from motools_build.report.declared import Declaration, Standing
from motools_build.report.differences import holm
from motools_build.report.drawing.differences import lines_below
from motools_build.report.estimates import Estimates
from motools_build.report.page.material import numbers
from motools_build.report.page.words import lead
from motools_build.report.results import Result
from tests.conftest import Project
from tests.test_comparisons import found

__all__ = ["found"]  # a fixture

Found = Callable[..., list[Result]]

EARLY, DECLARED, LATE = (f"2026-11-0{day}T12:00:00Z" for day in (1, 2, 3))

PRIMARY = Contrast("odd", "plain", eval="score", metric="mean")


def dated(results: list[Result], when: str) -> list[Result]:
    """The results as if they had been made at a time."""
    return [
        replace(one, record=replace(one.record, made={"time": when}))
        if one.record
        else one
        for one in results
    ]


def declared(
    results: list[Result], made: bool = False, primary: Contrast | None = PRIMARY
) -> Declaration:
    """A declaration of these results, before or after they were made."""
    cells = tuple(one.cell for one in results)
    there = results if made else []
    return Declaration.of(DECLARED, Plan("s", (), cells), there, primary)


def words(results: list[Result], *declarations: Declaration) -> list[str]:
    standing = Standing(PRIMARY, declarations)
    told = compared("s", results, Estimates(results), standing)
    return [one.declared for one in told.found]


class TestPrimary:
    def test_it_is_first_and_not_adjusted_for_the_others(self, found: Found) -> None:
        results = found()
        usual = compared("s", results, Estimates(results)).found
        told = compared("s", results, Estimates(results), Standing(PRIMARY)).found
        assert [one.primary for one in told] == [True, False, False]
        first, other = told[0], usual[0]
        assert (first.first, first.second) == (other.second, other.first)
        assert first.found.value == -other.found.value
        assert first.adjusted == first.found.p < other.adjusted
        rest = [one.found.p for one in told[1:]]
        assert [one.adjusted for one in told[1:]] == holm(rest)

    def test_it_may_be_against_the_base_model(self, found: Found) -> None:
        results = found()
        own = Contrast("odd", "base", eval="score", metric="mean")
        told = compared("s", results, Estimates(results), Standing(own)).found
        (primary,) = (one for one in told if one.primary)
        assert (primary.first[0], primary.second[1]) == ("odd", "base")
        assert primary.adjusted == primary.found.p

    @pytest.mark.parametrize("scorer", ["", "judge", "another"])
    def test_without_a_result_it_is_told(self, found: Found, scorer: str) -> None:
        results = found()
        own = replace_metric(scorer)
        of = compared("s", results, Estimates(results), Standing(own))
        said = [line for line in of.told if "has no result yet" in line]
        assert bool(said) == (scorer != "judge")
        assert all("score has the metrics judge mean" in line for line in said)
        assert all(line in [*lines_below(of)] for line in said)

    def test_a_page_begins_with_it(self, found: Found) -> None:
        results = dated(found(), LATE)
        for declarations, word in (
            ((), "not declared"),
            ((declared(results),), "declared before its first result"),
            ((declared(results, made=True),), "exploratory"),
            ((declared(results, primary=None),), "planned"),
        ):
            made = lead(numbers("s", results, Standing(PRIMARY, declarations)))
            assert made.startswith(f'<p class="lead">Primary contrast ({word}): ')
            assert "other differences hold" in made

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"arm": "od"}, "no arm of the setting is called 'od'; did you mean 'odd'"),
            ({"against": "x"}, "no arm of the setting is called 'x'"),
            ({"eval": "scor"}, "no eval of the setting is called 'scor'"),
            ({"against": "odd"}, "compared with itself"),
            ({"arm": "base"}, "name the base model second"),
            ({"metric": ""}, "at least 1 character"),
        ],
    )
    def test_what_a_setting_has_not(self, fields: dict[str, str], said: str) -> None:
        with pytest.raises(ValidationError, match=re.escape(said)):
            setting(primary=Contrast(**{**PRIMARY.model_dump(), **fields}))

    def test_what_is_not_evaluated(self) -> None:
        own = Contrast("odd", "base", eval="score", metric="mean")
        setting(primary=own)
        with pytest.raises(ValidationError, match="base models are not evaluated"):
            setting(primary=own, controls=False)


def replace_metric(scorer: str) -> Contrast:
    if scorer:
        return PRIMARY.model_copy(update={"scorer": scorer})
    return PRIMARY.model_copy(update={"metric": "accuracy"})


def setting(**fields: Any) -> Setting:
    return Setting(
        description="",
        arms=[Arm(n, datasets=[Dataset(f"{n}.jsonl")]) for n in ("odd", "plain")],
        models=["dummy/echo"],
        evals=[Eval("dummy/score")],
        **fields,
    )


class TestStanding:
    def test_of_results_by_time(self, found: Found) -> None:
        late, early = dated(found(), LATE), dated(found(), EARLY)
        assert words(late) == ["", "", ""]
        assert words(late, declared(late)) == ["primary", "planned", "planned"]
        assert words(early, declared(early)) == ["exploratory"] * 3

    def test_of_results_that_were_there_within_the_second(self, found: Found) -> None:
        then = dated(found(), DECLARED)
        assert words(then, declared(then, made=True)) == ["exploratory"] * 3
        assert words(then, declared(then)) == ["primary", "planned", "planned"]

    def test_an_earlier_declaration_counts_on(self, found: Found) -> None:
        late = dated(found(), LATE)
        first, again = declared(late, primary=None), declared(late, made=True)
        assert words(late, first, again) == ["planned"] * 3

    def test_another_primary_contrast_was_not_declared(self, found: Found) -> None:
        late = dated(found(), LATE)
        other = Contrast("odd", "base", eval="score", metric="mean")
        assert words(late, declared(late, primary=other)) == ["planned"] * 3
        own = Standing(PRIMARY, (declared(late, primary=other),))
        said = [*own.told("s", late)]
        assert any(
            f"not the declared one; the setting has now: {PRIMARY}" in s for s in said
        )

    def test_a_renamed_arm_is_the_same_result(self, found: Found) -> None:
        late = dated(found(), LATE)
        before = declared(late, primary=None)
        renamed = [
            replace(
                one, cell=one.cell._replace(arm=one.cell.arm and f"new {one.cell.arm}")
            )
            for one in late
        ]
        assert words(renamed, before) == ["planned"] * 3

    def test_a_missing_seed_leaves_the_others_planned(self, found: Found) -> None:
        late = dated(found(missing=("odd-1",)), LATE)
        assert words(late, declared(late)) == ["primary", "planned", "planned"]

    def test_a_digest_tells_an_edit(self, found: Found) -> None:
        one = declared(found())
        body = json.loads(json.dumps(one.as_json()))
        assert Declaration.from_json(body) == one
        for changed in (
            {"declared": EARLY},
            {"primary": None},
            {"cells": {}},
            {"made": ["x"]},
            {"more": 1},
            {"digest": ""},
        ):
            with pytest.raises(ValueError, match="edited by hand"):
                Declaration.from_json({**body, **changed})
        for name in body:
            with pytest.raises(ValueError, match=f"'{name}'|edited by hand"):
                Declaration.from_json({n: v for n, v in body.items() if n != name})


class TestCommand:
    """`doit declare`, and what results say afterwards."""

    PLAN = "zoo/tiny.plan.json"

    def plan(self, project: Project) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((project.root / self.PLAN).read_text())
        return found

    def declared(self, project: Project, *variables: str) -> dict[str, str]:
        """Stage of each eval -> its `declared` in `doit results --json`."""
        out = project.doit("results", "tiny", "--json", *variables).out
        return {one["stage"]: one["declared"] for one in json.loads(out)["results"]}

    def test_before_the_first_result(self, tiny: Project) -> None:
        said = tiny.doit("declare", "tiny").out
        assert ", before the first result" in said
        assert f"git add {self.PLAN}" in said
        text = (tiny.root / self.PLAN).read_text()
        assert "declared already, unchanged" in tiny.doit("declare", "tiny").out
        assert (tiny.root / self.PLAN).read_text() == text
        tiny.doit("run", "tiny")
        assert set(self.declared(tiny).values()) == {"planned"}
        out = tiny.doit("results", "tiny").out
        assert "plan     declared 20" in out
        assert "exploratory" not in out
        csv = tiny.doit("results", "tiny", "--csv").out.splitlines()
        assert csv[0].split(",")[12:14] == ["note", "declared"]
        assert all(line.split(",")[13] == "planned" for line in csv[1:])
        assert (
            "% plan     declared"
            in tiny.doit("results", "tiny", "--format", "latex").out
        )

    def test_a_run_with_nothing_to_do_does_not_read_it(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        tiny.write(self.PLAN, "{")
        ran = tiny.doit("run", "tiny")
        assert self.PLAN not in ran.out + ran.err

    def test_after_some_results(self, tiny: Project) -> None:
        tiny.doit("run", "eval:tiny/base/*")
        assert "after 1 of 2 results were made" in tiny.doit("declare", "tiny").out
        tiny.doit("run", "tiny")
        assert list(self.declared(tiny).values()) == ["exploratory", "planned"]
        out = tiny.doit("results", "tiny").out
        assert "exploratory, not declared before they were made: 1 of 2 results" in out

    def test_an_added_seed_and_an_edited_dataset(self, tiny: Project) -> None:
        tiny.doit("declare", "tiny")
        tiny.setting("tiny", seeds="[0, 1]")
        tiny.doit("run", "tiny")
        assert list(self.declared(tiny).values()) == [
            "planned",
            "planned",
            "exploratory",
        ]
        tiny.dataset("tiny", 14)
        out = tiny.doit("results", "tiny").out
        assert "declared, and not in the setting as it is now: 1 of 2 results" in out
        tiny.doit("run", "tiny")
        assert list(self.declared(tiny).values()) == ["planned", *["exploratory"] * 2]
        again = tiny.doit("declare", "tiny").out
        assert "after 3 of 3 results were made" in again
        assert len(self.plan(tiny)["declarations"]) == 2
        assert list(self.declared(tiny).values()) == ["planned", *["exploratory"] * 2]
        narrowed = tiny.doit("results", "tiny", "seeds=0").out
        assert "not in the setting" not in narrowed

    def test_a_renamed_dataset(self, tiny: Project) -> None:
        tiny.doit("declare", "tiny")
        tiny.setting("tiny", datasets='[Dataset("datasets/tiny.jsonl", name="other")]')
        tiny.doit("run", "tiny")
        assert set(self.declared(tiny).values()) == {"planned"}

    def test_a_failed_and_retried_result_stays_planned(self, tiny: Project) -> None:
        tiny.doit("declare", "tiny")
        tiny.doit("run", "tiny", code=2, MOTOOLS_DUMMY_FAIL="model:")
        assert set(self.declared(tiny).values()) == {"planned"}
        tiny.doit("run", "tiny")
        assert set(self.declared(tiny).values()) == {"planned"}

    def test_a_smoke_run_has_no_standing(self, tiny: Project) -> None:
        tiny.doit("declare", "tiny")
        tiny.doit("run", "tiny", "smoke=yes")
        assert set(self.declared(tiny, "smoke=yes").values()) == {""}
        assert "plan " not in tiny.doit("results", "tiny", "smoke=yes").out

    def test_what_cannot_be_declared(self, tiny: Project) -> None:
        for word in ("seeds=1", "smoke=yes", "model=dummy/echo"):
            said = tiny.doit("declare", "tiny", word, code=3).err
            assert f"leave out {word}" in said
        assert "no setting" in tiny.doit("declare", "model:tiny/*", code=3).err
        assert "no setting" in tiny.doit("declare", "tinny", code=3).err
        tiny.setting("tiny", evals="[]")
        assert "no evals" in tiny.doit("declare", "tiny", code=3).err
        assert not (tiny.root / self.PLAN).exists()

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "cannot be read"),
            ("[]", "holds no list of declarations"),
            ('{"declarations": [], "format": 99}', "has format 99"),
            ('{"declarations": [{}], "format": 1}', "declaration 1 does not count"),
            ("\udcff", "cannot be read"),
        ],
    )
    def test_a_damaged_file(self, tiny: Project, text: str, said: str) -> None:
        data = text.encode(errors="surrogateescape")
        file = tiny.root / self.PLAN
        file.write_bytes(data)
        for args, code in ((("declare",), 3), (("results",), 0)):
            ran = tiny.doit(*args, "tiny", code=code)
            assert said in ran.out + ran.err
            assert (
                "git checkout zoo/tiny.plan.json" in ran.out + ran.err or "99" in said
            )
            assert "Traceback" not in ran.err
        assert file.read_bytes() == data

    def test_an_edited_declaration(self, tiny: Project) -> None:
        tiny.doit("declare", "tiny")
        file = tiny.root / self.PLAN
        text = file.read_text()
        file.write_text(re.sub('"declared": "2', '"declared": "1', text))
        tiny.doit("run", "tiny")
        assert set(self.declared(tiny).values()) == {"exploratory"}
        assert "edited by hand" in tiny.doit("results", "tiny").out
        assert "edited by hand" in tiny.doit("declare", "tiny", code=3).err
        file.write_text(text)
        assert set(self.declared(tiny).values()) == {"planned"}

    def test_the_primary_contrast(self, project: Project) -> None:
        for name in ("one", "two"):
            project.dataset(name)
        project.setting(
            "tiny",
            datasets='[Dataset("datasets/one.jsonl"), Dataset("datasets/two.jsonl")]',
            primary='Contrast("two", "one", eval="score", metric="accuracy")',
        )
        file = project.root / "zoo/tiny.py"
        file.write_text(file.read_text().replace("import ", "import Contrast, ", 1))
        hint = "not declared (doit declare tiny)"
        assert hint in project.doit("results", "tiny").out
        said = project.doit("declare", "tiny").out
        assert "primary: score accuracy: two less one" in said
        assert self.plan(project)["declarations"][0]["primary"]["arm"] == "two"
        assert hint not in project.doit("results", "tiny").out
        out = project.doit("results", "tiny", "--differences").out
        assert "the primary contrast has no result yet" in out


def test_a_kill_leaves_the_old_file_or_the_new_one(tiny: Project) -> None:
    file = tiny.root / TestCommand.PLAN
    began = time.monotonic()
    tiny.start("declare", "tiny").communicate()
    usual = time.monotonic() - began
    for part in range(8):
        count = len(json.loads(file.read_bytes())["declarations"])
        tiny.dataset("tiny", 20 + part)
        process = tiny.start("declare", "tiny")
        time.sleep(usual * (0.6 + 0.06 * part))
        process.kill()
        process.communicate()
        found = json.loads(file.read_bytes())["declarations"]
        assert len(found) in (count, count + 1)
        tiny.doit("declare", "tiny")
        again = json.loads(file.read_bytes())["declarations"]
        assert len(again) == count + 1
        assert again[: len(found)] == found


def test_two_at_once_lose_nothing(tiny: Project) -> None:
    both = [tiny.start("declare", "tiny") for _ in range(2)]
    said = sorted(process.communicate()[0] for process in both)
    assert "declared already" in said[1] or "declared already" in said[0]
    file = tiny.root / TestCommand.PLAN
    assert len(json.loads(file.read_bytes())["declarations"]) == 1
