"""What planning needs to know of models that are only asked: by Inspect's providers.

Each is an entry point of its own, so that the first part of a model's name, an
account's `provider` and an identity in keys are Inspect's name of the provider.
"""

from __future__ import annotations

from dataclasses import dataclass

from motools_build.account import Account
from motools_build.specs.backends import BackendFacts


@dataclass(frozen=True)
class HostedFacts(BackendFacts):
    """A provider of Inspect that serves models."""

    own_server: bool = False
    """Whether there is no service of the provider's own, so that an account must say
    where its server is."""

    def account_problem(self, account: Account) -> str | None:
        if account.base_url or not self.own_server:
            return None
        variable = f", or export {self.url_variable}" if self.url_variable else ""
        return (
            f"{self.name} models are asked at a server: declare an account with "
            f'provider = "{self.name}" and base_url = "http://HOST:PORT/v1"{variable}'
        )


def _provider(
    name: str, key_variable: str, url_variable: str = "", own_server: bool = False
) -> HostedFacts:
    return HostedFacts(
        name=name,
        effects="motools_build.backends.hosted.backend:HostedBackend",
        methods=(),
        remote=True,
        key_variable=key_variable,
        url_variable=url_variable,
        own_server=own_server,
    )


ANTHROPIC = _provider("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")
FIREWORKS = _provider("fireworks", "FIREWORKS_API_KEY", "FIREWORKS_BASE_URL")
GOOGLE = _provider("google", "GOOGLE_API_KEY", "GOOGLE_BASE_URL")
GROK = _provider("grok", "XAI_API_KEY", "GROK_BASE_URL")
GROQ = _provider("groq", "GROQ_API_KEY", "GROQ_BASE_URL")
MISTRAL = _provider("mistral", "MISTRAL_API_KEY", "MISTRAL_BASE_URL")
OPENROUTER = _provider("openrouter", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL")
TOGETHER = _provider("together", "TOGETHER_API_KEY", "TOGETHER_BASE_URL")

OPENAI_API = _provider("openai-api", "", own_server=True)
"""Any server that speaks OpenAI's API: `openai-api/SERVICE/MODEL`."""

OLLAMA = _provider("ollama", "", "OLLAMA_BASE_URL", own_server=True)
VLLM = _provider("vllm", "", "VLLM_BASE_URL", own_server=True)
