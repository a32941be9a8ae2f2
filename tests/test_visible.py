"""Texts of others cannot steer a terminal, and half a character stops nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from motools_build.doit_host.terminal import InvalidCommand
from motools_build.errors import StageFailed
from motools_build.keys import Key
from motools_build.report.drawing.console import console_of, plain_table
from motools_build.store.ledger import Ledger
from motools_build.store.records import Entry, Record
from motools_build.store.state import States
from motools_build.text.visible import STEERING, Scrubbed, shown, visible, whole

EVIL = (
    *("\x00", "\x07", "\x08", "\x0d", "\x1b[2J", "\x1b]52;c;eA==\x07", "\x7f"),
    *("\x85", "\x9b2J", "\x9d0;x\x9c", "\u202e", "\u2066", "\u200e", "\u061c"),
    *("\u200b", "\ufeff", "\u2028", "\u2029", "\u2060", "\u00ad", "\U000e0041"),
    *("\ud800", "\udcff", "a\u200db"),
)


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_it_is_shown_and_does_nothing(evil: str) -> None:
    for text in (visible(f"x{evil}y"), str(InvalidCommand(evil)), shown(evil)):
        assert not STEERING.search(text)
        assert text.encode()
    text = json.dumps({evil: [evil, f"\\{evil}"]}, ensure_ascii=False)
    assert json.loads(visible(text)) == json.loads(text)


def test_what_people_write_stays_as_it_is() -> None:
    text = "naïve 日本語 می‌خواهم 👩‍🔬 é\ttab\nline [red] \\x1b ␛"
    assert visible(text) == text


def test_a_table_shows_names_and_stays_straight() -> None:
    out = io.StringIO()
    table = plain_table("na\x1b[2Jme", "other", title="\u202etitle")
    table.add_row("a\x9b31mb", "\ud800")
    console_of(out).print(table)
    text = out.getvalue()
    assert not STEERING.search(text)
    for words in ("na␛[2Jme", "\\u202etitle", "a\\u009b31mb", "\\ud800"):
        assert words in text
    widths = {len(line) for line in text.splitlines() if "│" in line}
    assert len(widths) == 1


def test_our_own_colours_pass() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    stream = Scrubbed(out)
    assert stream.isatty()
    stream.write("\x1b[1mbold\x1b[0m\n")
    assert out.getvalue() == "\x1b[1mbold\x1b[0m\n"


def test_a_stream_of_few_letters_takes_all() -> None:
    raw = io.BytesIO()
    stream = Scrubbed(io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    stream.write("± \ud800\n")
    assert raw.getvalue() == b"\\xb1 \\ud800\n"


class TestHalfACharacter:
    def test_in_a_failure(self, tmp_path: Path) -> None:
        states = States(tmp_path)
        states.record_failure("k", "\udcff", StageFailed("said \ud800"), None)
        failure = states.failure("k")
        assert failure is not None
        assert (failure.name, failure.message) == ("\udcff", "said \ud800")

    def test_in_the_ledger(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "ledger.jsonl")
        told = ("2026-01-01T00:00:00Z", Key("k"), 1, "s\ud800", "model", "openai", "a")
        entry = Entry("failed", *told, id="ft-1", message='\\"\ud800')
        ledger.note(entry)
        assert Ledger(tmp_path / "ledger.jsonl").of("k") == [entry]

    def test_in_a_record(self) -> None:
        said = {"said": "\ud800"}
        record = Record("model", "d", Key("k"), {}, "n", "o", {}, {}, said)
        found = Record.decode(record.encode())
        assert found is not None
        assert found.details == {"said": "\\ud800"}

    def test_in_scores(self) -> None:
        scores = {"a\ud800": ["\ud800", 1, None]}
        assert whole(scores) == {"a\\ud800": ["\\ud800", 1, None]}
