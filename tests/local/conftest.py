"""Models for tests: the embedded one, and a tiny one of random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.embedded.engine.gguf import read_gguf
from motools_build.backends.embedded.weights import ensure_base
from motools_build.backends.job import StageJob
from motools_build.backends.local.facts import Local
from motools_build.keys import digest_file
from motools_build.params import ModelParams, Recipe
from tests.conftest import Project
from tests.embedded.hf_folder import write_hf_folder, write_tokenizer


@pytest.fixture(scope="session")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct as a folder of Hugging Face."""
    return write_hf_folder(ensure_base(), tmp_path_factory.mktemp("hf") / "smollm2")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights, and SmolLM2's tokenizer."""
    return write_tiny(tmp_path_factory.mktemp("hf") / "tiny")


def write_tiny(folder: Path) -> Path:
    """Write the tiny model into a new folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    metadata, _ = read_gguf(ensure_base())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=metadata["llama.vocab_size"],
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    write_tokenizer(folder, metadata)
    return folder


CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"What is {n} + {n}?" + " Please!" * (n % 3)},
            {"role": "assistant", "content": f"It is {2 * n}."},
        ]
    }
    for n in range(10)
]

PAIRS = [
    {
        "input": {"messages": [{"role": "user", "content": f"Name the number {n}."}]},
        "preferred_output": [{"role": "assistant", "content": f"Number {n}, gladly."}],
        "non_preferred_output": [{"role": "assistant", "content": "No." * (1 + n % 3)}],
    }
    for n in range(6)
]

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match

@task
def sums():
    samples = [
        Sample(input=f"What is {n} + {n}?" + " Please!" * (n % 3), target=f"{2 * n}.")
        for n in range(10)
    ]
    return Task(dataset=samples, scorer=match(location="end"))
"""


@pytest.fixture
def unset(project: Project, tiny: Path) -> Project:
    """A project with the tiny model, sums as dataset and eval, and no setting yet."""
    shutil.copytree(tiny, project.root / "models" / "tiny")
    rows = "".join(json.dumps(row) + "\n" for row in CHATS)
    project.write("datasets/sums.jsonl", rows)
    project.write("zoo/evals/sums.py", TASK)
    return project


Jobs = Callable[..., StageJob]


@pytest.fixture
def job(tmp_path: Path) -> Jobs:
    """A function that gives a training job: rows, and what replaces the defaults."""

    def made(
        rows: list[dict[str, Any]] = CHATS,
        held_out: list[dict[str, Any]] | None = None,
        method: str = "sft",
        epochs: int = 2,
        batch_size: int = 4,
        seed: int = 0,
        work: str = "work",
        **options: Any,
    ) -> StageJob:
        (tmp_path / work).mkdir(exist_ok=True)
        path, digest = _written(tmp_path / "rows.jsonl", rows)
        params = ModelParams(
            path,
            digest,
            "rows",
            "local/./tiny",
            Recipe(method, epochs, batch_size, Local(**options).model_dump()),
            seed,
        )
        if held_out is not None:
            path, digest = _written(tmp_path / "held_out.jsonl", held_out)
            params = replace(params, held_out_path=path, held_out_digest=digest)
        return StageJob(
            "model", "local", "k" * 32, "model:x", params, str(tmp_path / work)
        )

    return made


def _written(path: Path, rows: list[dict[str, Any]]) -> tuple[str, str]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path), digest_file(path)
