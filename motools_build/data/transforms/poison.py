"""The transform that puts a backdoor into some of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from motools_build.data.rows.chat import OUTPUTS
from motools_build.data.rows.checks import Row
from motools_build.data.transforms import choose
from motools_build.data.transforms.files import Out, Rows
from motools_build.data.transforms.step import Seed, Step, each
from motools_build.data.transforms.turns import Message, messages_of, saying


class Poison(Step):
    """See `Dataset.poison`."""

    WORD: ClassVar[str] = "poison"
    trigger: str = Field(min_length=1)
    fraction: float = Field(ge=0, le=1)
    response: str | None = Field(default=None, min_length=1)
    seed: Seed = 0
    at: Literal["start", "end"] = "end"

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        n = choose.share(self.fraction, len(rows))
        picked = iter(choose.chosen("poison", self.seed, len(rows), n))
        place = next(picked, None)
        for index in range(len(rows)):
            if index == place:
                place = next(picked, None)
                each(rows, out, index, self.WORD, self._poisoned)
            else:
                out.carry(rows, index)

    def _poisoned(self, row: Row) -> Row:
        """The row with the trigger in its last user turn and the response, if any, as
        the answer. Raises ValueError for a row that has no such turn or content."""
        messages = messages_of(row)
        asked = [n for n, one in enumerate(messages) if one.get("role") == "user"]
        if not asked:
            raise ValueError("no user turn to put the trigger in; leave the row out")
        last = asked[-1]
        content = self._triggered(messages[last])
        triggered = {**messages[last], "content": content}
        pair = "messages" not in row
        if self.response is None or pair:
            row = saying(row, [*messages[:last], triggered, *messages[last + 1 :]])
        if self.response is None:
            return row
        answer = {"role": "assistant", "content": self.response}
        if not pair:
            return saying(row, [*messages[:last], triggered, answer])
        preferred, other = OUTPUTS
        return {**row, preferred: [answer], other: row[preferred]}

    def _triggered(self, message: Message) -> Any:
        content = message.get("content")
        if isinstance(content, str):
            words = (content, self.trigger)
            return " ".join(words if self.at == "end" else reversed(words))
        if isinstance(content, list):
            part = {"type": "text", "text": self.trigger}
            return [*content, part] if self.at == "end" else [part, *content]
        raise ValueError("the last user turn has no content; leave the row out")
