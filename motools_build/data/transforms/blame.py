"""Problems of a derived file, reported at the lines that its rows come from."""

from __future__ import annotations

import json
import re

from motools_build.data.rows.checks import Rules, check_file, listed
from motools_build.data.source import Source
from motools_build.errors import DatasetError


def check_source(source: Source, format: str, rules: Rules) -> None:
    """Raises DatasetError with the first rows of a file that break the rules, and for a
    format that the rules do not have."""
    if format not in rules.checks:
        known = ", ".join(rules.checks)
        raise DatasetError(f"no rules for {format}, {rules.name}; there are {known}")
    problems = blamed(check_file(source.path, format, rules), source)
    if problems:
        raise DatasetError(listed(problems))


def blamed(problems: list[str], source: Source) -> list[str]:
    """The problems of a derived file, rewritten: `data.jsonl:3: ...` becomes
    `datasets/x.jsonl:17 (after system): ...`, and a problem of the whole file begins
    with the dataset's name. Problems of other files stay as they are."""
    place = re.compile(re.escape(source.path) + r":(\d+): (.*)", re.DOTALL)
    found = [place.match(problem) for problem in problems]
    wanted = {int(match[1]) for match in found if match}
    if not source.derived:
        return problems
    origins = {}
    with open(source.sidecar(), "rb") as file:
        for number, line in enumerate(file, 1):
            if number in wanted:
                origin = json.loads(line)
                path = source.paths.get(origin["source"], source.path)
                after = f" (after {' and '.join(origin['applied'])})"
                origins[number] = (
                    f"{path}:{origin['line']}{after * bool(origin['applied'])}"
                )
    return [
        f"{origins[int(match[1])]}: {match[2]}"
        if match and int(match[1]) in origins
        else problem.replace(f"{source.path}:", f"dataset {source}:", 1)
        for problem, match in zip(problems, found, strict=True)
    ]
