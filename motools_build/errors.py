"""Everything this package raises on purpose.

MotoolsError
├── InputError              what a user wrote is wrong; nothing was run or spent
│   ├── SettingError        a module of zoo/ or a field of its Setting
│   ├── DatasetError        a JSONL file; carries file and line numbers
│   ├── EvalError           an eval's task file, task name or data files
│   ├── VariableError       a `name=value` of the command line
│   └── SelectionError      no setting, stage or key by that name
├── ArtifactError           an artifact is missing, damaged or not what was planned
├── BaseModelError          a base model's weights cannot be had, or are others
└── StageFailed             a stage ran and did not succeed
    ├── EngineError         the embedded engine refused or diverged
    ├── EvalFailed          an eval ended without a result that counts
    └── WorkerDied          the process that did the work is gone

A message names the object, says what happened, and ends with the remedy.
"""

from __future__ import annotations


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


class SelectionError(InputError):
    """Nothing is called that."""


class ArtifactError(MotoolsError):
    """An artifact is missing, damaged or not what was planned."""


class BaseModelError(MotoolsError):
    """A base model's weights cannot be had, or are not the pinned ones."""


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
