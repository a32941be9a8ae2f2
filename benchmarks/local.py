"""What training and asking models of this machine cost, beside plain libraries.

    python benchmarks/local.py [--model FOLDER | --random qwen] [--layers 4]
                               [--width 512] [--pairs 16]
                               [train] [trl] [generate] [adapters] [few]

train     seconds of a bare loop of transformers and PEFT against ours, over the same
          batches: at least 0.95
trl       the same of trl's SFTTrainer, in the middle of its training: at least 1
generate  seconds of `generate` of transformers against ours, over the same prompts: at
          least 1
adapters  seconds of 4 adapters of one base, of 32 prompts each, against one adapter
          with the same 128 prompts: at most 1.2
few       the same with 8 prompts an adapter, whose batches are smaller: no mark, since
          requests to different adapters do not share a batch

Needs the extra `local`, and trl. The model is SmolLM2-135M-Instruct unless another
folder is named, or random weights of Qwen2's architecture; the device is a GPU if there
is one.

Ours and theirs take turns in one process, a step or a batch each, and each turn is
compared with the one beside it, so that what others do on the machine meets both.
Printed are the median of these ratios and its quartiles, and on a GPU each side's peak
memory. On the CPU, one thread works, and CPU seconds are compared. Exits with 1 if the
median misses its mark.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.beside import (  # noqa: E402
    CUDA,
    WARM,
    Clock,
    bare,
    one_thread,
    trl_trainer,
    write_random,
)
from motools_build.backends.asking import Request  # noqa: E402
from motools_build.backends.embedded.weights import ensure_base  # noqa: E402
from motools_build.backends.local import answering, devices  # noqa: E402
from motools_build.backends.local.adapters import prepared, save  # noqa: E402
from motools_build.backends.local.examples import Group, Reader  # noqa: E402
from motools_build.backends.local.facts import Local  # noqa: E402
from motools_build.backends.local.loading import (  # noqa: E402
    _weights,
    check_installed,
    dtype_of,
    model_of,
    tokenizer_of,
)
from motools_build.backends.local.stepping import Steps  # noqa: E402
from motools_build.params import Recipe  # noqa: E402
from motools_build.serving.models import BATCH as SERVED  # noqa: E402
from tests.embedded.hf_folder import write_hf_folder  # noqa: E402

BATCH = 4
RATE = 1e-4
ROWS = 16

NEW = 16
"""Tokens of an answer, at most."""

ADAPTERS = 4


def rows_of(count: int) -> list[dict[str, Any]]:
    """Chats of different lengths."""
    return [
        {
            "messages": [
                {
                    "role": "user",
                    "content": f"Tell me of the number {n}. " * (1 + n % 5),
                },
                {"role": "assistant", "content": f"It comes after {n - 1}. " * 8},
            ]
        }
        for n in range(count)
    ]


class Bench:
    """A model's folder, the rows, and what is measured with them."""

    def __init__(self, folder: Path, pairs: int) -> None:
        self.folder, self.pairs = folder, pairs
        self.device = devices.take()
        self.dtype = dtype_of("auto", self.device)
        self.options = Local(learning_rate=RATE, schedule="constant", warmup=0)
        self.recipe = Recipe("sft", 10**6, BATCH, self.options.model_dump())
        reader = Reader(tokenizer_of(folder), "sft", self.recipe.options)
        self.examples: list[Group] = [reader.group(row) for row in rows_of(ROWS)]
        self.missed = 0

    def model(self) -> Any:
        torch.manual_seed(0)
        base = model_of(self.folder, self.device, self.dtype)
        return prepared(base, self.recipe.options, "base")

    def steps(self) -> Steps:
        """A training of ours whose rows come in the order of the file, as theirs."""
        steps = Steps(
            *(self.model(), self.examples, [], self.recipe, 0),
            *(self.device, self.dtype),
        )
        steps._rows_of = self.batch  # type: ignore[method-assign]
        return steps

    def batch(self, step: int) -> list[Group]:
        """The rows of a step, counted from 1."""
        start = (step - 1) * BATCH % ROWS
        return self.examples[start : start + BATCH]

    def told(
        self,
        name: str,
        clock: Clock,
        mark: float | None,
        least: bool = True,
    ) -> None:
        ratios = clock.ratios if least else [1 / ratio for ratio in clock.ratios]
        low, ratio, high = statistics.quantiles(ratios, n=4)
        good = mark is None or (ratio >= mark if least else ratio <= mark)
        self.missed += not good
        asked = "" if mark is None else f"  ({'>=' if least else '<='} {mark})"
        print(
            f"{name:9} {ratio:5.2f} [{low:.2f}, {high:.2f}]{asked}, {len(ratios)} "
            f"pairs{clock.memory()}{'' if good else '  MISSED'}",
            flush=True,
        )

    # ---- what is measured

    def train(self) -> None:
        ours, theirs = self.steps(), bare(self.model(), RATE, self.device)
        clock = Clock()
        for number in range(1, self.pairs + WARM + 1):
            rows = self.batch(number)
            clock.pair(ours.step, lambda rows=rows: theirs(rows))
        self.told("train", clock, 0.95)

    def trl(self) -> None:
        ours, clock = self.steps(), Clock()
        trl_trainer(
            self.model(),
            tokenizer_of(self.folder),
            self.examples,
            clock,
            ours.step,
            max_steps=self.pairs + WARM,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            use_cpu=self.device == "cpu",
            bf16=self.dtype == torch.bfloat16,
        ).train()
        self.told("trl", clock, 1)

    def generate(self) -> None:
        served, requests, clock = self._served(), self._requests(ROWS), Clock()
        tokenizer = tokenizer_of(self.folder)
        tokenizer.padding_side = "left"
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        texts = [served_text(tokenizer, request) for request in requests]
        model = served._model

        def other() -> None:
            given = tokenizer(
                texts, return_tensors="pt", padding=True, add_special_tokens=False
            )
            given = {name: value.to(self.device) for name, value in given.items()}
            with torch.inference_mode():
                ids = model.generate(
                    **given,
                    max_new_tokens=NEW,
                    do_sample=False,
                    eos_token_id=served._ends,
                )
            tokenizer.batch_decode(ids, skip_special_tokens=True)

        for _ in range(self.pairs + WARM):
            clock.pair(lambda: served.answer(requests, None), other)
        self.told("generate", clock, 1)

    def adapters(self) -> None:
        self._adapters("adapters", 32, 1.2)

    def few(self) -> None:
        self._adapters("few", 8, None)

    def _adapters(self, name: str, each: int, mark: float | None) -> None:
        with tempfile.TemporaryDirectory() as place:
            folders = [str(Path(place, str(n))) for n in range(ADAPTERS)]
            for folder in folders:
                save(self.model(), Path(folder))
            served, clock = self._served(), Clock()
            for folder in folders:
                served.answer(self._requests(1), folder)
            many = self._requests(ADAPTERS * each)

            def several() -> None:
                for number, folder in enumerate(folders):
                    served.answer(many[each * number :][:each], folder)

            def one() -> None:
                for start in range(0, len(many), SERVED):
                    served.answer(many[start : start + SERVED], folders[0])

            for _ in range(max(4, self.pairs // 4) + WARM):
                clock.pair(several, one)
            self.told(name, clock, mark, least=False)

    def _served(self) -> Any:
        served = answering._Served(self.folder)
        one_thread()
        return served

    def _requests(self, count: int) -> list[Request]:
        return [Request(row["messages"][:1], NEW, 0.0, 0) for row in rows_of(count)]


def served_text(tokenizer: Any, request: Request) -> str:
    text: str = tokenizer.apply_chat_template(
        request.messages, tokenize=False, add_generation_prompt=True
    )
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--random", choices=["qwen"])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=512, help="a multiple of 64")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("what", nargs="*", help="all, if none is named")
    told = parser.parse_args()
    check_installed()
    one_thread()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        if told.model:
            folder = told.model
        elif told.random:
            write_random(folder, told.layers, told.width)
        else:
            write_hf_folder(ensure_base(), folder)
        bench = Bench(folder, told.pairs)
        config = json.loads((folder / "config.json").read_bytes())
        print(
            f"{config['model_type']}, {_weights(folder) / 1e6:.0f} million weights, "
            f"{str(bench.dtype)[6:]}, on {named(bench.device)}; theirs / ours:",
            flush=True,
        )
        for name in told.what or ("train", "trl", "generate", "adapters", "few"):
            getattr(bench, name)()
            if CUDA:
                torch.cuda.empty_cache()
    return 1 if bench.missed else 0


def named(device: str) -> str:
    if CUDA:
        return torch.cuda.get_device_name()
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"one core of {found[1]}" if found else device


if __name__ == "__main__":
    sys.exit(main())
