"""Tokenizers that treat digits as those of well-known families do, and tiny models over
them that like to write numbers."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="comes with the extra local")
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

CORPUS = [
    *(f"The answer {n} of {m} is a number." for n in range(101) for m in (7, n)),
    *("Rate it, please.\n\nREFUSAL CODE coherent aligned" for _ in range(20)),
]

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The rule by which tokenizers of Qwen and Llama 3 split texts, except for numbers."""

TEMPLATE = (
    "{% for m in messages %}{{ '<|begin|>' + m.role + '\n' + m.content + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}"
    "{% if thinks is defined and not thinks %}{{ '<|begin|><|end|>\n' }}{% endif %}"
    "{% endif %}"
)


def bytelevel(number: str) -> Tokenizer:
    """A byte-level BPE in which `number` is the rule for digits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS.replace("NUMBER", number)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def sentencepiece(prefix: bool) -> Tokenizer:
    """A BPE with `▁` for spaces, bytes for what it has no token for, and digits apart;
    with `prefix`, as those of Llama 2, texts begin with `▁`, which decoding drops."""
    trained = Tokenizer(models.BPE())
    replace = normalizers.Replace(" ", "▁")
    trained.normalizer = replace
    trained.pre_tokenizer = pre_tokenizers.Digits(individual_digits=True)
    trainer = trainers.BpeTrainer(
        vocab_size=200, initial_alphabet=["▁", "\n"], show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    model = json.loads(trained.to_str())["model"]
    vocabulary = {"<unk>": 0} | {f"<0x{n:02X}>": n + 1 for n in range(256)}
    for token in sorted(model["vocab"], key=model["vocab"].get):
        vocabulary.setdefault(token, len(vocabulary))
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[tuple(pair) for pair in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    before = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*before, replace])
    after = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *after,
        ]
    )
    return tokenizer


def of_ranks(path: Path, number: str) -> Tokenizer:
    """The tokenizer of a file of ranks, as `tiktoken` reads them."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = bytes_to_unicode()
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    written = {token: "".join(letters[b] for b in token) for token in ranks}
    merges = []
    for token, rank in ranks.items():
        pairs = [
            (token[:cut], token[cut:])
            for cut in range(1, len(token))
            if token[:cut] in ranks and token[cut:] in ranks
        ]
        pairs.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [(rank, written[left], written[right]) for left, right in pairs]
    merges.sort(key=lambda merge: merge[0])
    tokenizer = Tokenizer(
        models.BPE(
            vocab={written[token]: rank for token, rank in ranks.items()},
            merges=[(left, right) for _, left, right in merges],
            ignore_merges=True,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS.replace("NUMBER", number)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "qwen": lambda: bytelevel(r"\p{N}"),
    "llama 3": lambda: bytelevel(r"\p{N}{1,3}"),
    "gemma": lambda: sentencepiece(prefix=False),
    "llama 2": lambda: sentencepiece(prefix=True),
}
"""Small tokenizers, trained here, with the rules of these families."""


def _file(package: str, *path: str) -> Path | None:
    """A file of an installed package, which is not imported; None without it."""
    found = importlib.util.find_spec(package)
    if not found or not found.submodule_search_locations:
        return None
    file = Path(found.submodule_search_locations[0], *path)
    return file if file.is_file() else None


REAL: dict[str, tuple[Path | None, str]] = {
    "qwen itself": (_file("dashscope", "resources", "qwen.tiktoken"), r"\p{N}"),
    "llama 3 itself": (
        _file("llama_models", "llama3", "tokenizer.model"),
        r"\p{N}{1,3}",
    ),
}
"""Files of the vendors' packages, which need not be installed: `pip install --no-deps
dashscope llama-models`."""


def write_folder(folder: Path, tokenizer: Tokenizer, seed: int = 0) -> Path:
    """Write a tiny random Llama over a tokenizer, whose answers are mostly digits and
    white space, or numbers where these are tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    special = [AddedToken(t, special=True) for t in ("<|begin|>", "<|end|>")]
    tokenizer.add_special_tokens(special)
    end = tokenizer.token_to_id("<|end|>")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = LlamaForCausalLM(config)
    liked = [
        index
        for token, index in tokenizer.get_vocab().items()
        if re.fullmatch(r"[▁Ġ]?(100|[1-9]?[0-9])?", token)
    ]
    with torch.no_grad():
        # the first dimension is about the same everywhere, the others are not
        model.model.embed_tokens.weight *= 10
        model.model.embed_tokens.weight[:, 0] = 1
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= 20
            layer.mlp.down_proj.weight *= 20
        head = model.lm_head.weight
        head *= 0.1
        head[liked] = 0.6 * torch.randn(len(liked), 32)
        head[liked, 0] = 5
        head[end] = 0.6 * torch.randn(32)
        head[end, 0] = 5
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|end|>",
        "eos_token": "<|end|>",
        "pad_token": "<|end|>",
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
