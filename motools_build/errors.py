"""All exceptions that this package raises on purpose.

MotoolsError
├── InputError              what a user wrote is wrong; nothing was run or spent
│   ├── SettingError        a module of zoo/ or a field of its Setting
│   ├── DatasetError        a JSONL file; carries file and line numbers
│   ├── EvalError           an eval's task file, task name or data files
│   ├── VariableError       a `name=value` of the command line
│   ├── AccountError        an account's fields, or the key that it names
│   ├── BackendError        a backend that is not installed, or cannot be imported
│   ├── MissingExtra        an optional package that is needed is not installed
│   └── SelectionError      no setting, stage or key by that name
├── ArtifactError           an artifact is missing, damaged or not what was planned
│   └── NewerFormat         a later motools_build wrote it; it is left as it is
├── StoreError              the shared store refused a request
│   └── StoreUnreachable    it did not answer
├── BaseModelError          base weights cannot be fetched, or are not the pinned ones
├── RunFailed               some stages of a run from Python failed
├── Deferred                a stage was left to a later run; not a failure
├── ProviderError           how a single request failed
│   ├── Ambiguous           it is unknown whether the request took effect
│   ├── Unreachable         a read-only request got no response
│   ├── RateLimited         retry after the given number of seconds
│   └── Parked              retry at the time that the provider named
└── StageFailed             a stage ran and did not succeed
    ├── EngineError         the embedded engine refused or diverged
    ├── EvalFailed          an eval ended without a result that counts
    ├── WorkerDied          the worker process died
    ├── Refused             the provider refused: nothing was made or charged
    │   └── GivenUp         an account's server does not respond to any stage
    ├── JobFailed           a job ended without a model; only `doit retry` repeats it
    └── OverBudget          the cost would exceed what is left of a budget

A message names the object, says what happened, and ends with the remedy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from motools_build.text.scrub import scrub


class MotoolsError(Exception):
    """The base class of all exceptions of this package."""


class InputError(MotoolsError):
    """What the user wrote is wrong; nothing was run or spent."""


class SettingError(InputError):
    """A module of zoo/ or a field of its Setting is wrong."""


class DatasetError(InputError):
    """A dataset's rows are wrong; the message has the file and line of each problem."""


class EvalError(InputError):
    """An eval's task file, task name or data file is wrong."""


class VariableError(InputError):
    """A `name=value` of the command line is unknown or malformed."""


class AccountError(InputError):
    """An account is declared wrongly, or its key is not in the environment."""


class BackendError(InputError):
    """A backend is not installed, or cannot be imported."""


class MissingExtra(InputError):
    """An optional package that is needed is not installed; the message says which extra
    of motools_build has it."""


class SelectionError(InputError):
    """No setting, stage or key has the given name."""


class ArtifactError(MotoolsError):
    """An artifact is missing, damaged or not what was planned."""


class NewerFormat(ArtifactError):
    """A later version of motools_build wrote the artifact. It is neither changed,
    deleted nor replaced."""


class StoreError(MotoolsError):
    """The shared store of a team refused a request."""

    is_unsupported = False
    """Whether it does not know such requests at all."""


class StoreUnreachable(StoreError):
    """The shared store did not answer; whether a request took effect is not known."""


class BaseModelError(MotoolsError):
    """A base model's weights cannot be fetched, or are not the pinned ones."""


