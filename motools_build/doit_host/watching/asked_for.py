"""The listeners that a project asks for."""

from __future__ import annotations

from collections.abc import Iterator

from motools_build.doit_host.watching.listener import Listener
from motools_build.project.project import Project
from motools_build.project.variables import told_at_the_end


def asked_for(project: Project) -> Iterator[Listener]:
    """The listeners of a run of the project. Raises InputError, before anything is made
    or paid for, if one is declared wrongly, and MissingExtra if its package is not
    installed."""
    config = project.config
    urls = told_at_the_end(project.variables, config.notify)
    if urls:
        from motools_build.doit_host.watching.messages import messages

        yield messages(urls, config.notify_after)
    if config.track:
        from motools_build.doit_host.watching.trackers import tracker
        from motools_build.doit_host.watching.tracking import Tracking

        for name in config.track:
            yield Tracking(name, tracker(name), project.store)
