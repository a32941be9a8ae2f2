"""`doit declare`: writes down what a setting is going to measure."""

from __future__ import annotations

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import current
from motools_build.project.declaring import declare


class Declare(Query):
    """`doit declare`: appends a declaration to the setting's file."""

    name = "declare"
    doc_purpose = "write down what a setting will measure, before its results are there"
    doc_usage = "[SETTING...]"
    doc_description = (
        "Appends the setting's results to be, with their keys, and its primary "
        "contrast, with the date, to zoo/SETTING.plan.json, which is to be committed. "
        "From then on, results say what was declared before it was made."
    )
    cmd_options = ()
    needs = Needs(tasks=False)

    def _execute(self, pos_args: list[str]) -> int:
        session = current()
        self._settings_alone(pos_args)
        for name in session.selected:
            done = declare(session.project, name)
            word = "declared" if done.is_new else "declared already, unchanged"
            self._say(f"{name}: {word}: {done.declaration}")
            if done.is_new:
                self._say(f"commit it: git add {done.file}")
        return 0
