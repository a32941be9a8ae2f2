"""Bad inputs of every kind end in a sentence: no traceback, no hang, nothing that
steers a terminal.

The inputs are made by a grammar of commands, specs, rows, configuration and files of
`artifacts/`, and are the same in each run; for others:

    MOTOOLS_FUZZ=7 pytest tests/test_fuzz.py
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from motools_build.text.visible import STEERING
from tests.conftest import Project, Ran, furnish
from tests.test_properties import doit_here

SEED = int(os.environ.get("MOTOOLS_FUZZ", "1"))

EACH = {
    **{"command": 90, "spec": 90, "rows": 40, "config": 40},
    **{"sources": 50, "artifacts": 40},
}
"""Inputs of each kind."""

HANGS = 60
"""Seconds after which an input counts as a hang, on the busiest machine."""

CODES = (0, 1, 2, 3, 130)

NASTY = (
    *("", " ", "\x1b[2J", "\x1b]0;pwned\x07", "\x9b31m", "\u202egpj.exe", "\u2028"),
    *("a\u200bb", "\r overwritten", "\x00", "\ud800", "\udcff", "é" * 300, "9" * 5000),
    *(
        "..",
        "../../etc",
        "/",
        "~",
        "-",
        "--",
        "=",
        "%s%n",
        "{0}",
        "$(x)",
        "*",
        "[",
        "@",
    ),
    *("[red]x[/red]", "[/", "\\", "'", '"', "\n", "nan", "inf", "-1", "1e999", "None"),
)

COMMANDS = (
    *("run", "plan", "results", "status", "why", "samples", "datasets", "gc"),
    *("verify", "jobs", "cancel", "retry", "adopt", "clean", "list", "info"),
    *("forget", "ignore", "new", ""),
)

WORDS = (
    *("tiny", "tinny", "model:tiny/tiny/echo/seed0", "model:tiny/*", "eval:tiny/"),
    *("eval:", "model:tiny/tiny/echo/seed99", "tag:x", "tag:", "deadbeef", "0" * 8),
    *("--json", "--yes", "--keep=nan", "--keep=-1", "--keep=x", "--max-size=1e999GB"),
    *("--max-size=-5GB", "--max-size=nanGB", "--max-size=x", "--where=score==",
      "--where=)(", "--where=score==" + "(" * 500, "--nope", "-x", "-n", "-n=-1",
      "--limit=-1", "--remote", "--help"),
)  # fmt: skip

VARIABLES = (
    *("seeds", "model", "account", "smoke", "checkpoint", "wait", "max_spend", "modle"),
)

VALUES = (
    *("None", "True", "-1", "0", "2**52", "10**400", "1e300", "float('nan')", "''"),
    *("'\\x00'", "'\\x1b[2J'", "'\\u202e'", "'\\ud800'", "'x' * 10_000", "[]", "{}"),
    *(
        "[[]]",
        "[None]",
        "[{}]",
        "range(10**9)",
        "range(0)",
        "object()",
        "print",
        "b'x'",
    ),
    *("__import__('pathlib').Path('/')", "deep(3000)", "{'a': deep(3000)}", "{1: 2}"),
    *("'../../x.jsonl'", "'datasets'", "'fifo'", "'/dev/zero'", "'nothing.py@x'"),
    *("'fifo@t'", "'datasets/tiny.jsonl@t'", "'e.py@t'", "'a/b'", "('a', 'b')"),
    *("{'a': float('inf')}", "[0] * 200_000", "[10**30]", "itself()", "Dataset"),
    *("Dataset('datasets/tiny.jsonl').head(10**15)", "Dataset('fifo')", "Dataset"),
    *("Dataset('datasets/tiny.jsonl').system('\\ud800')", "1 / 0", "exit()", "[1, 1]"),
    *("Dataset('datasets/tiny.jsonl').filter('no:such')", "Dataset('e.py')"),
    *("Training.grid(epochs=range(10**9))", "Training.grid(epochs=[])", "2**31"),
)

FIELDS = {
    "Setting": (
        *("description", "datasets", "models", "seeds", "evals", "training", "bare"),
        *("replicates", "account", "controls", "arms", "train", "nonsense"),
    ),
    "Dataset": ("path", "name", "tags", "step", "digest"),
    "Eval": (
        *("task", "name", "args", "data", "limit", "epochs", "reducer", "seed"),
        *("temperature", "max_tokens", "datasets", "checkpoint", "roles", "scorer"),
        *("scorer_args", "block", "tags", "dataset_tags"),
    ),
    "Training": ("method", "epochs", "batch_size", "embedded", "openai"),
}

MODULE = """\
from motools_build import Arm, Dataset, Eval, LoRA, OpenAI, Setting, Training

