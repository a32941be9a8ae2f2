"""Everything this package raises on purpose.

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
├── BaseModelError          a base model's weights cannot be had, or are others
├── RunFailed               stages of a run that Python called for failed
├── Deferred                a stage was left to a later run; not a failure
├── ProviderError           an answer, or the lack of one, to a single request
│   ├── Ambiguous           whether it took effect is not known
│   ├── Unreachable         a question that changes nothing got no answer
│   ├── RateLimited         not now: again after so many seconds
│   └── Parked              not today: again at the time that the answer names
└── StageFailed             a stage ran and did not succeed
    ├── EngineError         the embedded engine refused or diverged
    ├── EvalFailed          an eval ended without a result that counts
    ├── WorkerDied          the process that did the work is gone
    ├── Refused             a provider's definite no: nothing was made or charged
    │   └── GivenUp         an account's server is silent: for all that asks it
    ├── JobFailed           a job ended at its provider; only `doit retry` makes another
    └── OverBudget          it would cost more than max_spend has left

A message names the object, says what happened, and ends with the remedy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from motools_build.text.scrub import scrub


class MotoolsError(Exception):
    """The base class: catch it to catch all of ours."""


class InputError(MotoolsError):
    """What the user wrote is wrong; nothing was run or spent."""


class SettingError(InputError):
    """A module of zoo/ or a field of its Setting is wrong."""


class DatasetError(InputError):
    """A dataset's rows are wrong; the message has file and line of each."""


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
    """Nothing is called that."""


class ArtifactError(MotoolsError):
    """An artifact is missing, damaged or not what was planned."""


class NewerFormat(ArtifactError):
    """A later version of motools_build wrote it. It is neither changed nor deleted, and
    nothing is made in its place."""


class BaseModelError(MotoolsError):
    """A base model's weights cannot be had, or are not the pinned ones."""


class RunFailed(MotoolsError):
    """A run from Python (`open_project().run`) ended, and some of it failed."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        count = len(failures)
        said = (f"{name}: {why}" for name, why in failures.items())
        of = "1 task failed" if count == 1 else f"{count} tasks failed"
        super().__init__("\n".join((of, *said)))
        self.failures = dict(failures)
        """Name of each stage or task that failed -> why. What could not be made as its
        inputs failed is not among them."""


class Deferred(MotoolsError):
    """A stage was left to a later run: submitted and not awaited, or parked."""

    def __init__(self, message: str, *, under_way: bool = False) -> None:
        super().__init__(message)
        self.under_way = under_way
        """Whether it has a job at the provider, which runs on."""


class ProviderError(MotoolsError):
    """How a single request ended; backends raise these, the core acts on them."""


class Ambiguous(ProviderError):
    """Whether the request took effect is not known (timeout, disconnect, 5xx, 409)."""


class Unreachable(ProviderError):
    """A question got no answer. A network error is never "no"."""


LONGEST_PAUSE = 3600.0
"""Seconds of a wait that a server may name; a longer one is asked again before."""

LONGEST_PARKING = 86_400.0
"""Seconds that a server may put a job off: its daily limit is over by then."""


class RateLimited(ProviderError):
    """Not now; nothing was made."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = bounded(seconds, LONGEST_PAUSE)


class Parked(ProviderError):
    """Not before a time that the provider names; nothing was made."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        now = time.time()
        self.until = now + bounded(until - now, LONGEST_PARKING)
        """Seconds since the epoch, within a day."""


def bounded(seconds: float, most: float) -> float:
    """A wait that a server names, made one that ends: NaN and what is not above 0 are a
    second, and nothing is longer than `most`."""
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
    """The process that did the work is gone (killed, out of memory)."""


class Refused(StageFailed):
    """A provider's definite no: nothing was made or charged."""


class GivenUp(Refused):
    """An account's server does not answer: no stage of the run asks it any more, and
    what it has under way goes on there. The same words for all stages."""


class JobFailed(StageFailed):
    """A job ended without a model; it is remembered, and never sent again unasked."""


class OverBudget(StageFailed):
    """The stage would cost more than max_spend has left, or nobody knows how much."""


_COLOUR = r"(?:bright_)?(?:black|red|green|yellow|blue|magenta|cyan|white)|gr[ae]y\d*"
_STYLE = rf"(?:not|on|bold|italic|dim|underline|strike|{_COLOUR}|link(?:=[^\]]*)?)"
_MARKUP = re.compile(rf"\[/?{_STYLE}(?: {_STYLE})*\]|\[/\]")
"""What rich takes for styles; not the brackets of `pip install inspect_ai[google]`."""

_LONGEST = 1000
"""Characters of someone else's message that are shown."""


def one_line(text: str) -> str:
    """All lines of a message in one, without markup: the remedy is often the last.

    >>> one_line("[bold]ERROR[/bold]: Install with:\\n\\npip install x[y]")
    'ERROR: Install with: pip install x[y]'
    """
    lines = (line.strip() for line in _MARKUP.sub("", text).splitlines())
    whole = scrub(" ".join(line for line in lines if line)) or "no message"
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[: _LONGEST // 2]} ... {whole[-_LONGEST // 2 :]}"


def in_words(error: BaseException) -> str:
    """Someone else's exception as a part of one of our messages."""
    return f"{type(error).__name__}: {one_line(text_of(error))}"


def text_of(error: BaseException) -> str:
    """What an error of a user's own code says; its `__str__` may fail, too."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the user's code
        return "(its own text cannot be made)"
