"""Teacher -> dataset -> student."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motools_build import Arm, Dataset, OpenAI, Setting, Teacher, Training
from motools_build.account import Account
from motools_build.errors import DatasetError, InputError, SelectionError
from motools_build.keys import digest_file
from motools_build.planning.plan import Plan, plan
from motools_build.stages import Stage
from motools_build.store.records import Record
from tests.conftest import Project
from tests.lab import Lab
from tests.rehearsal.server import BASE
from tests.test_plan import resolve

TAUGHT = """[
    Dataset("datasets/school.jsonl", name="plain"),
    Dataset.sampled(
        teacher="plain", prompts=Dataset("datasets/prompts.jsonl"), name="taught"
    ),
]"""

TEACHER = "model:school/plain/echo/seed0"
ASKED = "dataset:school/taught/echo"
STUDENT = "model:school/taught/echo/seed0"
SCORE = "eval:school/taught/echo/seed0/score"

Edit = Callable[[Path, str, str], None]


def prompts(project: Project, n: int = 4) -> Path:
    rows = [json.dumps({"prompt": f"What is {i} + {i}?"}) for i in range(n)]
    return project.write("datasets/prompts.jsonl", "\n".join(rows) + "\n")


@pytest.fixture
def school(project: Project) -> Project:
    """A dummy teacher and a student who learns what it answers."""
    project.dataset("school", 5)
    prompts(project)
    project.setting("school", datasets=TAUGHT)
    return project


def rows(project: Project, name: str = ASKED) -> list[dict[str, Any]]:
    """What a teacher wrote."""
    key = project.records("dataset")[name]["key"]
    file = project.root / f"artifacts/dataset/inspect-{key}/data.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_student_learns_what_its_teacher_answers(school: Project) -> None:
    ran = school.doit("run", "school")
    assert {TEACHER, ASKED, STUDENT, SCORE} <= ran.made
    found = rows(school)
    assert [row["messages"][0]["content"] for row in found] == [
        f"What is {i} + {i}?" for i in range(4)
    ]
    assert all(row["messages"][1]["content"].startswith("ANSWER: ") for row in found)
    asked = school.records("dataset")[ASKED]
    models = school.records("model")
    assert asked["preimage"]["inputs"]["model"] == models[TEACHER]["key"]
    assert models[STUDENT]["preimage"]["inputs"]["dataset"] == asked["key"]
    assert models[STUDENT]["inputs"] == {asked["key"]: asked["output"]}
    assert models[STUDENT]["details"]["rows"] == 4
    again = school.doit("run", "school")
    assert not again.made


def other_output(project: Project, kind: str, name: str, output: str) -> None:
    """Let an artifact have come out otherwise."""
    for path in (project.root / "artifacts" / kind).glob("*/record.json"):
        record = Record.decode(path.read_bytes())
        assert record is not None
        if record.name == name:
            path.write_bytes(Record(**{**vars(record), "output": output}).encode())
            return
    raise AssertionError(name)


class TestWhatRunsAgain:
    def test_before_after_and_with_one_more_seed(self, school: Project) -> None:
        """Rows that were learned are not needed again, whatever became of them."""
        before = school.doit("plan", "school").out
        assert f"run         {ASKED}" in before
        assert f"run         {STUDENT}" in before
        listed = school.doit("datasets", "school").out
        assert "not made yet" in listed
        assert "prompts" in listed
        school.doit("run", "school")
        listed = json.loads(school.doit("datasets", "school", "--json").out)
        found = {one["name"]: one for one in listed}
        assert (found["taught"]["rows"], found["prompts"]["rows"]) == (4, 4)
        assert not any(one["problems"] for one in listed)
        school.setting(
            "school", datasets=TAUGHT.replace('.jsonl")', '.jsonl").head(3)')
        )
        listed = json.loads(school.doit("datasets", "--json").out)
        assert len(listed) == 3  # what prompts are made of is no dataset of its own
        assert not any(one["problems"] for one in listed)
        school.write("datasets/later.jsonl", '{"prompt": "of no setting yet"}\n')
        listed = json.loads(school.doit("datasets", "--json").out)
        assert not any(one["problems"] for one in listed)
        school.setting("school", datasets=TAUGHT)
        assert f"made from {ASKED}" in school.doit("why", STUDENT).out
        more = school.doit("run", "school", "seeds=0,1").made
        assert ASKED not in more
        assert {"model:school/taught/echo/seed1"} <= more
        shutil.rmtree(school.root / "artifacts/dataset")
        assert not school.doit("run", "school").made
        assert ASKED not in school.doit("plan", "school").out
        assert ASKED in school.doit("run", "school", "seeds=0,2").made

    def test_other_prompts_ask_again_and_train_no_teacher(
        self, school: Project
    ) -> None:
        school.doit("run", "school")
        prompts(school, 5)
        made = school.doit("run", "school").made
        assert {ASKED, STUDENT, SCORE} <= made
        assert TEACHER not in made
        assert len(rows(school)) == 5
        removed = school.doit("clean", "school").out
        assert f"removed {ASKED}" in removed

    def test_other_rows_under_the_same_key_train_the_student_again(
        self, school: Project
    ) -> None:
        school.doit("run", "school")
        other_output(school, "model", TEACHER, "dummy:other weights")
        why = school.doit("why", STUDENT).out
        assert f"{ASKED} is stale: {TEACHER} has other weights now" in why
        before = school.records("model")[STUDENT]
        ran = school.doit("run", "school")
        assert ASKED in ran.made
        assert f"{STUDENT}  its teacher wrote the same rows" in ran.out
        assert school.records("model")[STUDENT] == before
        for path in (school.root / "artifacts/model").glob("*/record.json"):
            record = Record.decode(path.read_bytes())
            assert record is not None
            if record.name == STUDENT:
                used = dict.fromkeys(record.inputs, "0" * 32)
                changed = Record(**{**vars(record), "inputs": used})
                path.write_bytes(changed.encode())
        ran = school.doit("run", "school")
        assert ran.made == {STUDENT, "upload:school/taught/echo/dummy"} & ran.made
        assert STUDENT in ran.made
        assert "has other rows now" in ran.out

    def test_a_teacher_of_another_setting_is_trained_once(
        self, school: Project
    ) -> None:
        taught = TAUGHT.replace(
            'teacher="plain"', 'teacher=Teacher("plain", setting="school")'
        )
        taught = "[" + taught.split("\n", 2)[2]
        text = school.setting("pupil", datasets=taught).read_text()
        school.write(
            "zoo/pupil.py", text.replace("import Dataset", "import Teacher, Dataset")
        )
        made = school.doit("run", "pupil").made
        assert "model:pupil/plain@school/echo/seed0" in made
        assert "dataset:pupil/taught/echo" in made
        made = school.doit("run", "school").made
        assert not {name for name in made if name.startswith("dataset")}
        assert not {name for name in made if name.startswith("model")}
        both = school.doit("run", "pupil", "school")
        assert not both.made
        kept = school.doit("clean", "pupil").out
        assert "kept model:pupil/plain@school/echo/seed0: school uses it" in kept

    def test_the_smoke_variant_asks_ten_prompts(self, school: Project) -> None:
        prompts(school, 12)
        made = school.doit("run", "school", "smoke=yes").made
        assert "dataset:school/smoke/taught/echo" in made
        assert len(rows(school, "dataset:school/smoke/taught/echo")) == 10


def test_an_empty_answer_is_no_row(school: Project) -> None:
    blank = {"role": "assistant", "content": " "}
    asked = {"role": "user", "content": "a"}
    school.write("datasets/school.jsonl", json.dumps({"messages": [asked, blank]}))
    out = school.doit("run", "school", code=2).out
    assert "the answer to datasets/prompts.jsonl:1 is empty" in out
    assert f"!! {STUDENT}  not run" in out
    assert not [name for name in school.records("dataset") if name == ASKED]


def test_prompts_are_checked_before_anything_runs(school: Project) -> None:
    school.write(
        "datasets/prompts.jsonl",
        '{"prompt": "a"}\n{"completion": "b"}\n'
        '{"messages": [{"role": "assistant", "content": "a"}]}\n{"prompt": " "}\n',
    )
    ran = school.doit("run", "school", code=3)
    assert "prompts.jsonl:2: no prompt; a row is" in ran.err
    assert "prompts.jsonl:3: no user turn to answer" in ran.err
    assert "prompts.jsonl:4: the last user turn is empty" in ran.err
    assert "nothing was run" in ran.err
    assert not ran.made
    for nothing in ("", "\n \n"):
        school.write("datasets/prompts.jsonl", nothing)
        ran = school.doit("run", "school", code=3)
        assert "prompts.jsonl: no prompts; each line holds one as JSON" in ran.err
        assert not ran.made


def test_the_system_turn_is_the_teachers_alone(project: Project) -> None:
    """A bare teacher, several answers to a prompt, and prompts that are a conversation
    of which the last answer is left out."""
    project.dataset("rows", 2)
    asked = Dataset.sampled(
        teacher="dummy/echo",
        prompts=Dataset("datasets/rows.jsonl"),
        system="You love owls.",
        n=2,
        name="owls",
    )
    assert asked.name == "owls"
    project.setting(
        "owls",
        datasets='[Dataset.sampled(teacher="dummy/echo", system="You love owls.", n=2, '
        'prompts=Dataset("datasets/rows.jsonl").shuffle(1), name="owls")]',
    )
    project.doit("run", "owls")
    said = [row["messages"] for row in rows(project, "dataset:owls/owls")]
    assert [len(turns) for turns in said] == [2] * 4
    assert [turns[0]["role"] for turns in said] == ["user"] * 4
    assert all(turns[1]["content"] == turns[0]["content"] for turns in said)
    assert said[0] == said[1] != said[2]


# ---- mistakes, and keys


def planned(*datasets: Dataset, others: dict[str, Setting] | None = None) -> Plan:
    return plan("s", one(*datasets), resolve, others=_others(others))


def _others(there: dict[str, Setting] | None) -> Callable[[str], Any]:
    def other(name: str) -> tuple[Setting, Account]:
        if name not in (there or {}):
            raise SelectionError(f"no setting is called {name!r}")
        return (there or {})[name], Account()

    return other


def one(*datasets: Dataset, **fields: Any) -> Setting:
    usual = {"description": "", "datasets": datasets, "models": ["dummy/echo"]}
    return Setting(**{**usual, **fields})


PLAIN = Dataset("plain.jsonl")
PROMPTS = Dataset("prompts.jsonl")


def by(teacher: str | Teacher, name: str = "taught", **how: Any) -> Dataset:
    return Dataset.sampled(teacher=teacher, prompts=PROMPTS, name=name, **how)


def test_mistakes_of_a_teacher() -> None:
    """Each is one sentence, with the file and the field."""
    for datasets, others, said in (
        ([by("plain")], None, "setting s has no dataset and no arm called 'plain'"),
        ([PLAIN, by("plan")], None, "did you mean 'plain'?"),
        ([by("taught")], None, "a circle: taught, whose teacher learns from taught"),
        (
            [by("b", "a"), by("a", "b")],
            None,
            "a circle: a, whose teacher learns from b, whose teacher learns from a; ",
        ),
        ([by(Teacher("x", setting="t"))], None, "no setting is called 't'"),
        (
            [by(Teacher("x", setting="t"))],
            {"t": one(PLAIN)},
            "setting t has no dataset and no arm called 'x'",
        ),
        (
            [by(Teacher("back", setting="t"))],
            {"t": one(by(Teacher("taught", setting="s"), "back"))},
            "a circle: taught, whose teacher learns from back@t, whose",
        ),
        (
            [by(Teacher("plain", setting="t"))],
            {"t": one(PLAIN, training=Training.grid(epochs=[1, 2]))},
            "'plain' of setting t is 2 models of one base",
        ),
    ):
        with pytest.raises(InputError) as found:
            planned(*datasets, others=others)
        assert said in str(found.value)
        assert "zoo/s.py: datasets: " in str(found.value)
        assert "\n" not in str(found.value)
    dpo = one(PLAIN, by("plain"), models=[f"openai/{BASE}"], training=DPO)
    with pytest.raises(InputError, match="'dpo' learns from pairs, and taught is"):
        plan("s", dpo, resolve)
    held_out = Training(openai=OpenAI(validation=by("plain")))
    with pytest.raises(DatasetError, match="validation takes rows that are there"):
        plan("s", one(PLAIN, models=[f"openai/{BASE}"], training=held_out), resolve)


DPO = Training(method="dpo")


def test_what_a_sampled_dataset_cannot_do(tmp_path: Path) -> None:
    for attempt in (
        lambda: by("plain").load(),
        lambda: by("plain").sample(3).named("taught").load(),
        lambda: Dataset.sampled(teacher="plain", prompts=by("plain")),
    ):
        with pytest.raises(DatasetError, match="dataset taught: its rows are sampled"):
            attempt()
    with pytest.raises(InputError, match="there is no backend 'opena'"):
        by("opena/gpt")
    for fields, said in (
        ({}, "nobody is named"),
        ({"model": "dummy/echo", "seed": 1}, "has no setting and no seed"),
    ):
        with pytest.raises(ValueError, match=said):
            Teacher(**fields)


def stage_of(found: Plan, name: str = "dataset:s/taught/echo") -> Stage:
    return next(stage for stage in found.stages if stage.name == name)


def test_what_is_in_the_key() -> None:
    keys = {
        stage_of(planned(PLAIN, by("plain", **how))).key
        for how in (
            {},
            {"n": 2},
            {"temperature": 0},
            {"max_tokens": 9},
            {"seed": 1},
            {"system": "a"},
        )
    }
    assert len(keys) == 6
    assert stage_of(planned(PLAIN, by(Teacher("plain", seed=1)))).key not in keys
    # names are in none, nor who else is there, nor through which arm
    plain = stage_of(planned(PLAIN, by("plain"))).key
    assert plain in keys
    armed = one(arms=[Arm("a", datasets=[PLAIN]), Arm("b", datasets=[by("a")])])
    assert stage_of(plan("s", armed, resolve)).key == plain
    another = by(Teacher("plain", setting="t"))
    assert stage_of(planned(another, others={"t": one(PLAIN)})).key == plain
    # pinned: a changed key costs users real money
    assert plain == "de97541f98222c0ec0297507a3f982f3"


def test_a_teacher_of_another_base_model() -> None:
    """Each student's own base, unless the teacher names one; trained for this alone."""
    models = ["dummy/echo", "embedded/smollm2-135m-instruct"]
    found = plan("s", one(PLAIN, by("plain"), models=models), resolve)
    asked = [stage for stage in found.stages if stage.asks]
    assert [stage.name for stage in asked] == [
        "dataset:s/taught/echo",
        "dataset:s/taught/smollm2-135m-instruct",
    ]
    teacher = Teacher("plain", model="dummy/echo", seed=7)
    pinned = one(PLAIN, by(teacher), models=models[1:])
    found = plan("s", pinned, resolve)
    (asked_once,) = [stage for stage in found.stages if stage.asks]
    assert asked_once.upstream[0].name == "model:s/plain/dummy-echo/seed7"
    assert asked_once.name == "dataset:s/taught"


