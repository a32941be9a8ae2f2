"""`doit results`: the results of settings, in several forms."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

from motools_build.doit_host.forms import Kind, Told, differences, means_by, results
from motools_build.doit_host.helping import Needs
from motools_build.doit_host.locking import OPT_LOCK, locked_words
from motools_build.doit_host.out import whole_text
from motools_build.doit_host.query import OPT_AT, OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.project import Project
from motools_build.store.files import whole_file
from motools_build.text.visible import shown

FORMS = ("table", "csv", "json", "md", "latex", "parquet")
"""The forms of results."""

ROWS = ("csv", "json", "parquet")
"""The forms of answers."""


def _option(name: str, kind: type, default: Any, text: str) -> dict[str, Any]:
    told = {"name": name, "long": name, "type": kind, "default": default}
    return {**told, "help": text}


class Results(Query):
    """`doit results`: shows the table of results, without network or new runs."""

    name = "results"
    doc_purpose = "show a setting's results; stale, missing and failed ones as such"
    doc_usage = (
        "[SETTING...] [--differences | --by NAMES | --samples] "
        "[--at WHEN | --from-lock] [--out FILE] [model=...] [seeds=...]"
    )
    needs = Needs(tasks=False, rows=False)
    cmd_options = (
        OPT_JSON,
        _option("csv", bool, False, "print CSV: a row for each model, eval and metric"),
        {
            **_option("format", str, "table", ""),
            "choices": tuple((form, "") for form in FORMS),
            "help": "table, csv, json, md (Markdown), latex, or parquet (with --out)",
        },
        _option(
            "differences",
            bool,
            False,
            "compare the models of each arm or dataset with the others and with the "
            "base model",
        ),
        _option(
            "by",
            str,
            "",
            "means over what is not named, such as --by arm or --by arm,model",
        ),
        _option(
            "samples", bool, False, "a row for each answer: csv, json (lines), parquet"
        ),
        OPT_AT,
        OPT_LOCK,
        _option("out", str, "", "write to this file, whole or not at all"),
    )

    def _execute(
        self,
        json: bool,
        csv: bool,
        format: str,
        differences: bool,
        by: str,
        samples: bool,
        at: str,
        from_lock: bool,
        out: str,
        pos_args: list[str],
    ) -> int:
        session = current()
        form = _form(json, csv, format)
        asked = {"--differences": differences, "--by": by, "--samples": samples}
        kinds = [name for name, is_asked in asked.items() if is_asked]
        if len(kinds) > 1:
            raise InvalidCommand(f"{' and '.join(kinds)} exclude each other")
        if form == "parquet" and not out:
            raise InvalidCommand("parquet is no text: add --out FILE.parquet")
        if samples and form not in ROWS:
            raise InvalidCommand(
                "--samples has no tables: add --csv, --json or --format parquet "
                "(`doit samples` shows transcripts)"
            )
        if samples and from_lock:
            raise InvalidCommand(
                "a lock has the scores of answers, not the answers: leave out --samples"
            )
        if at and from_lock:
            raise InvalidCommand("--at and --from-lock exclude each other")
        self._look_back(at, pos_args)
        project = session.project
        with nullcontext() if samples else _uncollected(self.loader.ends):
            settings = session.selected
            if from_lock:
                settings = locked_words(project, pos_args) or settings
            else:
                self._known(pos_args)
            told = _Told(self, project, settings, form, bool(out))
            locked = told.mark if from_lock else None
            kind = None if samples else _kind(project, differences, by, locked)
            told.tell(kind, Path(out) if out else None)
        return 0


def _form(json: bool, csv: bool, format: str) -> str:
    given = {"json": json, "csv": csv, format: format != "table"}
    forms = [name for name, is_given in given.items() if is_given]
    if len(forms) > 1:
        raise InvalidCommand(f"{' and '.join(forms)} are two forms; ask for one")
    return forms[0] if forms else "table"


def _kind(
    project: Project, compares: bool, by: str, locked: Told | None = None
) -> Kind:
    if by:
        return means_by(project, [name.strip() for name in by.split(",")], locked)
    return differences(project, locked) if compares else results(project, locked)


@dataclass(frozen=True)
class _Told:
    """Results that a command tells: on its output, or in a file."""

    command: Results
    project: Project
    settings: Sequence[str]
    form: str
    to_file: bool

    def mark(self, sentence: str) -> None:
        """Tell a sentence about a lock: above a table, and else beside the output,
        whose bytes are the same as without a lock."""
        if self.form == "table" and not self.to_file:
            self.command._say(sentence)
        else:
            sys.stderr.write(f"{shown(sentence)}\n")

    def tell(self, kind: Kind | None, out: Path | None) -> None:
        """Write the results; without a kind, the samples."""
        if self.form == "parquet" and out:
            from motools_build.data.foreign.parquet import pyarrow

            pyarrow()  # raises before anything is looked up
            with whole_file(out) as path:
                self._parquet(kind, path)
        elif out:
            with whole_text(out) as stream:
                self._text(kind, stream)
        else:
            self._text(kind, self.command.outstream)
        if out:
            self.command._say(str(out))

    def _text(self, kind: Kind | None, stream: Any) -> None:
        if kind is None:
            self._samples(stream)
            return
        kind.tell(self.settings, self.form, stream)

    def _samples(self, stream: Any) -> None:
        from motools_build.project.reports import every_sample
        from motools_build.report.drawing.csv import write_csv
        from motools_build.report.sample_rows import sample_rows, spooled

        rows = sample_rows(every_sample(self.project, self.settings))
        if self.form == "json":
            for row in rows:
                stream.write(shown(dumps(row, ensure_ascii=False)) + "\n")
            return
        with spooled(rows) as kept:
            write_csv(stream, kept.columns, kept.rows())

    def _parquet(self, kind: Kind | None, path: Path) -> None:
        from motools_build.project.reports import every_sample
        from motools_build.report.parquet import with_text, write_parquet
        from motools_build.report.sample_rows import sample_rows, spooled

        if kind is not None:
            flat = (row for of in kind.find(self.settings) for row in of.flat())
            write_parquet(path, *with_text(kind.columns, flat))
            return
        with spooled(sample_rows(every_sample(self.project, self.settings))) as kept:
            write_parquet(path, kept.columns, kept.rows(), kept.real)


@contextmanager
def _uncollected(ends: bool) -> Iterator[None]:
    """Disable Python's cyclic garbage collector while results are computed: they are
    hundreds of thousands of small objects that all stay alive, so it would find
    nothing, and takes a fifth of the time. If the process ends with the command
    (`ends`), it stays disabled."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was and not ends:
            gc.enable()
