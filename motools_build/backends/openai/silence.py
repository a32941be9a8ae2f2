"""A circuit breaker: a server that does not answer is given up for all stages."""

from __future__ import annotations

import time

from motools_build.backends.provider import SILENCE
from motools_build.errors import GivenUp, Unreachable


class Silence:
    """Tracks how long an account's server has not answered.

    A server that never answered is given up after the first failed request; one that
    stops answering during a run, after `SILENCE` seconds. From then on the run sends it
    no more requests.
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
        """Note that the server answered, even if it was a refusal."""
        self._answered, self._since = True, None

    def goes_on(self, error: Unreachable) -> None:
        """Note that the server did not answer. Raises GivenUp if it now is given up."""
        self._since = self._since or time.monotonic()
        if not self._answered or time.monotonic() - self._since >= SILENCE:
            self._over = self._over or (
                f"account {self._account} is given up in this run (what it has under "
                f"way goes on there; run again): {error}"
            )
            raise GivenUp(self._over) from error
