"""Whether an account's server answers; one that does not is given up for all stages."""

from __future__ import annotations

import time

from motools_build.backends.provider import SILENCE
from motools_build.errors import GivenUp, Unreachable


class Silence:
    """How long an account's server has not answered.

    One that never did is given up at the first question, one that falls silent during a
    run after `SILENCE` seconds. From then on nobody asks it any more.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._answered = False
        self._since: float | None = None
        self._over = ""

    def check(self) -> None:
        """Raises GivenUp if the server is given up."""
        if self._over:
            raise GivenUp(self._over)

    def broken(self) -> None:
        """It answered something, be it a refusal."""
        self._answered, self._since = True, None

    def goes_on(self, error: Unreachable) -> None:
        """It did not answer. Raises GivenUp if that has lasted long enough."""
        self._since = self._since or time.monotonic()
        if not self._answered or time.monotonic() - self._since >= SILENCE:
            self._over = self._over or (
                f"account {self._account} is given up in this run (what it has under "
                f"way goes on there; run again): {error}"
            )
            raise GivenUp(self._over) from error
