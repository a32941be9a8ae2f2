"""Inspect's model API for models of this machine; it gathers requests into batches.

Outside of a run, `inspect eval FILE --model motools/<stage name or key prefix>` finds
the model's artifact below the project's root; `motools/embedded/<model>` is a base
model.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    Content,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from motools_build.backends import registry
from motools_build.backends.asking import (
    LOGPROBS,
    TEMPLATE_ARGUMENTS,
    Answerer,
    Reply,
    Request,
    served,
)
from motools_build.backends.inspect.caching import never_cached
from motools_build.backends.inspect.model_apis import RECORDED
from motools_build.backends.inspect.streams import stream
from motools_build.errors import EngineError
from motools_build.serving.at_server import AtServer
from motools_build.serving.lookup import looked_up

BATCH = 32
"""Largest number of prompts in a batch."""
QUIET = 0.1
"""Seconds without a new request after which a smaller batch starts."""
MAX_TOKENS = 256
"""Tokens of an answer, if neither the task nor the eval sets max_tokens."""
UNSUPPORTED = (
    *("top_p", "top_k", "num_choices", "best_of", "logit_bias"),
    *("frequency_penalty", "presence_penalty", "response_schema", "prompt_logprobs"),
)
"""Fields of Inspect's GenerateConfig that none of these models supports. What else a
backend's models support, `Backend.serves` says."""


class MotoolsAPI(ModelAPI):
    """Inspect's provider `motools`. `kind` is the backend that serves the model;
    without it the model's name is looked up in artifacts/. `table` is its table in
    pyproject.toml, by which a server may answer for the model; `base` is then the base
    model's name.

    Requests raise EngineError for tools, for the fields of UNSUPPORTED, and for
    `logprobs` and fields of `extra_body` that the backend does not serve.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        kind: str | None = None,
        weights: str | None = None,
        adapter: str | None = None,
        first_epoch: int = 1,
        base: str = "",
        table: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise EngineError(
                f"motools models take no argument {', '.join(sorted(unknown))}"
            )
        super().__init__(model_name, None, None, [], config or GenerateConfig())
        if kind is None:
            kind, weights, adapter = looked_up(model_name)
        self._kind = kind
        # Inspect also creates providers without sending a request: so the weights are
        # loaded by the serving thread, at the first request
        self._load = partial(_answerer, kind, weights, adapter)
        find = partial(_server, kind, base, weights, adapter, table or {})
        self._server = AtServer(self, find, MAX_TOKENS) if table else None
        self._first_epoch = first_epoch
        self._waiting: queue.SimpleQueue[tuple[Request, Future[Reply]]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._serve, daemon=True).start()
        never_cached(self)

    def max_connections(self) -> int:
        return BATCH

    def max_tokens(self) -> int | None:
        return MAX_TOKENS

    def connection_key(self) -> str:
        return self.model_name

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        server = self._server and await self._server.ready()
        if server:
            output = await server.generate(
                input, tools, tool_choice, config, self._first_epoch
            )
            for choice in output.choices:
                if isinstance(text := choice.message.content, str):
                    choice.message.content = _parts(text)
            return output
        self._refuse_unsupported(tools, config)
        messages = [_plain(message) for message in input]
        max_tokens = config.max_tokens or MAX_TOKENS
        temperature = float(config.temperature or 0)
        stops = config.stop_seqs or []
        template = (config.extra_body or {}).get(TEMPLATE_ARGUMENTS) or {}
        began = time.perf_counter()
        with stream(
            self,
            self.model_name,
            self._first_epoch,
            config.seed or 0,
            # without arguments, the streams are those of requests that know of none
            [messages, max_tokens, temperature, stops, *filter(None, [template])],
        ) as seed:
            future: Future[Reply] = Future()
            top = (config.top_logprobs or 0) if config.logprobs else None
            request = Request(messages, max_tokens, temperature, seed, top, template)
            self._waiting.put((request, future))
            reply = await asyncio.wrap_future(future)
        text, finished = _stopped(reply, stops)
        message = ChatMessageAssistant(
            content=_parts(text), model=self.model_name, source="generate"
        )
        return ModelOutput(
            model=self.model_name,
            choices=[
                ChatCompletionChoice(
                    message=message,
                    stop_reason="stop" if finished else "max_tokens",
                    logprobs=_logprobs(reply) if config.logprobs else None,
                )
            ],
            time=time.perf_counter() - began,
            usage=ModelUsage(
                input_tokens=reply.input_tokens,
                output_tokens=reply.output_tokens,
                total_tokens=reply.input_tokens + reply.output_tokens,
            ),
        )

    def _refuse_unsupported(
        self, tools: list[ToolInfo], config: GenerateConfig
    ) -> None:
        """Raises EngineError for what the model would have to leave out."""
        asked = [name for name in UNSUPPORTED if getattr(config, name) is not None]
        if config.logprobs and not self._serves(LOGPROBS):
            asked.append("logprobs")
        body = config.extra_body or {}
        asked += [f"extra_body={{{n!r}: ...}}" for n in body if not self._serves(n)]
        if tools or asked:
            raise EngineError(
                f"{self.model_name} does not support {', '.join(asked) or 'tools'}; "
                "leave it out of the eval, or evaluate another model with it"
            )
        arguments = body.get(TEMPLATE_ARGUMENTS)
        if arguments is not None and not isinstance(arguments, dict):
            raise EngineError(
                f"extra_body: {TEMPLATE_ARGUMENTS} is {arguments!r}; write a "
                "dictionary of the chat template's arguments, as "
                "{'enable_thinking': False}"
            )

    def _serves(self, what: str) -> bool:
        # recorded answers are refused as such, whatever the request asks for
        return self._kind == RECORDED or what in registry.get(self._kind).serves

    def _serve(self) -> None:
        answerer: Answerer | None = None
        while True:
            batch = [self._waiting.get()]
            while len(batch) < BATCH:
                try:
                    batch.append(self._waiting.get(timeout=QUIET))
                except queue.Empty:
                    break
            # drop requests cancelled while they waited, as when another sample failed
            batch = [item for item in batch if item[1].set_running_or_notify_cancel()]
            try:
                answerer = answerer or self._load()
                if about := getattr(answerer, "about", None):
                    how = {**about, "batch": BATCH, "batch_after_seconds": QUIET}
                    served[f"motools/{self.model_name}"] = how
                replies = answerer.answer([request for request, _ in batch])
                if len(replies) != len(batch):
                    raise EngineError(
                        f"{type(answerer).__name__} gave {len(replies)} replies to "
                        f"{len(batch)} requests; mend the backend"
                    )
            except Exception as error:  # noqa: BLE001 - handed to each waiting sample
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), reply in zip(batch, replies, strict=True):
                    future.set_result(reply)


def _answerer(kind: str, weights: str | None, adapter: str | None) -> Answerer:
    """The model of the backend `kind`, loaded. Raises EngineError for the kind
    `recorded`, whose answers exist and are never asked for again."""
    if kind == RECORDED:
        raise EngineError(
            "a scorer apart asked the model under test, whose answers are recorded; "
            'name its judge: get_model(role="grader") in the scorer, and '
            'Eval(..., roles={"grader": "openai/..."})'
        )
    return registry.get(kind).answerer(weights, adapter)


def _server(
    kind: str,
    base: str,
    weights: str | None,
    adapter: str | None,
    table: dict[str, Any],
) -> ModelAPI | None:
    """Inspect's provider for a model that a server answers for; else None."""
    return registry.get(kind).at_server(base, weights, adapter, table)


