"""Generation with the embedded engine's models, for many prompts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from motools_build.backends.asking import Reply, Request
from motools_build.backends.embedded.weights import ensure_base, load, threads


class EmbeddedAnswerer:
    """Answers with the NumPy engine. All models of a process share the base weights.

    `weights` is the GGUF file, None to fetch it if need be; `folder` has the adapter,
    None for the base model.
    """

    def __init__(self, weights: str | None, folder: str | None) -> None:
        from motools_build.backends.embedded.engine.lora import Adapter

        self.model = load(weights or str(ensure_base()))
        self.adapter = Adapter.load(Path(folder), self.model.config) if folder else None
        self.threads = threads()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        from motools_build.backends.embedded.engine.generate import generate

        tokenizer = self.model.tokenizer
        prompts = [tokenizer.prompt(request.messages) for request in requests]
        replies: dict[int, Reply] = {}
        together: dict[tuple[int, float], list[int]] = {}
        for index, request in enumerate(requests):
            sampling = (request.max_tokens, request.temperature)
            together.setdefault(sampling, []).append(index)
        for (max_tokens, temperature), group in together.items():
            outputs = generate(
                self.model,
                [prompts[index] for index in group],
                max_tokens=max_tokens,
                temperature=temperature,
                seeds=[requests[index].seed for index in group],
                threads=self.threads,
                adapter=self.adapter,
            )
            for index, ids in zip(group, outputs, strict=True):
                replies[index] = Reply(
                    tokenizer.decode(ids),
                    len(prompts[index]),
                    len(ids),
                    ids[-1:] == [tokenizer.end],
                )
        return [replies[index] for index in range(len(requests))]
