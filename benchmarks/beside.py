"""What benchmarks/local.py measures with: a clock for two that take turns, the loops of
plain libraries that ours are compared with, and a model of random weights."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from motools_build.backends.embedded.engine.gguf import read_gguf
from motools_build.backends.embedded.weights import ensure_base
from motools_build.backends.local import losses
from motools_build.backends.local.examples import Group
from tests.embedded.hf_folder import write_tokenizer

CUDA = torch.cuda.is_available()

WARM = 2
"""Pairs that are not counted, in which memory is allocated and kernels are chosen."""


class Clock:
    """The seconds of ours and of theirs, turn by turn."""

    def __init__(self) -> None:
        self._ours: list[float] = []
        self._theirs: list[float] = []
        self._peak = [0, 0]
        self._now = time.perf_counter if CUDA else time.process_time
        self._began = 0.0

    def pair(self, own: Callable[[], Any], other: Callable[[], Any]) -> None:
        """Do both, and compare them; each is first every other time."""
        turns = [(self._ours, own), (self._theirs, other)]
        for times, work in turns if len(self._ours) % 2 else reversed(turns):
            self.start()
            work()
            self.stop(times is self._ours)

    def start(self) -> None:
        if CUDA:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._began = self._now()

    def stop(self, own: bool) -> None:
        if CUDA:
            torch.cuda.synchronize()
            self._peak[own] = max(self._peak[own], torch.cuda.max_memory_allocated())
        (self._ours if own else self._theirs).append(self._now() - self._began)

    @property
    def ratios(self) -> list[float]:
        """Seconds of theirs to those of ours, of each pair that counts."""
        pairs = zip(self._theirs[WARM:], self._ours[WARM:], strict=False)
        return [theirs / ours for theirs, ours in pairs]

    def memory(self) -> str:
        theirs, ours = (peak / 1e9 for peak in self._peak)
        return f", {ours:.1f} GB beside {theirs:.1f}" if CUDA else ""


def one_thread() -> None:
    """On the CPU, several threads that wait for each other would cost CPU seconds."""
    if not CUDA:
        torch.set_num_threads(1)


def bare(model: Any, rate: float, device: str) -> Callable[[list[Group]], None]:
    """A step of a loop as one writes it by hand."""
    dtype = next(model.parameters()).dtype
    kind = device.partition(":")[0]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)

    def step(rows: list[Group]) -> None:
        batch = losses.Batch.of([row[0] for row in rows], device)
        with torch.autocast(kind, dtype, dtype == torch.bfloat16):
            loss = model(
                input_ids=batch.ids, attention_mask=batch.attention, labels=batch.labels
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def trl_trainer(
    model: Any,
    tokenizer: Any,
    rows: list[Group],
    clock: Clock,
    own: Callable[[], Any],
    **how: Any,
) -> Any:
    """trl's trainer on the same rows, tokenized as ours and in their order. After each
    of its steps, ours does one, `own`. `how` is for SFTConfig."""
    from torch.utils.data import SequentialSampler
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return SequentialSampler(dataset or self.train_dataset)

    class Turns(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.stop(own=False)
            clock.start()
            own()
            clock.stop(own=True)
            clock.start()

    tokens = [
        {
            "input_ids": row[0].ids,
            "labels": [
                i if learned else losses.IGNORED
                for i, learned in zip(row[0].ids, row[0].learned, strict=True)
            ],
        }
        for row in rows
    ]
    args = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        **how,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    return InOrder(
        model=model,
        args=args,
        train_dataset=Dataset.from_list(tokens),
        processing_class=tokenizer,
        callbacks=[Turns()],
    )


def write_random(folder: Path, layers: int, width: int) -> Path:
    """Write a model of Qwen2's architecture with random weights, and the tokenizer of
    SmolLM2."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    metadata, _ = read_gguf(ensure_base())
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=metadata["llama.vocab_size"],
        hidden_size=width,
        intermediate_size=5 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        num_key_value_heads=max(1, width // 256),
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    write_tokenizer(folder, metadata)
    return folder
