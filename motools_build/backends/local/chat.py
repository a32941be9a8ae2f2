"""Chats as token IDs, with the tokens to learn: the assistant's turns by the model's
own chat template.

A template with generation markers (`{% generation %}`) says itself where the turns are.
For others, the text before a turn is the template's prompt for it: the turn lies
between the end of that prompt and the end of the chat up to the turn. That fails for
templates that write earlier turns otherwise once a later one follows, as those of
thinking models do; then the row is refused. So is an answer whose text is not found in
its span: some templates drop what they do not expect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

from motools_build.errors import EngineError

MARKER = re.compile(r"{%-?\s*generation\s*-?%}")

MARKED = (
    "give a template whose turns are marked by {% generation %}: "
    "Training(local=Local(template=...))"
)

TODAY = date(2024, 7, 26)
"""The day that templates write into system prompts, as those of Llama 3 and gpt-oss do:
always the same, or a model trained before midnight would be another after it."""

NOW = re.compile(r"""strftime_now\((["'])(.*?)\1\)""")

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


@dataclass(frozen=True)
class Example:
    """A tokenized chat to learn from."""

    ids: list[int]
    learned: list[bool]
    """For each ID, whether its prediction is in the loss."""

    def cut(self, length: int) -> Example:
        """The first `length` tokens."""
        return Example(self.ids[:length], self.learned[:length])

    def pieces(self, tokenizer: Any) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it is learned."""
        found = []
        for learned, pairs in groupby(
            zip(self.learned, self.ids, strict=True), key=itemgetter(0)
        ):
            found.append((tokenizer.decode([index for _, index in pairs]), learned))
        return found


class Chats:
    """Renders chats by a template and finds the tokens of the assistant's turns.

    `tokenizer` is a fast tokenizer of transformers; `template` replaces its own. Raises
    EngineError if there is no template, or if the tokenizer cannot tell which
    characters a token stands for.
    """

    def __init__(self, tokenizer: Any, template: str = "") -> None:
        self._tokenizer = tokenizer
        template = template or tokenizer.chat_template
        if not isinstance(template, str):
            raise EngineError(
                "the model has no chat template (or several), so that it is no chat "
                "model; give it one, with a marked turn: "
                "Training(local=Local(template=...))"
            )
        if not tokenizer.is_fast:
            raise EngineError(
                f"{type(tokenizer).__name__} does not tell which characters a token "
                "stands for; convert it to a fast tokenizer (tokenizer.json)"
            )
        self._template = NOW.sub(lambda m: repr(TODAY.strftime(m[2])), template)
        self._ends = {tokenizer.eos_token, *tokenizer.all_special_tokens} - {None}
        self._ends |= {str(token) for token in tokenizer.get_added_vocab()}

    def text(
        self,
        messages: Sequence[dict[str, Any]],
        prompt: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """The chat as text; with `prompt`, the assistant's turn is begun at its end.
        `arguments` are passed to the template. Raises EngineError if the template
        refuses the chat, or does not use one of the arguments."""
        given = dict(arguments or {})
        self._refuse_unused(given)
        text: str = self._applied(
            messages, tokenize=False, add_generation_prompt=prompt, **given
        )
        return text

    def prompt(
        self,
        messages: Sequence[dict[str, Any]],
        arguments: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Token IDs of a chat whose next turn the model is to write.

        If the last message is the assistant's, the model is to continue it: its text
        follows the prompt for that turn as it is written, and the prompt's tokens are
        those that they would be without it.
        """
        turns, begun = list(messages), ""
        if turns and turns[-1]["role"] == "assistant":
            begun = turns.pop()["content"]
        text = self.text(turns, prompt=True, arguments=arguments)
        ids = self._ids(text)
        if not begun:
            return ids
        whole = self._ids(text + begun)
        # a tokenizer may merge the two at the seam, as it does with white space
        return whole if whole[: len(ids)] == ids else [*ids, *self._ids(begun)]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _refuse_unused(self, arguments: Mapping[str, Any]) -> None:
        """Raises EngineError for an argument that the template does not name, as a
        misspelt one, or that transformers takes for itself."""
        for name in arguments:
            if name in OWN:
                raise EngineError(
                    f"chat_template_kwargs: {name!r} is set by motools_build, or "
                    "belongs to requests with tools or documents; leave it out"
                )
            if not re.search(rf"\b{re.escape(name)}\b", self._template):
                raise EngineError(
                    f"chat_template_kwargs: the model's chat template does not use "
                    f"{name!r}, so it would change nothing; correct its spelling, or "
                    "leave it out"
                )

    def example(self, messages: Sequence[dict[str, Any]]) -> Example:
        """The example of a chat. Turns with weight 0 are context only; what follows the
        last learned one is left out. Raises EngineError if a turn's tokens cannot be
        told for certain."""
        turns = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
        learned = [i for i in turns if messages[i].get("weight", 1)]
        if not learned:
            raise EngineError("none of its answers is learned")
        messages = messages[: learned[-1] + 1]
        turns = [i for i in turns if i <= learned[-1]]
        if MARKER.search(self._template):
            found = self._marked(messages, turns)
        else:
            found = self._between_prompts(messages, learned)
        for turn in learned:
            self._check(messages[turn]["content"], found.texts[turn], turn)
        spans = [found.spans[turn] for turn in learned]
        mask = [any(_within(place, s) for s in spans) for place in found.places]
        if not any(mask[1:]):
            raise EngineError("no token of its answers is learned")
        length = len(mask) - mask[::-1].index(True)
        return Example(found.ids[:length], mask[:length])

    def _between_prompts(
        self, messages: Sequence[dict[str, Any]], learned: list[int]
    ) -> _Rendered:
        """The chat with each learned turn's span of characters."""
        whole = self.text(messages)
        spans: dict[int, Span] = {}
        for turn in learned:
            head = self.text(messages[:turn], prompt=True)
            last = turn == len(messages) - 1
            upto = whole if last else self.text(messages[: turn + 1])
            if not upto.startswith(head):
                raise EngineError(
                    f"messages[{turn}]: the chat template begins this turn otherwise "
                    "than one that the model is asked for, as those of thinking models "
                    f"do ({head[-30:]!r}); {MARKED}"
                )
            if not whole.startswith(upto.rstrip()):
                raise EngineError(
                    f"messages[{turn}]: the chat template writes this turn otherwise "
                    "once another follows, as those of thinking models do; train on "
                    'chats that end with the turn ("weight": 0 for the others), or '
                    f"{MARKED}"
                )
            # without the space that a template puts after a turn
            spans[turn] = (len(head), len(head) + len(upto[len(head) :].rstrip()))
        encoded = self._tokenizer(
            whole, add_special_tokens=False, return_offsets_mapping=True
        )
        texts = {turn: whole[start:end] for turn, (start, end) in spans.items()}
        return _Rendered(encoded["input_ids"], encoded["offset_mapping"], spans, texts)

    def _marked(
        self, messages: Sequence[dict[str, Any]], turns: list[int]
    ) -> _Rendered:
        """The chat with each turn's span of tokens, as the template marks them."""
        encoded = self._applied(
            messages, return_dict=True, return_assistant_tokens_mask=True
        )
        ids, mask = encoded["input_ids"], encoded["assistant_masks"]
        pairs = enumerate(zip([0, *mask], [*mask, 0], strict=True))
        edges = [i for i, (before, after) in pairs if before != after]
        found = list(zip(edges[::2], edges[1::2], strict=True))
        if len(found) != len(turns):
            raise EngineError(
                f"the chat template marks {len(found)} turns of the assistant's "
                f"{len(turns)}; mend its generation markers"
            )
        spans = dict(zip(turns, found, strict=True))
        decode = self._tokenizer.decode
        texts = {turn: decode(ids[start:end]) for turn, (start, end) in spans.items()}
        return _Rendered(ids, [(i, i + 1) for i in range(len(ids))], spans, texts)

    def _applied(self, messages: Sequence[dict[str, Any]], **how: Any) -> Any:
        plain = [{"role": m["role"], "content": m["content"]} for m in messages]
        try:
            return self._tokenizer.apply_chat_template(
                plain,
                chat_template=self._template,
                **how,
            )
        except Exception as error:
            raise EngineError(f"the chat template refuses it: {error}") from error

    def _check(self, content: str, text: str, turn: int) -> None:
        """Raises EngineError if `text`, which is learned for a turn, lacks the turn's
        content, or a token at its end by which the model can stop."""
        if content.strip() not in text:
            raise EngineError(
                f"messages[{turn}]: the chat template leaves out what it says "
                f"({content.strip()[:40]!r}); give a template that takes messages of "
                "plain text: Training(local=Local(template=...))"
            )
        if not any(text.rstrip().endswith(token) for token in self._ends):
            raise EngineError(
                f"messages[{turn}]: the chat template writes no special token at its "
                f"end ({text[-20:]!r}), so that the model would never learn to stop; "
                "give a template that does: Training(local=Local(template=...))"
            )


@dataclass(frozen=True)
class _Rendered:
    """A chat as tokens, with the places of its turns."""

    ids: list[int]
    places: Sequence[Span]
    """For each ID, its span in characters or in tokens, as those of `spans`."""
    spans: dict[int, Span]
    """Turn -> its span."""
    texts: dict[int, str]
    """Turn -> the text of its span."""


def _within(token: Span, span: Span) -> bool:
    """Whether a token begins in a span: one that also covers the end of the prompt
    would not be the model's to write."""
    return span[0] <= token[0] < span[1]
