"""`doit bundle`: a setting's results in one archive, with all that they follow from."""

from __future__ import annotations

from pathlib import Path

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.locking import locked_words
from motools_build.doit_host.query import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.bundling import bundle
from motools_build.text.sizes import human


class Bundle(Query):
    """`doit bundle`: writes one archive of a setting that is locked."""

    name = "bundle"
    doc_purpose = "write a locked setting's results, scores and data to one archive"
    doc_usage = "[SETTING] [--out FILE.zip] [--no-data]"
    doc_description = (
        "The archive has the lock, the score of every answer, the page, the datasets, "
        "and a script that computes the numbers from the scores with NumPy and SciPy "
        "alone. `doit lock SETTING` comes first."
    )
    cmd_options = (
        {
            "name": "out",
            "long": "out",
            "type": str,
            "default": "",
            "help": "the file to write [default: SETTING.bundle.zip]",
        },
        {
            "name": "no_data",
            "long": "no-data",
            "type": bool,
            "default": False,
            "help": "the datasets' digests instead of their rows, and no page",
        },
    )
    needs = Needs(tasks=False, rows=False)

    def _execute(self, out: str, no_data: bool, pos_args: list[str]) -> int:
        session = current()
        names = locked_words(session.project, pos_args) or session.selected
        if len(names) != 1:
            raise InvalidCommand("a bundle is of one setting: doit bundle NAME")
        file = Path(out or f"{names[0]}.bundle.zip")
        done = bundle(session.project, names[0], file, not no_data)
        size = human(done.file.stat().st_size)
        self._say(f"{done.file}: {len(done.names)} files, {size}")
        for sentence in done.left_out:
            self._say(sentence)
        self._say("unpacked, it computes its numbers by: python recompute.py")
        return 0
