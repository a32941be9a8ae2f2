"""Chat completions: a base model echoes; a fine-tuned one answers with an answer from
its training file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from motools_build.backends.dummy.backend import answer
from motools_build.keys import digest_bytes
from motools_build.rehearsal.objects import Model
from motools_build.rehearsal.refused import bad
from motools_build.rehearsal.training import words

SCALE = re.compile(r"\b0\b\D{0,40}\b100\b")
"""Matches a prompt that asks for a number from 0 to 100."""
OTHERS = ("the", "a", "1", "I", "0", "yes", "no", "2", "it", "10", "is", "and", "42")
"""Tokens to show as alternatives among the top log probabilities."""


@dataclass(frozen=True)
class Spoken:
    """A completion: its tokens, the likely tokens at each place with their
    probabilities (the chosen one included), and the finish reason."""

    tokens: list[str]
    likely: list[list[tuple[str, float]]]
    finish: str

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    def logprobs(self, top: int) -> list[dict[str, Any]]:
        return [
            {
                **_token(token, dict(likely)[token]),
                "top_logprobs": [_token(*pair) for pair in likely[:top]],
            }
            for token, likely in zip(self.tokens, self.likely, strict=True)
        ]


@dataclass(frozen=True)
class Request:
    """The body of a chat completion, checked."""

    messages: list[dict[str, Any]]
    n: int
    most: int | None
    stop: list[str]
    top: int | None
    """Number of top log probabilities per token; None for no log probabilities."""
    stream: bool
    include_usage: bool

    @staticmethod
    def of(body: dict[str, Any]) -> Request:
        """Check a request's body. Raises Refused."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise bad("Missing required parameter: 'messages'.", "messages")
        for index, message in enumerate(messages):
            if not isinstance(message, dict) or "role" not in message:
                raise bad(f"Invalid value for 'messages[{index}]'.", "messages")
        stop = body.get("stop") or []
        stop = [stop] if isinstance(stop, str) else stop
        if not isinstance(stop, list) or not all(isinstance(s, str) for s in stop):
            raise bad("Invalid type for 'stop': expected strings.", "stop")
        if "" in stop:
            raise bad("Invalid 'stop': a string is empty.", "stop")
        shown = body.get("logprobs") or False
        top = body.get("top_logprobs")
        if top is not None and not shown:
            raise bad(
                "The 'top_logprobs' parameter is only allowed when 'logprobs' is "
                "enabled.",
                "top_logprobs",
            )
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise bad("Invalid type for 'stream_options'.", "stream_options")
        most = body.get("max_completion_tokens")
        name = "max_tokens" if most is None else "max_completion_tokens"
        return Request(
            messages=messages,
            n=_whole(body.get("n"), "n", 1, 128) or 1,
            most=_whole(body.get(name), name, 1, 10**6),
            stop=stop,
            top=(_whole(top, "top_logprobs", 0, 20) or 0) if shown else None,
            stream=bool(body.get("stream")),
            include_usage=bool(options.get("include_usage")),
        )


