"""Generation with models of this machine, many prompts at a time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from motools_build.backends.asking import Reply, Request
from motools_build.backends.local import devices
from motools_build.backends.local.adapters import ADAPTER, TEMPLATE, loaded
from motools_build.backends.local.chat import Chats
from motools_build.backends.local.folders import folder_of
from motools_build.backends.local.likelihoods import Likelihoods, Texts
from motools_build.backends.local.loading import (
    check_installed,
    dtype_of,
    model_of,
    tokenizer_of,
)
from motools_build.errors import EngineError
from motools_build.specs import ModelName

_TURN = threading.Lock()
"""One thread at a time: adapters of one base model share its layers."""


class LocalAnswerer:
    """Answers with a base model, one of its adapters, or a model trained whole.

    `weights` is the base model's folder, None to find it by the adapter's
    configuration; `folder` has the adapter or the whole model, None for the base model.
    All adapters of a process share the base model's weights.
    """

    def __init__(self, weights: str | None, folder: str | None) -> None:
        check_installed()
        self._adapter: str | None = None
        if folder is None:
            assert weights is not None
            base = Path(weights)
        elif (Path(folder) / ADAPTER).is_file():
            base = Path(weights) if weights else _base_of(Path(folder))
            self._adapter = folder
        else:
            base = Path(folder)
        self._served = _Served.of(base)

    @property
    def about(self) -> dict[str, Any]:
        """Who answers, for the eval's record."""
        device = devices.take()
        return {
            "by": "torch",
            "device": devices.named(device),
            "dtype": str(dtype_of("auto", device)).removeprefix("torch."),
            "versions": {n: version(n) for n in ("torch", "transformers", "peft")},
        }

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        with _TURN:
            return self._served.answer(requests, self._adapter)


class _Served:
    """A base model on this process's device, with the adapters that were asked for."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        device = devices.take()
        self._model = model_of(folder, device, dtype_of("auto", device)).eval()
        self._causal = self._model
        """The model of transformers, also once PEFT wraps it."""
        self._tokenizer = tokenizer_of(folder)
        self._texts = Texts(self._tokenizer)
        self._chats: dict[str | None, Chats] = {}
        """Folder of an adapter, None for the base model -> how its chats are written:
        by the template that it was trained with."""
        self._device = device
        self._ends = _ends(self._model, self._tokenizer)
        self._adapters: dict[str, str] = {}
        """Folder -> the adapter's name in PEFT."""
        self._broken: EngineError | None = None
        """Why an adapter could not be loaded: it may have changed some layers."""

    @classmethod
    @cache
    def of(cls, folder: Path) -> _Served:
        """The model of a folder, loaded once per process."""
        return cls(folder)

    def answer(self, requests: Sequence[Request], adapter: str | None) -> list[Reply]:
        """A reply to each request; all are generated together."""
        self._use(adapter)
        chats = self._chats[adapter]
        prompts = [
            chats.prompt(request.messages, request.template_arguments)
            for request in requests
        ]
        self._refuse_too_long(prompts, requests)
        width = max(map(len, prompts))
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        attention = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            attention[row, width - len(prompt) :] = 1
        likely = Likelihoods(requests, self._texts)
        with torch.inference_mode(), likely.watching(self._causal):
            found = self._model.generate(
                input_ids=ids.to(self._device),
                attention_mask=attention.to(self._device),
                max_new_tokens=max(request.max_tokens for request in requests),
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=self._ends,
                pad_token_id=self._ends[0],
                logits_processor=[_Sampling(requests, prompts), *likely.processors],
            )
        replies = []
        for row, new in enumerate(found[:, width:].tolist()):
            reply = self._reply(new, prompts[row], requests[row])
            told = likely.tokens(row, new[: reply.output_tokens])
            replies.append(replace(reply, tokens=told))
        return replies

    def _reply(self, ids: list[int], prompt: list[int], request: Request) -> Reply:
        ids = ids[: request.max_tokens]
        end = next((i for i, one in enumerate(ids) if one in self._ends), None)
        if end is not None:
            ids = ids[: end + 1]
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return Reply(text, len(prompt), len(ids), finished=end is not None)

    def _use(self, adapter: str | None) -> None:
        """Switch to an adapter, which is loaded if it is new, or to the base model."""
        if self._broken:
            raise self._broken
        if adapter not in self._chats:
            file = Path(adapter, TEMPLATE) if adapter else None
            template = file.read_text() if file and file.is_file() else ""
            self._chats[adapter] = Chats(self._tokenizer, template)
        if adapter and adapter not in self._adapters:
            name = f"a{len(self._adapters)}"
            try:
                self._model = loaded(self._model, adapter, name)
            except EngineError as error:
                self._broken = error
                raise
            self._adapters[adapter] = name
        if not self._adapters:
            return
        if adapter:
            self._model.base_model.enable_adapter_layers()
            self._model.set_adapter(self._adapters[adapter])
        else:
            self._model.base_model.disable_adapter_layers()

    def _refuse_too_long(
        self, prompts: Sequence[list[int]], requests: Sequence[Request]
    ) -> None:
        most = getattr(self._model.config, "max_position_embeddings", None)
        for prompt, request in zip(prompts, requests, strict=True):
            if most and len(prompt) + request.max_tokens > most:
                raise EngineError(
                    f"a prompt has {len(prompt)} tokens, which with max_tokens = "
                    f"{request.max_tokens} is more than the model's {most}; shorten "
                    "it or lower max_tokens"
                )


class _Sampling:
    """Makes greedy decoding a sampling by each request's temperature and seed: the
    largest of logits / temperature + Gumbel noise is distributed as the softmax.

    A request's noise depends on its seed, its prompt and the number of the token, so
    that it does not depend on which requests are answered together.
    """

    def __init__(
        self, requests: Sequence[Request], prompts: Sequence[list[int]]
    ) -> None:
        self._temperatures = [request.temperature for request in requests]
        self._generators = [
            torch.Generator().manual_seed(_mixed(request.seed, prompt))
            for request, prompt in zip(requests, prompts, strict=True)
        ]

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.float()
        for row, temperature in enumerate(self._temperatures):
            if temperature:
                noise = torch.empty(logits.shape[-1])
                noise.exponential_(generator=self._generators[row])
                gumbel = -noise.log().to(logits.device)
                logits[row] = logits[row] / temperature + gumbel
        return logits


def _mixed(seed: int, prompt: list[int]) -> int:
    """A seed of its own for each prompt, or all would draw the same numbers."""
    from motools_build.keys import canonical, digest_bytes

    return int(digest_bytes(canonical([seed % 2**53, prompt])), 16) % 2**63


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The IDs of the tokens at which an answer ends. Raises EngineError if the model
    has none."""
    found = model.generation_config.eos_token_id
    found = [found] if isinstance(found, int) else list(found or [])
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in found:
        found.append(tokenizer.eos_token_id)
    if not found:
        raise EngineError(
            "the model names no token that ends an answer; set eos_token_id in its "
            "generation_config.json"
        )
    return found


def _base_of(folder: Path) -> Path:
    """The folder of an adapter's base model, by its configuration."""
    name = json.loads((folder / ADAPTER).read_bytes())["base_model_name_or_path"]
    return folder_of(ModelName.parse(name).model)
