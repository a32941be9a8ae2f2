"""Slurm's own commands: `sbatch`, `squeue`, `scancel`. Each function is one call of
one of them, and blocks."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence

from motools_build.errors import Ambiguous, Refused, Unreachable
from motools_build.running.executors.cluster import LimitReached, Listed, Phase
from motools_build.running.launch.base import worker_environment

TIMEOUT = 120.0
"""Seconds after which a command is taken not to answer. Slurm's own limits are
shorter, unless its controller is down and the command tries again."""

UNANSWERED = re.compile(
    "unable to contact|timed out|connection|communicat|unexpected message|"
    "zero bytes|resource temporarily|controller|in standby",
    re.IGNORECASE,
)
"""What commands print if the controller did not answer, so that it is not known whether
it heard."""

FULL = re.compile("submit.*limit|limit.*submit|QOSMaxSubmit|too many jobs", re.I)
"""What sbatch prints if a user has as many jobs as may wait."""

LISTED = "%i|%T|%r|%N|%S|%K|%k"
"""What a listing shows of a job: ID, state, reason, nodes, its expected start, which
task of an array it is, and the comment."""

ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"}
    | {"NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
)
"""Slurm's states of a job that does nothing more. All others, unknown ones included,
are of jobs that are at work or will be: PREEMPTED and REQUEUED, too."""


def submit(script: str, words: Sequence[str], keep: int) -> str:
    """Submit the script at a path, given sbatch's options; returns the ID of its job,
    or of its array.
    A script by standard input would be cut short if this process were killed.

    `keep` is the descriptor of a lock, which sbatch inherits: if this process is killed
    meanwhile, the lock tells when sbatch has ended. Signals of the terminal do not
    reach it.

    Raises Refused if Slurm surely has no such job, LimitReached among others; Ambiguous
    if that is not known.
    """
    try:
        told = _run(["sbatch", "--parsable", *words, script], keep)
    except Unreachable as error:
        raise Ambiguous(str(error)) from error
    except Refused as error:
        if FULL.search(str(error)):
            raise LimitReached(str(error)) from error
        raise
    return told.strip().partition(";")[0]


def listing() -> dict[str, Listed]:
    """The user's own jobs that Slurm knows, those that have ended a short time ago
    included, by their comments; the task of an array by the array's comment and its
    index, `COMMENT_INDEX`. Raises Unreachable or Refused."""
    which = ("--me", "--states=all", "--array")  # a line for each task of an array
    told = _run(["squeue", "--noheader", *which, f"--format={LISTED}"])
    found = {}
    for line in told.splitlines():
        fields = line.split("|", 6)
        if len(fields) == 7:  # not what a plugin of the site prints as well
            task, comment = fields[5].strip(), fields[6]
            mark = f"{comment}_{task}" if task.isdecimal() else comment
            found[mark] = _listed(*fields[:5])
    return found


def _listed(id: str, state: str, reason: str, nodes: str, start: str) -> Listed:
    """A job of a listing."""
    phase: Phase = "over" if state in ENDED else "runs"
    expected = ""
    if state == "PENDING":
        phase = "waits"
        if start.strip() not in ("", "N/A"):
            expected = _moment(start.strip())
    why = "" if reason == "None" else reason
    word = state.lower().replace("_", " ")
    return Listed(id, word, phase, why, nodes, expected)


def _moment(start: str) -> str:
    """A moment in Slurm's words, `2026-12-01T08:30:00`, without what today leaves
    out."""
    day, _, clock = start.partition("T")
    today = time.strftime("%Y-%m-%d")
    return clock[:5] if day == today else f"{day} {clock[:5]}".strip()


def cancel(id: str) -> None:
    """End a job. That it has ended before is no error. Raises Unreachable or
    Refused."""
    _run(["scancel", id])


def _run(words: Sequence[str], keep: int | None = None) -> str:
    """The standard output of a command. Raises Unreachable if it got no answer from the
    controller, and Refused if it failed otherwise."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            env=environment(os.environ),
            pass_fds=() if keep is None else (keep,),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Refused(
            f"{words[0]} is not installed on this machine: run where Slurm's commands "
            "are, or here: executor=here"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{words[0]} did not end within {TIMEOUT:g} s") from error
    if done.returncode == 0:
        return done.stdout
    lines = (" ".join(line.split()) for line in done.stderr.splitlines())
    said = "; ".join(filter(None, lines)) or f"exit code {done.returncode}"
    if UNANSWERED.search(said):
        raise Unreachable(f"Slurm does not answer ({said:.300})")
    raise Refused(f"Slurm refused it: {said:.300}")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that Slurm's commands see, and with sbatch the job: a worker's,
    without those of a job in which this process may run itself."""
    return {
        name: value
        for name, value in worker_environment(environ).items()
        if not name.startswith("SLURM_") or name == "SLURM_CONF"
    }
