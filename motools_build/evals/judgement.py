"""One verdict of a judge. It is asked for one token, and for more only where its
tokenizer may split numbers into digits.

A whole-number judge is told by a token of several digits among the 20 likeliest, as
there nearly always is one. If there is none, and single digits are likely, these are
numbers of a judge that is sure of one below 10, or first digits. Then

- a model that continues its own answer is read digit by digit, which is right in both
  cases; that each look was a continuation is checked by its number of input tokens;
- OpenAI's models are known by name to have whole numbers;
- any other judge is asked once, by `PROBE`, for a number of two digits. If no token of
  several digits is likely there either, that is an error: no score is guessed.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
)
from inspect_ai.util import concurrency

from motools_build.evals.digits import has_numbers, may_be_digits, read
from motools_build.evals.verdicts import (
    ONE_TOKEN,
    Tokens,
    Verdict,
    concluded,
    heard,
    whole_numbers,
)

CONTINUING = {"motools": True, "vllm": False, "sglang": False}
"""Inspect's providers that continue an assistant message at the end of the input, and
whether they do so if it ends with white space, which a chat template may take off."""

WHOLE = ("cl100k_base", "o200k_base", "o200k_harmony")
"""Encodings of OpenAI, all of which have a token for each number from 0 to 999."""

NAMED = ("openai",)
"""Inspect's providers for whose models tiktoken names the encoding."""

PROBE = "Write the number 57, and nothing else."

REMEDY = (
    "give the role {role!r} a judge whose numbers are one token each, as OpenAI's and "
    "Llama 3's are, or one that is asked as local/... or vllm/..., which continue "
    "their answers"
)

_whole: WeakKeyDictionary[ModelAPI, bool] = WeakKeyDictionary()
"""Judges that a token of several digits was seen of, or was asked for in vain."""


@dataclass(frozen=True)
class Judgement:
    """A judge that is asked to judge one answer."""

    model: Model
    role: str
    prompt: str
    extra_body: dict[str, Any] | None = None
    """Further fields of its requests."""

    async def verdict(self, minimum_mass: float) -> Verdict:
        """What the judge says. Raises RuntimeError if the role's model returns no
        probabilities, or splits numbers into digits and does not continue its answer,
        or if neither can be told."""
        output = await self.model.generate(self.prompt, config=self._config())
        tokens = self._heard(output)
        if isinstance(tokens, Verdict):
            return tokens
        if has_numbers(tokens):
            _whole[self.model.api] = True
        spaces = CONTINUING.get(_provider(self.model), False)
        if may_be_digits(tokens, minimum_mass, spaces) and not _known(self.model):
            if _provider(self.model) in CONTINUING:
                return await self._by_digits(output, tokens, minimum_mass, spaces)
            await self._refuse_digits(tokens)
        return concluded(whole_numbers(tokens), tokens, minimum_mass)

    async def _by_digits(
        self, first: ModelOutput, tokens: Tokens, minimum_mass: float, spaces: bool
    ) -> Verdict:
        async def look(text: str, length: int) -> Tokens | Verdict:
            output = await self.model.generate(
                [
                    ChatMessageUser(content=self.prompt),
                    ChatMessageAssistant(content=text),
                ],
                config=self._config(),
            )
            after = self._heard(output)
            if not isinstance(after, Verdict):
                self._check_continued(first, output, text, length)
            return after

        found = await read(tokens, look, spaces)
        if isinstance(found, Verdict):
            return found
        numbers, left_out = found.numbers.items(), found.left_out
        return concluded(numbers, tokens, minimum_mass, left_out, found.looks)

    def _check_continued(
        self, first: ModelOutput, output: ModelOutput, text: str, length: int
    ) -> None:
        """Raises RuntimeError unless the input of a look was that of the first request
        and the `length` tokens of `text`, so that the model continued its answer."""
        before, found = _input_tokens(first), _input_tokens(output)
        if before is not None and found == before + length:
            return
        raise RuntimeError(
            f"the judge {self.model} begins with {text!r}, which may be the first of "
            "several digits, and was asked to continue it: that request has "
            f"{found} tokens of input, and not {length} more than the {before} of the "
            "first request, so that its chat template or its server did not continue "
            f"the answer as it was written; {REMEDY.format(role=self.role)}"
        )

    async def _refuse_digits(self, tokens: Tokens) -> None:
        """Raises RuntimeError unless the judge is seen to have a token of several
        digits."""
        model = self.model
        async with concurrency(f"how {model} writes numbers", 1, visible=False):
            if model.api not in _whole:
                output = await model.generate(PROBE, config=self._config())
                probed = self._heard(output)
                _whole[model.api] = not isinstance(probed, Verdict) and has_numbers(
                    probed
                )
        if not _whole[model.api]:
            digit = max(whole_numbers(tokens), key=lambda pair: pair[1])[0]
            raise RuntimeError(
                f"the judge {model} answered {digit}, which may be the first digit of "
                "a number: its tokenizer seems to split numbers into digits (87 into 8 "
                "and 7), since it has no token of several digits among the likeliest, "
                f"even if it is asked for 57; {REMEDY.format(role=self.role)}"
            )

    def _heard(self, output: ModelOutput) -> Tokens | Verdict:
        return heard(output, str(self.model), self.role)

    def _config(self) -> GenerateConfig:
        if self.extra_body is None:
            return ONE_TOKEN
        # a copy for each request: some of Inspect's providers write into it
        return ONE_TOKEN.model_copy(update={"extra_body": deepcopy(self.extra_body)})


def _provider(model: Model) -> str:
    return str(model).partition("/")[0]


def _known(model: Model) -> bool:
    """Whether the model is OpenAI's by its name, with whole numbers."""
    if _provider(model) not in NAMED:
        return False
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(str(model).rpartition("/")[2]) in WHOLE
    except KeyError:
        return False


def _input_tokens(output: ModelOutput) -> int | None:
    """The tokens of a request's input, cached ones included; None if not told."""
    usage = output.usage
    if usage is None:
        return None
    cached = (usage.input_tokens_cache_read or 0, usage.input_tokens_cache_write or 0)
    return usage.input_tokens + sum(cached)
