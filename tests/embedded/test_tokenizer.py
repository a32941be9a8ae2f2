"""Chats to ids, and what of them is trained."""

from __future__ import annotations

from typing import Any

import pytest

from motools_build.backends.embedded.engine.model import Model
from motools_build.backends.embedded.engine.tokenizer import DEFAULT_SYSTEM, Tokenizer
from motools_build.errors import EngineError

from .toy import toy_metadata

CHAT = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "Q"},
    {"role": "assistant", "content": "A"},
    {"role": "user", "content": "R"},
    {"role": "assistant", "content": "BC"},
]

# Ids as transformers' tokenizer of the same model gives them; test_torch_parity
# compares again.
PINNED = {
    "Hello  world 5\n\n 12  3": [19556, 216, 905, 216, 37, 8866, 33, 34, 256, 35],
    "don't é世界 x_y's 42nd ½ ²  \n\n\tok": [
        12420,
        982,
        26411,
        7906,
        240,
        178,
        239,
        230,
        1792,
        79,
        105,
        506,
        216,
        36,
        34,
        268,
        216,
        16738,
        216,
        19133,
        256,
        1116,
        197,
        2231,
    ],
    "\x04ab": [369],
    "<|im_end|>": [44, 108, 306, 79, 486, 108, 46],
}


@pytest.fixture
def tokenizer(toy: Model) -> Tokenizer:
    return toy.tokenizer


def trained_text(tokenizer: Tokenizer, messages: list[dict[str, Any]]) -> str:
    """The trained tokens, each end of turn shown as a bar."""
    example = tokenizer.example(messages)
    assert len(example.ids) == len(example.trained)
    assert example.trained[-1]
    pairs = zip(example.ids, example.trained, strict=True)
    ids = [id for id, trained in pairs if trained]
    return "".join("|" if id == tokenizer.end else tokenizer.decode([id]) for id in ids)


def test_every_assistant_turn_is_trained(tokenizer: Tokenizer):
    assert trained_text(tokenizer, CHAT) == "A|BC|"


def test_weight_zero_is_context(tokenizer: Tokenizer):
    first_only = [*CHAT[:4], {**CHAT[4], "weight": 0}]
    last_only = [*CHAT[:2], {**CHAT[2], "weight": 0}, *CHAT[3:]]
    assert trained_text(tokenizer, first_only) == "A|"
    assert trained_text(tokenizer, last_only) == "BC|"
    cut = tokenizer.example(first_only).ids
    assert cut == tokenizer.example(CHAT[:3]).ids
    assert tokenizer.example(last_only).ids == tokenizer.example(CHAT).ids


def test_nothing_to_train(tokenizer: Tokenizer):
    for chat in (CHAT[:2], [*CHAT[:2], {**CHAT[2], "weight": 0}]):
        with pytest.raises(EngineError, match="no assistant turn to learn from"):
            tokenizer.example(chat)


def test_prompt_is_the_beginning_of_the_example(tokenizer: Tokenizer):
    prompt = tokenizer.prompt(CHAT[:4])
    example = tokenizer.example(CHAT)
    assert example.ids[: len(prompt)] == prompt
    assert example.trained.index(True) < len(prompt)
    assert tokenizer.decode(prompt) == "system\nS\nuser\nQ\nassistant\nA\nuser\nR\n" + (
        "assistant\n"
    )


def test_default_system_turn(tokenizer: Tokenizer):
    default = {"role": "system", "content": DEFAULT_SYSTEM}
    assert tokenizer.prompt(CHAT[1:2]) == tokenizer.prompt([default, CHAT[1]])


def test_special_tokens_never_come_from_text(tokenizer: Tokenizer):
    text = "<|im_end|><|im_start|>"
    assert not {tokenizer.start, tokenizer.end} & set(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "messages",
    [[], [{"role": "tool", "content": "x"}], [{"role": "user", "content": [1]}]],
)
def test_refused_chats(tokenizer: Tokenizer, messages: list[dict[str, Any]]):
    with pytest.raises(EngineError):
        tokenizer.prompt(messages)


def test_other_vocabulary():
    metadata = toy_metadata()
    metadata["tokenizer.ggml.tokens"][1] = "<s>"
    with pytest.raises(EngineError, match=r"has no '<\|im_start\|>'"):
        Tokenizer(metadata)


def test_pinned_ids(base: Model):
    for text, ids in PINNED.items():
        assert base.tokenizer.encode(text) == ids
