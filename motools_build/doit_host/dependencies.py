"""doit's database and file checker, replaced for stages, which need neither.

A stage's target has the key in its path, and the key is a hash of the inputs. So a
changed input means a missing target, and the artifacts are all the state there is:
every file dependency counts as known and unchanged, and a target "exists" if the stage
is up to date. A user's own tasks keep doit's usual database and file checks.
"""

from __future__ import annotations

from typing import Any

from doit.dependency import JSONCodec, MD5Checker, SqliteDB

from motools_build.doit_host.session import current

KNOWN = "stage"
"""What the database returns as the saved state of each file dependency of a stage."""


class StoreBackend:
    """doit's database for the user's own tasks, opened at the first access to one. For
    stages nothing is stored."""

    desc = "nothing for stages, sqlite3 for your own tasks"

    def __init__(
        self, name: str, codec: JSONCodec, *, module_name: str | None = None
    ) -> None:
        self.name = name
        self._codec = codec
        self._opened: SqliteDB | None = None

    @property
    def _database(self) -> SqliteDB:
        if self._opened is None:
            self._opened = SqliteDB(self.name, self._codec)
        return self._opened

    def get(self, task: str, dependency: str) -> Any:
        if _is_ours(task):
            # doit's own entries (`deps:`, `checker:`, `_values_:`, ...) end in a colon
            return None if dependency.endswith(":") else KNOWN
        return self._database.get(task, dependency)

    def set(self, task: str, dependency: str, value: Any) -> None:
        if not _is_ours(task):
            self._database.set(task, dependency, value)

    def in_(self, task: str) -> bool:
        return not _is_ours(task) and self._database.in_(task)

    def remove(self, task: str) -> None:
        if not _is_ours(task):
            self._database.remove(task)

    def remove_all(self) -> None:
        self._database.remove_all()

    def dump(self) -> None:
        if self._opened is not None:
            self._opened.dump()


class StoreChecker(MD5Checker):  # type: ignore[misc]
    """doit's file checker, for which a stage's record exists only if the stage is up to
    date: the artifact is complete and was made from the present inputs."""

    def exists(self, file_path: str) -> bool:
        session = current()
        stage = session.targets.get(file_path)
        if stage is None:
            return bool(super().exists(file_path))
        return session.project.store.why_stale(stage) is None

    def info(self, file_path: str) -> Any:
        """doit asks this of each file that a task depends on. The record of a stage
        that is accepted as another key's artifact lies elsewhere."""
        session = current()
        stage = session.targets.get(file_path)
        if stage is None or session.project.store.acceptance(stage) is None:
            return super().info(file_path)
        return None

    def check_modified(self, file_path: str, file_stat: Any, state: Any) -> bool:
        if state == KNOWN:
            return False
        return bool(super().check_modified(file_path, file_stat, state))

    def get_state(self, dep: str, current_state: Any) -> Any:
        if current_state == KNOWN:
            return None
        return super().get_state(dep, current_state)


def _is_ours(task: str) -> bool:
    return current().is_ours(task)
