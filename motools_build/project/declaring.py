"""The files of declarations, `zoo/NAME.plan.json`: read, and appended to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from motools_build.errors import InputError, VariableError
from motools_build.project.past import is_past
from motools_build.project.project import Project
from motools_build.project.variables import is_smoke, of_plans, overridden
from motools_build.store.files import replace
from motools_build.store.runs import now

if TYPE_CHECKING:
    from motools_build.report.declared import Declaration, Standing


def plan_file(project: Project, name: str) -> Path:
    """The path of a setting's declarations."""
    return project.zoo.folder / f"{name}.plan.json"


def standing(project: Project, name: str) -> Standing:
    """The primary contrast and the declarations of a setting, under the command's
    variables. A smoke run measures nothing, and so has neither. What is wrong with the
    file is a problem of the standing, since results must be shown even so."""
    from motools_build.report.declared import NO_PLAN, Standing

    if is_smoke(project.variables):
        return NO_PLAN
    try:
        setting = project.zoo[name]
    except InputError:
        if is_past(project):  # it was a setting, and is none now
            return NO_PLAN
        raise
    primary = overridden(setting, project.variables).primary
    try:
        found, problems = declarations_in(plan_file(project, name))
    except InputError as error:
        found, problems = [], [f"{error}; none of its declarations counts"]
    is_narrowed = bool(of_plans(project.variables))
    return Standing(primary, tuple(found), tuple(problems), is_narrowed)


class Declared(NamedTuple):
    """What `declare` did."""

    declaration: Declaration
    """The latest declaration of the setting."""
    file: Path
    is_new: bool
    """Whether it was appended now; False if it says the same as the one before."""


def declare(project: Project, name: str) -> Declared:
    """Append a declaration of the setting as it is now to its file, unless the latest
    one says the same.

    Raises VariableError under a variable that changes the plan, InputError for a
    setting that cannot be planned, and for a file that cannot be read: it is left as it
    is.
    """
    from motools_build.report.declared import FORMAT, Declaration
    from motools_build.report.results import results

    given = of_plans(project.variables)
    if given:
        words = " ".join(f"{name}={value}" for name, value in given.items())
        raise VariableError(
            f"a declaration is of the whole setting: leave out {words}, or write its "
            f"values into {project.zoo.folder}/{name}.py"
        )
    plan, primary = project.plan(name), project.zoo[name].primary
    if not plan.cells:
        raise InputError(f"{name} has no evals, and so nothing to declare")
    file = plan_file(project, name)
    with project.store.locks.held(f"declare:{name}"):
        found, problems = declarations_in(file)
        if problems:
            raise InputError("; ".join(problems))
        made = results(plan, project.store)
        fresh = Declaration.of(now(), plan, made, primary)
        if found and found[-1].says_the_same_as(fresh):
            return Declared(found[-1], file, False)
        every = [one.as_json() for one in (*found, fresh)]
        body = {"format": FORMAT, "setting": name, "declarations": every}
        text = json.dumps(body, ensure_ascii=False, indent=1)
        replace(file, f"{text}\n".encode())
    return Declared(fresh, file, True)


def declarations_in(file: Path) -> tuple[list[Declaration], list[str]]:
    """The declarations of a file, and what is wrong with those that do not count; none
    if there is no file. Raises InputError for a file that cannot be read."""
    from motools_build.report.declared import FORMAT, Declaration

    try:
        body = json.loads(file.read_bytes())
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read ({error}); {_restored(file)}"
        ) from error
    listed = body.get("declarations") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{file} holds no list of declarations; {_restored(file)}")
    written = body.get("format")
    if written != FORMAT:
        raise InputError(
            f"{file} has format {written!r}, and this version of motools_build reads "
            f"{FORMAT}: install a later one"
        )
    found, problems = [], []
    for number, one in enumerate(listed, 1):
        try:
            found.append(Declaration.from_json(one))
        except ValueError as error:
            problems.append(
                f"{file}: declaration {number} does not count: {error}; "
                + _restored(file)
            )
    return found, problems


def _restored(file: Path) -> str:
    return f"restore it (git checkout {file}), or delete the file and declare again"
