"""A user's function over rows, in a process of its own.

Its own, so that the module is imported as its file is now, from the project's root,
and sets and hashes have the same order each time:

    python -m motools_build.data.transforms.apart < request.json
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motools_build.data import steps
from motools_build.data.source import Source
from motools_build.errors import DatasetError
from motools_build.text.similar import known


def module_file(step: steps.Filter | steps.Map) -> str:
    """`helpers.rows:is_short` -> `helpers/rows.py`, relative to the project's root.

    Raises DatasetError if there is no such file.
    """
    stem = step.module.replace(".", "/")
    for path in (f"{stem}.py", f"{stem}/__init__.py"):
        if os.path.isfile(path):
            return path
    raise DatasetError(
        f"{step.WORD}({step.function!r}): there is no {stem}.py below the project's "
        "root; name a function as module:function"
    )


def make_apart(
    step: steps.Filter | steps.Map, sources: Sequence[Source], folder: Path
) -> dict[str, Any]:
    """Raises DatasetError for what the function, or its module, does wrong."""
    path = module_file(step)
    (source,) = sources
    request = {
        "step": step.WORD,
        "fields": step.model_dump(mode="json"),
        "source": asdict(source),
        "folder": str(folder),
        "file": path,
    }
    with tempfile.TemporaryDirectory() as bytecode:
        # bytecode that is kept takes an edit within a second for no edit
        process = subprocess.run(
            [sys.executable, "-m", __name__],
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
            f"{path}: the process that ran {step.function} ended with "
            f"{process.returncode} ({last[0]})"
        ) from None
    if "problem" in answer:
        raise DatasetError(answer["problem"])
    return answer


def _places() -> list[str]:
    package = Path(__file__).parents[3]
    return [str(package), os.environ.get("PYTHONPATH", "")]


def _function(path: str, module: str, name: str) -> Callable[[Any], Any]:
    for place in (str(Path(path).parent), "."):  # where imports are looked for
        sys.path.insert(0, os.path.abspath(place))
    spec = importlib.util.spec_from_file_location(module, os.path.abspath(path))
    assert spec is not None
    assert spec.loader is not None
    there = importlib.util.module_from_spec(spec)
    sys.modules[module] = there
    try:
        spec.loader.exec_module(there)
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        raise DatasetError(f"{path} cannot be imported: {said}") from error
    function = getattr(there, name, None)
    if not callable(function):
        names = [n for n, value in vars(there).items() if callable(value)]
        raise DatasetError(f"{path} has no function {name!r}; {known(name, names)}")
    found: Callable[[Any], Any] = function
    return found


def main() -> None:
    from motools_build.data.transforms.make import make_by_function

    request = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, sys.stderr  # what the function prints
    step = steps.STEPS[request["step"]](**request["fields"])
    assert isinstance(step, steps.Filter | steps.Map)
    try:
        function = _function(request["file"], step.module, step.called)
        source, folder = Source(**request["source"]), Path(request["folder"])
        answer = make_by_function(step, source, folder, function)
    except DatasetError as error:
        answer = {"problem": str(error)}
    json.dump(answer, answers)


if __name__ == "__main__":
    main()
