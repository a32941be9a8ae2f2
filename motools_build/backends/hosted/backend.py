"""Asks models by Inspect's providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motools_build.backends.asking import Ask
from motools_build.backends.base import Backend
from motools_build.backends.hosted.asked import asked_by

if TYPE_CHECKING:
    from inspect_ai.model import Model


class HostedBackend(Backend):
    """Makes nothing; its models are asked with an account's key and URL."""

    def asked(self, ask: Ask) -> Model | None:
        assert ask.account is not None
        return asked_by(ask.account, ask.model)