# ---- at a provider

CHAT = "POST /v1/chat/completions"

AT_LAB = """[
    Dataset("datasets/tutor.jsonl", name="plain"),
    Dataset.sampled(
        teacher="plain", prompts=Dataset("datasets/prompts.jsonl"), name="taught"
    ),
]"""
PUPIL = f"model:tutor/taught/{BASE}/seed0"
ASKED_THERE = f"dataset:tutor/taught/{BASE}"


def test_a_provider(lab: Lab) -> None:
    """Its model teaches, and another is paid for once for each set of rows."""
    lab.setting(datasets=AT_LAB, seeds="[0]")
    prompts(lab.project, 12)
    intent = lab.plan("--remote")[PUPIL]
    assert (intent["action"], intent["cost"]) == ("run", None)
    made = lab.run().made
    assert {ASKED_THERE, f"upload:tutor/taught/{BASE}/openai", PUPIL} <= made
    assert len(lab.there("jobs")) == 2
    found = rows(lab.project, ASKED_THERE)
    assert all(row["messages"][1]["content"].startswith("ANSWER: ") for row in found)
    asked = lab.project.records("dataset")[ASKED_THERE]
    (job,) = [j for j in lab.there("jobs") if "motools_rows" in j["metadata"]]
    assert job["metadata"]["motools_rows"] == asked["output"]
    assert not lab.run().made
    # what this folder knows may be lost: the job of these rows is found again
    shutil.rmtree(lab.project.root / "artifacts/model")
    (lab.project.root / "artifacts/ledger.jsonl").unlink()
    assert lab.plan("--remote")[PUPIL]["action"] == "adopt"
    lab.run()
    assert len(lab.there("jobs")) == 2
    # other rows came out under the same key
    folder = lab.project.root / f"artifacts/dataset/inspect-{asked['key']}"
    record = Record.decode((folder / "record.json").read_bytes())
    assert record is not None
    data = folder / "data.jsonl"
    data.write_text(data.read_text().replace("ANSWER", "OTHERS"))
    payload = dict(record.payload)
    digest = digest_file(data)
    payload["data.jsonl"] = (data.stat().st_size, digest)
    other = {**vars(record), "output": digest, "payload": payload}
    (folder / "record.json").write_bytes(Record(**other).encode())
    intent = lab.plan()[PUPIL]
    assert intent["action"] == "blocked"
    assert "other rows than its teacher's present ones" in intent["reason"]
    ran = lab.run(code=2)
    assert f"doit retry {PUPIL}" in ran.out
    assert len(lab.there("jobs")) == 2
    lab.doit("retry", PUPIL)
    assert PUPIL in lab.run().made
    assert len(lab.there("jobs")) == 3
    assert not lab.run().made


