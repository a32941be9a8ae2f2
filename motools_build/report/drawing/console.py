"""Rich consoles and tables in the style that all commands share."""

from __future__ import annotations

from typing import Any

from motools_build.text.visible import shown

PIPE_WIDTH = 200
"""Width in columns if the output is no terminal, since a pipe has no width."""


def console_of(stream: Any) -> Any:
    """A rich console that writes to a stream. In all texts, secrets are removed and
    control characters made visible."""
    from rich.console import Console
    from rich.text import Text

    class Shown(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(shown(text), **options)

        def on_broken_pipe(self) -> None:
            raise  # to our caller; rich would end the process as if it had failed

    terminal = bool(getattr(stream, "isatty", lambda: False)())
    # no markup: brackets in names and messages must be printed as they are
    return Shown(
        file=stream,
        width=None if terminal else PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def plain_table(*headings: str, title: str | None = None) -> Any:
    """An empty rich table. The first column is aligned left, the others right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def fits(table: Any, console: Any) -> bool:
    """Whether a table fits the width of the terminal."""
    as_wide_as_it_likes = console.options.update(max_width=10**6)
    needed = console.measure(table, options=as_wide_as_it_likes).maximum
    return bool(needed <= console.width)
