"""Chats to token ids in ChatML, and which of those ids are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tiktoken

from motools_build.errors import EngineError

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the model's own template puts first where a chat has no system turn."""

# SmolLM's split: every digit alone, then GPT-2's. A run of spaces keeps its last one
# for the word that follows, but not for a digit.
_SPLIT = (
    r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
    r"|\s+(?![^\s\p{N}])|\s+"
)
_CONTROL = 3  # GGUF's token type of <|im_start|> and its like
_ROLES = ("system", "user", "assistant")

Message = Mapping[str, Any]
"""{"role": "system" | "user" | "assistant", "content": str, "weight": 0 | 1}"""


@dataclass(frozen=True)
class TrainingExample:
    """A chat to learn from."""

    ids: list[int]
    """Token ids, the last of which is trained."""
    trained: list[bool]
    """For each id whether the model is to learn to predict it."""


class Tokenizer:
    """The byte-pair encoding inside a GGUF file's metadata."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        """Raises EngineError where the metadata lacks a GPT-2 vocabulary."""
        try:
            tokens: list[str] = metadata["tokenizer.ggml.tokens"]
            kinds: list[int] = metadata["tokenizer.ggml.token_type"]
            self._special = {
                token: id
                for id, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
                if kind == _CONTROL
            }
            self.start = self._special["<|im_start|>"]
            self.end = self._special["<|im_end|>"]
            byte_of = _gpt2_bytes()
            ranks = {
                bytes(byte_of[letter] for letter in token): id
                for id, token in enumerate(tokens)
                if token not in self._special
            }
        except KeyError as error:
            raise EngineError(
                f"the model file's tokenizer has no {error}; "
                "only ChatML models with a GPT-2 vocabulary are supported"
            ) from error
        # Some control characters have no token. They get ids past the vocabulary,
        # and encode drops them, as transformers does.
        self._size = len(tokens)
        missing = [bytes([byte]) for byte in range(256) if bytes([byte]) not in ranks]
        ranks |= {byte: self._size + index for index, byte in enumerate(missing)}
        self._encoding = tiktoken.Encoding(
            "gguf",
            pat_str=_SPLIT,
            mergeable_ranks=ranks,
            special_tokens=self._special,
        )

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: "<|im_end|>" in it is seven ordinary tokens."""
        ids = self._encoding.encode(text, disallowed_special=())
        return [id for id in ids if id < self._size]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, without special tokens."""
        special = set(self._special.values())
        return self._encoding.decode([id for id in ids if id not in special])

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a chat, up to where the assistant's answer begins.

        Raises EngineError for an unknown role or content that is not text.
        """
        ids, _ = self._chat(messages)
        return ids + self._answer_header()

    def example(self, messages: Sequence[Message]) -> TrainingExample:
        """The chat as it is trained: the assistant's words and ends of turn.

        A turn with weight 0 is context only. The newline after an end of turn is
        not trained, and what follows the last trained token is dropped. Raises
        EngineError where nothing is left to train.
        """
        ids, trained = self._chat(messages)
        if not any(trained):
            raise EngineError(
                "a training example has no assistant turn to learn from; "
                "add one, or give one a weight other than 0"
            )
        length = len(trained) - trained[::-1].index(True)
        return TrainingExample(ids[:length], trained[:length])

    def _chat(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        if not messages:
            raise EngineError("a chat has no messages; give it at least one")
        if messages[0].get("role") != "system":
            messages = [{"role": "system", "content": DEFAULT_SYSTEM}, *messages]
        newline = self.encode("\n")
        ids: list[int] = []
        trained: list[bool] = []
        for message in messages:
            role, content = message.get("role"), message.get("content")
            if role not in _ROLES or not isinstance(content, str):
                raise EngineError(
                    f"a chat's turn has role {role!r} and content of type "
                    f"{type(content).__name__}; roles are {', '.join(_ROLES)}, "
                    "and content is text"
                )
            if role == "assistant":
                # In two pieces, as when the model goes on from the prompt: a
                # newline that opens an answer never joins the header's.
                header, said = self._answer_header(), self.encode(content)
            else:
                header, said = [self.start, *self.encode(f"{role}\n{content}")], []
            learn = role == "assistant" and message.get("weight", 1) != 0
            ids += [*header, *said, self.end, *newline]
            trained += [False] * len(header) + [learn] * (len(said) + 1)
            trained += [False] * len(newline)
        return ids, trained

    def _answer_header(self) -> list[int]:
        return [self.start, *self.encode("assistant\n")]


def _gpt2_bytes() -> dict[str, int]:
    """GPT-2's printable letter for each byte, turned round."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + index): byte for index, byte in enumerate(others)}
