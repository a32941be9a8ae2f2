"""Prints rows as models are trained on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING, Any

from motools_build.report.drawing.console import console_of
from motools_build.text.visible import shown

if TYPE_CHECKING:
    from motools_build.backends.base import Piece
    from motools_build.report.as_trained import AsTrained

BEGIN, END = "«", "»"


def print_row(found: Iterable[AsTrained], as_json: bool, stream: Any) -> None:
    """Print rows: learned text green on a terminal, else between quotation marks."""
    if as_json:
        rows = [asdict(one) for one in found]
        stream.write(dumps(rows, ensure_ascii=False) + "\n")
        return
    console = console_of(stream)
    for one in found:
        console.print(f"{one.dataset}, row {one.row}, as {one.model} is trained on it")
        for chat in one.chats:
            console.print(_text(chat, console.is_terminal), soft_wrap=True)
            console.print()


def _text(chat: list[Piece], coloured: bool) -> Any:
    from rich.text import Text

    text = Text()
    for piece, learned in chat:
        if learned and not coloured:
            piece = f"{BEGIN}{piece}{END}"
        text.append(shown(piece), style="bold green" if learned else "dim")
    return text
