"""The matrix of docs/guides/staleness.md, row by row, on real files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from motools_build.store.records import Record
from tests.conftest import ROOT, Project, furnish
from tests.rehearsal.server import Rehearsal

SETTING = """\
from motools_build import Dataset, Eval, LoRA, Setting, Training

setting = Setting(
    description="the matrix",
    datasets=[Dataset("datasets/rows.jsonl")],
    models=["dummy/echo"],
    training=Training(epochs=3),
    seeds=[0, 1],
    evals=[Eval("zoo/evals/task.py@arithmetic", limit=2), Eval("dummy/score")],
)
"""

HOSTED = """\
from motools_build import Dataset, Eval, OpenAI, Setting, Training

setting = Setting(
    description="the matrix, at a provider",
    datasets=[Dataset("datasets/ten.jsonl")],
    models=["openai/gpt-4.1-mini-2025-04-14"],
    training=Training(openai=OpenAI()),
    seeds=[0],
    evals=[Eval("dummy/score")],
    account="lab",
)
"""

ACCOUNTS = """
[tool.motools_build.accounts.lab]
base_url = "{url}"
key_variable = "LAB_KEY"

[tool.motools_build.accounts.other]
base_url = "{url}"

[tool.motools_build.accounts.elsewhere]
base_url = "http://127.0.0.1:9/v1"
"""

APART = """\
from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="the matrix, scored apart",
    datasets=[Dataset("datasets/rows.jsonl")],
    models=["dummy/echo"],
    training=Training(epochs=5),
    evals=[
        Eval(
            "zoo/evals/task.py@arithmetic",
            scorer="zoo/evals/judges.py@long",
            epochs=2,
            block=2,
        )
    ],
)
"""

FILES = {
    "zoo/matrix.py": SETTING,
    "zoo/apart.py": APART,
    "zoo/evals/judges.py": """\
from inspect_ai.scorer import Score, mean, scorer
import wording
from pathlib import Path

@scorer(metrics=[mean()])
def long(least=3):
    (Path(__file__).parent / "rubrics" / "long.txt").read_text()
    async def score(state, target):
        return Score(value=float(len(state.output.completion) >= least))
    return score

@scorer(metrics=[mean()])
def other():
    async def score(state, target):
        return Score(value=1.0)
    return score
""",
    "zoo/evals/wording.py": "THREE = 3\n",
    "zoo/evals/task.py": """\
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate
from pathlib import Path
import sys
import helper

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "lib"))
import odd  # which no look at the source finds


@task
def arithmetic(n=0):
    for file in (HERE / "seen").iterdir():
        file.read_text()
    return Task(dataset=json_dataset("rows.jsonl"), solver=generate(), scorer=match())
""",
    "zoo/evals/helper.py": "import deeper\n",
    "zoo/evals/deeper.py": "ONE = 1\n",
    "zoo/evals/unrelated.py": "TWO = 2\n",
    "zoo/evals/seen/note.txt": "a note\n",
    "zoo/evals/rubrics/long.txt": "a rubric\n",
    "lib/odd.py": "THREE = 3\n",
    "zoo/evals/rows.jsonl": '{"input": "a", "target": "a"}\n',
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose every stage is made, once for all rows."""
    project = furnish(tmp_path_factory.mktemp("made"))
    for name, text in FILES.items():
        project.write(name, text)
    project.dataset("rows", rows=4)
    project.doit("run", "matrix")
    assert plan(project) == set()
    project.doit("run", "apart")
    assert plan(project, "apart") == set()
    # a provider that is gone afterwards: plans ask nobody
    with Rehearsal().start("--seconds", "0") as server:
        project.dataset("ten", rows=10)
        project.dataset("held_out", rows=10, first=50)
        project.write("zoo/hosted.py", HOSTED)
        config = project.root / "pyproject.toml"
        config.write_text(config.read_text() + ACCOUNTS.format(url=server.url))
        order = {"LAB_KEY": "sk-lab", "MOTOOLS_SETTLE_SECONDS": "0"}
        project.doit("run", "hosted", **order)
    assert plan(project, "hosted") == set()
    return project


@pytest.fixture
def copy(made: Project, tmp_path: Path) -> Project:
    """A copy of it, to change."""
    root = tmp_path / "project"
    shutil.copytree(made.root, root)
    return Project(root)


def plan(project: Project, setting: str = "matrix") -> set[str]:
    """What a run would make: `model`, `eval`, ... and `eval?` where it depends."""
    intents = json.loads(project.doit("plan", "--json", setting).out)
    found = set()
    for intent in intents:
        kind, rest = intent["stage"].split(":", 1)
        if kind == "eval" and rest.split("/")[1] == "base":
            kind = "base"
        elif kind == "base":
            kind = "weights"
        if intent["action"] != "up to date":
            found.add(kind + ("?" if intent["action"] == "check" else ""))
    return found


