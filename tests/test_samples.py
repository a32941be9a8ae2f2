"""`doit samples`: what was asked, answered and scored, and which of it."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import motools_build
from motools_build.errors import ArtifactError, SelectionError
from motools_build.report.where import Where
from motools_build.text.visible import STEERING
from tests.conftest import ROOT, Project, Ran, furnish
from tests.lab import MODEL, TASK, Lab

TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import generate, solver, system_message

WORDS = ["mild", "[bold] \\x1b[31mred", "blank", "long " * 400]
WORDS[1] += " \\x9b2J \\u202eevil half \\ud800"

@scorer(metrics={"points": [mean()], "tone": [mean()]})
def judge():
    async def score(state, target):
        n = float(state.sample_id)
        points = float("nan") if "blank" in state.input_text else n * 10
        return Score(value={"points": points, "tone": n}, explanation=f"It is {n}.")
    return score

@scorer(metrics=[mean()])
def first():
    async def score(state, target):
        n = float(state.sample_id)
        return Score(value=float("nan") if n == 3 else n, answer=f"no. {n:.0f}")
    return score

@solver
def fragile():
    async def solve(state, generate):
        if state.sample_id == 2:
            raise ValueError("the sandbox fell over")
        return await generate(state)
    return solve

def samples():
    return [Sample(word, id=n, target="t") for n, word in enumerate(WORDS, 1)]

@task
def one():
    steps = [system_message("Be brief."), generate()]
    return Task(dataset=samples(), solver=steps, scorer=first())

@task
def two():
    return Task(dataset=samples(), solver=generate(), scorer=[first(), judge()])

@task
def broken():
    return Task(dataset=samples(), solver=fragile(), scorer=first())
"""

