"""A mark as data: what a figure or a page shows, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from motools_build.errors import InputError
from motools_build.report.results import Result
from motools_build.store.records import check_format
from motools_build.text.scrub import scrub

FORMAT = 1
"""The format number of marks."""


@dataclass(frozen=True)
class Item:
    """An eval's artifact whose result is shown."""

    stage: str
    key: str
    output: str
    """Digest of its scores."""
    status: str
    """The result's status when it was shown: `ok`, or `stale` for an older one."""
    model: str = ""
    """Key of the fine-tuned model that was asked; empty for a base model."""


@dataclass(frozen=True)
class Mark:
    """What a figure or a page shows. It does not say when the file was written: then
    the same figure would have other bytes each time."""

    settings: tuple[str, ...]
    variables: Mapping[str, str]
    """Those of the command that change plans."""
    items: tuple[Item, ...]
    newest: str
    """When the latest of its artifacts was made, in UTC; empty if it has none."""
    version: str
    """That of motools_build which wrote the file."""
    commit: str
    """The project's commit; empty if it is not known."""
    dirty: bool
    command: str
    """The command that makes the file again."""
    locked: str
    """The sentence about the lock that it is from; empty if it is from artifacts."""

    def encode(self) -> str:
        """The mark as ASCII, without secrets."""
        body = {"format": FORMAT, **asdict(self)}
        return json.dumps(json.loads(scrub(json.dumps(body))), separators=(",", ":"))


def items_of(found: Iterable[Result]) -> tuple[tuple[Item, ...], str]:
    """The artifacts that results show, each once, and when the latest was made."""
    there: dict[str, Item] = {}
    newest = ""
    for one in found:
        if one.record is None:
            continue
        key, model = str(one.record.key), one.lineage.model_key or ""
        name = one.cell.stage.name
        there[key] = Item(name, key, one.record.output, one.status, model)
        newest = max(newest, str(one.record.made.get("time") or ""))
    return tuple(there.values()), newest


def decode(text: str, what: str) -> Mark:
    """A mark from a file, which may come from anywhere; `what` names the file.

    Raises InputError for a text that is no mark, NewerFormat for one of a later
    version.
    """
    try:
        body = json.loads(text)
        if not isinstance(body, dict):
            raise TypeError("it is no object")
        check_format(body, what, FORMAT)
        return Mark(
            settings=tuple(_texts(body["settings"])),
            variables={str(n): _text(v) for n, v in body["variables"].items()},
            items=tuple(Item(*_texts(_fields(one))) for one in body["items"]),
            newest=_text(body["newest"]),
            version=_text(body["version"]),
            commit=_text(body["commit"]),
            dirty=body["dirty"] is True,
            command=_text(body["command"]),
            locked=_text(body["locked"]),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as no:
        raise InputError(
            f"{what} has a mark that is not as motools_build writes it ({no!r:.80})"
        ) from no


def _fields(one: Mapping[str, Any]) -> list[Any]:
    return [one[name] for name in ("stage", "key", "output", "status", "model")]


def _texts(values: Sequence[Any]) -> list[str]:
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value
