"""Removes API keys from Inspect's logs. A client's error may contain the request, and
with it the key; and people send logs to each other."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from motools_build.text.scrub import scrub

COLOURED = "traceback_ansi"
"""Field of an error with colour codes, which may split a key, so that it is not found;
replaced by the plain `traceback`."""


@functools.cache
def guard() -> None:
    """Patch Inspect's log encoder to write no keys, once per process. The encoder is
    not public (docs/decisions/0012); if a version of Inspect lacks it, `scrub_logs`
    removes the keys afterwards."""
    from inspect_ai.log._recorders import eval as recorder

    usual = getattr(recorder, "to_json_safe", None)
    if usual is None:
        return

    @functools.wraps(usual)
    def without_keys(*args: Any, **options: Any) -> bytes:
        return scrubbed(usual(*args, **options))

    setattr(recorder, "to_json_safe", without_keys)  # noqa: B010 - not exported


def scrubbed(data: bytes) -> bytes:
    """The JSON with its keys removed; the same bytes object if it contains none."""
    text = data.decode()
    if scrub(text) == text:
        return data
    return json.dumps(_without_keys(json.loads(text)), ensure_ascii=False).encode()


def scrub_logs(folders: Iterable[Path]) -> None:
    """Remove keys from all logs in these folders. Unreadable logs are left as they
    are."""
    for folder in folders:
        for path in folder.glob("*.eval"):
            try:
                _scrub_log(path)
            except (BadZipFile, OSError, ValueError):
                continue  # damaged: its readers report it


def _scrub_log(path: Path) -> None:
    import inspect_ai.log  # noqa: F401 - adds the logs' compression to zipfile

    with ZipFile(path) as log:
        members = [(one, log.read(one)) for one in log.infolist()]
    clean = [(one, scrubbed(data)) for one, data in members]
    if all(data is old for (_, data), (_, old) in zip(clean, members, strict=True)):
        return
    temporary = path.with_suffix(".tmp")
    with ZipFile(temporary, "w") as log:
        for one, data in clean:
            log.writestr(one, data)
    temporary.replace(path)


def _without_keys(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [_without_keys(item) for item in value]
    if isinstance(value, dict):
        if COLOURED in value:
            value = {**value, COLOURED: value.get("traceback") or ""}
        return {scrub(name): _without_keys(item) for name, item in value.items()}
    return value