EVAL = "eval:tiny/base/echo"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after a run with two evals that succeed and one that fails."""
    project = furnish(tmp_path_factory.mktemp("samples"))
    project.dataset("tiny")
    project.write("zoo/evals/t.py", TASKS)
    evals = [f'Eval("zoo/evals/t.py@{name}")' for name in ("one", "two", "broken")]
    evals.append('Eval("dummy/score")')
    project.setting("tiny", evals=f"[{', '.join(evals)}]")
    project.doit("run", "tiny", code=2)
    return project


def shown(project: Project, *words: str, code: int = 0) -> dict[str, Any]:
    out = project.doit("samples", "--json", *words, code=code).out
    (found,) = json.loads(out)
    return dict(found)


class TestWhatIsShown:
    def test_messages_under_their_role_target_and_scores(self, ran: Project) -> None:
        out = ran.doit("samples", f"{EVAL}/one", "-n", "1").out
        lines = [line.rstrip() for line in out.splitlines() if line]
        assert lines[0] == f"ok       {EVAL}/one"
        assert lines[1].startswith("── sample 1, epoch 1 ──")
        assert lines[2:12] == [
            *("system", "    Be brief."),
            *("user", "    mild"),
            *("assistant", "    mild"),
            *("target", "    t"),
            "first: 1.0  (answer: no. 1)",
            lines[11],
        ]
        assert lines[11].startswith("1 of 4 samples shown (all: -n 4); in full: ")

    def test_a_text_cannot_steer_the_terminal(self, ran: Project) -> None:
        out = ran.doit("samples", f"{EVAL}/one").out
        assert "\x1b" not in out
        assert "    [bold] ␛[31mred" in out
        assert "\\u009b2J \\u202eevil half \\ud800" in out

    def test_nor_can_json(self, ran: Project) -> None:
        out = ran.doit("samples", "--json", f"{EVAL}/one").out
        assert not STEERING.search(out)
        assert "\\u009b2J \\u202eevil" in out

    def test_a_long_line_is_wrapped(self, ran: Project) -> None:
        out = ran.doit("samples", f"{EVAL}/one").out
        texts = [line for line in out.splitlines() if "long" in line]
        assert len(texts) > 20
        assert max(map(len, texts)) <= 100

    def test_explanations_and_scores_with_parts(self, ran: Project) -> None:
        out = ran.doit("samples", f"{EVAL}/two", "-n1").out
        assert 'judge: {"points": 10.0, "tone": 1.0}\n    It is 1.0.' in out

    def test_a_nan_is_no_value(self, ran: Project) -> None:
        assert (
            "first: no value  (answer: no. 3)"
            in ran.doit(*("samples", f"{EVAL}/one")).out
        )
        found = shown(ran, f"{EVAL}/one")
        assert found["shown"][2]["scores"]["first"]["value"] is None

    def test_a_pattern_a_key_and_several_evals(self, ran: Project) -> None:
        out = ran.doit("samples", "eval:tiny/*/t*", "-n1").out
        assert f"ok       {EVAL}/two" in out
        key = shown(ran, f"{EVAL}/one")["key"]
        assert shown(ran, key[:8])["stage"] == f"{EVAL}/one"


class TestOthers:
    def test_of_a_failed_eval_its_log_is_shown_with_the_error(
        self, ran: Project
    ) -> None:
        out = ran.doit("samples", f"{EVAL}/broken").out
        assert f"failed   {EVAL}/broken: the eval failed, and these samples" in out
        assert "error\n    " in out
        assert "the sandbox fell over" in out

    def test_a_damaged_log_of_a_failed_eval_is_told(self, ran: Project) -> None:
        file = ran.root / shown(ran, f"{EVAL}/broken")["log"]
        data = file.read_bytes()
        file.write_bytes(b"no log")
        told = ran.doit("samples", f"{EVAL}/broken", code=3).err
        file.write_bytes(data)
        assert f"ERROR: {EVAL}/broken: {file.relative_to(ran.root)} cannot" in told
        assert told.endswith(f"); run again: doit run {EVAL}/broken\n")

    def test_a_sample_that_failed_has_no_value(self, ran: Project) -> None:
        out = ran.doit("samples", f"{EVAL}/broken", "--where", "score>9", code=1).out
        assert "have no value, and match no comparison" in out

    def test_what_has_no_transcripts_says_why(self, ran: Project) -> None:
        dummy = ran.doit("samples", f"{EVAL}/score", code=1).out
        assert "ok       eval:tiny/base/echo/score: a dummy eval" in dummy
        missing = ran.doit("samples", f"{EVAL}/one", "model=dummy/echo", code=0)
        assert "ok " in missing.out

    def test_an_eval_that_is_not_up_to_date_says_so(self, tiny: Project) -> None:
        out = tiny.doit("samples", "tiny", code=1).out
        assert "missing  eval:tiny/base/echo/score: not made yet" in out

    def test_what_is_no_eval(self, ran: Project) -> None:
        assert "name an eval" in ran.doit("samples", code=3).err
        tiny = ran.doit("samples", "eval:tiny/nope", code=3).err
        assert "no setting or stage is called 'eval:tiny/nope'" in tiny
        assert "-n 0: write" in ran.doit("samples", "tiny", "-n0", code=3).err


def no_json(data: bytes) -> bytes:
    return data.replace(b"{", b"[")


def no_such_field(data: bytes) -> bytes:
    return data.replace(b'"epoch"', b'"epoxy"')


def no_mapping(data: bytes) -> bytes:
    return re.sub(rb'{"first":([^}]*)}', rb'["first",\1]', data)


def no_log(data: bytes) -> bytes:
    return bytes(len(data))


def no_entries(data: bytes) -> bytes:
    """Its entries are listed, and none can be decompressed."""
    damaged = bytearray(data)
    for entry in ZipFile(BytesIO(data)).infolist():
        header = entry.header_offset
        begin = header + 30 + sum(struct.unpack_from("<HH", data, header + 26))
        damaged[begin : begin + 8] = b"\xff" * 8
    return bytes(damaged)


class TestDamaged:
    """A file of an eval that counts as made, because its size is the recorded one."""

    @pytest.mark.parametrize(
        ("name", "damage"),
        [
            *(("scores.jsonl", one) for one in (no_json, no_such_field, no_mapping)),
            *(("*.eval", one) for one in (no_log, no_entries)),
        ],
    )
    def test_the_remedy_is_told(
        self, ran: Project, name: str, damage: Callable[[bytes], bytes]
    ) -> None:
        file = self.file_of(ran, name)
        data = file.read_bytes()
        assert len(damage(data)) == len(data)
        try:
            file.write_bytes(damage(data))
            told = ran.doit("samples", f"{EVAL}/one", code=3).err
            with pytest.raises(ArtifactError) as raised:
                motools_build.open_project(ran.root).samples(f"{EVAL}/one")
        finally:
            file.write_bytes(data)
        assert told == f"ERROR: {raised.value}\n"
        self.check(told, file.relative_to(ran.root))

    def test_what_the_system_does_not_read(
        self, ran: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = self.file_of(ran, "scores.jsonl")

        usual = Path.read_bytes

        def fails(path: Path) -> bytes:
            if path.name == file.name:
                raise PermissionError(13, "Permission denied", str(path))
            return usual(path)

        monkeypatch.setattr(Path, "read_bytes", fails)
        with pytest.raises(ArtifactError, match="Permission denied") as raised:
            motools_build.open_project(ran.root).samples(f"{EVAL}/one")
        self.check(str(raised.value), file.relative_to(ran.root))

    def file_of(self, ran: Project, name: str) -> Path:
        key = ran.records("eval")[f"{EVAL}/one"]["key"]
        (file,) = (ran.root / "artifacts/eval").glob(f"*-{key}/{name}")
        return file

    def check(self, told: str, file: Path) -> None:
        """Asserts that the message names the eval, the file and the remedy."""
        assert f"{EVAL}/one: {file} cannot be read (" in told
        remedy = "`doit verify --repair` sets it aside, then run again: doit run "
        assert told.strip().endswith(f"; {remedy}{EVAL}/one")


class TestWhere:
    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("score<2", [1]),
            ("score<=2", [1, 2]),
            ("score!=2", [1, 4]),
            ("first>=2", [2, 4]),
            ("score==4", [4]),
            ("score>-1 and score<4", [1, 2]),
        ],
    )
    def test_the_only_scorer(self, where: str, found: list[int]) -> None:
        rows = [{"first": value} for value in (1.0, 2, None, 4)]
        positions, without = Where.parse(where).matching(rows)
        assert [position + 1 for position in positions] == found
        assert without == 1

    def test_a_part_of_a_score(self, ran: Project) -> None:
        where = "--where=judge.points>10 and first<9"
        found = shown(ran, f"{EVAL}/two", where, "-n", "9")
        assert [sample["id"] for sample in found["shown"]] == [2, 4]
        assert (found["matching"], found["without value"]) == (2, 1)

    def test_what_has_no_value_is_counted(self, ran: Project) -> None:
        out = ran.doit("samples", f"{EVAL}/one", "--where=score<3", "-n1").out
        assert (
            "2 of 4 samples match score<3; 1 shown; 1 have no value, and match no "
            "comparison (all: -n 2)"
        ) in out

    @pytest.mark.parametrize(
        ("where", "said"),
        [
            ("nope<1", "there is no scorer 'nope'; there are: first, judge"),
            ("score<1", "there is no scorer 'score'; there are: first, judge"),
            ("judge<1", "judge has several values; name one, as in judge.points"),
            ("judge.x<1", "judge has no value 'x'; there are: points, tone"),
            ("first==C", "first is a number (1), and is compared with 'C'"),
        ],
    )
    def test_what_cannot_be_compared(self, where: str, said: str) -> None:
        rows = [{"first": 1, "judge": {"points": 10, "tone": 1}}]
        with pytest.raises(SelectionError) as caught:
            Where.parse(where).matching(rows)
        assert said in str(caught.value)

    def test_a_value_is_known_by_its_own_name(self) -> None:
        rows = [{"judge": {"points": n}, "first": n} for n in range(3)]
        assert Where.parse("points<2").matching(rows) == ([0, 1], 0)
        assert Where.parse("judge.points<2").matching(rows) == ([0, 1], 0)
        two = [{"judge": {"points": n}, "judge1": {"points": -n}} for n in range(3)]
        assert Where.parse("judge1.points<-1").matching(two) == ([2], 0)
        with pytest.raises(SelectionError, match=r"judge\.points, judge1\.points"):
            Where.parse("points<2").matching(two)

    def test_a_sample_that_lacks_a_score_has_no_value(self) -> None:
        rows = [{}, {"a": 1}, {"a": 1, "b": {"x": 1}}, {"b": {"y": 2}}, {"b": None}]
        assert Where.parse("b.x<2").matching(rows) == ([2], 4)
        assert Where.parse("a<2").matching(rows) == ([1, 2], 3)
        assert Where.parse("a<2").matching([{}, {}]) == ([], 2)
        words = [{"a": 1}, {"a": "refusal"}, {"a": 3}]
        assert Where.parse("a<2").matching(words) == ([0], 1)
        assert Where.parse("a==refusal").matching(words) == ([1], 2)

    def test_a_wrong_condition_is_an_error_of_the_command(self, ran: Project) -> None:
        ran_so = ran.doit("samples", f"{EVAL}/one", "--where=score<two", code=3)
        assert "ERROR: --where: score is a number (1" in ran_so.err

    @pytest.mark.parametrize(
        "text",
        [
            *("score=1", "score", "1<2", "score<1<2", "score<1 or score>2"),
            *("f(score)<1", "score<other.x", "a.b.c<1", "score in x", "not score<1"),
            *("__import__('os')", "score<(lambda: 1)()", "score<1\0"),
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(SelectionError, match="write comparisons of a score"):
            Where.parse(text)

    def test_texts_in_quotes_or_bare(self) -> None:
        rows = [{"match": "C"}, {"match": "I"}, {"match": None}]
        for text in ("score==C", "match=='C'", 'match == "C"', "'match'!=I"):
            assert Where.parse(text).matching(rows) == ([0], 1)


@dataclass
class Shell:
    """A shell below the project's root, in which doit plays no part."""

    project: Project

    def inspect_eval(self, model: str, code: int = 0) -> Ran:
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "inspect_ai", "eval", "evals/t.py"),
                *("--model", model, "--display", "none", "--log-dir", "../logs"),
            ],
            cwd=self.project.root / "zoo",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def answers(self) -> set[str]:
        from inspect_ai.log import list_eval_logs, read_eval_log

        logs = list_eval_logs(str(self.project.root / "logs"))
        assert logs
        return {
            sample.output.completion
            for log in logs
            for sample in read_eval_log(log).samples or []
        }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_inspect_finds_a_model_by_its_name_or_key(tiny: Project) -> None:
    tiny.write("zoo/evals/t.py", TASK)
    tiny.doit("run", "tiny")
    (record,) = tiny.records("model").values()
    shell = Shell(tiny)
    for name in ("tiny/tiny/echo/seed0", record["key"][:8]):
        ran = shell.inspect_eval(f"motools/{name}")
        assert ran.code == 0, ran.out + ran.err
    (model,) = (tiny.root / "artifacts/model").iterdir()
    trained = json.loads((model / "answers.json").read_text())["answers"]
    assert shell.answers() <= set(trained)
    assert len(list(Path(tiny.root / "logs").glob("*.eval"))) == 2


def test_a_providers_model_is_asked_for_at_the_provider(lab: Lab) -> None:
    lab.setting(seeds="[0]", evals="[]")
    lab.project.write("zoo/evals/t.py", TASK)
    lab.run()
    id = lab.project.records("model")[f"{MODEL}0"]["output"]
    ran = Shell(lab.project).inspect_eval(
        f"motools/{MODEL.removeprefix('model:')}0", code=1
    )
    assert f"by its own name: --model openai/{id}" in " ".join(
        (ran.out + ran.err).split()
    )
