"""Turns chats into token ids in ChatML, and marks the ids that are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tiktoken

from motools_build.errors import EngineError

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""The system message that the model's own chat template adds if a chat has none."""

# SmolLM's pre-tokenization: each digit is a piece; the rest is split as GPT-2 does. The
# last of several spaces belongs to the word that follows, but not to a digit.
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
    """A tokenized chat to train on."""

    ids: list[int]
    """Token ids of the chat; the last one is trained."""
    trained: list[bool]
    """For each id, whether its prediction is in the loss."""


class Tokenizer:
    """The byte-pair encoding (BPE) in a GGUF file's metadata."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        """Raises EngineError if the metadata lacks a GPT-2 vocabulary with ChatML's
        special tokens."""
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
        # Some control characters have no token. They get ids beyond the vocabulary,
        # and `encode` drops those ids, as transformers does.
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
        """The text of token ids, without special tokens."""
        special = set(self._special.values())
        return self._encoding.decode([id for id in ids if id not in special])

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a chat, up to and including the header of the assistant's answer.

        Raises EngineError for an unknown role or content that is not text.
        """
        ids, _ = self._chat(messages)
        return ids + self._answer_header()

    def example(self, messages: Sequence[Message]) -> TrainingExample:
        """The training example of a chat: what the assistant says is trained, and each
        end of its turns.

        A turn with weight 0 is context only. The newline after an end of turn is not
        trained, and ids after the last trained one are dropped. Raises EngineError if
        no token is trained.
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
                # Encoded in two pieces, as in generation, where the answer follows the
                # prompt: its first newline never merges with the header's.
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
    """The inverse of GPT-2's byte-to-character table: printable character -> byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + index): byte for index, byte in enumerate(others)}