def deep(n):
    found = []
    for _ in range(n):
        found = [found]
    return found

def itself():
    found = []
    found.append(found)
    return found

class Fields(dict):
    def __missing__(self, name):
        return {}

bad = Fields({BAD: lambda: {FIELD: VALUE}})
bad = {name: made() for name, made in bad.items()}
of = lambda name: bad.get(name, {})
setting = Setting(**{
    "description": "x",
    "datasets": [Dataset(**{"path": "datasets/tiny.jsonl", **of("Dataset")})],
    "models": ["dummy/echo"],
    "training": Training(**of("Training")),
    "evals": [Eval(**{"task": "dummy/score", **of("Eval")})],
    **of("Setting"),
})
"""

ROWS = (
    *(b"", b"\n", b"\xff\xfe", b"\x00", b"null", b"[]", b"{}", b"1e999", b"NaN", b'"'),
    *(b'{"messages": []}', b'{"messages": [{}]}', b'{"messages": {"role": 1}}'),
    *(b"[" * 100_000, b'{"a":' * 5_000, b'{"messages": [' + b'{"role": "user"},' * 9),
    b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"messages": [{"role": "\\u001b[2J", "content": "\\u202e"}]}',
    b'{"messages": [{"role": "user", "content": 5}, {"role": "assistant"}]}',
    b'{"prompt": "\\u009b2J", "response": "x"}',
    b'{"messages": [{"role": "user", "content": "\x1b]0;x\x07"}]}',
    b'{"\\ud800": 1, "messages": "\\u2028"}',
)

CONFIG = (
    *("default = 5", "default = []", 'default = ["\\u202e"]', "workers = 0"),
    *("workers = 1e400", "workers = -9223372036854775808", 'variables = "\\u001b[2J"'),
    *("settle_seconds = -inf", 'settle_seconds = "x"', "accounts = 1", "prices = []"),
    *('"\\u009b" = 1', "accounts.lab = 1", "accounts.lab.base_url = 5"),
    *(
        'accounts.lab.base_url = "http://[::1"',
        'accounts.lab.base_url = "http://h:99999"',
    ),
    *('accounts.lab.base_url = "http://\\u202e/"', 'accounts.lab.identity = "../../x"'),
    *('accounts.lab.identity = "openai@/../.."', 'accounts.lab.identity = "\\u001b"'),
    *('accounts.lab.key_variable = "\\u001b[2J"', "accounts.lab.connections = 0"),
    *('accounts.lab.nope = "\\u2028"', 'prices."\\u202e" = 1', "prices.x = -1"),
    *("default = 1979-05-27T07:32:00Z", "prices.x.input = inf", 'default = ""'),
)

DOTENV = (
    b"\xff\xfe=",
    b"A=b\0c",
    b"=",
    b"A",
    b"export",
    b"'",
    b"A='\n" * 9,
    b"\xef\xbb\xbfA=1",
)

DAMAGE = (
    *(
        b"",
        b"\x00",
        b"5\n",
        b"[]\n",
        b"{}\n",
        b"null\n",
        b"\xff\xfe\n",
        b"{\n",
        b'"x"\n',
    ),
    b'{"event":"zz","time":5,"key":[1],"attempt":"x","stage":null,"kind":1,'
    b'"backend":2,"account":3}\n',
    b'{"failure":{"name":1,"time":2,"error":3,"message":[],"attempts":"x"}}',
    b'{"paid":{"phase":"bound"}}',
    b'{"paid":{"phase":5,"stage":"","kind":"","backend":"","account":""}}',
    b'{"time":"x","stages":{"a":1}}\n',
    b'{"time":"2026-01-01T00:00:00Z","stages":{"model:tiny/tiny/echo/seed0":5}}\n',
    b'{"digests":[],"notes":5}',
    b'{"failure":{"name":"x","time":"x","error":"x","message":"\\u001b[2J\\ud800"}}',
)

PLACES = (
    "ledger.jsonl",
    "runs.jsonl",
    "runs.latest.json",
    "memo.json",
    "last-run.json",
    "lock",
    "STATE",
)


SOURCES = (
    *(b"", b"\x00", b"\xff\xfe", b"# \xe9\n", b"x = (\n", b"\t\n x", b"1/0\n"),
    *(b"import nothing_like\n", b"raise ValueError('\\x1b[2J\\u202e')\n", b"f'{\n"),
    *(b"raise SystemExit('\\x9b')\n", b"(" * 3000, b"-" * 9000, b"import zoo.tiny\n"),
    *(b"raise KeyboardInterrupt\n", b"setting = 5\n", b"def setting(): ...\n"),
    b"class E(Exception):\n    def __str__(self): raise self\nraise E\n",
    *(b"from motools_build import *\nsetting = Setting()\n", b"\\ud800 = 1\n"),
    *(b"raise ValueError('\\ud800')\n", b"assert False, '\\x00'\n", b"\xef\xbb\xbf"),
    *(b"from inspect_ai import task\n@task\ndef t(: ...\n", b"@task\ndef x(): ...\n"),
    b"@task\ndef t():\n    return open('../../x').read() or '\\x00'\n",
)

FIFO = None
"""In the place of a source: a pipe that nobody writes to."""


@dataclass(frozen=True)
class Input:
    """What is done to a project, and the command that then meets it."""

    told: str
    words: tuple[str, ...]
    do: Callable[[Project], None]


def inputs(kind: str) -> Iterator[Input]:
    draw = random.Random(f"{SEED} {kind}")
    for _ in range(EACH[kind]):
        yield KINDS[kind](draw)


def _command(draw: random.Random) -> Input:
    words = [draw.choice(COMMANDS)]
    for _ in range(draw.randint(1, 3)):
        sort = draw.random()
        if sort < 0.4:
            words.append(draw.choice(WORDS))
        elif sort < 0.7:
            words.append(f"{draw.choice(VARIABLES)}={draw.choice(NASTY)}")
        else:
            words.append(draw.choice(NASTY) + draw.choice(("", "", "tiny")))
    return Input("", tuple(words), lambda project: None)


def _spec(draw: random.Random) -> Input:
    kind = draw.choice([*FIELDS, "Setting", "Eval"])
    field, value = draw.choice(FIELDS[kind]), draw.choice(VALUES)
    text = MODULE.replace("BAD", repr(kind)).replace("FIELD", repr(field))
    text = text.replace("VALUE", value)

    def do(project: Project) -> None:
        project.write("zoo/tiny.py", text)

    command = draw.choice(("plan", "run", "results", "list", "status", "datasets"))
    return Input(f"{kind}({field}={value})", (command, "tiny"), do)


def _rows(draw: random.Random) -> Input:
    good = json.dumps({"messages": [{"role": "user", "content": "x"}]}).encode()
    lines = [draw.choice([*ROWS, good]) for _ in range(draw.randint(1, 3))]
    if draw.random() < 0.5:
        one = bytearray(draw.choice(ROWS) or b"x")
        one[draw.randrange(len(one))] = draw.randrange(256)
        lines.append(bytes(one))
    name = draw.choice(("tiny", "tiny", "other"))

    def do(project: Project) -> None:
        (project.root / f"datasets/{name}.jsonl").write_bytes(b"\n".join(lines))

    command = draw.choice(("run", "plan", "datasets", "results"))
    return Input(str([line[:60] for line in lines]), (command,), do)


def _config(draw: random.Random) -> Input:
    if draw.random() < 0.2:
        data = draw.choice(DOTENV)

        def dotenv(project: Project) -> None:
            (project.root / ".env").write_bytes(data)

        return Input(f".env {data!r}", ("plan", "tiny"), dotenv)
    line = draw.choice(CONFIG)

    def do(project: Project) -> None:
        file = project.root / "pyproject.toml"
        file.write_text(f"{file.read_text()}\n[tool.motools_build]\n{line}\n")

    command = draw.choice(("run", "plan", "status", "jobs"))
    account = draw.choice(((), ("account=lab", "model=openai/gpt-4.1-mini-2025-04-14")))
    return Input(line, (command, *account), do)


def _sources(draw: random.Random) -> Input:
    file = draw.choice(
        ("zoo/tiny.py", "zoo/tiny.py", "zoo/other.py", "e.py", "rows.py")
    )
    source = draw.choice((*SOURCES, FIFO))
    text = MODULE.replace("BAD", "'Eval'").replace("FIELD", "'task'")
    text = text.replace("VALUE", "'e.py@t'")
    if file == "rows.py":
        text = MODULE.replace("BAD", "'Setting'").replace("FIELD", "'datasets'")
        made = "[Dataset('datasets/tiny.jsonl').filter('rows:short')]"
        text = text.replace("VALUE", made)

    def do(project: Project) -> None:
        if not file.startswith("zoo/"):
            project.write("zoo/tiny.py", text)
        (project.root / file).unlink(missing_ok=True)
        if source is FIFO:
            os.mkfifo(project.root / file)
        else:
            (project.root / file).write_bytes(source)

    command = draw.choice(
        ("plan", "results", "list", "status", "datasets", "gc", "clean")
    )
    return Input(f"{file} {source!r}", (command,), do)


def _artifacts(draw: random.Random) -> Input:
    place, data = draw.choice(PLACES), draw.choice(DAMAGE)
    as_folder = draw.random() < 0.2

    def do(project: Project) -> None:
        root = project.root / "artifacts"
        keys = [path.name.rpartition("-")[2] for path in root.glob("model/*")]
        path = root / (f"state/{keys[0]}.json" if place == "STATE" else place)
        if place == "STATE":
            shutil.rmtree(root / "model")
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.mkdir() if as_folder else path.write_bytes(data)

    command = draw.choice(("run", "plan", "status", "jobs", "results", "gc", "verify"))
    told = f"{place} {'a folder' if as_folder else data!r}"
    return Input(told, (command, *(("tiny",) if command != "gc" else ())), do)


KINDS: dict[str, Callable[[random.Random], Input]] = {
    "command": _command,
    "spec": _spec,
    "rows": _rows,
    "config": _config,
    "sources": _sources,
    "artifacts": _artifacts,
}


class Hangs(BaseException):
    """Raised in the middle of whatever does not end."""


@contextmanager
def no_hang() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose setting was run once."""
    project = furnish(tmp_path_factory.mktemp("fuzz") / "made")
    project.dataset("tiny")
    project.dataset("other")
    project.setting("tiny", evals="[Eval('dummy/score')]")
    config = project.root / "pyproject.toml"
    config.write_text(config.read_text() + '\n[tool.motools_build]\ndefault = "tiny"\n')
    project.write("e.py", "def t(): ...\n")
    assert doit_here(project.root, "run").code == 0
    config.write_text(config.read_text().partition("\n[tool.motools_build]")[0])
    os.mkfifo(project.root / "fifo")
    return project


