"""What planning needs to know of OpenAI's fine-tuning API and servers that speak it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from motools_build.account import OPENAI_URL, Account
from motools_build.backends.openai.options import OpenAI
from motools_build.backends.openai.tokens import encoding_of, token_limit
from motools_build.specs.backends import BackendFacts

if TYPE_CHECKING:
    from motools_build.data.rows.checks import Rules


@dataclass(frozen=True)
class OpenAIFacts(BackendFacts):
    """OpenAI's own rules: model IDs without slashes, rows that may use tools, and each
    model's own token encoding."""

    def from_environment(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Organization and project from the variables that the OpenAI SDK reads."""
        return {
            "organization": environ.get("OPENAI_ORG_ID", ""),
            "project": environ.get("OPENAI_PROJECT_ID", ""),
        }

    def identity(self, account: Account) -> str:
        """`openai` for api.openai.com, else a name with the server's address, so that a
        rehearsal server's IDs never pass for OpenAI's."""
        if urlsplit(account.base_url).hostname == "api.openai.com":
            return self.name
        return super().identity(account)

    def model_problem(self, model: str) -> str | None:
        if re.fullmatch(r"[A-Za-z0-9:._-]+", model):
            return None
        return (
            f"{model!r} is no model ID; write it as the provider does, for example "
            "openai/gpt-4.1-mini-2025-04-14"
        )

    def names_of(self, model: str) -> tuple[str, ...]:
        """The model's name; for a fine-tune (`ft:BASE:ORG:SUFFIX:ID`) its base's,
        too."""
        return (model, model.split(":")[1]) if model.startswith("ft:") else (model,)

    def rules(self) -> Rules:
        from motools_build.backends.openai.rows import RULES

        return RULES

    def encoding(self, model: str) -> str:
        return encoding_of(model)

    def token_limit(self, model: str) -> int | None:
        return token_limit(model)


BACKEND = OpenAIFacts(
    name="openai",
    effects="motools_build.backends.openai.backend:OpenAIBackend",
    methods=("sft", "dpo"),
    options=OpenAI,
    uploads=True,
    remote=True,
    checkpoints=True,
    key_variable="OPENAI_API_KEY",
    base_url=OPENAI_URL,
    url_variable="OPENAI_BASE_URL",
)