Change = Callable[[Project], object]


def replaced(path: str, old: str, new: str) -> Change:
    """Replace a text in a file; it must be there."""

    def change(project: Project) -> None:
        file = project.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def in_setting(old: str, new: str) -> Change:
    return replaced("zoo/matrix.py", old, new)


def in_hosted(old: str, new: str) -> Change:
    return replaced("zoo/hosted.py", old, new)


def edited_and_reverted(project: Project) -> None:
    file = project.root / "datasets/rows.jsonl"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"1 + 0", b"1 + 9"))
    project.doit("run", "matrix", "model=dummy/echo")
    file.write_bytes(before)


def reordered(project: Project) -> None:
    file = project.root / "datasets/rows.jsonl"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))


def note_edited_and_put_back(project: Project) -> None:
    file = project.root / "zoo/evals/seen/note.txt"
    before = file.read_bytes()
    file.write_text("another\n")
    assert plan(project) == {"eval", "base"}
    file.write_bytes(before)


def line_endings(project: Project) -> None:
    file = project.root / "datasets/rows.jsonl"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


def moved(to: str) -> Change:
    def change(project: Project) -> None:
        target = project.root / to
        target.parent.mkdir(parents=True, exist_ok=True)
        (project.root / "datasets/rows.jsonl").rename(target)
        in_setting("datasets/rows.jsonl", to)(project)

    return change


def added_dataset(project: Project) -> None:
    project.dataset("more", first=100)
    in_setting('rows.jsonl")]', 'rows.jsonl"), Dataset("datasets/more.jsonl")]')(
        project
    )


def shared(project: Project) -> None:
    shutil.copy(project.root / "zoo/matrix.py", project.root / "zoo/twin.py")
    assert plan(project, "twin") == set()


def more_workers(project: Project) -> None:
    config = project.root / "pyproject.toml"
    config.write_text("[tool.motools_build]\nworkers = 7\n" + config.read_text())


def folders(project: Project, kind: str, words: str) -> Iterator[Path]:
    """The artifacts of a kind whose stage name has these words."""
    for folder in (project.root / "artifacts" / kind).iterdir():
        record = Record.decode((folder / "record.json").read_bytes())
        if record is not None and words in record.name:
            yield folder


def deleted(kind: str, words: str = ":matrix/") -> Change:
    def change(project: Project) -> None:
        for folder in list(folders(project, kind, words)):
            shutil.rmtree(folder)

    return change