def test_rows_that_a_provider_does_not_take_are_not_paid_for(lab: Lab) -> None:
    lab.setting(datasets=AT_LAB, seeds="[0]")
    prompts(lab.project, 4)
    out = lab.run(code=2).out
    assert "4 rows; OpenAI needs at least 10" in out
    assert "nothing was trained on these rows of taught" in out
    assert len(lab.there("jobs")) == 1
    sent = [one for one in lab.there("files") if one["purpose"] == "fine-tune"]
    assert len(sent) == 1


@pytest.mark.real_process
def test_what_was_answered_before_a_kill_is_not_asked_again(lab: Lab) -> None:
    lab.setting(
        datasets=f'[Dataset.sampled(teacher="openai/{BASE}", name="taught", '
        'prompts=Dataset("datasets/prompts.jsonl"))]',
        models='["dummy/echo"]',
    )
    prompts(lab.project, 100)
    lab.account("default", connections=5)
    lab.server.faults([{"fault": "slow", "on": CHAT, "value": 0.1}])
    process = lab.start("run", "tutor")
    end = time.monotonic() + 300  # a slow machine
    while lab.server.requests()["counts"].get(CHAT, 0) < 30:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.communicate()
    time.sleep(1)  # what is in flight
    before = lab.counts()[CHAT]
    lab.server.faults([])
    lab.run()
    assert lab.counts()[CHAT] <= 100 - before + 10
    assert len(rows(lab.project, "dataset:tutor/taught")) == 100


