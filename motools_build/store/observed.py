"""What evals read and no key holds: whether it is still what a record says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from motools_build.keys import Digest
from motools_build.task_code.reads import difference, digest_now


class Observed:
    """Looks at each observed input once, until it is told to `forget`."""

    def __init__(self, digest: Callable[[str], Digest]) -> None:
        self._digest = digest
        self._now: dict[str, Digest] = {}

    def forget(self) -> None:
        """Look at the disk again."""
        self._now.clear()

    def what_changed(self, recorded: Mapping[str, str]) -> str | None:
        """The first input that is not what was recorded, in a few words."""
        for name, digest in recorded.items():
            now = self._now.get(name)
            if now is None:  # a local: another thread may clear what is remembered
                try:
                    now = self._now[name] = digest_now(name, self._digest)
                except OSError:
                    now = None
            what = difference(name, digest, now)
            if what:
                return what
        return None
