"""The rows of a dataset as examples to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from motools_build.backends.local.chat import Chats, Example
from motools_build.data.rows.chat import OUTPUTS
from motools_build.data.rows.checks import Row, read_rows
from motools_build.errors import EngineError

Group = tuple[Example, ...]
"""A row's chats: one for SFT; for DPO the preferred and the other."""


class Reader:
    """Reads rows as a training with these options does.

    `tokenizer` is the base model's. Raises EngineError if it cannot be used for chats.
    """

    def __init__(self, tokenizer: Any, method: str, options: Mapping[str, Any]) -> None:
        self._chats = Chats(tokenizer, options["template"])
        self._method = method
        self._longest: int = options["max_length"]
        self._cuts: bool = options["cut"]
        self.cut = 0
        """The number of chats that were cut so far."""

    def examples(self, path: str, data: bytes) -> list[Group]:
        """The examples of a file's rows. Raises EngineError, with file and row, for a
        row that cannot be learned from."""
        rows = read_rows(path, data, self._method)
        found = []
        for number, row in enumerate(rows, 1):
            try:
                found.append(self.group(row))
            except EngineError as error:
                raise EngineError(f"{path}: row {number}: {error}") from error
        return found

    def group(self, row: Row) -> Group:
        """The examples of one row."""
        return tuple(map(self._example, self._chats_of(row)))

    def _chats_of(self, row: Row) -> Iterator[list[dict[str, Any]]]:
        if self._method == "sft":
            yield row["messages"]
            return
        for name in OUTPUTS:
            context = [{**m, "weight": 0} for m in row["input"]["messages"]]
            yield [*context, *row[name]]

    def _example(self, messages: list[dict[str, Any]]) -> Example:
        example = self._chats.example(messages)
        size = len(example.ids)
        if size <= self._longest:
            return example
        if not self._cuts:
            raise EngineError(
                f"it has {size} tokens, more than max_length {self._longest}; shorten "
                f"it, write Training(local=Local(max_length={size})), or add cut=True"
            )
        self.cut += 1
        example = example.cut(self._longest)
        if not any(example.learned[1:]):
            raise EngineError(
                f"nothing that it teaches is among its first {self._longest} tokens; "
                "raise max_length"
            )
        return example
