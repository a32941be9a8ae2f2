"""The transform that gives each row a system prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from motools_build.data.rows.checks import Row
from motools_build.data.transforms.files import Out, Rows
from motools_build.data.transforms.step import Step, each
from motools_build.data.transforms.turns import messages_of, saying

SYSTEM = ("system", "developer")
"""Roles of turns that are system prompts."""


class System(Step):
    """See `Dataset.system`."""

    WORD: ClassVar[str] = "system"
    prompt: str = Field(min_length=1)
    replace: bool = False

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        for index in range(len(rows)):
            each(rows, out, index, self.WORD, self._with_prompt)

    def _with_prompt(self, row: Row) -> Row:
        """The row with the prompt as first turn of its chat, or of a pair's prompt.
        Raises ValueError if it has a system turn that is not to be replaced."""
        messages = messages_of(row)
        for index, message in enumerate(messages):
            if message.get("role") in SYSTEM and not self.replace:
                raise ValueError(
                    f"messages[{index}] is a system turn already; replace=True puts "
                    "the prompt in its place"
                )
        others = [m for m in messages if m.get("role") not in SYSTEM]
        return saying(row, [{"role": "system", "content": self.prompt}, *others])
