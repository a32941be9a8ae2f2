"""A fine-tuning job: its status, events and checkpoints as functions of time. All times
are in seconds since the epoch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from motools_build.rehearsal.orders import Order
from motools_build.rehearsal.training import Reading, metrics, resolved

PHASES = (0.1, 0.2, 1.0)
"""Fractions of a job's duration at which its files are validated, its training begins,
and its training ends."""
Happened = tuple[float, str, str, dict[str, Any] | None]
"""An event: time, level, message, and a step's metrics or None."""
FINAL = frozenset({"succeeded", "failed", "cancelled"})


@dataclass
class FineTuningJob:
    """One job, from its creation."""

    id: str
    order: Order
    root: str
    """The base model, also if training starts from a fine-tuned model."""
    seed: int
    organization: str
    born: float
    reading: Reading
    error: dict[str, Any] | None
    """The error with which the job fails because of its files; None if both are
    valid."""
    moderated: bool
    """Whether the job fails after training, as against the usage policy."""
    result_file: str
    hyperparameters: dict[str, int | float] = field(init=False)
    times: list[float] = field(init=False)
    shift: float = 0.0
    """Seconds that it was paused so far."""
    paused: float | None = None
    """When it was paused; None while it is not."""
    cancelled: float | None = None
    """When it was cancelled; None if it was not."""

    def __post_init__(self) -> None:
        self.times = [self.born] * len(PHASES)
        self.hyperparameters = resolved(
            self.order.hyperparameters, self.order.method, self.reading.examples
        )

    def retime(self, seconds: float, now: float) -> None:
        """Move the ends of phases to come to where they are in a job of `seconds`."""
        for index, phase in enumerate(PHASES):
            if self.times[index] >= now:
                planned = self.born + self.shift + phase * seconds
                self.times[index] = max(now, planned)

    def resume(self, now: float) -> None:
        """Continue after a pause."""
        assert self.paused is not None
        gap = now - self.paused
        self.shift += gap
        self.times = [t + gap if t > self.paused else t for t in self.times]
        self.paused = None

    @property
    def finish(self) -> float:
        """When it ends or ended."""
        if self.cancelled is not None:
            return self.cancelled
        return self.times[0] if self.error else self.times[2]

    def status(self, now: float) -> str:
        if self.cancelled is not None:
            return "cancelled"
        if self.paused is not None:
            return "paused"
        if now < self.times[0] or now == self.born:
            return "validating_files"
        if self.error:
            return "failed"
        if now < self.times[1]:
            return "queued"
        if now < self.times[2]:
            return "running"
        return "failed" if self.moderated else "succeeded"

    @property
    def name(self) -> str:
        """ID of the model that it makes: `ft:{base}:rehearsal:{suffix}:{id}`."""
        suffix = re.sub(r"[^A-Za-z0-9_.-]", "-", self.order.suffix or "")
        unique = self.id.rpartition("-")[2]
        return f"ft:{self.root}:rehearsal:{suffix}:{unique[2:6]}{unique[-4:]}"

    @property
    def steps_each(self) -> int:
        """Number of steps in an epoch."""
        batch = self.hyperparameters["batch_size"]
        return max(1, math.ceil(self.reading.examples / batch))

    @property
    def steps(self) -> int:
        return self.steps_each * int(self.hyperparameters["n_epochs"])

    def moment(self, now: float) -> float:
        """The time up to which it progressed: now, or when it was paused or
        cancelled."""
        stops = [t for t in (self.paused, self.cancelled) if t is not None]
        return min([now, *stops])

    def done(self, now: float) -> int:
        """Number of steps done."""
        moment, (_, begin, end) = self.moment(now), self.times
        if self.error or moment < begin:
            return 0
        if moment >= end:
            return self.steps
        return int(self.steps * (moment - begin) / (end - begin))

    def reached(self, step: int) -> float:
        """When a step ends."""
        _, begin, end = self.times
        return begin + (end - begin) * step / self.steps

    def failure(self, now: float) -> dict[str, Any] | None:
        if self.status(now) != "failed":
            return None
        return self.error or {
            "code": "moderation",
            "message": "The fine-tuned model was evaluated and found to be against "
            "our usage policy; it was not released.",
            "param": "training_file",
        }

    def to_json(self, now: float) -> dict[str, Any]:
        status = self.status(now)
        won = status == "succeeded"
        plain = {k: v for k, v in self.hyperparameters.items() if k != "beta"}
        return {
            "object": "fine_tuning.job",
            "id": self.id,
            "model": self.order.model,
            "created_at": int(self.born),
            "finished_at": int(self.finish) if status in FINAL else None,
            "fine_tuned_model": self.name if won else None,
            "organization_id": self.organization,
            "result_files": [self.result_file] if won else [],
            "status": status,
            "validation_file": self.order.validation_file,
            "training_file": self.order.training_file,
            "hyperparameters": plain,
            "trained_tokens": (
                self.reading.tokens * int(self.hyperparameters["n_epochs"])
                if won
                else None
            ),
            "error": self.failure(now),
            "user_provided_suffix": self.order.suffix,
            "seed": self.seed,
            "estimated_finish": int(self.finish) if status == "running" else None,
            "integrations": self.order.integrations,
            "metadata": self.order.metadata,
            "method": {
                "type": self.order.method,
                self.order.method: {"hyperparameters": self.hyperparameters},
            },
        }

    def checkpoints(self, now: float) -> list[dict[str, Any]]:
        """Checkpoints as JSON, one for each finished epoch, newest first."""
        if self.status(now) == "failed":
            return []
        return [
            self._checkpoint(step)
            for step in range(
                self.done(now) // self.steps_each * self.steps_each,
                0,
                -self.steps_each,
            )
        ]

    def _checkpoint(self, step: int) -> dict[str, Any]:
        shown = metrics(self.seed, step, self.steps)
        accuracy, valid = shown["train_accuracy"], self.order.validation_file
        return {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt-{self.id.partition('-')[2]}-{step:07d}",
            "created_at": int(self.reached(step)),
            "fine_tuned_model_checkpoint": f"{self.name}:ckpt-step-{step}",
            "fine_tuning_job_id": self.id,
            "metrics": {
                "step": step,
                "train_loss": shown["train_loss"],
                "train_mean_token_accuracy": accuracy,
                **(
                    {
                        "full_valid_loss": shown["valid_loss"],
                        "full_valid_mean_token_accuracy": shown[
                            "valid_mean_token_accuracy"
                        ],
                    }
                    if valid
                    else {}
                ),
            },
            "step_number": step,
        }

    def events(self, now: float) -> list[dict[str, Any]]:
        """Events so far as JSON, newest first."""
        moment = self.moment(now)
        happened: list[Happened] = [
            (self.born, "info", f"Created fine-tuning job: {self.id}", None),
            (
                self.born,
                "info",
                f"Validating training file: {self.order.training_file}",
                None,
            ),
        ]
        if not self.error:
            happened += self._progress(moment)
        if self.cancelled is not None:
            happened.append((self.cancelled, "info", "The job was cancelled", None))
        elif self.paused is not None:
            happened.append((self.paused, "info", "The job was paused", None))
        elif failure := self.failure(now):
            happened.append((self.finish, "error", failure["message"], None))
        elif self.status(now) == "succeeded":
            for text in (
                f"New fine-tuned model created: {self.name}",
                "The job has successfully completed",
            ):
                happened.append((self.finish, "info", text, None))
        return [
            {
                "object": "fine_tuning.job.event",
                "id": f"ftevent-{self.id.partition('-')[2]}-{index:05d}",
                "created_at": int(time),
                "level": level,
                "message": message,
                "type": "metrics" if data else "message",
                "data": data or {},
            }
            for index, (time, level, message, data) in reversed(
                list(enumerate(happened))
            )
        ]

    def _progress(self, moment: float) -> list[Happened]:
        """Events of validation, start and steps (those of some 100 steps at most)."""
        happened: list[Happened] = []
        stages = ("Files validated, moving job to queued state", "Fine-tuning started")
        for time, text in zip(self.times[:2], stages, strict=True):
            if time <= moment:
                happened.append((time, "info", text, None))
        stride = max(1, self.steps // 100)
        for step in range(stride, self.done(moment) + 1, stride):
            loss = metrics(self.seed, step, self.steps)["train_loss"]
            text = f"Step {step}/{self.steps}: training loss={loss}"
            data = {"step": step, "train_loss": loss, "total_steps": self.steps}
            happened.append((self.reached(step), "info", text, data))
        return happened
