"""`doit lock`: writes a setting's results and keys to a file that is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.locking import (
    Locked,
    differences_from_lock,
    lock,
    lockable,
)
from motools_build.project.project import Project
from motools_build.text import hints
from motools_build.text.similar import known

OPT_LOCK: dict[str, Any] = {
    "name": "from_lock",
    "long": "from-lock",
    "type": bool,
    "default": False,
    "help": "from zoo/SETTING.lock.json, which needs no artifacts",
}


class Lock(Query):
    """`doit lock`: writes zoo/NAME.lock.json, or compares it with the artifacts."""

    name = "lock"
    doc_purpose = "write a setting's results, keys and digests to a file to commit"
    doc_usage = "[SETTING...] [--check] [model=...] [seeds=...]"
    doc_description = (
        "Writes zoo/SETTING.lock.json: every stage with its key and what came out, the "
        "results, and the score of every answer. `doit results SETTING --from-lock` "
        "prints the same numbers from it, where no artifacts are."
    )
    cmd_options = (
        {
            "name": "check",
            "long": "check",
            "type": bool,
            "default": False,
            "help": "compare the results here with the lock (exit code 1: differ)",
        },
    )
    needs = Needs(tasks=False, rows=False)

    def _execute(self, check: bool, pos_args: list[str]) -> int:
        session = current()
        self._settings_alone(pos_args)
        differ = False
        for name in session.selected:
            if check:
                lines = differences_from_lock(session.project, name)
                differ = differ or bool(lines)
                for line in lines:
                    self._say(line)
                if not lines:
                    self._say(f"{name}: as locked")
            else:
                self._tell(name, lock(session.project, name))
        return 1 if differ else 0

    def _tell(self, name: str, done: Locked) -> None:
        statuses = Counter(one.status for one in done.lock.results)
        count = statuses.total()
        told = ", ".join(f"{number} {status}" for status, number in statuses.items())
        word = done.lock.when if done.is_new else f"unchanged, {done.lock.when}"
        self._say(f"{name}: {word}: {count} result{'s' * (count != 1)} ({told})")
        if statuses["ok"] < count:
            hint = hints.command("run", name)
            self._say(f"those that are not ok are locked as such; to make them: {hint}")
        if done.is_new:
            self._say(f"commit it: git add {done.file}")


def locked_words(project: Project, words: Sequence[str]) -> tuple[str, ...]:
    """The words, which are names of settings, or of locks whose setting is not here.
    Raises InvalidCommand for another word."""
    there = lockable(project)
    for word in words:
        if word not in there:
            raise InvalidCommand(
                f"no setting or lock is called {word!r}; {known(word, there)}"
            )
    return tuple(dict.fromkeys(words))
