"""Inspect's provider `vllm`, for a model of this machine that a server answers for."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai
from inspect_ai.model import ChatMessage, GenerateConfig, ModelCall, ModelOutput
from inspect_ai.model._providers.vllm import VLLMAPI
from inspect_ai.tool import ToolChoice, ToolInfo

from motools_build.backends.local.adapters import ADAPTER, TEMPLATE
from motools_build.backends.local.serving import speaking
from motools_build.backends.local.serving.places import Address
from motools_build.backends.local.serving.server import Server
from motools_build.backends.local.table import Table
from motools_build.backends.local.templates import NOW, TODAY
from motools_build.errors import EngineError
from motools_build.text.scrub import scrub

PLAIN: Mapping[str, Any] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Fields of requests that keep vLLM from sampling by the model's own
generation_config.json, which torch does not look at either."""


class Asked(VLLMAPI):
    """A model that a server of vLLM answers for, by Inspect's provider."""

    about: Mapping[str, Any]
    """Who answers, for the eval's record."""

    def __init__(self, address: Address, adapter: str, template: str | None) -> None:
        """`adapter` is the adapter's name on the server, empty for the base model;
        `template` is the chat template that requests bring, None for the server's."""
        name = f"{address.model}:{adapter}" if adapter else address.model
        super().__init__(name, base_url=address.url, api_key=address.key)
        self._address = address
        self._body = {**PLAIN, **({"chat_template": template} if template else {})}

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        """The answer of the server. Raises EngineError if it does not answer, refuses
        the template, or if the prompt is too long for it."""
        body = {**self._body, **(config.extra_body or {})}
        if config.top_k is not None:
            body["top_k"] = config.top_k
        top_p = 1.0 if config.top_p is None else config.top_p
        config = config.model_copy(update={"extra_body": body, "top_p": top_p})
        try:
            answer = await super().generate(input, tools, tool_choice, config)
        except openai.APIConnectionError as error:
            raise speaking.unreachable(self._address, error) from error
        output = answer[0] if isinstance(answer, tuple) else answer
        if (
            isinstance(output, openai.APIStatusError)
            and "chat template" in str(output).lower()
        ):
            raise EngineError(
                "the model is asked by a chat template of its own, and the server of "
                f"vLLM at {scrub(self._address.url)} refuses it ({output.message}); "
                "start it with --trust-request-chat-template"
            )
        if isinstance(output, ModelOutput) and output.stop_reason == "model_length":
            raise EngineError(
                f"a prompt is too long for the server of vLLM: {output.completion}; "
                "shorten it, lower max_tokens, or raise --max-model-len"
            )
        return answer


def asked(model: str, weights: str, folder: str | None, table: Table) -> Asked:
    """The model of a folder, at a server, which is started if there is none. Blocks
    until the server is ready. Raises EngineError if it does not get so, or refuses the
    model.

    `model` is the base model's name without `local/`, `weights` its folder, `folder`
    that of an adapter or of a model trained whole, None for the base model.
    """
    base, adapter = parts(weights, folder)
    rank = rank_of(adapter)
    about: dict[str, Any] = {"by": "vllm"}
    if table.base_url:
        key = os.environ.get("VLLM_API_KEY", "inspectai")
        address = Address(table.base_url, key, "", "")
        listed = speaking.models(address)
        named = model if folder is None or adapter else ""
        served = speaking.base_among(listed, address, named, base.resolve())
        address = Address(table.base_url, key, served, "")
        about["url"] = scrub(table.base_url)
    else:
        _ask_directly()
        address = Server.for_model(base, rank, table.vllm).address()
        about["arguments"] = list(table.vllm)
    name = speaking.loaded(address, adapter, rank) if adapter else ""
    made = Asked(address, name, template_of(base, adapter))
    made.about = {**about, "version": speaking.version(address)}
    return made


def parts(weights: str, folder: str | None) -> tuple[Path, Path | None]:
    """The folder of the weights that a server loads, and that of the adapter; None
    without an adapter, as for a model trained whole."""
    if folder is None:
        return Path(weights), None
    if (Path(folder) / ADAPTER).is_file():
        return Path(weights), Path(folder)
    return Path(folder), None


def rank_of(adapter: Path | None) -> int:
    """The rank of an adapter; 0 without one."""
    return 0 if adapter is None else int(_json(adapter / ADAPTER)["r"])


def template_of(base: Path, adapter: Path | None) -> str | None:
    """The chat template that requests must bring, because the server's own is another:
    the one that the adapter was trained with, and always one that writes today's date,
    which is the same day for ever. None if the server's own is right."""
    there = _template(base)
    own = there
    if adapter and (adapter / TEMPLATE).is_file():
        own = (adapter / TEMPLATE).read_text()
    if own is None:
        return None
    found = NOW.sub(lambda match: repr(TODAY.strftime(match[2])), own)
    return None if found == there else found


def _template(base: Path) -> str | None:
    """A model's own chat template; None if it has none, or several."""
    if (base / TEMPLATE).is_file():
        return (base / TEMPLATE).read_text()
    config = base / "tokenizer_config.json"
    found = _json(config).get("chat_template") if config.is_file() else None
    return found if isinstance(found, str) else None


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _ask_directly() -> None:
    """Keep this process's requests to this machine from a proxy for the network."""
    for name in ("no_proxy", "NO_PROXY"):
        rest = os.environ.get(name)
        os.environ[name] = ",".join(filter(None, (rest, "127.0.0.1")))
