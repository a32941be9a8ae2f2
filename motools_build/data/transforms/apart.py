"""Running a user's function over rows in a separate process.

The process imports the function's module from the project's root, as the file is now,
and with a fixed hash seed, so that sets have the same order each time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motools_build.data.source import Source
from motools_build.errors import DatasetError

CHILD = "motools_build.data.transforms.child"
"""The module that the process runs. It is named here and not imported, because it
imports the transforms, which import this module."""


def run_apart(
    word: str,
    fields: Mapping[str, Any],
    file: str,
    sources: Sequence[Source],
    folder: Path,
) -> dict[str, Any]:
    """Run a transform that calls a function of `file` in another process. Returns what
    `Step.run` returns. Raises DatasetError if the function or its module fails, or the
    process ends without an answer."""
    request = {
        "step": word,
        "fields": fields,
        "sources": [asdict(source) for source in sources],
        "folder": str(folder),
        "file": file,
    }
    with tempfile.TemporaryDirectory() as bytecode:
        # Bytecode goes to an empty folder, because Python trusts cached bytecode by the
        # second, and would miss an edit within one.
        process = subprocess.run(
            [sys.executable, "-m", CHILD],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONHASHSEED": "0",
                "PYTHONPYCACHEPREFIX": bytecode,
                "PYTHONPATH": os.pathsep.join(filter(None, _places())),
            },
        )
    try:
        answer: dict[str, Any] = json.loads(process.stdout)
    except ValueError:
        last = process.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise DatasetError(
            f"{file}: the process that ran {fields['function']} ended with "
            f"{process.returncode} ({last[0]})"
        ) from None
    if "problem" in answer:
        raise DatasetError(answer["problem"])
    return answer


def _places() -> list[str]:
    package = Path(__file__).parents[3]
    return [str(package), os.environ.get("PYTHONPATH", "")]
