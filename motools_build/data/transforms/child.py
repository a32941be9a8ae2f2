"""The process that runs a user's function over rows; `apart.py` starts it:

python -m motools_build.data.transforms.child < request.json
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motools_build.data.source import Source
from motools_build.data.transforms.functions import ByFunction
from motools_build.data.transforms.table import STEPS
from motools_build.errors import DatasetError
from motools_build.text.similar import known


def main() -> None:
    """Read a request from standard input, and answer it on standard output, in JSON."""
    request = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, sys.stderr  # keeps prints out of the answer
    step = STEPS[request["step"]](**request["fields"])
    assert isinstance(step, ByFunction)
    try:
        function = _function(request["file"], step.module, step.called)
        sources = [Source(**source) for source in request["sources"]]
        answer = step.run_here(function, sources, Path(request["folder"]))
    except DatasetError as error:
        answer = {"problem": str(error)}
    json.dump(answer, answers)


def _function(path: str, module: str, name: str) -> Callable[[Any], Any]:
    """The function `name` of the file `path`, imported as the project would import it.
    Raises DatasetError if the import fails or the function does not exist."""
    for place in (str(Path(path).parent), "."):  # for the file's own imports
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


if __name__ == "__main__":
    main()
