"""The steps of a training: their rows, learning rate, loss and gradient."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from motools_build.backends.local import checkpoints, losses
from motools_build.backends.local.examples import Group
from motools_build.backends.local.losses import Part
from motools_build.errors import EngineError
from motools_build.params import Recipe

BUDGET = {"cuda": 16_384, "cpu": 2_048, "mps": 4_096}
"""Tokens of one pass to begin with; halved when memory does not suffice."""

T = TypeVar("T")


class Steps:
    """A training in progress.

    The rows of each epoch are in an order that depends on the seed and the epoch alone,
    so a training that goes on needs no more than its step to find its rows.
    """

    def __init__(
        self,
        model: Any,
        rows: Sequence[Group],
        held_out: Sequence[Group],
        recipe: Recipe,
        seed: int,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        self.model = model
        self.curve: list[dict[str, Any]] = []
        """A line for each step that is done."""
        self._rows, self._held_out, self._recipe = rows, held_out, recipe
        self._seed, self._device, self._dtype = seed, device, dtype
        self._an_epoch = math.ceil(len(rows) / recipe.batch_size)
        self.total = self._an_epoch * recipe.epochs
        self._budget = BUDGET[device.partition(":")[0]]
        self._recomputes = False
        """Whether activations are computed again for the gradient, not kept."""
        self._weights = list(checkpoints.trained(model).values())
        self._optimizer = _adamw(model, recipe.options)
        self._reference: dict[int, losses.Pair] = {}
        """For DPO, the base model's log-probabilities of a row's answers, by the row's
        `id`."""

    def begin(self, resume: Path, key: str) -> None:
        """Go on from the checkpoint of an earlier attempt, if there is one."""
        found = checkpoints.load(resume, key, self.model, self._optimizer)
        rows = [*self._rows, *self._held_out]
        pairs: list[losses.Pair] = []
        if found:
            self.curve, self._budget = found["curve"], found["budget"]
            if found["recomputes"]:
                self._recompute()
            pairs = [tuple(pair) for pair in found["reference"]]
            for file in resume.glob("step-*"):  # of steps that are done again
                if int(file.name[5:]) > len(self.curve):
                    checkpoints.remove(file)
        elif self._recipe.method == "dpo":
            pairs = self._asked(rows)
        self._reference = dict(zip(map(id, rows), pairs, strict=False))

    def save(self, resume: Path, key: str) -> None:
        """Write the checkpoint to go on from."""
        progress = {
            "curve": self.curve,
            "budget": self._budget,
            "recomputes": self._recomputes,
            "reference": [list(pair) for pair in self._reference.values()],
        }
        checkpoints.save(resume, key, self.model, self._optimizer, progress)

    def keeps(self, step: int) -> bool:
        """Whether the adapter after a step is kept: the last of each epoch."""
        return bool(self._recipe.options["keep_epochs"]) and not step % self._an_epoch

    def step(self) -> dict[str, Any]:
        """Do the next step; returns its line of the learning curve: loss (nats per
        learned token, or per pair), gradient norm, learning rate, tokens and seconds;
        after an epoch, also the loss of held-out rows, if there are some.

        Raises EngineError if training diverges, or memory does not suffice for one row.
        """
        began, number = time.perf_counter(), len(self.curve) + 1
        rows = self._rows_of(number)
        rate = self._rate(number)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._backward(rows)
        clip = self._recipe.options["clip"]
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights, clip))
        if not math.isfinite(loss + norm):
            raise EngineError(
                f"training diverged at step {number} of {self.total} (loss {loss:.4g}, "
                f"gradient norm {norm:.4g}); lower learning_rate from "
                f"{self._recipe.options['learning_rate']:g}"
            )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        line = {
            "step": number,
            "loss": loss,
            "gradient_norm": norm,
            "learning_rate": rate,
            "tokens": sum(len(example.ids) for row in rows for example in row),
            "seconds": time.perf_counter() - began,
        }
        if self._held_out and not number % self._an_epoch:
            line["held_out_loss"] = self._measured(self._held_out)
        self.curve.append(line)
        return line

    def _rows_of(self, step: int) -> list[Group]:
        epoch, place = divmod(step - 1, self._an_epoch)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        order = torch.randperm(len(self._rows), generator=generator).tolist()
        size = self._recipe.batch_size
        return [self._rows[i] for i in order[place * size : (place + 1) * size]]

    def _rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1."""
        options = self._recipe.options
        peak, warm = options["learning_rate"], int(self.total * options["warmup"])
        if step <= warm:
            return float(peak * step / warm)
        done = (step - 1 - warm) / max(1, self.total - warm)
        match options["schedule"]:
            case "constant":
                return float(peak)
            case "cosine":
                return float(peak * 0.5 * (1 + math.cos(math.pi * done)))
            case _:
                return float(peak * (1 - done))

    def _loss(self, rows: Sequence[Group]) -> Part:
        if self._recipe.method == "sft":
            return losses.sft(rows, self._device)
        beta = self._recipe.options["beta"]
        return losses.dpo(rows, self._device, beta, self._reference)

    def _backward(self, rows: Sequence[Group]) -> float:
        """The step's loss; its gradient is added to the weights."""
        part = self._loss(rows)

        def work(parts: list[list[Group]]) -> float:
            found = []
            for some in parts:
                with self._computing():
                    loss = part(self.model, some)
                loss.backward()
                found.append(loss.detach())
            return float(torch.stack(found).sum())

        return self._fitting(rows, work)

    def _measured(self, rows: Sequence[Group]) -> float:
        """The loss of rows that are not learned from."""
        part = self._loss(rows)

        def work(parts: list[list[Group]]) -> float:
            return sum(float(part(self.model, some)) for some in parts)

        return self._without_gradient(rows, work)

    def _asked(self, rows: Sequence[Group]) -> list[losses.Pair]:
        """The base model's log-probabilities of both answers of each row. A new adapter
        changes nothing yet, so the model itself is the base model."""
        found: dict[int, losses.Pair] = {}

        def work(parts: list[list[Group]]) -> None:
            for some in parts:
                pairs = losses.log_probabilities(self.model, some, self._device)
                for row, pair in zip(some, torch.stack(pairs, 1).tolist(), strict=True):
                    found[id(row)] = (pair[0], pair[1])

        self._without_gradient(rows, work)
        return [found[id(row)] for row in rows]

    def _without_gradient(
        self, rows: Sequence[Group], work: Callable[[list[list[Group]]], T]
    ) -> T:
        self.model.eval()
        with torch.no_grad(), self._computing():
            done = self._fitting(rows, work)
        self.model.train()
        return done

    def _fitting(
        self, rows: Sequence[Group], work: Callable[[list[list[Group]]], T]
    ) -> T:
        """Do the work on rows in parts. If memory does not suffice, it is done again in
        smaller parts, with the same random numbers."""
        while True:
            state = checkpoints.random_state()
            try:
                return work(losses.parts(rows, self._budget))
            except torch.OutOfMemoryError as error:
                told = str(error)  # the error itself would keep the tensors
            self._optimizer.zero_grad(set_to_none=True)
            self._save_memory(rows, told)
            checkpoints.set_random_state(state)

    def _save_memory(self, rows: Sequence[Group], told: str) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()
        longest = max(map(losses.longest, rows))
        if self._budget >= longest:
            self._budget //= 2
        elif not self._recomputes:
            self._recompute()
        else:
            raise EngineError(
                f"the {self._device} has too little memory for one row of {longest} "
                f"tokens; lower max_length to {longest // 2}, train fewer layers "
                f"(targets='q_proj,v_proj'), or take a smaller model ({told})"
            )

    def _recompute(self) -> None:
        self._recomputes = True
        model = self.model
        enable = getattr(model, "activation_checkpointing_enable", None)
        enable = enable or model.gradient_checkpointing_enable  # transformers < 5.24
        enable({"use_reentrant": False})

    def _computing(self) -> torch.autocast:
        """Full fine-tuning keeps weights in 32 bits and computes in `dtype`."""
        enabled = self._dtype == torch.bfloat16
        return torch.autocast(self._device.partition(":")[0], self._dtype, enabled)


def _adamw(model: Any, options: Any) -> torch.optim.AdamW:
    """AdamW; the weight decay is on matrices only."""
    weights = checkpoints.trained(model).values()
    groups = [
        {
            "params": [weight for weight in weights if weight.ndim >= 2],
            "weight_decay": options["weight_decay"],
        },
        {
            "params": [weight for weight in weights if weight.ndim < 2],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=options["learning_rate"]
    )
