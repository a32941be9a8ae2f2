"""Parsing a training file, and the metrics that training on it would report."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from typing import Any

SUPERVISED = "supervised"
DPO = "dpo"
LEAST = 10
"""The fewest examples that a training file may have."""
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(frozen=True)
class Reading:
    """The content of a training file, parsed for one training method."""

    examples: int
    tokens: int
    answers: tuple[str, ...]
    """The answers that it teaches; a model trained on it gives one of them."""
    problem: str | None
    """The first row that is wrong, and why; None if all are right."""

    def complaint(self, least: int = LEAST) -> str | None:
        """Why no model can be trained on the file, or None."""
        if self.problem:
            return f"Invalid file format. {self.problem}"
        if self.examples < least:
            return (
                f"Training file has {self.examples} example(s), but must have at "
                f"least {least} examples"
            )
        return None


def read(data: bytes, method: str) -> Reading:
    """Parse a JSONL file, up to the first row that is wrong."""
    examples = tokens = 0
    answers: set[str] = set()
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return Reading(examples, tokens, (), f"Line {number} is not JSON.")
        problem, texts, learned = _chat(row) if method == SUPERVISED else _pair(row)
        if problem:
            return Reading(examples, tokens, (), f"Line {number}: {problem}")
        examples += 1
        tokens += sum(len(words(text)) for text in texts)
        answers.update(learned)
    return Reading(examples, tokens, tuple(sorted(answers)), None)


Row = tuple[str | None, list[str], list[str]]
"""A row's problem or None, its texts, and the answers that it teaches."""


def _chat(row: Any) -> Row:
    messages = row.get("messages") if isinstance(row, dict) else None
    problem, texts = _messages(messages)
    if problem:
        return problem, [], []
    assert isinstance(messages, list)
    spoken = [message for message in messages if message["role"] == "assistant"]
    if not any(message.get("weight", 1) for message in spoken):
        return "no assistant message to learn from", [], []
    learned = [
        message["content"]
        for message in spoken
        if message.get("weight", 1) and isinstance(message.get("content"), str)
    ]
    return None, texts, learned


def _pair(row: Any) -> Row:
    if not isinstance(row, dict) or not isinstance(row.get("input"), dict):
        return "'input' must be an object with messages", [], []
    problem, texts = _messages(row["input"].get("messages"))
    for output in ("preferred_output", "non_preferred_output"):
        if problem:
            return problem, [], []
        problem, more = _messages(row.get(output))
        texts += more
        if not problem and row[output][-1]["role"] != "assistant":
            problem = f"'{output}' must be of the assistant"
    if problem:
        return problem, [], []
    learned = [message.get("content") for message in row["preferred_output"]]
    return None, texts, [text for text in learned if isinstance(text, str)]


def _messages(messages: Any) -> tuple[str | None, list[str]]:
    """The problem of a row's messages or None, and their texts."""
    if not isinstance(messages, list) or not messages:
        return "'messages' must be a list that is not empty", []
    texts = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES:
            return f"a message has one of the roles {', '.join(sorted(ROLES))}", []
        content = message.get("content")
        if content is None and not message.get("tool_calls"):
            return "a message must have content", []
        text = content if isinstance(content, str) else json.dumps(content)
        if "<|endoftext|>" in text:
            return "special tokens are not allowed", []
        texts.append(text)
    return None, texts


def words(text: str) -> list[str]:
    """A text's tokens, as this server counts them: words, each with the space before
    it. Joining them gives the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def resolved(
    asked: dict[str, Any], method: str, examples: int
) -> dict[str, int | float]:
    """Hyperparameters as numbers; "auto" becomes what OpenAI's guide describes."""
    number = max(examples, 1)
    epochs = 3
    if number * epochs < 100:
        epochs = min(25, max(3, math.ceil(100 / number)))
    auto: dict[str, int | float] = {
        "n_epochs": epochs,
        "batch_size": min(256, max(1, round(number * 0.002))),
        "learning_rate_multiplier": 1.8,
    }
    if method == DPO:
        auto["beta"] = 0.1
    return {
        name: value if asked.get(name, "auto") == "auto" else asked[name]
        for name, value in auto.items()
    }


def metrics(seed: int, step: int, steps: int) -> dict[str, float]:
    """Metrics of a step: a loss that falls over the steps, determined by the seed."""
    noise = (seed * 40503 + step * 2654435761) % 65536 / 65536
    loss = 0.2 + 2.0 * math.exp(-3.0 * step / steps) + 0.1 * noise
    return {
        "train_loss": round(loss, 5),
        "train_accuracy": round(math.exp(-loss / 2), 5),
        "valid_loss": round(loss * 1.1, 5),
        "valid_mean_token_accuracy": round(math.exp(-loss / 1.8), 5),
    }


def results(seed: int, steps: int, validated: bool) -> bytes:
    """The content of a results file: a CSV of all steps in base64, as OpenAI's are."""
    lines = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for step in range(1, steps + 1):
        shown = [str(value) for value in metrics(seed, step, steps).values()]
        if not validated:
            shown[2:] = ["", ""]
        lines.append(",".join([str(step), *shown]))
    return base64.b64encode(("\n".join(lines) + "\n").encode())
