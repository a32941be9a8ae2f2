"""`doit list`, which is doit's own except for its end."""

from __future__ import annotations

from typing import Any

from doit.cmd_list import List as DoitList

from motools_build.doit_host.terminal import reader_gone


class List(DoitList):  # type: ignore[misc]
    """`doit list`, which ends without a word if its reader does, as `head`."""

    def execute(self, params: Any, args: list[str]) -> int:
        try:
            code = int(super().execute(params, args) or 0)
            self.outstream.flush()
        except BrokenPipeError:
            return reader_gone()
        return code
