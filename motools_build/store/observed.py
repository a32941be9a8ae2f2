"""Whether the observed inputs of an eval (files that it read and that are in no key)
are as its record says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from motools_build.keys import Digest
from motools_build.task_code.reads import difference, digest_now


class Observed:
    """Compares observed inputs with their records. Hashes each input once, until
    `forget`."""

    def __init__(self, digest: Callable[[str], Digest]) -> None:
        self._digest = digest
        self._now: dict[str, Digest] = {}

    def forget(self) -> None:
        """Hash the inputs again when next asked."""
        self._now.clear()

    def what_changed(self, recorded: Mapping[str, str]) -> str | None:
        """The first input that differs from `recorded` (name -> digest), in a few
        words; None if none does."""
        for name, digest in recorded.items():
            now = self._now.get(name)
            if now is None:  # a local variable: another thread may clear `_now`
                try:
                    now = self._now[name] = digest_now(name, self._digest)
                except OSError:
                    now = None
            what = difference(name, digest, now)
            if what:
                return what
        return None
