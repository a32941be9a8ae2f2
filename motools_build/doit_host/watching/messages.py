"""Messages about a run, sent by Apprise: at its end, and at its first failure."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motools_build.doit_host.watching.durations import took
from motools_build.doit_host.watching.listener import Listener
from motools_build.errors import InputError, MissingExtra, MotoolsError
from motools_build.text.scrub import remember
from motools_build.text.visible import shown

if TYPE_CHECKING:
    from motools_build.doit_host.watching.state import RunState
    from motools_build.doit_host.watching.summary import Summary
    from motools_build.stages import Stage

TIMEOUT = 10.0
"""Seconds that the end of a run waits for a message to be sent."""

ENVIRON = "env:"
"""Begin of a value that names an environment variable with the URLs."""

NAMED = 5
"""Most failures that a message names."""


class Messages(Listener):
    """Sends messages about a run that took at least `after` seconds. A message that
    cannot be sent is a warning."""

    def __init__(self, sender: Any, after: float) -> None:
        """`sender` is an `apprise.Apprise`."""
        self._sender, self._after = sender, after
        self._run: RunState | None = None
        self._failed = False
        self._told = False

    def begun(self, run: RunState) -> None:
        self._run = run

    def failed(self, name: str, stage: Stage | None, why: str) -> None:
        self._failed = True
        self.tick()

    def tick(self) -> None:
        if self._failed and not self._told and self._run is not None:
            if _passed(self._run) < self._after:
                return
            self._told = True
            title = f"{_settings(self._run)}: the first failure; the run goes on"
            self._send(title, "\n".join(_failures(self._run)))

    def ended(self, summary: Summary) -> None:
        if summary.seconds < self._after:
            return
        run = summary.run
        how = "interrupted" if summary.interrupted else "ended"
        count = summary.counts["failed"]
        failed = f", {count} failed" if count else ""
        title = f"{_settings(run)}: {how} after {took(summary.seconds)}{failed}"
        sent = self._send(title, "\n".join([*summary.lines(), *_failures(run)]))
        sent.join(TIMEOUT)
        if sent.is_alive() or not sent.well:
            raise MotoolsError(
                "a message about the run could not be sent: is the URL in `notify` "
                "right, and its service reachable?"
            )

    def _send(self, title: str, body: str) -> _Sending:
        sending = _Sending(self._sender, shown(title), shown(body))
        sending.start()
        return sending


class _Sending(threading.Thread):
    """One message that is being sent; the run does not wait for it, nor the process."""

    def __init__(self, sender: Any, title: str, body: str) -> None:
        super().__init__(name="message", daemon=True)
        self._sender, self._title, self._body = sender, title, body
        self.well = False
        """Whether it was sent to all."""

    def run(self) -> None:
        try:
            told = self._sender.notify(title=self._title, body=self._body)
            self.well = bool(told)
        except Exception:  # noqa: BLE001 - its text may hold the URL
            self.well = False


def messages(urls: Sequence[str], after: float) -> Messages:
    """What sends messages to these URLs; `env:NAME` stands for those in an environment
    variable, separated by spaces or commas. Makes no request.

    Raises MissingExtra without Apprise, and InputError for a URL that it does not know.
    No error holds a URL, as most have a token.
    """
    found = resolved(urls, os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its many services' modules
        try:
            import apprise
        except ImportError as error:
            raise MissingExtra(
                "notify needs Apprise: pip install 'motools_build[notify]'"
            ) from error
        logging.getLogger("apprise").disabled = True  # its lines hold URLs
        sender = apprise.Apprise()
        added = [bool(sender.add(url)) for url in found]
    for number, url in enumerate(found, 1):
        if not added[number - 1]:
            scheme = url.partition("://")[0] if "://" in url else "no scheme"
            raise InputError(
                f"notify: URL {number} ({scheme}) is none that Apprise knows; its "
                "forms are in Apprise's documentation, such as json://HOST:PORT/"
            )
    return Messages(sender, after)


def resolved(urls: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The URLs, with those of environment variables in place; all are kept out of
    outputs from now on. Raises InputError for a variable that is not set."""
    found = []
    for url in urls:
        if not url.startswith(ENVIRON):
            found.append(url)
            continue
        name = url.removeprefix(ENVIRON)
        value = environ.get(name, "").replace(",", " ").split()
        if not value:
            raise InputError(
                f"notify: the environment variable {name} is not set; export it, or "
                "put it into .env (or run with notify=no)"
            )
        found += value
    for url in found:
        remember(url)
    return found


def _passed(run: RunState) -> float:
    return time.time() - run.started


def _settings(run: RunState) -> str:
    return ", ".join(run.settings) or "a run"


def _failures(run: RunState) -> list[str]:
    """A line for each of the latest failures."""
    return [f"failed: {one[0]}: {one[4]}" for one in [*run.failed][-NAMED:]]
