"""Chats as token IDs, with the tokens to learn: the assistant's turns by the model's
own chat template.

A template with generation markers (`{% generation %}`) says itself where the turns are.
For others, the text before a turn is the template's prompt for it: the turn lies
between the end of that prompt and the end of the chat up to the turn. That fails for
templates that write earlier turns otherwise once a later one follows, as those of
thinking models do; then the row is refused. So is an answer whose text is not found in
its span: some templates drop what they do not expect.

Answers are tokenized apart from their prompts, as when they are generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from motools_build.backends.local.templates import Span, Template, Text
from motools_build.errors import EngineError

MARKED = (
    "give a template whose turns are marked by {% generation %}: "
    "Training(local=Local(template=...))"
)


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
        self._template = Template(tokenizer, template)
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
        return self._template.render(messages, prompt, arguments).text

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
        whole = self._template.render(turns, True, arguments)
        begins = self._begins(turns, whole.text, arguments)
        if begun:
            begins.append(len(whole.text))
            whole = self._template.continued(whole, begun)
        ids, _ = self._template.encode(whole, begins)
        return ids

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
        if self._template.marks:
            whole, of_turns = self._marked(messages, turns)
        else:
            whole, of_turns = self._between_prompts(messages, learned)
        spans = [of_turns[turn] for turn in learned]
        for turn, (start, end) in zip(learned, spans, strict=True):
            self._check(messages[turn]["content"], whole.text[start:end], turn)
        begins = [*self._begins(messages, whole.text), *(start for start, _ in spans)]
        ids, places = self._template.encode(whole, begins)
        mask = [any(_within(place, span) for span in spans) for place in places]
        if not any(mask[1:]):
            raise EngineError("no token of its answers is learned")
        length = len(mask) - mask[::-1].index(True)
        return Example(ids[:length], mask[:length])

    def _begins(
        self,
        messages: Sequence[dict[str, Any]],
        text: str,
        arguments: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """The places in a chat's text where answers begin that would merge with their
        prompts: those with space at their begin. So the tokens of an answer are the
        same when it is learned and when it is context."""
        heads = [
            self.text(messages[:turn], True, arguments)
            for turn, message in enumerate(messages)
            if turn
            and message["role"] == "assistant"
            and message["content"][:1].isspace()
        ]
        return [len(head) for head in heads if text.startswith(head)]

    def _between_prompts(
        self, messages: Sequence[dict[str, Any]], learned: list[int]
    ) -> tuple[Text, dict[int, Span]]:
        """The chat, and the span of each learned turn."""
        if learned[0] == 0:
            raise EngineError(
                "messages[0]: an answer without a question has no prompt from which it "
                'could be learned; begin with a user\'s turn, give it "weight": 0, or '
                f"{MARKED}"
            )
        whole = self._template.render(messages)
        spans: dict[int, Span] = {}
        for turn in learned:
            head = self.text(messages[:turn], prompt=True)
            last = turn == len(messages) - 1
            upto = whole.text if last else self.text(messages[: turn + 1])
            if not upto.startswith(head):
                raise EngineError(
                    f"messages[{turn}]: the chat template begins this turn otherwise "
                    "than one that the model is asked for, as those of thinking models "
                    f"do ({head[-30:]!r}); {MARKED}"
                )
            if not whole.text.startswith(upto.rstrip()):
                raise EngineError(
                    f"messages[{turn}]: the chat template writes this turn otherwise "
                    "once another follows, as those of thinking models do; train on "
                    'chats that end with the turn ("weight": 0 for the others), or '
                    f"{MARKED}"
                )
            # without the space that a template puts after a turn
            spans[turn] = (len(head), len(head) + len(upto[len(head) :].rstrip()))
        return whole, spans

    def _marked(
        self, messages: Sequence[dict[str, Any]], turns: list[int]
    ) -> tuple[Text, dict[int, Span]]:
        """The chat, and the span of each turn, as the template marks them."""
        whole = self._template.render(messages)
        if len(whole.marked) != len(turns):
            raise EngineError(
                f"the chat template marks {len(whole.marked)} turns of the assistant's "
                f"{len(turns)}; mend its generation markers"
            )
        return whole, dict(zip(turns, whole.marked, strict=True))

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


def _within(token: Span, span: Span) -> bool:
    """Whether a token begins in a span."""
    return span[0] <= token[0] < span[1]
