"""The losses of a step and their gradients, in parts that fit into memory.

A step's loss is a mean over its learned tokens (SFT) or its pairs (DPO), whatever parts
the step is computed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch.nn import functional

from motools_build.backends.local.chat import Example
from motools_build.backends.local.examples import Group

KEEPS = "logits_to_keep"
"""The argument of models of transformers that names the places to compute logits of."""

IGNORED = -100
"""The label of a token that is not learned, as torch has it."""

Pair = tuple[float, float]
"""The log-probabilities of a row's preferred answer and of the other."""


@dataclass(frozen=True)
class Batch:
    """Chats of different lengths, padded on the right: tensors (chats, length)."""

    ids: torch.Tensor
    labels: torch.Tensor
    attention: torch.Tensor

    @classmethod
    def of(cls, examples: Sequence[Example], device: str) -> Batch:
        length = max(len(example.ids) for example in examples)
        ids = torch.zeros((len(examples), length), dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        attention = torch.zeros_like(ids)
        for row, example in enumerate(examples):
            its = torch.tensor(example.ids)
            size = len(its)
            ids[row, :size] = its
            labels[row, :size] = its.where(torch.tensor(example.learned), IGNORED)
            attention[row, :size] = 1
        return cls(ids.to(device), labels.to(device), attention.to(device))

    def losses(self, model: Any) -> torch.Tensor:
        """-log p of each learned token, in 32 bits: (chats, places), with 0 where a
        chat learns none. The places are those at which some chat learns: the logits of
        others, which for a large vocabulary take the most memory, are not computed."""
        targets = self.labels[:, 1:]
        places = (targets != IGNORED).any(0).nonzero().flatten()
        learned = targets[:, places]
        flat = functional.cross_entropy(
            self._logits(model, places).float().flatten(0, 1),
            learned.flatten(),
            reduction="none",
            ignore_index=IGNORED,
        )
        return flat.view(learned.shape)

    def _logits(self, model: Any, places: torch.Tensor) -> torch.Tensor:
        """The logits at these places (chats, places, vocabulary)."""
        base = model.get_base_model() if hasattr(model, "peft_config") else model
        given = {"input_ids": self.ids, "attention_mask": self.attention}
        logits: torch.Tensor
        if KEEPS in signature(base.forward).parameters:
            logits = model(**given, **{KEEPS: places}).logits
        else:  # a few architectures compute them all
            logits = model(**given).logits[:, places]
        return logits


Part = Callable[[Any, Sequence[Group]], torch.Tensor]
"""The part of a step's loss that some of its rows have, with a graph for its
gradient."""


def learned_of(rows: Sequence[Group]) -> int:
    """The number of learned tokens of rows; the first of a chat is never predicted."""
    return sum(sum(example.learned[1:]) for row in rows for example in row)


def sft(rows: Sequence[Group], device: str) -> Part:
    """The mean of -log p over the learned tokens of a step's rows."""
    total = learned_of(rows)

    def part(model: Any, some: Sequence[Group]) -> torch.Tensor:
        chats = [example for row in some for example in row]
        return Batch.of(chats, device).losses(model).sum() / total

    return part


def dpo(
    rows: Sequence[Group],
    device: str,
    beta: float,
    reference: dict[int, Pair],
) -> Part:
    """The mean over a step's pairs of -log sigmoid(beta * margin). The margin is how
    much likelier the preferred answer has become than the other, in log odds against
    the base model (Rafailov et al. 2023). `reference` has the base model's
    log-probabilities of both answers, by the row's `id`."""

    def part(model: Any, some: Sequence[Group]) -> torch.Tensor:
        preferred, other = log_probabilities(model, some, device)
        pairs = [reference[id(row)] for row in some]
        before = torch.tensor(pairs, device=device, dtype=torch.float32)
        margin = (preferred - before[:, 0]) - (other - before[:, 1])
        return -functional.logsigmoid(beta * margin).sum() / len(rows)

    return part


def log_probabilities(
    model: Any, rows: Sequence[Group], device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probabilities (rows,) of the preferred answers and of the others."""
    chats = [example for row in rows for example in row]
    sums = -Batch.of(chats, device).losses(model).sum(1)
    return sums[0::2], sums[1::2]


def parts(rows: Sequence[Group], budget: int) -> list[list[Group]]:
    """The rows in parts of at most `budget` tokens, padding included, or of one row;
    the longest first, so that memory that is enough for one part is enough for all."""
    found: list[list[Group]] = []
    by_length = sorted(rows, key=lambda row: -longest(row))
    for row in by_length:
        width = longest(found[-1][0]) if found else 0
        chats = (len(found[-1]) + 1) * len(row) if found else 0
        if found and width * chats <= budget:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def longest(row: Group) -> int:
    """Tokens of a row's longest chat."""
    return max(len(example.ids) for example in row)
