"""`doit report SETTING`: the results of settings as a page."""

from __future__ import annotations

from motools_build.doit_host.queries import Query


class Report(Query):
    """`doit report`: writes a page of results."""

    name = "report"
