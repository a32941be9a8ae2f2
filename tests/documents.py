"""The documentation as data: pages, code blocks, tables, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "AGENTS.md", *DOCS.rglob("*.md")])

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`([^`]+)`")


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Language and text of the fenced code blocks in these languages, in order; of all
    blocks if none is given."""
    found = BLOCK.findall(page.read_text())
    return [(lang, text) for lang, text in found if not languages or lang in languages]


def section(page: Path, title: str) -> str:
    """The text below a heading, up to the next heading of the same or a higher
    rank."""
    text = page.read_text()
    match = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert match, f"{page.name} has no heading {title!r}"
    rest = text[match.end() :]
    following = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def first_cells(text: str) -> list[str]:
    """The first cell of each table row, if it begins with a backquote; so headings are
    left out."""
    cells = [row.split(" | ")[0].strip() for row in ROW.findall(text)]
    return [cell for cell in cells if cell.startswith("`")]


def named(text: str) -> set[str]:
    """All texts in backquotes in the first cells of table rows."""
    return {name for cell in first_cells(text) for name in NAMED.findall(cell)}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = BLOCK.sub("", page.read_text())
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(text))
    return {title.strip().replace(" ", "-") for title in plain}


@dataclass(frozen=True)
class Option:
    """An option of a command."""

    short: str
    long: str
    takes_a_value: bool


@cache
def commands() -> dict[str, list[Option]]:
    """Command -> its options, for every command of this project."""
    from doit.cmd_base import DodoTaskLoader

    found = _classes()
    of_all = _options(DodoTaskLoader)
    return {name: [*_options(command), *of_all] for name, command in found.items()}


@cache
def ours() -> dict[str, Any]:
    """Command -> class, for the commands that this package adds to doit."""
    found = _classes().items()
    return {n: c for n, c in found if c.__module__.startswith("motools_build")}


def _classes() -> dict[str, Any]:
    from motools_build.doit_host.loading import Loader
    from motools_build.doit_host.main import Main

    with chdir(ROOT):
        found: dict[str, Any] = Main(Loader()).get_cmds().to_dict()
    return found


def _options(command: Any) -> list[Option]:
    return [
        Option(
            f"-{option['short']}" if option.get("short") else "",
            f"--{option['long']}" if option.get("long") else "",
            option["type"] is not bool,
        )
        for option in command.cmd_options
    ]


def printed_commands(page: Path) -> Iterator[str]:
    """Every `doit ...` command on a page: in fenced or indented blocks, and in
    backquotes."""
    text = page.read_text()
    for language, block in BLOCK.findall(text):
        if language in ("", "console"):
            yield from _doits(block)
    rest = BLOCK.sub("", text)
    for line in rest.splitlines():
        if line.startswith("    "):
            yield from _doits(line)
    for code in INLINE.findall(rest):
        yield from _doits(code.replace("\n", " "))


def _doits(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in re.split(r"&&|  +#", line):
            part = part.strip().removeprefix("$ ").strip()
            if re.match(r"doit [a-z]", part):
                yield part


def words_of(command: str) -> list[str]:
    """The words of a command, split as a shell does, without a trailing comment."""
    return shlex.split(command, comments=True)
