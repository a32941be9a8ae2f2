"""Log-probabilities of the tokens that a model generates, by its own logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from motools_build.backends.asking import Request, Token
from motools_build.errors import EngineError

LEAST = -9999.0
"""The log-probability of a token that the model rules out, whose logit is minus
infinity; OpenAI's API tells the same number. JSON has none for infinity."""


class Texts:
    """The text of a single token, with the space that it may begin with: decoders of
    some tokenizers leave that out at the beginning of a text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        self._before: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
        self._said = self._decoded(self._before)

    def __call__(self, token: int) -> str:
        if token not in self._known:
            found = self._decoded([*self._before, token])
            self._known[token] = found.removeprefix(self._said)
        return self._known[token]

    def _decoded(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text


class Likelihoods:
    """Records the log-probabilities of a batch while it is generated, for the requests
    that ask for them; costs nothing if none does.

    It is a logits processor, and must be the last one. The logits that it is given are
    those that tokens are chosen by; the model's own come from a hook on the model.
    """

    def __init__(self, requests: Sequence[Request], texts: Texts) -> None:
        self._numbers = [request.top_logprobs for request in requests]
        self._texts = texts
        self._logits: torch.Tensor | None = None
        self._chosen: list[list[float]] = []
        """Step -> row -> the log-probability of the token that is chosen."""
        self._tops: list[tuple[list[list[int]], list[list[float]]]] = []
        """Step -> (IDs, log-probabilities) of the likeliest tokens, a list for each
        row."""

    @property
    def processors(self) -> list[Likelihoods]:
        """This object if any request asks for log-probabilities; otherwise nothing."""
        return [self] if any(n is not None for n in self._numbers) else []

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """See the model's own logits within the context."""
        if not self.processors:
            yield
            return

        def keep(module: Any, inputs: Any, output: Any) -> None:
            self._logits = output.logits[:, -1].detach()

        hook = model.register_forward_hook(keep)
        try:
            yield
        finally:
            hook.remove()

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Record one step; `scores` (rows, vocabulary) are returned as they are."""
        if self._logits is None:
            raise EngineError(
                "the model's logits were not seen while it generated, so that there "
                "are no log-probabilities; leave logprobs out of the eval"
            )
        logits = self._logits
        # in 32 bits, the sum over 128 000 tokens is wrong by 2e-4; MPS has no 64 bits
        logits = logits.cpu() if logits.device.type == "mps" else logits
        logprobs = torch.log_softmax(logits.double(), dim=-1).clamp(min=LEAST)
        chosen = scores.argmax(dim=-1, keepdim=True).to(logprobs.device)
        self._chosen.append(logprobs.gather(1, chosen)[:, 0].tolist())
        most = min(max(n or 0 for n in self._numbers), logprobs.shape[-1])
        values, tokens = logprobs.topk(most, dim=-1)
        self._tops.append((tokens.tolist(), values.tolist()))
        self._logits = None
        return scores

    def tokens(self, row: int, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens `ids` of a row's answer; none if it does not ask for them."""
        number = self._numbers[row]
        if number is None:
            return ()
        found = []
        for step, token in enumerate(ids):
            tokens, values = self._tops[step]
            pairs = zip(tokens[row], values[row], strict=True)
            top = tuple((self._texts(one), value) for one, value in pairs)[:number]
            found.append(Token(self._texts(token), self._chosen[step][row], top))
        return tuple(found)