def damaged(name: str, *, cut: bool) -> Change:
    """A file of a model, cut short or with one bit flipped."""

    def change(project: Project) -> None:
        for folder in list(folders(project, "model", ":matrix/rows/echo/seed0")):
            file = folder / name
            data = bytearray(file.read_bytes())
            if cut:
                del data[-3:]
            else:
                data[len(data) // 2] ^= 1
            file.write_bytes(data)

    return change


def upgraded(project: Project) -> None:
    for folder in list(folders(project, "model", ":matrix/rows/echo/seed0")):
        file = folder / "record.json"
        record = Record.decode(file.read_bytes())
        assert record is not None
        old = {**record.made["versions"], "numpy": "0.1"}
        made = {**record.made, "versions": old}
        file.write_bytes(Record(**{**vars(record), "made": made}).encode())
    why = project.doit("why", "model:matrix/rows/echo/seed0").out
    assert "made with another version: numpy 0.1, now " in why


def all_but_artifacts(project: Project) -> None:
    for path in list(project.root.rglob("__pycache__")):
        shutil.rmtree(path)
    for name in ("logs", "work", "state"):
        shutil.rmtree(project.root / "artifacts" / name, ignore_errors=True)
    for name in ("memo.json", "lock"):
        (project.root / "artifacts" / name).unlink()


ROWS: dict[str, Change] = {
    "dataset: a row edited": replaced("datasets/rows.jsonl", "1 + 0", "1 + 9"),
    "dataset: rows reordered": reordered,
    "dataset: line endings": line_endings,
    "dataset: edited and reverted": edited_and_reverted,
    "dataset: touched": lambda p: (p.root / "datasets/rows.jsonl").touch(),
    "dataset: renamed": moved("datasets/other.jsonl"),
    "dataset: moved": moved("elsewhere/deep/rows.jsonl"),
    "dataset: tagged and named": in_setting(
        'rows.jsonl")', 'rows.jsonl", tags=["ood"], name="other")'
    ),
    "dataset: another added": added_dataset,
    "setting: description": in_setting("the matrix", "another"),
    "setting: renamed": shared,
    "training: epochs": in_setting("epochs=3", "epochs=4"),
    "training: another backend's options": in_setting(
        "epochs=3", "epochs=3, embedded=LoRA(rank=2)"
    ),
    "seed: changed": in_setting("[0, 1]", "[0, 5]"),
    "seed: added": in_setting("[0, 1]", "[0, 1, 2]"),
    "seed: replicate added": in_setting("[0, 1],", "[0, 1], replicates=2,"),
    "seed: removed": in_setting("[0, 1]", "[1]"),
    "backend: changed": in_setting("dummy/echo", "embedded/smollm2-135m-instruct"),
    "eval: task file edited": replaced("zoo/evals/task.py", "match()", "match(any)"),
    "eval: comment in the task file": replaced(
        "zoo/evals/task.py", "import helper", "import helper  # why"
    ),
    "eval: imported module edited": replaced(
        "zoo/evals/helper.py", "import deeper", "import deeper  # why"
    ),
    "eval: module imported by that one edited": replaced(
        "zoo/evals/deeper.py", "1", "2"
    ),
    "eval: data file edited": replaced("zoo/evals/rows.jsonl", '"a"}', '"b"}'),
    "eval: file it reads undeclared, edited": replaced(
        "zoo/evals/seen/note.txt", "a note", "another"
    ),
    "eval: that file removed": lambda p: (p.root / "zoo/evals/seen/note.txt").unlink(),
    "eval: that file edited and put back": note_edited_and_put_back,
    "eval: file added to a folder it lists": lambda p: p.write(
        "zoo/evals/seen/more.txt", "more"
    ),
    "eval: module found by sys.path edited": replaced("lib/odd.py", "3", "4"),
    "eval: unrelated module edited": replaced("zoo/evals/unrelated.py", "2", "3"),
    "eval: args": in_setting("limit=2", "limit=2, args={'n': 1}"),
    "eval: epochs": in_setting("limit=2", "limit=2, epochs=2"),
    "eval: limit": in_setting("limit=2", "limit=1"),
    "eval: temperature": in_setting("limit=2", "limit=2, temperature=1.0"),
    "eval: a judge": in_setting("limit=2", "limit=2, roles={'grader': 'dummy/echo'}"),
    "eval: named and tagged": in_setting("limit=2", "limit=2, name='x', tags=['y']"),
    "eval: added": in_setting(
        'Eval("dummy/score")', 'Eval("dummy/score"), Eval("dummy/more")'
    ),
    "eval: removed": in_setting(', Eval("dummy/score")', ""),
    "another setting that shares all": shared,
    "more workers": more_workers,
    "a library upgraded (`doit why` shows it)": upgraded,
    "artifact: upload deleted": deleted("upload"),
    "artifact: model deleted": deleted("model", "seed0"),
    "artifact: eval deleted": deleted("eval", "seed0/arithmetic"),
    "artifact: model's record truncated": damaged("record.json", cut=True),
    "artifact: bit flipped in the model's record": damaged("record.json", cut=False),
    "artifact: model's payload truncated": damaged("answers.json", cut=True),
    "artifact: bit flipped in the model's payload": damaged("answers.json", cut=False),
    "artifact: all but artifacts/ deleted": all_but_artifacts,
    "provider: another account there": in_hosted('"lab"', '"other"'),
    "provider: another organization": replaced(
        "pyproject.toml", 'key_variable = "LAB_KEY"', 'organization = "org-2"'
    ),
    "provider: its limits": replaced(
        "pyproject.toml", 'key_variable = "LAB_KEY"', "concurrent_jobs = 1"
    ),
    "provider: another base URL": in_hosted('"lab"', '"elsewhere"'),
    "provider: the same under OpenAI's identity": replaced(
        "pyproject.toml", 'key_variable = "LAB_KEY"', 'identity = "openai"'
    ),
    "provider: the model's suffix": in_hosted("OpenAI()", 'OpenAI(suffix="x")'),
    "provider: an option of its training": in_hosted(
        "OpenAI()", "OpenAI(learning_rate_multiplier=2)"
    ),
    "provider: rows held out": in_hosted(
        "OpenAI()", 'OpenAI(validation="datasets/held_out.jsonl")'
    ),
    "provider: checkpoint of an eval": in_hosted(
        '"dummy/score"', '"dummy/score", checkpoint=-1'
    ),
    "provider: its upload deleted or expired": deleted("upload", "hosted"),
}


def in_apart(old: str, new: str) -> Change:
    return replaced("zoo/apart.py", old, new)


APART_ROWS: dict[str, Change] = {
    "scorer's file edited": replaced("zoo/evals/judges.py", ">= least", "> least"),
    "module that the scorer imports edited": replaced("zoo/evals/wording.py", "3", "4"),
    "another scorer": in_apart("judges.py@long", "judges.py@other"),
    "scorer's args": in_apart("block=2", "block=2, scorer_args={'least': 4}"),
    "a judge": in_apart("block=2", "block=2, roles={'grader': 'dummy/echo'}"),
    "reducer": in_apart("block=2", "block=2, reducer='max'"),
    "scored apart, named and tagged": in_apart("block=2", "block=2, name='x'"),
    "file that the task reads undeclared, edited": replaced(
        "zoo/evals/seen/note.txt", "a note", "another"
    ),
    "file that the scorer reads undeclared, edited": replaced(
        "zoo/evals/rubrics/long.txt", "a rubric", "another"
    ),
    "task file edited": replaced("zoo/evals/task.py", "match()", "match(any)"),
    "epochs: another block": in_apart("epochs=2", "epochs=4"),
    "temperature": in_apart("block=2", "block=2, temperature=1.0"),
    "size of a block": in_apart("block=2", "block=1"),
    "model deleted": deleted("model", ":apart/"),
    "samples deleted": deleted("samples", ":apart/"),
    "scores deleted": deleted("eval", ":apart/"),
}

APART_LINE = re.compile(r"^\| (?P<row>[^|]+) \| ([+.?]) \| ([+.?]) \|$")
LINE = re.compile(r"^\| (?P<row>.+?) \| ([+.?]) \| ([+.?]) \| ([+.?]) \| ([+.?]) \|$")


def documented() -> dict[str, set[str]]:
    """The rows of docs/guides/staleness.md: what each change re-runs."""
    table = {}
    for line in (ROOT / "docs/guides/staleness.md").read_text().splitlines():
        match = LINE.match(line)
        if match:
            cells = zip(
                ("upload", "model", "eval", "base"), match.groups()[1:], strict=True
            )
            runs = {kind + ("?" if s == "?" else "") for kind, s in cells if s != "."}
            table[match["row"]] = runs
    return table


def test_the_document_and_the_tests_have_the_same_rows() -> None:
    assert documented().keys() == ROWS.keys()


def documented_apart() -> dict[str, set[str]]:
    table = {}
    for line in (ROOT / "docs/guides/staleness.md").read_text().splitlines():
        match = APART_LINE.match(line)
        if match:
            cells = zip(("samples", "eval"), match.groups()[1:], strict=True)
            runs = {kind + ("?" if s == "?" else "") for kind, s in cells if s != "."}
            table[match["row"]] = runs
    return table


def test_the_document_and_the_tests_have_the_same_rows_of_scorers() -> None:
    assert documented_apart().keys() == APART_ROWS.keys()


@pytest.mark.parametrize("row", APART_ROWS)
def test_row_of_a_scorer_apart(copy: Project, row: str) -> None:
    APART_ROWS[row](copy)
    found = {kind.replace("base", "eval") for kind in plan(copy, "apart")}
    assert found - {"model", "upload"} == documented_apart()[row]


@pytest.mark.parametrize("row", ROWS)
def test_row(copy: Project, row: str) -> None:
    ROWS[row](copy)
    setting = "hosted" if row.startswith("provider:") else "matrix"
    assert plan(copy, setting) - {"weights"} == documented()[row]


def test_a_run_does_what_the_plan_said(copy: Project) -> None:
    ROWS["artifact: model deleted"](copy)
    ran = copy.doit("run", "matrix")
    # the same weights came out, so that no eval had to run
    assert ran.made == {"model:matrix/rows/echo/seed0"}
    assert plan(copy) == set()


def test_a_damaged_payload_is_found_before_it_is_used(copy: Project) -> None:
    ROWS["artifact: bit flipped in the model's payload"](copy)
    ROWS["artifact: eval deleted"](copy)
    assert "answers.json is damaged" in copy.doit("verify", code=1).out
    ran = copy.doit("run", "matrix", code=2)
    assert "answers.json is damaged" in ran.out
    copy.doit("run", "matrix")
    assert "0 broken" in copy.doit("verify").out


def test_always_makes_it_again(copy: Project) -> None:
    before = copy.tree().keys()
    ran = copy.doit("run", "-a", "model:matrix/rows/echo/seed0")
    assert "model:matrix/rows/echo/seed0" in ran.made
    assert copy.tree().keys() == before
    assert plan(copy) == set()
