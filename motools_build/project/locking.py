"""The files of locks, `zoo/NAME.lock.json`: written, read, and compared with what is
here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from motools_build.errors import (
    InputError,
    NewerFormat,
    VariableError,
    one_line,
)
from motools_build.project.declaring import declarations_in, plan_file, standing
from motools_build.project.lock_compared import differing, of_other_inputs, some
from motools_build.project.noting import files_of
from motools_build.project.project import Project
from motools_build.project.variables import is_smoke, of_plans
from motools_build.running.versions import versions
from motools_build.store.files import replace
from motools_build.store.runs import now
from motools_build.text import hints

if TYPE_CHECKING:
    from motools_build.report.declared import Standing
    from motools_build.report.lock.lock import Lock
    from motools_build.report.results import Result

END = ".lock.json"


def lock_file(project: Project, name: str) -> Path:
    """The path of a setting's lock."""
    return project.zoo.folder / f"{name}{END}"


def lockable(project: Project) -> list[str]:
    """The names of all settings, and of those of which only a lock is here."""
    folder = project.zoo.folder
    there = os.listdir(folder) if folder.is_dir() else []
    locked = {one.removesuffix(END) for one in there if one.endswith(END)}
    return sorted({*project.zoo.names, *locked})


class Locked(NamedTuple):
    """What `lock` did."""

    lock: Lock
    file: Path
    is_new: bool
    """Whether the file was written now; False if it says the same already."""


def lock(project: Project, name: str) -> Locked:
    """Write the setting's lock, unless the one that is there says the same.

    Raises VariableError for a smoke run, InputError for a setting that cannot be
    planned, has no evals, or has a secret in a key, ArtifactError if scores cannot be
    read, NewerFormat if the lock that is there is a later version's.
    """
    from motools_build.report.lock.document import encode
    from motools_build.report.lock.lock import read_lock

    if is_smoke(project.variables):
        raise VariableError("a smoke run measures nothing: leave out smoke=yes")
    file = lock_file(project, name)
    with project.store.locks.held(f"lock:{name}"):
        body = _body(project, name)
        data = encode(body)
        fresh = read_lock(data, str(file))
        before = _before(file)
        if before is not None and before.says_the_same_as(fresh.body):
            return Locked(before, file, False)
        replace(file, data)
    return Locked(fresh, file, True)


def _body(project: Project, name: str) -> dict[str, Any]:
    from motools_build.report.lock.lock import body_of
    from motools_build.report.off_plan import off_plan
    from motools_build.report.results import results

    plan, given = project.plan(name), of_plans(project.variables)
    if not plan.cells:
        raise InputError(f"{name} has no evals, and so no results to lock")
    at = project.revisions.now()
    made = {
        "version": versions()["motools_build"],
        "locked": now(),
        "commit": at.get("commit"),
        "dirty": at.get("dirty"),
        "variables": dict(sorted(given.items())),
    }
    gone = [] if given else off_plan(plan, project.store)
    files = files_of(plan, project.memo)
    found = results(plan, project.store)
    own = standing(project, name)
    return body_of(plan, project.store, found, gone, own, made, files)


def _before(file: Path) -> Lock | None:
    """The lock that is there; None if there is none, or it is damaged, and so to be
    replaced. Raises NewerFormat."""
    from motools_build.report.lock.lock import read_lock

    try:
        return read_lock(file.read_bytes(), str(file))
    except FileNotFoundError:
        return None
    except NewerFormat:
        raise
    except InputError:
        return None


# ---- read


class FromLock(NamedTuple):
    """A lock that is shown instead of artifacts."""

    lock: Lock
    file: Path
    standing: Standing
    told: Sequence[str]
    """Sentences: that it is locked, and what is not as the lock has it."""

    @property
    def found(self) -> Sequence[Result]:
        return self.lock.results


def from_lock(project: Project, name: str) -> FromLock:
    """A setting's lock, which needs neither artifacts nor a plan.

    Raises InputError if there is no lock, for one that is damaged or edited, and for
    variables other than those that it was made under; NewerFormat for one of a later
    version.
    """
    from motools_build.report.lock.lock import read_lock

    file = lock_file(project, name)
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        hint = hints.command("lock", name)
        raise InputError(
            f"there is no {file}; where the artifacts are, `{hint}` writes it"
        ) from error
    found = read_lock(data, str(file))
    if found.setting != name:
        raise InputError(
            f"{file} is the lock of {found.setting}, and was renamed; lock again"
        )
    given = of_plans(project.variables)
    if given and given != found.variables:
        raise VariableError(
            f"{file} was made {_under(found.variables)}, and is shown as a whole: "
            f"leave out {_words(given)}"
        )
    own = _standing(project, name, found)
    told = [
        f"from {file}, {found.when}",
        *_computed_otherwise(found, own, file),
        *of_other_inputs(project, name, found),
    ]
    return FromLock(found, file, own, told)


def _words(variables: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in variables.items())


def _under(variables: Mapping[str, str]) -> str:
    return f"under {_words(variables)}" if variables else "without variables"


def _standing(project: Project, name: str, lock: Lock) -> Standing:
    """How the locked results stand to the declarations that there were."""
    from motools_build.report.declared import Standing

    wanted, problems = lock.body["declarations"], [*lock.body["problems"]]
    file = plan_file(project, name)
    try:
        there = declarations_in(file)[0] if wanted else []
    except InputError as error:
        there, problems = [], [*problems, str(error)]
    by_digest = {one.as_json()["digest"]: one for one in there}
    kept = tuple(by_digest[one] for one in wanted if one in by_digest)
    if len(kept) < len(wanted):
        count = len(wanted) - len(kept)
        problems.append(
            f"{file} lacks {count} of the {len(wanted)} declarations that the lock "
            "names, so what it says of them is left out"
        )
    return Standing(lock.primary, kept, tuple(problems), bool(lock.variables))


def _computed_otherwise(lock: Lock, own: Standing, file: Path) -> Iterator[str]:
    """A sentence if the numbers that follow from the locked scores are not the locked
    ones: another version may compute an interval otherwise. Raises InputError for
    scores from which no numbers follow."""
    from motools_build.report.lock import numbers

    try:
        computed = numbers.numbers_of(lock.results, own)
        other = [*numbers.differing(lock.numbers, computed)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{file} is not as `doit lock` writes it ({one_line(str(error))}); restore "
            f"it (git checkout {file}), or lock again"
        ) from error
    if other:
        yield (
            f"computed otherwise than by motools_build {lock.body['version']}, which "
            f"locked: {some(other)}"
        )


def differences_from_lock(project: Project, name: str) -> list[str]:
    """What of a setting's lock is not as the artifacts here have it: a line for each
    result. Empty if they agree. Raises as `from_lock`, and InputError if the setting
    cannot be planned."""
    return differing(project, name, from_lock(project, name).lock)