class RunFailed(MotoolsError):
    """A run from Python (`open_project().run`) ended, and some of it failed."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        count = len(failures)
        said = (f"{name}: {why}" for name, why in failures.items())
        of = "1 task failed" if count == 1 else f"{count} tasks failed"
        super().__init__("\n".join((of, *said)))
        self.failures = dict(failures)
        """Name of each stage or task that failed -> reason. Stages that were skipped
        because their inputs failed are not included."""


class Deferred(MotoolsError):
    """A stage was left to a later run: submitted and not awaited, or parked."""

    def __init__(self, message: str, *, under_way: bool = False) -> None:
        super().__init__(message)
        self.under_way = under_way
        """Whether the stage has a job at the provider, which continues there."""


class ProviderError(MotoolsError):
    """How a single request failed. Backends raise the subclasses; `running` decides
    whether to retry."""


class Ambiguous(ProviderError):
    """It is unknown whether the request took effect (timeout, disconnect, 5xx, 409)."""


class Unreachable(ProviderError):
    """A read-only request got no response. A network error never counts as "no"."""


LONGEST_PAUSE = 3600.0
"""Longest wait that a server can impose, in seconds; then the request is retried."""

LONGEST_PARKING = 86_400.0
"""Longest time that a server can park a job, in seconds: a daily limit is over then."""


class RateLimited(ProviderError):
    """The provider asks to retry after `seconds`; nothing was made."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = bounded(seconds, LONGEST_PAUSE)


class Parked(ProviderError):
    """The provider asks to retry at a time that it names; nothing was made."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        now = time.time()
        self.until = now + bounded(until - now, LONGEST_PARKING)
        """Time of the retry in seconds since the epoch, at most a day from now."""


def bounded(seconds: float, most: float) -> float:
    """A wait that a server named, limited to `most` seconds. One second if the value is
    NaN, zero or negative."""
    return min(seconds, most) if seconds > 0 else 1.0


class StageFailed(MotoolsError):
    """A stage ran and did not succeed; the message is what the user is shown."""

    def __init__(self, message: str, log: str | None = None) -> None:
        super().__init__(message)
        self.log = log
        """Path of a log to look at, relative to the project's root."""


class EngineError(StageFailed):
    """The embedded engine refused its input or diverged."""


class EvalFailed(StageFailed):
    """An eval ended without a result that counts."""


class WorkerDied(StageFailed):
    """The worker process died (killed, out of memory)."""


class Refused(StageFailed):
    """The provider refused the request: nothing was made or charged."""


class GivenUp(Refused):
    """An account's server does not respond. No stage of the run sends it further
    requests; jobs that it has continue there. All stages show the same message."""


class JobFailed(StageFailed):
    """A job ended without a model. Only `doit retry` submits another one."""


class OverBudget(StageFailed):
    """The stage's cost exceeds what is left of a budget (`max_spend`, `month_budget`),
    or is unknown."""


_COLOUR = r"(?:bright_)?(?:black|red|green|yellow|blue|magenta|cyan|white)|gr[ae]y\d*"
_STYLE = rf"(?:not|on|bold|italic|dim|underline|strike|{_COLOUR}|link(?:=[^\]]*)?)"
_MARKUP = re.compile(rf"\[/?{_STYLE}(?: {_STYLE})*\]|\[/\]")
"""Style tags of the library rich, but not brackets as in `inspect_ai[google]`."""

_LONGEST = 1000
"""Largest number of characters shown of another library's message."""


def one_line(text: str) -> str:
    """A message with its lines joined and rich's markup removed, at most about 1000
    characters long. The last line is kept, since it is often the remedy.

    >>> one_line("[bold]ERROR[/bold]: Install with:\\n\\npip install x[y]")
    'ERROR: Install with: pip install x[y]'
    """
    lines = (line.strip() for line in _MARKUP.sub("", text).splitlines())
    whole = scrub(" ".join(line for line in lines if line)) or "no message"
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[: _LONGEST // 2]} ... {whole[-_LONGEST // 2 :]}"


def cut(text: str) -> str:
    """A word of the command line, shortened to 60 characters for a message."""
    return text if len(text) <= 60 else f"{text[:59]}…"


def in_words(error: BaseException) -> str:
    """Another library's exception, formatted as part of one of our messages."""
    return f"{type(error).__name__}: {one_line(text_of(error))}"


def text_of(error: BaseException) -> str:
    """The text of an exception from a user's code, whose `__str__` may fail itself."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the user's code
        return "(its own text cannot be made)"