def problem(ran: Ran) -> str | None:
    said = ran.out + ran.err
    if "Traceback" in said:
        return "a traceback"
    steering = STEERING.search(said)
    if steering:
        return f"{steering[0]!r} on the terminal"
    return None if ran.code in CODES else f"exit code {ran.code}"


def tried(one: Input, made: Project, root: Path) -> str | None:
    """What is wrong with how the input ended."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(made.root, root, ignore=shutil.ignore_patterns("fifo"))
    os.mkfifo(root / "fifo")
    project = Project(root)
    if one.told == "":
        file = root / "pyproject.toml"
        file.write_text(file.read_text() + '\n[tool.motools_build]\ndefault = "tiny"\n')
    one.do(project)
    try:
        with no_hang():
            ran = doit_here(root, *one.words)
    except Hangs:
        return "it hangs:\n" + traceback.format_exc()
    except BaseException:  # noqa: BLE001 - whatever it was, doit would not have shown it
        return traceback.format_exc()
    found = problem(ran)
    return f"{found}\n{ran.out[-1500:]}{ran.err[-3000:]}" if found else None


@pytest.mark.parametrize("kind", KINDS)
def test_bad_inputs_end_in_a_sentence(
    kind: str, made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-fuzz-and-no-real-key")
    monkeypatch.setenv("COLUMNS", "200")
    failures = []
    for number, one in enumerate(inputs(kind)):
        with mock.patch.dict(os.environ):
            found = tried(one, made, tmp_path / "project")
        if found:
            what = f"{kind} {number}: doit {one.words!r} {one.told}"
            failures.append(f"{what}\n{found}")
    assert not failures, f"{len(failures)} inputs\n\n" + "\n\n".join(failures)


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "\udcff"),
        ("run", "\u202e", "\x9b2J"),
        ("run", "", "tiny"),
        ("status", "tag:\udcff\x1b[2J"),
        ("plan", "model=\x1b]0;x\x07"),
    ],
    ids=ascii,
)
def test_in_a_process_of_its_own(tiny: Project, words: tuple[str, ...]) -> None:
    """Words as the system gives them, and streams that are the system's."""
    ran = tiny.doit(*words, code=3)
    assert problem(ran) is None, ran
