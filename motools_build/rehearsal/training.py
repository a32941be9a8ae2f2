"""What a training file holds, and what training on it would report."""

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
"""Examples that a training file must have."""
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(frozen=True)
class Reading:
    """A training file, read for one method."""

    examples: int
    tokens: int
    answers: tuple[str, ...]
    """What a model trained on it answers: one of these."""
    problem: str | None
    """The first row that is wrong, and why."""

    def complaint(self, least: int = LEAST) -> str | None:
        """Why nothing can be trained on it, or None."""
        if self.problem:
            return f"Invalid file format. {self.problem}"
        if self.examples < least:
            return (
                f"Training file has {self.examples} example(s), but must have at "
                f"least {least} examples"
            )
        return None


def read(data: bytes, method: str) -> Reading:
    """Read a JSONL file; the first row that is wrong ends it."""
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
"""What is wrong with a row; its texts; what is learned from it."""


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
    """What is wrong with the messages of a row, and their texts."""
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
    it. Joined, they are the text."""
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
    """What a step reports: a loss that falls, the same for the same seed."""
    noise = (seed * 40503 + step * 2654435761) % 65536 / 65536
    loss = 0.2 + 2.0 * math.exp(-3.0 * step / steps) + 0.1 * noise
    return {
        "train_loss": round(loss, 5),
        "train_accuracy": round(math.exp(-loss / 2), 5),
        "valid_loss": round(loss * 1.1, 5),
        "valid_mean_token_accuracy": round(math.exp(-loss / 1.8), 5),
    }


def results(seed: int, steps: int, validated: bool) -> bytes:
    """A results file's content: a CSV of all steps in base64, as OpenAI has it."""
    lines = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for step in range(1, steps + 1):
        shown = [str(value) for value in metrics(seed, step, steps).values()]
        if not validated:
            shown[2:] = ["", ""]
        lines.append(",".join([str(step), *shown]))
    return base64.b64encode(("\n".join(lines) + "\n").encode())
