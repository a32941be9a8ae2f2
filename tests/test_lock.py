"""Locks: the numbers without the artifacts, byte for byte, and no edit unnoticed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motools_build.errors import InputError, MotoolsError, NewerFormat
from motools_build.report.lock.document import digest_of, encode
from motools_build.report.lock.lock import read_lock
from tests.conftest import Project, furnish

DATASETS = """[
        Dataset("datasets/tiny.jsonl"),
        Dataset("datasets/other.jsonl"),
    ]"""

FORMS = ("--csv", "--json", "--format=md", "--format=latex")
KINDS = ((), ("--differences",), ("--by", "dataset"), ("--by", "model,seed"))


def written(root: Path) -> Project:
    """A project whose results have all that results can have: intervals, means,
    differences, a declaration, and one that the setting does not ask for any more."""
    project = furnish(root)
    project.dataset("tiny")
    project.dataset("other", 5)
    evals = '[Eval("dummy/questions"), Eval("dummy/score")]'
    project.setting("tiny", datasets=DATASETS, seeds="[0, 1, 2]", evals=evals)
    project.doit("declare", "tiny")
    project.doit("run", "tiny")
    project.setting("tiny", datasets=DATASETS, seeds="[0, 1]", evals=evals)
    return project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = written(tmp_path_factory.mktemp("lock") / "made")
    project.doit("lock", "tiny")
    return project


@pytest.fixture
def copy(made: Project, tmp_path: Path) -> Project:
    """The project with its artifacts, to change."""
    return Project(shutil.copytree(made.root, tmp_path / "copy"))


@pytest.fixture
def clone(copy: Project) -> Project:
    """What git has of the project: no artifacts."""
    shutil.rmtree(copy.root / "artifacts")
    return copy


def lock_of(project: Project) -> Path:
    return project.root / "zoo/tiny.lock.json"


def body_of(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lock_of(project).read_bytes())
    return found


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@pytest.mark.parametrize("form", FORMS)
def test_a_clone_prints_the_same_bytes(
    made: Project, clone: Project, kind: tuple[str, ...], form: str
) -> None:
    there = made.doit("results", "tiny", *kind, form)
    here = clone.doit("results", "tiny", *kind, form, "--from-lock")
    assert here.out == there.out
    assert here.err.startswith("from zoo/tiny.lock.json, locked 20")
    assert len(here.err.splitlines()) == 1
    assert there.out.count("\n") > 0
    assert there.err == ""


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_a_table_has_a_mark_above(
    made: Project, clone: Project, kind: tuple[str, ...]
) -> None:
    there = made.doit("results", "tiny", *kind).out
    mark, _, here = clone.doit("results", "tiny", *kind, "--from-lock").out.partition(
        "\n"
    )
    assert here == there
    assert re.fullmatch(r"from zoo/tiny\.lock\.json, locked \d{4}-\d\d-\d\d", mark)


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_parquet_has_the_same_bytes(
    made: Project, clone: Project, kind: tuple[str, ...]
) -> None:
    for project, more in ((made, ()), (clone, ("--from-lock",))):
        words = ("--format=parquet", "--out", "x.parquet", *more)
        project.doit("results", "tiny", *kind, *words)
    one, other = (p.root / "x.parquet" for p in (made, clone))
    assert one.read_bytes() == other.read_bytes()


def test_what_is_locked_is_all_that_results_have(made: Project) -> None:
    body = body_of(made)
    kinds = {stage["kind"] for stage in body["stages"]}
    assert kinds == {"upload", "model", "eval"}
    assert len(body["results"]) == 2 * (1 + 2 * 2)
    assert len(body["off_plan"]) == 2 * 2
    assert len(body["declarations"]) == 1
    assert set(body["files"]) == {"datasets/tiny.jsonl", "datasets/other.jsonl"}
    assert all(one["output"] for one in body["stages"])
    assert body["means"]
    assert body["differences"]
    assert any("low" in one for one in body["estimates"])


def test_locking_again_changes_nothing(made: Project) -> None:
    before = lock_of(made).read_bytes()
    out = made.doit("lock", "tiny").out
    assert "tiny: unchanged, locked" in out
    assert lock_of(made).read_bytes() == before


def test_a_result_more_is_a_line_more(
    copy: Project, edit: Callable[[Path, str, str], None]
) -> None:
    before = lock_of(copy).read_text().splitlines()
    edit(copy.root / "zoo/tiny.py", "[0, 1]", "[0, 1, 2]")
    copy.doit("lock", "tiny")
    after = lock_of(copy).read_text().splitlines()
    of_seed = [line.rstrip(",") for line in before if "/seed0/" in line]
    assert len(of_seed) > 10
    assert set(of_seed) <= {line.rstrip(",") for line in after}
    assert sum("/seed2/" in line for line in after) > 10


# ---- what is not ok


def test_what_is_not_there_is_locked_as_such(
    tiny: Project, edit: Callable[[Path, str, str], None]
) -> None:
    tiny.setting("tiny", evals='[Eval("dummy/questions")]')
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 4)
    edit(tiny.root / "zoo/tiny.py", "seeds=[0]", "seeds=[0, 1]")
    out = tiny.doit("lock", "tiny").out
    assert "3 results (1 ok, 1 stale, 1 missing)" in out
    assert "doit run tiny" in out
    there = [tiny.doit("results", "tiny", *words).out for words in ((), ("--csv",))]
    assert "(was" in there[0]
    shutil.rmtree(tiny.root / "artifacts")
    words = ((), ("--csv",))
    here = [tiny.doit("results", "tiny", "--from-lock", *one).out for one in words]
    assert here[0].partition("\n")[2] == there[0]
    assert here[1] == there[1]


def test_a_smoke_run_is_not_locked(made: Project) -> None:
    ran = made.doit("lock", "tiny", "smoke=yes", code=3)
    assert "a smoke run measures nothing" in ran.err


def test_a_lock_under_variables_says_them(copy: Project) -> None:
    copy.doit("lock", "tiny", "seeds=0")
    assert body_of(copy)["variables"] == {"seeds": "0"}
    there = copy.doit("results", "tiny", "--csv", "seeds=0").out
    for words in ((), ("seeds=0",)):
        ran = copy.doit("results", "tiny", "--csv", "--from-lock", *words)
        assert ran.out == there
        assert len(ran.err.splitlines()) == 1
    ran = copy.doit("results", "tiny", "--from-lock", "seeds=1", code=3)
    assert "was made under seeds=0" in ran.err


def test_a_secret_in_a_key_is_not_locked(tiny: Project) -> None:
    secret = "sk-this-is-a-secret"
    tiny.setting("tiny", evals=f'[Eval("dummy/questions", args={{"key": "{secret}"}})]')
    tiny.doit("run", "tiny", code=None)
    ran = tiny.doit("lock", "tiny", code=3, LAB_API_KEY=secret)
    assert "a secret is part of its key" in ran.err
    assert secret not in ran.out + ran.err
    assert not lock_of(tiny).exists()


# ---- a clone whose inputs are not as they were


def test_other_inputs_are_told(
    clone: Project, edit: Callable[[Path, str, str], None]
) -> None:
    clone.dataset("tiny", 9)
    ran = clone.doit("results", "tiny", "--csv", "--from-lock")
    assert "of other inputs than the present ones: 4 of 10 locked results" in ran.err
    assert "eval:tiny/tiny/echo/seed0/questions" in ran.err
    edit(clone.root / "zoo/tiny.py", "[0, 1]", "[0, 1, 2]")
    err = clone.doit("results", "tiny", "--csv", "--from-lock").err
    assert "not locked: 4 results of the setting as it is now" in err
    edit(clone.root / "zoo/tiny.py", "[0, 1, 2]", "[0]")
    err = clone.doit("results", "tiny", "--csv", "--from-lock").err
    assert "of other inputs than the present ones: 2 of 10 locked results" in err
    assert "not asked for by the setting as it is now: 4 of 10 locked results" in err


@pytest.mark.parametrize("gone", ["dataset", "module", "zoo"])
def test_numbers_are_shown_where_nothing_can_be_planned(
    made: Project, clone: Project, gone: str
) -> None:
    there = made.doit("results", "tiny", "--csv").out
    if gone == "dataset":
        (clone.root / "datasets/tiny.jsonl").unlink()
    elif gone == "module":
        (clone.root / "zoo/tiny.py").write_text("import nothing_like_that\n")
    else:
        (clone.root / "zoo/tiny.py").unlink()
    ran = clone.doit("results", "tiny", "--csv", "--from-lock")
    assert ran.out == there
    assert "not compared with the present inputs, which cannot be planned" in ran.err


def test_a_declaration_that_is_gone_is_told(clone: Project) -> None:
    (clone.root / "zoo/tiny.plan.json").unlink()
    out = clone.doit("results", "tiny", "--from-lock").out
    assert "lacks 1 of the 1 declarations that the lock names" in out


def test_without_a_lock(tiny: Project) -> None:
    ran = tiny.doit("results", "tiny", "--from-lock", code=3)
    assert "there is no zoo/tiny.lock.json" in ran.err
    ran = tiny.doit("results", "tiny", "--from-lock", "--csv", code=3)
    assert ran.out == ""
    ran = tiny.doit("results", "tinny", "--from-lock", code=3)
    assert "no setting or lock is called 'tinny'" in ran.err
    ran = tiny.doit("results", "tiny", "--from-lock", "--samples", "--csv", code=3)
    assert "leave out --samples" in ran.err


def test_a_lock_of_another_setting_is_refused(clone: Project) -> None:
    lock_of(clone).rename(clone.root / "zoo/other.lock.json")
    ran = clone.doit("results", "other", "--from-lock", code=3)
    assert "is the lock of tiny, and was renamed" in ran.err


# ---- compared with artifacts


def test_check_finds_what_differs(
    copy: Project, edit: Callable[[Path, str, str], None]
) -> None:
    assert copy.doit("lock", "--check", "tiny").out == "tiny: as locked\n"
    shutil.rmtree(copy.root / "artifacts/eval")
    out = copy.doit("lock", "--check", "tiny", code=1).out
    assert out.count("ok ") == 10
    assert re.search(r"seed0/questions: ok \w{8} locked, missing \w{8} now", out)
    copy.doit("run", "tiny")
    assert copy.doit("lock", "--check", "tiny").out == "tiny: as locked\n"
    edit(copy.root / "zoo/tiny.py", "[0, 1]", "[0, 2]")
    out = copy.doit("lock", "--check", "tiny", code=1).out
    assert "seed1/score: locked, and not in the setting now" in out
    assert "seed2/score: not locked" in out


def test_what_is_called_otherwise_is_the_same(
    copy: Project, edit: Callable[[Path, str, str], None]
) -> None:
    there = 'Dataset("datasets/other.jsonl")'
    new = 'Dataset("datasets/other.jsonl", name="new")'
    edit(copy.root / "zoo/tiny.py", there, new)
    assert copy.doit("lock", "--check", "tiny").out == "tiny: as locked\n"
    err = copy.doit("results", "tiny", "--csv", "--from-lock").err
    assert len(err.splitlines()) == 1


def test_check_finds_other_scores_of_the_same_key(copy: Project) -> None:
    body = body_of(copy)
    key = next(one["key"] for one in body["results"] if one["eval"] == "questions")
    (place,) = body["records"][key]["answers"]["places"]
    place[2][0] = 1 - place[2][0]
    lock_of(copy).write_bytes(encode({**body, "digest": None}))
    out = copy.doit("lock", "--check", "tiny", code=1).out
    assert "other scores than the locked ones, of the same key" in out


# ---- damaged, edited, newer


@cache
def bytes_of(file: Path) -> bytes:
    return file.read_bytes()


@given(data=st.data())
def test_every_number_that_is_edited_is_refused(
    made: Project, data: st.DataObject
) -> None:
    whole = bytes_of(lock_of(made))
    places = [match.start() for match in re.finditer(rb"\d", whole)]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([*b"0123456789"]).filter(whole[place].__ne__))
    edited = whole[:place] + bytes([digit]) + whole[place + 1 :]
    try:
        if json.loads(edited) == json.loads(whole):  # the 17th digit of a number
            return
    except ValueError:
        pass
    with pytest.raises(MotoolsError):
        read_lock(edited, "zoo/tiny.lock.json")


@given(data=st.data())
def test_any_damage_is_a_clear_error(made: Project, data: st.DataObject) -> None:
    whole = bytes_of(lock_of(made))
    begin = data.draw(st.integers(0, len(whole) - 3))
    end = data.draw(st.integers(begin, len(whole) - 3))
    more = data.draw(st.binary(max_size=3))
    damaged = whole[:begin] + more + whole[end:]
    try:
        if json.loads(damaged) == json.loads(whole):
            return
    except (ValueError, RecursionError):
        pass
    with pytest.raises(MotoolsError, match=r"zoo/tiny\.lock\.json"):
        read_lock(damaged, "zoo/tiny.lock.json")


def test_a_key_must_be_the_hash_of_its_inputs(made: Project) -> None:
    body = body_of(made)
    body["stages"][0]["inputs"]["model"] = "dummy/other"
    body["digest"] = digest_of(body)
    with pytest.raises(InputError, match="is not the hash of its inputs"):
        read_lock(json.dumps(body).encode(), "x")


@pytest.mark.parametrize("field", ["results", "stages", "records", "questions"])
@pytest.mark.parametrize("value", [None, 7, "x", [7], [{}], {"x": 1}, [[]]])
def test_a_lock_of_another_form_is_refused(
    made: Project, field: str, value: Any
) -> None:
    body = {**body_of(made), field: value}
    with pytest.raises(InputError, match=r"no lock|not as `doit lock` writes it"):
        read_lock(encode(body), "x")


@pytest.mark.parametrize("scores", [[], {"a": 1}, "x"])
def test_hostile_scores_are_refused(clone: Project, scores: Any) -> None:
    body = body_of(clone)
    for record in body["records"].values():
        record["details"]["scores"] = scores
    lock_of(clone).write_bytes(encode(body))
    ran = clone.doit("results", "tiny", "--from-lock", code=3)
    assert "not as `doit lock` writes it" in ran.err


def test_a_lock_of_a_newer_format_is_refused_and_kept(copy: Project) -> None:
    data = encode({**body_of(copy), "format": 2, "version": "9.1"})
    lock_of(copy).write_bytes(data)
    for words in (("results", "tiny", "--from-lock"), ("lock", "tiny")):
        err = copy.doit(*words, code=3).err
        assert "upgrade motools_build to 9.1 or later" in err
    assert lock_of(copy).read_bytes() == data
    with pytest.raises(NewerFormat):
        read_lock(data, "x")


def test_a_merge_conflict_is_told_as_such(clone: Project) -> None:
    lines = lock_of(clone).read_text().splitlines()
    both = ["<<<<<<< HEAD", lines[4], "=======", lines[4], ">>>>>>> other"]
    lock_of(clone).write_text("\n".join([*lines[:4], *both, *lines[5:]]))
    err = clone.doit("results", "tiny", "--from-lock", code=3).err
    assert "has the marks of a merge conflict" in err


def test_a_torn_lock_is_told_and_locked_anew(copy: Project) -> None:
    whole = lock_of(copy).read_bytes()
    lock_of(copy).write_bytes(whole[: len(whole) // 2])
    err = copy.doit("results", "tiny", "--from-lock", code=3).err
    assert "zoo/tiny.lock.json is no whole JSON" in err
    assert "git checkout zoo/tiny.lock.json" in err
    copy.doit("lock", "tiny")
    assert json.loads(lock_of(copy).read_bytes())["results"]


def test_numbers_that_are_computed_otherwise_are_told(clone: Project) -> None:
    body = body_of(clone)
    body["means"][0]["low"] = 0.125
    body["version"] = "0.0.9"
    lock_of(clone).write_bytes(encode(body))
    err = clone.doit("results", "tiny", "--csv", "--from-lock").err
    assert "computed otherwise than by motools_build 0.0.9, which locked" in err
    assert "low 0.125 locked" in err


# ---- scores that are not those that were recorded


def test_scores_that_were_changed_are_not_locked_and_told(copy: Project) -> None:
    before = lock_of(copy).read_bytes()
    name = "eval:tiny/tiny/echo/seed0/questions"
    key = copy.records("eval")[name]["key"]
    (file,) = (copy.root / "artifacts/eval").glob(f"*-{key}/scores.jsonl")
    recorded = file.read_bytes()
    changed = re.sub(rb": ?1(?=[.}])", lambda one: one[0][:-1] + b"0", recorded)
    assert len(changed) == len(recorded)
    assert changed != recorded
    file.write_bytes(changed)
    err = copy.doit("lock", "tiny", code=3).err
    assert f"{name}: " in err
    assert "scores.jsonl has not the scores that were recorded" in err
    assert lock_of(copy).read_bytes() == before
    out = copy.doit("results", "tiny").out
    assert f"{name}: its scores are not those that were recorded" in out
    file.write_bytes(recorded)
    assert "not those that were recorded" not in copy.doit("results", "tiny").out
    assert "unchanged" in copy.doit("lock", "tiny").out
