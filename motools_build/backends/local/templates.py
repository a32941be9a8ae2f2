"""Chats as texts by a chat template, and such texts as token IDs.

What messages say is text: a special token's name in it, as `<|im_end|>`, is ordinary
characters, and ends no turn. Otherwise whoever writes a prompt could write turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

from motools_build.errors import EngineError

MARKER = re.compile(r"{%-?\s*generation\s*-?%}")

TODAY = date(2024, 7, 26)
"""The day that templates write into system prompts, as those of Llama 3 and gpt-oss do:
always the same, or a model trained before midnight would be another after it."""

NOW = re.compile(r"""strftime_now\((["'])(.*?)\1\)""")

PRIVATE = 0xF0000
"""The first of Unicode's private characters, which stand for no text."""

OWN = frozenset(
    {
        *("conversation", "tools", "documents", "chat_template", "messages"),
        *("add_generation_prompt", "continue_final_message", "tokenize", "padding"),
        *("truncation", "max_length", "return_tensors", "return_dict"),
        *("return_assistant_tokens_mask", "tokenizer_kwargs"),
    }
)
"""Arguments of transformers' `apply_chat_template` that are not the template's own."""

Span = tuple[int, int]
"""The first character of a part of a text, and the one after its last."""


@dataclass(frozen=True)
class Text:
    """A chat as its template writes it."""

    text: str
    literal: list[Span]
    """Special tokens that messages spell out, which are ordinary text."""
    marked: list[Span]
    """The assistant's turns, if the template marks them."""


class Template:
    """A chat template (Jinja), with the fast tokenizer of transformers that turns what
    it writes into token IDs."""

    def __init__(self, tokenizer: Any, source: str) -> None:
        self._tokenizer = tokenizer
        self._source = NOW.sub(lambda m: repr(TODAY.strftime(m[2])), source)
        self.marks = bool(MARKER.search(source))
        """Whether it tells where the assistant's turns are."""
        added = tokenizer.added_tokens_decoder.values()
        special = {str(token) for token in added if token.special}
        special |= {*tokenizer.all_special_tokens}
        longest_first = sorted(special, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def render(
        self,
        messages: Sequence[dict[str, Any]],
        prompt: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> Text:
        """The chat as text; with `prompt`, the assistant's turn is begun at its end.
        `arguments` are passed to the template. Raises EngineError if the template
        refuses the chat, or does not use one of the arguments.

        While the template runs, private characters stand for the special tokens that
        messages spell out, as many as these have, so that places are the same.
        """
        self._refuse_unused(arguments or {})
        said = "".join(message["content"] for message in messages)
        unused = (chr(code) for code in count(PRIVATE) if chr(code) not in said)
        spelled = sorted(set(self._special.findall(said)))
        for_token = {token: next(unused) * len(token) for token in spelled}
        plain = [
            {
                "role": message["role"],
                "content": self._special.sub(
                    lambda match: for_token[match[0]], message["content"]
                ),
            }
            for message in messages
        ]
        text, marked = self._applied(plain, prompt, arguments or {})
        literal: list[Span] = []
        for token, private in for_token.items():
            literal += [match.span() for match in re.finditer(private, text)]
            text = text.replace(private, token)
        return Text(text, sorted(literal), marked)

    def continued(self, chat: Text, begun: str) -> Text:
        """The chat with the begin of an answer, which is text."""
        literal = [
            (len(chat.text) + match.start(), len(chat.text) + match.end())
            for match in self._special.finditer(begun)
        ]
        return Text(chat.text + begun, [*chat.literal, *literal], chat.marked)

    def _refuse_unused(self, arguments: Mapping[str, Any]) -> None:
        """Raises EngineError for an argument that the template does not name, as a
        misspelt one, or that transformers takes for itself."""
        for name in arguments:
            if name in OWN:
                raise EngineError(
                    f"chat_template_kwargs: {name!r} is set by motools_build, or "
                    "belongs to requests with tools or documents; leave it out"
                )
            if not re.search(rf"\b{re.escape(name)}\b", self._source):
                raise EngineError(
                    f"chat_template_kwargs: the model's chat template does not use "
                    f"{name!r}, so it would change nothing; correct its spelling, or "
                    "leave it out"
                )

    def _applied(
        self,
        messages: list[dict[str, str]],
        prompt: bool,
        arguments: Mapping[str, Any],
    ) -> tuple[str, list[Span]]:
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            (text,), marked = render_jinja_template(
                [messages],
                chat_template=self._source,
                add_generation_prompt=prompt,
                return_assistant_tokens_mask=self.marks,
                **{**self._tokenizer.special_tokens_map, **arguments},
            )
        except Exception as error:
            raise EngineError(f"the chat template refuses it: {error}") from error
        joined: list[Span] = []  # a template may mark a turn in parts
        for start, end in (span for spans in marked for span in spans):
            if joined and start == joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
            elif start < end:
                joined.append((start, end))
        return text, joined

    def encode(
        self, chat: Text, answers: Sequence[int] = ()
    ) -> tuple[list[int], list[Span]]:
        """Token IDs of a chat, and the span of each. `answers` are the places where
        answers begin: there, a token ends in any case, as when they are generated."""
        borders = list(self._borders(chat))
        ids, places = self._encoded(chat, borders)
        cut = [at for at in answers for start, end in places if start < at < end]
        return self._encoded(chat, sorted([*borders, *cut])) if cut else (ids, places)

    def _borders(self, chat: Text) -> Iterator[int]:
        """Places around texts with spelled special tokens: where the template's own
        special tokens end and begin, so that each text is tokenized as a whole."""
        if not chat.literal:
            return
        own, last = [0], 0
        for match in self._special.finditer(chat.text):
            if match.span() not in chat.literal:
                own += match.span()
        own.append(len(chat.text))
        for start, _ in chat.literal:
            if start >= last:
                last = min(place for place in own if place > start)
                yield max(place for place in own if place <= start)
                yield last

    def _encoded(
        self, chat: Text, borders: Sequence[int]
    ) -> tuple[list[int], list[Span]]:
        """Token IDs and their spans; the parts between borders are tokenized apart."""
        ids: list[int] = []
        places: list[Span] = []
        ends = [*borders, len(chat.text)]
        for start, end in zip([0, *borders], ends, strict=True):
            found = self._tokenizer(
                chat.text[start:end],
                add_special_tokens=False,
                return_offsets_mapping=True,
                split_special_tokens=any(start <= at < end for at, _ in chat.literal),
            )
            ids += found["input_ids"]
            places += [(start + a, start + b) for a, b in found["offset_mapping"]]
        return ids, places
