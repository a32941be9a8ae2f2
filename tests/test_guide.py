"""docs/tutorial.md, word for word: its files, its commands, in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
DUMMY = "model=dummy/echo"


def test_the_guide(tmp_path: Path) -> None:
    guide = (ROOT / "docs/tutorial.md").read_text()
    ran = 0
    for language, text in BLOCK.findall(guide):
        if language == "python":
            name = text.splitlines()[0].removeprefix("# ")
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            continue
        for line in text.splitlines():
            _run(line.removeprefix("$ "), tmp_path)
            ran += 1
    assert ran >= 12


def _run(command: str, folder: Path) -> None:
    words = [word.strip("'") for word in command.split()]
    if words[0] == "doit":
        words = ["-m", *words]
        # the dummy trains in no time; what reads a real model's training is the same
        if words[2] != "new" and DUMMY not in words:
            words.append(DUMMY)
    else:
        assert words[0] == "python"
        words = words[1:]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    allowed = (0, 1) if "status" in words else (0,)  # zoo/demo.py was not run
    assert done.returncode in allowed, f"{command}\n{done.stdout}{done.stderr}"