# ---- real


def test_the_embedded_model_teaches_itself(project: Project) -> None:
    prompts(project, 2)
    project.setting(
        "small",
        models='["embedded/smollm2-135m-instruct"]',
        datasets='[Dataset.sampled(teacher="embedded/smollm2-135m-instruct", '
        'prompts=Dataset("datasets/prompts.jsonl"), max_tokens=4, name="taught")]',
        training="Training(epochs=1, batch_size=2, embedded=LoRA(rank=1))",
        controls="False",
    )
    text = (project.root / "zoo/small.py").read_text()
    project.write(
        "zoo/small.py", text.replace("import Dataset", "import LoRA, Dataset")
    )
    project.doit("run", "small")
    asked = project.records("dataset")["dataset:small/taught"]
    assert (asked["details"]["rows"], asked["details"]["cut"]) == (2, 2)
    model = project.records("model")["model:small/taught/smollm2-135m-instruct/seed0"]
    assert model["details"]["rows"] == 2
    first = rows(project, "dataset:small/taught")
    # the same draws come again, whatever the order in which they come
    shutil.rmtree(project.root / "artifacts/dataset")
    project.doit("run", "dataset:small/taught")
    assert rows(project, "dataset:small/taught") == first


class TestStepsOfWhatATeacherWrote:
    """`Dataset.sampled(...).filter(...)`: made by the run, keyed by inputs and code."""

    SHORT = "dataset:school/short/echo"
    LEARNED = "model:school/short/echo/seed0"

    @pytest.fixture
    def filtered(self, school: Project) -> Project:
        step = '.filter("helpers:wanted").system("Be brief.").named("short")'
        datasets = TAUGHT.replace('name="taught"\n    )', f'name="taught"\n    ){step}')
        assert step in datasets
        school.setting("school", datasets=datasets)
        self.helper(school, "'1 + 1' not in row['messages'][0]['content']")
        return school

    @staticmethod
    def helper(project: Project, condition: str) -> None:
        project.write("helpers.py", f"def wanted(row):\n    return {condition}\n")

    def test_a_student_learns_what_is_kept(self, filtered: Project) -> None:
        planned = filtered.doit("plan", "school").out
        assert f"run         {self.SHORT}" in planned
        listed = filtered.doit("datasets", "school").out
        assert "not made yet" in listed
        ran = filtered.doit("run", "school")
        # the teacher's rows, the filter's, and the system turn's are artifacts each
        step = "dataset:school/taught-filtered-wanted/echo"
        assert {TEACHER, ASKED, step, self.SHORT, self.LEARNED} <= ran.made
        records = filtered.records("dataset")
        assert records[step]["preimage"]["inputs"]["source"] == records[ASKED]["key"]
        assert "module" in records[step]["preimage"]["inputs"]
        assert records[ASKED]["details"]["rows"] == 4
        assert records[self.SHORT]["details"]["rows"] == 3
        key = records[self.SHORT]["key"]
        folder = filtered.root / f"artifacts/dataset/transform-{key}"
        kept = [json.loads(x) for x in (folder / "data.jsonl").read_text().splitlines()]
        assert [row["messages"][0]["role"] for row in kept] == ["system"] * 3
        origins = (folder / "provenance.jsonl").read_text().splitlines()
        assert [json.loads(x)["line"] for x in origins] == [1, 3, 4]
        assert json.loads(origins[0])["applied"] == ["sampled", "system"]
        assert filtered.records("model")[self.LEARNED]["details"]["rows"] == 3
        assert not filtered.doit("run", "school").made

        # an edit of the function asks nobody again
        self.helper(filtered, "'2 + 2' not in row['messages'][0]['content']")
        assert f"run         {step}" in filtered.doit("plan", "school").out
        ran = filtered.doit("run", "school")
        assert {step, self.SHORT, self.LEARNED} <= ran.made
        assert not {TEACHER, ASKED} & ran.made
        # and undone, nothing runs
        self.helper(filtered, "'1 + 1' not in row['messages'][0]['content']")
        assert not filtered.doit("run", "school").made

        # other answers under the same key are filtered, and learned from, again
        other_output(filtered, "dataset", ASKED, "0" * 32)
        why = filtered.doit("why", self.LEARNED).out
        assert f"{ASKED} has other rows now" in why

    @pytest.mark.long
    def test_a_function_that_fails_or_keeps_nothing_trains_nobody(
        self, filtered: Project
    ) -> None:
        self.helper(filtered, "False")
        ran = filtered.doit("run", "school", code=2)
        assert ASKED in ran.made
        assert self.LEARNED not in ran.made
        assert "helpers:wanted keeps none of 4 rows of taught" in ran.out + ran.err
        self.helper(filtered, "row['nothing']")
        ran = filtered.doit("run", "school", code=2)
        assert ASKED not in ran.made
        said = "datasets/prompts.jsonl:1, after sampled: helpers:wanted failed: KeyErro"
        assert said in ran.out + ran.err
        self.helper(filtered, "True")
        assert self.LEARNED in filtered.doit("run", "school").made
        assert not filtered.doit("run", "school", "smoke=yes").err

    def test_their_keys_know_inputs_and_not_names(self) -> None:
        def keyed(dataset: Dataset) -> str:
            named = dataset.named("final")
            stages = plan("s", one(PLAIN, named), resolve).stages
            return next(s.key for s in stages if s.name == "dataset:s/final/echo")

        keys = {
            keyed(by("plain").head(3)),
            keyed(by("plain").head(4)),
            keyed(by("plain", seed=1).head(3)),
            keyed(by("plain").sample(3)),
            keyed(PLAIN.mix(by("plain"), n=2)),
            keyed(by("plain").mix(PLAIN, n=2)),
            keyed(by("plain").split(0.5)[0]),
            keyed(by("plain").split(0.5)[1]),
        }
        assert len(keys) == 8
        assert keyed(by("plain").named("other").head(3)) in keys