def _whole(value: Any, name: str, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad(f"Invalid type for '{name}': expected an integer.", name)
    if not least <= value <= most:
        raise bad(f"Invalid value for '{name}': {value} is out of range.", name)
    return value


def content(message: dict[str, Any]) -> str:
    """A message's text, which may be a string or a list of parts."""
    found = message.get("content")
    if isinstance(found, list):
        return "".join(
            str(part.get("text", "")) for part in found if isinstance(part, dict)
        )
    return found if isinstance(found, str) else ""


def speak(model: Model, request: Request) -> Spoken:
    """A model's completion; the same request always gets the same one."""
    whole = "\n".join(content(message) for message in request.messages)
    if request.most == 1 and SCALE.search(whole):
        numbers = _numbers(f"{model.id}:{whole}")
        return Spoken([numbers[0][0]], [numbers], "length")
    asked = [content(m) for m in request.messages if m["role"] == "user"]
    prompt = asked[-1] if asked else ""
    job = model.job
    learned = list(job.reading.answers) if job else None
    text, finish = answer(prompt, learned, job.seed if job else 0), "stop"
    for stop in request.stop:
        text = text.split(stop, 1)[0]
    tokens = words(text)
    if request.most is not None and len(tokens) > request.most:
        tokens, finish = tokens[: request.most], "length"
    likely = [_words(f"{model.id}:{prompt}:{i}", t) for i, t in enumerate(tokens)]
    return Spoken(tokens, likely, finish)


def _draw(text: str) -> float:
    """A pseudorandom number from 0 to 1, seeded by a text."""
    return int(digest_bytes(text.encode())[:8], 16) / 0xFFFFFFFF


def _numbers(seed: str) -> list[tuple[str, float]]:
    """Tokens for whole numbers around a centre from 0 to 100, with probabilities, the
    likeliest first."""
    centre, width = round(100 * _draw(seed)), 2 + 4 * _draw(f"{seed}:width")
    weights = {
        number: math.exp(-abs(number - centre) / width)
        for number in range(101)
        if abs(number - centre) <= 12
    }
    total = sum(weights.values()) / 0.97
    pairs = [(str(number), weight / total) for number, weight in weights.items()]
    return sorted(pairs, key=lambda pair: -pair[1])


def _words(seed: str, chosen: str) -> list[tuple[str, float]]:
    """Tokens with probabilities: the chosen one, with 0.6 or more, then others."""
    mass = 0.6 + 0.35 * _draw(seed)
    space = " " if chosen.startswith(" ") else ""
    others = [space + word for word in OTHERS if space + word != chosen]
    others += [space + str(number) for number in range(3, 13)]
    others = [other for other in dict.fromkeys(others) if other != chosen]
    rest = (1 - mass) * 0.9
    return [
        (chosen, mass),
        *((other, rest * 0.5 ** (rank + 1)) for rank, other in enumerate(others)),
    ]


def _token(token: str, probability: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": round(math.log(probability), 6),
        "bytes": list(token.encode()),
    }


def usage(request: Request, spoken: Spoken) -> dict[str, Any]:
    """The `usage` of a completion: tokens of the prompt, with four more for each
    message, and of all choices."""
    prompt = sum(len(words(content(message))) + 4 for message in request.messages)
    said = len(spoken.tokens) * request.n
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(
    model: Model, request: Request, spoken: Spoken, name: str, now: float
) -> dict[str, Any]:
    """The body of a completion that is not streamed."""
    choice: dict[str, Any] = {
        "message": {
            "role": "assistant",
            "content": spoken.text,
            "refusal": None,
            "annotations": [],
        },
        "logprobs": _shown(request, spoken),
        "finish_reason": spoken.finish,
    }
    return {
        "id": name,
        "object": "chat.completion",
        "created": int(now),
        "model": model.id,
        "choices": [{"index": index, **choice} for index in range(request.n)],
        "usage": usage(request, spoken),
        "service_tier": "default",
        "system_fingerprint": "fp_rehearsal",
    }


def _shown(request: Request, spoken: Spoken) -> dict[str, Any] | None:
    if request.top is None:
        return None
    return {"content": spoken.logprobs(request.top), "refusal": None}


def chunks(
    model: Model, request: Request, spoken: Spoken, name: str, now: float
) -> Iterator[bytes]:
    """The same completion as server-sent events, one token in each."""
    head = {
        "id": name,
        "object": "chat.completion.chunk",
        "created": int(now),
        "model": model.id,
        "service_tier": "default",
        "system_fingerprint": "fp_rehearsal",
        **({"usage": None} if request.include_usage else {}),
    }

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return (
            b"data: %s\n\n" % json.dumps({**head, "choices": choices, **more}).encode()
        )

    shown = _shown(request, spoken)
    for index in range(request.n):
        plain = {"index": index, "logprobs": None, "finish_reason": None}
        first = {"role": "assistant", "content": "", "refusal": None}
        yield event([{**plain, "delta": first}])
        for place, token in enumerate(spoken.tokens):
            logs = shown and {"content": [shown["content"][place]], "refusal": None}
            yield event([{**plain, "delta": {"content": token}, "logprobs": logs}])
        yield event([{**plain, "delta": {}, "finish_reason": spoken.finish}])
    if request.include_usage:
        yield event([], usage=usage(request, spoken))
    yield b"data: [DONE]\n\n"
