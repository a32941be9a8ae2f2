"""The transform that turns rows of other shapes into chats or pairs of answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from motools_build.data.transforms import shapes
from motools_build.data.transforms.files import Out, Rows
from motools_build.data.transforms.step import Step, each


class Chat(Step):
    """See `Dataset.as_chat`."""

    WORD: ClassVar[str] = "chat"
    RULES: ClassVar[int] = 2  # 1 silently dropped system, history and label
    drop: tuple[str, ...] = ()

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        change = partial(shapes.as_chat, drop=self.drop)
        for index in range(len(rows)):
            each(rows, out, index, self.WORD, change)