def _parts(text: str) -> str | list[Content]:
    """An answer's content. What a thinking model thinks first is a part of its own, as
    it is for other providers, so that scorers see the answer alone."""
    thought, end, answer = text.partition("</think>")
    if not end:
        return text
    thought = thought.strip().removeprefix("<think>").strip()
    return [ContentReasoning(reasoning=thought), ContentText(text=answer.strip())]


def _logprobs(reply: Reply) -> Logprobs:
    """The log-probabilities of all tokens that were generated: of those after a stop
    sequence, too, and of the token that ends the turn."""
    return Logprobs(
        content=[
            Logprob(
                token=token.text,
                logprob=token.logprob,
                top_logprobs=[
                    TopLogprob(token=text, logprob=logprob)
                    for text, logprob in token.top
                ],
            )
            for token in reply.tokens
        ]
    )


def _plain(message: ChatMessage) -> dict[str, str]:
    """A message as `{"role": ..., "content": text}`. Raises EngineError for tool
    messages and for content other than text, which these models cannot read."""
    if message.role not in ("system", "user", "assistant"):
        raise EngineError(f"a {message.role} message: these models have no tools")
    if not isinstance(message.content, str):
        kinds = {part.type for part in message.content} - {"text", "reasoning"}
        if kinds:
            raise EngineError(f"these models read text, not {', '.join(sorted(kinds))}")
    return {"role": message.role, "content": message.text}


def _stopped(reply: Reply, sequences: list[str]) -> tuple[str, bool]:
    """The text up to the first stop sequence, and whether the answer is finished: at a
    stop sequence, or at the end of the model's turn."""
    ends = [i for i in (reply.text.find(s) for s in sequences) if i >= 0]
    if ends:
        return reply.text[: min(ends)], True
    return reply.text, reply.finished
