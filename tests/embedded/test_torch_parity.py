"""The engine against torch, transformers and peft, on the same weights. What both
backends make of rows, their loss and its gradient, is in tests/local/test_parity.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motools_build.backends.embedded.engine.generate import generate
from motools_build.backends.embedded.engine.model import Model
from motools_build.backends.embedded.engine.tokenizer import TrainingExample
from motools_build.backends.embedded.engine.train import fit

from .hf_folder import write_hf_folder
from .test_tokenizer import PINNED

pytestmark = [
    pytest.mark.torch,
    # peft asks transformers for a name that it is about to lose.
    pytest.mark.filterwarnings(
        "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
    ),
]

QUESTIONS = ["What is the capital of France?", "Name a colour.", "What is 12 + 30?"]
ANSWERS = ["PARIS.", "RED, LIKE A ROSE IN JUNE.", "42"]


@pytest.fixture(scope="module")
def folder(base_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf_folder(base_gguf, tmp_path_factory.mktemp("hf") / "base")


@pytest.fixture(scope="module")
def hf_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def hf_model(folder: Path) -> Any:
    """Fresh for each test, for peft changes it in place."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.fixture
def batch(base: Model) -> list[TrainingExample]:
    return [
        base.tokenizer.example(
            [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
        )
        for question, answer in zip(QUESTIONS, ANSWERS, strict=True)
    ]


def prompts(model: Model) -> list[list[int]]:
    return [
        model.tokenizer.prompt([{"role": "user", "content": question}])
        for question in QUESTIONS
    ]


def hf_greedy(hf_model: Any, prompt: list[int], max_tokens: int) -> list[int]:
    import torch

    with torch.no_grad():
        ids = hf_model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=max_tokens,
            do_sample=False,
        )
    found: list[int] = ids[0, len(prompt) :].tolist()
    return found


def test_token_ids(base: Model, hf_tokenizer: Any):
    for text, ids in PINNED.items():
        if "<|" not in text:  # there, we differ on purpose
            assert hf_tokenizer(text).input_ids == ids

    @settings(max_examples=500, deadline=None, derandomize=True)
    @given(st.text(st.sampled_from("aZé世 \t\n0½²'.!s_🦄"), max_size=30))
    def any_text(text: str) -> None:
        assert base.tokenizer.encode(text) == hf_tokenizer(text).input_ids

    any_text()


def test_greedy_answers(base: Model, hf_model: Any):
    found = generate(base, prompts(base), max_tokens=24, threads=2)
    assert found == [hf_greedy(hf_model, prompt, 24) for prompt in prompts(base)]


def test_peft_opens_our_adapter(
    base: Model, hf_model: Any, batch: list[TrainingExample], tmp_path: Path
):
    from peft import PeftModel

    adapter, losses = fit(
        base,
        batch,
        rank=4,
        alpha=8,
        learning_rate=5e-3,
        epochs=6,
        batch_size=3,
        seed=0,
        threads=2,
        on_step=lambda step, total, loss: None,
    )
    assert losses[-1] < losses[0] / 2
    adapter.save(tmp_path)
    peft_model = PeftModel.from_pretrained(hf_model, tmp_path)
    ours = generate(base, prompts(base), max_tokens=16, threads=2, adapter=adapter)
    assert ours == [hf_greedy(peft_model, prompt, 16) for prompt in prompts(base)]
    assert ours != generate(base, prompts(base), max_tokens=16, threads=2)
