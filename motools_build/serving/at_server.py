"""Asks a server for the answers of a `motools/` model, as the worker itself would give
them: with the same defaults, and with a seed for each repetition of a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput
from inspect_ai.tool import ToolChoice, ToolInfo

from motools_build.backends.asking import served
from motools_build.backends.inspect.streams import stream

SEEDS = 2**63
"""Seeds in requests are smaller: servers take 64 bits with a sign."""


class AtServer:
    """The server of a model, which is found, or started, at the first request."""

    def __init__(
        self,
        model: ModelAPI,
        find: Callable[[], ModelAPI | None],
        max_tokens: int,
    ) -> None:
        """`find` returns Inspect's provider for the model at its server, or None if no
        server answers for it; it may block for minutes. `max_tokens` is the length of
        an answer if nothing else says it."""
        self._model = model
        self._find = find
        self._max_tokens = max_tokens
        self._found: asyncio.Task[ModelAPI | None] | None = None
        self._api: ModelAPI | None = None

    async def ready(self) -> AtServer | None:
        """This object, once the server is ready; None if no server answers. Raises what
        `find` raises, each time."""
        if self._found is None:
            self._found = asyncio.create_task(asyncio.to_thread(self._find))
        self._api = await asyncio.shield(self._found)
        if self._api is None:
            return None
        served[f"motools/{self._model.model_name}"] = getattr(self._api, "about", {})
        return self

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
        first_epoch: int,
    ) -> ModelOutput:
        """The server's answer, as that of the model. Raises what the server's provider
        raises or returns as an error."""
        assert self._api is not None
        config = config.model_copy(
            update={
                "max_tokens": config.max_tokens or self._max_tokens,
                "temperature": float(config.temperature or 0),
            }
        )
        began = time.perf_counter()
        messages = [m.model_dump(mode="json", exclude={"id"}) for m in input]
        asked = [
            messages,
            [tool.model_dump(mode="json") for tool in tools],
            config.model_dump(mode="json", exclude={"seed"}, exclude_none=True),
        ]
        called, seed = self._model.model_name, config.seed or 0
        with stream(self._model, called, first_epoch, seed, asked) as own:
            config = config.model_copy(update={"seed": own % SEEDS})
            answer = await self._api.generate(input, tools, tool_choice, config)
        output = answer[0] if isinstance(answer, tuple) else answer
        if isinstance(output, Exception):
            raise output
        for choice in output.choices:
            choice.message.model = called
        seconds = time.perf_counter() - began
        return output.model_copy(update={"model": called, "time": seconds})
