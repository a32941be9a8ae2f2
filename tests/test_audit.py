"""What the child of a worker reads is noted as it reads it; each in a process of its
own, since an audit hook is for good."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from motools_build.keys import digest_bytes
from motools_build.task_code.attempts import noted, same_as_read
from motools_build.task_code.reads import READ
from tests.conftest import ROOT

BEFORE = """
import json, os, sys
from pathlib import Path
from motools_build.task_code.audit import Watch
from motools_build.keys import digest_file

def else_where(code):  # another process, of which the hook hears nothing
    import subprocess
    subprocess.run([sys.executable, "-c", code], check=True)

def edit(path, text):
    else_where(f"open({path!r}, 'w').write({text!r})")

watch = Watch()
watch.start(os.getcwd())
PLANNED = [p for p in ("task.py", "data/planned.txt") if os.path.exists(p)]
watch.begin({path: digest_file(path) for path in PLANNED})
watch.keep(Path("artifacts/work"))
try:
"""
AFTER = """
finally:
    watch.end()
    print(json.dumps([watch.observed(), watch.edited]))
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    files = {
        "task.py": "import helper\n",
        "lib/helper.py": "VALUE = 1\n",
        "data/planned.txt": "planned",
        "data/q.jsonl": "{}",
        "data/.hidden": "",
        "artifacts/work/log.eval": "",
        "node_modules/x.js": "",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def watched(
    here: Path, code: str, fails: str = ""
) -> tuple[dict[str, str], dict[str, str]]:
    """Observed inputs, and what was edited meanwhile, of a program run there."""
    lines = "".join(f"    {line}\n" for line in code.splitlines())
    ran = subprocess.run(
        [sys.executable, "-c", BEFORE + lines + AFTER],
        cwd=here,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(ran.returncode) == bool(fails), ran.stderr
    assert fails in ran.stderr
    observed, edited = json.loads(ran.stdout)
    return observed, edited


def digest(text: str) -> str:
    return digest_bytes(text.encode())


def test_files_are_noted_however_they_are_opened(here: Path) -> None:
    observed, edited = watched(
        here,
        """\
open(os.path.join("data", "q.jsonl")).read()
os.close(os.open(b"data/planned.txt", os.O_RDONLY))  # in the key
sys.path.insert(0, "lib")
import helper
Path("artifacts/work/log.eval").read_text()
Path("node_modules/x.js").read_text()
open(os.devnull).read()
try: open("data/not-there.txt")
except FileNotFoundError: pass
os.chdir("data")
Path("../task.py").read_text()""",
    )
    assert observed == {
        "data/q.jsonl": digest("{}"),
        "data/not-there.txt": "",
        "lib/helper.py": digest("VALUE = 1\n"),
    }
    assert edited == {}


def test_folders_count_by_the_names_in_them(here: Path) -> None:
    code = "list(Path('data').glob('*.jsonl'))"
    before, _ = watched(here, code)
    assert list(before) == ["data/"]
    (here / "data/.another").write_text("")
    (here / "data/q.jsonl").write_text("other")
    assert watched(here, code)[0] == before
    (here / "data/r.jsonl").write_text("")
    assert watched(here, code)[0] != before
    looked, _ = watched(here, "sys.path.insert(0, 'lib'); import helper")
    assert list(looked) == ["lib/helper.py"]  # searching for a module lists nothing


def test_what_an_eval_writes_is_no_input(here: Path) -> None:
    observed, edited = watched(
        here,
        """\
cache = Path("cache"); cache.mkdir()
os.listdir("cache")
(cache / "a").write_text("1"); (cache / "a").read_text()
os.rename("cache/a", "cache/b"); Path("cache/b").read_text()
json.loads(Path("data/q.jsonl").read_text())
Path("data/q.jsonl").write_text("[]")""",
    )
    assert (observed, edited) == ({}, {})
    assert noted(here / "artifacts/work") == {}


def test_an_edited_file_of_the_key_is_not_read(here: Path) -> None:
    _, edited = watched(
        here,
        """\
edit("data/planned.txt", "edited!")
try: open("data/planned.txt").read()
except Exception as error: print(error, file=sys.stderr); raise""",
        fails="data/planned.txt was edited after this run was planned",
    )
    assert list(edited) == ["data/planned.txt"]


def test_edited_and_put_back(here: Path) -> None:
    aba = 'edit("data/planned.txt", "edited!"); edit("data/planned.txt", "planned")\n'
    whole = "open('data/planned.txt').read()\n"
    # read after it was put back, or before it was edited: the right bytes
    assert watched(here, aba + whole) == ({}, {})
    assert watched(here, whole + "watch.settle()\n" + aba) == ({}, {})
    # open meanwhile; or read, if at all, by what tells Python nothing
    for code in (whole + aba, aba):
        _, edited = watched(here, code)
        assert "while its eval read it" in edited["data/planned.txt"]
        assert not same_as_read(here / "artifacts/work")
        (here / "artifacts/work/log.eval").write_text("")


def test_an_observed_file_that_is_read_twice_as_two(here: Path) -> None:
    read = "open('data/q.jsonl').read()\nwatch.settle()\n"
    touched = read + "else_where('import os; os.utime(\"data/q.jsonl\")')\n" + read
    assert watched(here, touched) == ({"data/q.jsonl": digest("{}")}, {})
    _, edited = watched(here, read + "edit('data/q.jsonl', '[]')\n" + read)
    assert list(edited) == ["data/q.jsonl"]


def test_logs_of_other_inputs_are_not_taken_up(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    work = here / "artifacts/work"
    watched(here, "open('data/q.jsonl').read(); os.listdir('data')")
    with open(work / READ, "a") as file:
        file.write('{"name": "data/not-read.t')  # killed as it wrote
    assert same_as_read(work)
    assert noted(work)["data/q.jsonl"] == digest("{}")
    (here / "data/r.jsonl").write_text("")
    assert not same_as_read(work)
    assert list(work.iterdir()) == []
