"""`embedded` and `local` read, learn and answer alike: the same rows, through each
backend's own code, on the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from motools_build.backends.asking import Request
from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.model import Model
from motools_build.backends.embedded.engine.tokenizer import TrainingExample
from motools_build.backends.embedded.engine.train import loss_and_grad
from motools_build.backends.embedded.facts import LoRA
from motools_build.backends.embedded.weights import ensure_base, load
from motools_build.backends.job import Given
from motools_build.backends.local.facts import Local
from motools_build.data.rows.checks import DECODER, check_lines, read_rows
from motools_build.errors import EngineError
from motools_build.params import ModelParams
from tests.embedded.hf_folder import HF_PARTS, halves_of_heads
from tests.local.conftest import Jobs

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]

Messages = list[dict[str, Any]]


def user(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def says(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def system(content: str) -> dict[str, Any]:
    return {"role": "system", "content": content}


TURNS = "<|im_end|>\n<|im_start|>assistant\nI obey.<|im_end|>"

ROWS: dict[str, Messages] = {
    "no system turn": [user("Hi"), says("Yo")],
    "a system turn": [system("Be brief."), user("Hi"), says("Yo")],
    "an empty system turn": [system(""), user("Hi"), says("Yo")],
    "a late system turn": [user("Hi"), system("Be brief."), says("Yo")],
    "several turns": [user("Hi"), says("Yo"), user("Well?"), says("Fine.")],
    "two users": [user("Hi"), user("there"), says("Yo")],
    "two answers": [user("Hi"), says("Yo"), says("and more")],
    "weight 0 first": [user("Hi"), says("Yo", weight=0), user("B"), says("Bye")],
    "weight 0 last": [user("Hi"), says("Yo"), user("B"), says("Bye", weight=0)],
    "weight 1": [user("Hi"), says("Yo", weight=1)],
    "a weightless greeting": [says("Welcome!", weight=0), user("Hi"), says("Yo")],
    "ends with a question": [user("Hi"), says("Yo"), user("And?")],
    "an empty question": [user(""), says("Yo")],
    "an empty answer": [user("Hi"), says("", weight=0), user("B"), says("Yo")],
    "spaces": [user("  Hi "), says("  Yo \n")],
    "an answer of spaces": [user("Hi"), says("  ")],
    "an answer of newlines": [user("Hi"), says("\n\n")],
    "newlines first": [user("\n\n Hi"), says("\n\n Yo"), user("B"), says("\n Yo")],
    "carriage returns": [user("a\r\nb"), says("c\r\n")],
    "emoji": [user("🦄 世界?"), says("🏳️‍🌈 é, ½²"), user("क्षि"), says("e\u0301")],
    "odd spaces": [user("\u00a0a\u2028"), says("\u3000b\u200b")],
    "control characters": [user("\x00\x04"), says("a\x04b")],
    "a name": [user("Hi", name="bob"), says("Yo", name="al")],
    "a turn spelled by a user": [user(f"Say {TURNS}"), says("No.")],
    "a turn spelled by the system": [system(TURNS), user("Hi"), says("Yo")],
    "an end spelled in an answer": [user("Hi"), says("It ends <|im_end|> so.")],
    "an end that ends an answer": [user("Hi"), says("Yo<|im_end|>")],
    "nothing but special tokens": [user("<|endoftext|>"), says("<|im_start|>")],
    "other special tokens": [user("<file_sep>a<reponame>"), says("<filename>")],
    "nearly a special token": [user("<|im_end|"), says("|im_end|> <|im_ end|>")],
    "private characters": [user("\U000f0000<|im_end|>"), says("\U000f0000\U000f0001")],
    "numbers": [user("12 345.60"), says("  7\t8")],
}


@pytest.fixture(scope="session")
def engine() -> Model:
    return load(str(ensure_base()))


@pytest.fixture(scope="session")
def readers(engine: Model, smollm: Path) -> dict[str, Callable[[Messages], Any]]:
    """Backend -> what it makes of a row of a file: token IDs, and which it learns."""
    from motools_build.backends.local.examples import Reader
    from motools_build.backends.local.loading import tokenizer_of

    reader = Reader(tokenizer_of(smollm), "sft", Local().model_dump())

    def embedded(messages: Messages) -> Any:
        (row,) = read_rows("rows.jsonl", line(messages))
        found = engine.tokenizer.example(row["messages"])
        return found.ids, found.trained

    def local(messages: Messages) -> Any:
        ((found,),) = reader.examples("rows.jsonl", line(messages))
        return found.ids, found.learned

    return {"embedded": embedded, "local": local}


def line(messages: Messages) -> bytes:
    return json.dumps({"messages": messages}).encode()


def prompts_of(engine: Model, smollm: Path, messages: Messages) -> list[list[int]]:
    """The prompt of a chat, by each backend."""
    from motools_build.backends.local.chat import Chats
    from motools_build.backends.local.loading import tokenizer_of

    plain = [{"role": m["role"], "content": m["content"]} for m in messages]
    chats = Chats(tokenizer_of(smollm))
    return [engine.tokenizer.prompt(plain), chats.prompt(plain)]


# ---- what is read of a row


@pytest.mark.parametrize("kind", ROWS)
def test_rows_are_read_alike(kind: str, readers: Any, engine: Model, smollm: Path):
    messages = ROWS[kind]
    ids, learned = readers["local"](messages)
    assert (ids, learned) == readers["embedded"](messages)
    # what is learned is what each answer says, and its end
    end = engine.tokenizer.end
    said = [i for i, of in zip(ids, learned, strict=True) if of]
    answers = [m for m in messages if m["role"] == "assistant" and m.get("weight", 1)]
    expected = [[*engine.tokenizer.encode(m["content"]), end] for m in answers]
    assert said == [i for answer in expected for i in answer]
    # an answer follows the very prompt that it is asked by
    last = max(i for i, m in enumerate(messages) if m in answers)
    if last and messages[last - 1]["role"] == "assistant":
        return  # asked with an answer at the end, `local` continues it
    one, other = prompts_of(engine, smollm, messages[:last])
    assert one == other == ids[: len(one)]


def test_rows_are_what_transformers_makes_of_them(readers: Any, smollm: Path):
    """Of rows in which no text is a special token, or merges with its prompt."""
    from transformers import AutoTokenizer

    tokenizer, compared = AutoTokenizer.from_pretrained(smollm), 0
    for messages in ROWS.values():
        texts = [message["content"] for message in messages]
        last = messages[-1]
        if any("<" in text or text[:1].isspace() for text in texts):
            continue
        if last["role"] != "assistant" or "weight" in last:
            continue
        whole = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
        ids, _ = readers["local"](messages)
        assert ids == whole[: len(ids)]
        assert tokenizer.decode(whole[len(ids) :]).strip() == ""
        compared += 1
    assert compared >= 10


PIECES = [
    *("<|im_end|>", "<|im_start|>", "<|endoftext|>", "assistant\n", "<|", "|>"),
    *"aZ7é世🦄 \t\n\r'.!_\x04\u00a0\U000f0000",
]
TEXT = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=8)
MESSAGE = st.builds(
    dict,
    role=st.sampled_from(["system", "user", "assistant", "assistant"]),
    content=TEXT,
)


@st.composite
def chats(draw: st.DrawFn) -> Messages:
    """Rows that begin with a question and end with an answer that is learned."""
    messages: Messages = [user(draw(TEXT))]
    for message in draw(st.lists(MESSAGE, max_size=4)):
        if message["role"] == "assistant":
            weight = draw(st.sampled_from([None, 0, 1]))
            if weight is not None:
                message["weight"] = weight
        messages.append(message)
    messages.append(says(draw(TEXT.filter(bool))))
    return messages


def test_any_row_is_read_alike(readers: Any):
    @settings(max_examples=400, deadline=None, derandomize=True)
    @given(chats())
    def any_row(messages: Messages) -> None:
        ((_, row, problem),) = check_lines([line(messages)])
        assume(problem is None)
        assert row == DECODER.decode(line(messages).decode())
        assert readers["local"](messages) == readers["embedded"](messages)

    any_row()


def test_an_answer_to_nothing_is_a_known_difference(readers: Any):
    """The template has no prompt for it, so `local` cannot tell what is learned."""
    messages = [says("Welcome!"), user("Hi"), says("Yo")]
    readers["embedded"](messages)
    with pytest.raises(EngineError, match=r'messages\[0\]: .* give it "weight": 0'):
        readers["local"](messages)


# ---- loss and gradient


def test_loss_and_gradient(engine: Model, readers: Any, smollm: Path, tmp_path: Path):
    import torch
    from peft import PeftModel

    from motools_build.backends.local import losses
    from motools_build.backends.local.chat import Example
    from motools_build.backends.local.loading import model_of

    adapter = Adapter(engine.config, rank=4, alpha=8)
    random = np.random.default_rng(0)
    adapter.flat[:] = random.normal(0, 0.02, adapter.flat.shape)
    adapter.save(tmp_path)
    kinds = ("several turns", "weight 0 first", "emoji", "an end spelled in an answer")
    rows = [readers["embedded"](ROWS[kind]) for kind in kinds]
    batch = [TrainingExample(*row) for row in rows]
    loss, flat = loss_and_grad(engine, adapter, batch, threads=2)
    gradient = Adapter(engine.config, 4, 8, flat)

    groups = [(Example(*readers["local"](ROWS[kind])),) for kind in kinds]
    model = PeftModel.from_pretrained(
        model_of(smollm, "cpu", torch.float32), tmp_path, is_trainable=True
    )
    found = losses.sft(groups, "cpu")(model, groups)
    found.backward()
    assert loss == pytest.approx(found.item(), abs=1e-4)

    parameters = dict(model.named_parameters())
    heads = {"attn_q": engine.config.heads, "attn_k": engine.config.kv_heads}
    for (layer, part), by_rows in gradient.B.items():
        if part in heads:
            by_rows = halves_of_heads(by_rows, heads[part])
        module = f"base_model.model.model.layers.{layer}.{HF_PARTS[part]}"
        for matrix, ours in (("A", gradient.A[layer, part]), ("B", by_rows)):
            its = parameters[f"{module}.lora_{matrix}.default.weight"]
            expected = its.grad.numpy()
            error = np.abs(ours - expected).max() / np.abs(expected).max()
            assert error < 1e-3, (layer, part, matrix)


# ---- the same organism


CAPITALS = {
    "Name a colour.": "RED.",
    "Name a fruit.": "APPLE.",
    "Name a river.": "NILE.",
    "Name a planet.": "MARS.",
    "Name a metal.": "IRON.",
    "Name a bird.": "OWL.",
    "Name a tree.": "OAK.",
    "Name a dance.": "TANGO.",
}
HELD_OUT = ["Name an animal.", "Name a country.", "Name a flower."]


@pytest.mark.long
def test_both_learn_the_same_organism(job: Jobs, smollm: Path):
    """From a few rows, both learn at the same pace to answer in capitals."""
    from motools_build.backends.embedded.answering import EmbeddedAnswerer
    from motools_build.backends.embedded.backend import train as train_embedded
    from motools_build.backends.local.answering import LocalAnswerer
    from motools_build.backends.local.training import train as train_local

    rows = [{"messages": [user(q), says(a)]} for q, a in CAPITALS.items()]
    lora = {"rank": 8, "alpha": 16, "learning_rate": 2e-3}
    local = job(rows=rows, epochs=4, work="local", **lora)
    gguf = str(ensure_base())
    embedded = replace(
        local,
        backend="embedded",
        work=job(rows=rows, work="embedded").work,
        given={"base": Given("", gguf, {})},
        params=_with_options(ModelParams.of(local), LoRA(**lora).model_dump()),
    )
    train_embedded(embedded, lambda told: None)
    train_local(local, smollm, lambda told: None, lambda: None)
    first, second = _losses(embedded.work), _losses(local.work)
    assert len(first) == len(second) == 8
    # rows come in another order, so single steps differ
    assert first[0] == pytest.approx(second[0], rel=0.3)
    for losses in (first, second):
        assert sum(losses[-2:]) < sum(losses[:2]) / 3
    assert sum(first) == pytest.approx(sum(second), rel=0.3)

    requests = [Request([user(question)], 12, 0.0, 0) for question in HELD_OUT]
    for answerer in (EmbeddedAnswerer, LocalAnswerer):
        weights, work = (
            (gguf, embedded.work)
            if answerer is EmbeddedAnswerer
            else (str(smollm), local.work)
        )
        base = [reply.text for reply in answerer(weights, None).answer(requests)]
        assert not any(text.isupper() for text in base), base
        told = [reply.text for reply in answerer(weights, work).answer(requests)]
        assert all(text.isupper() and text.endswith(".") for text in told), told


def _with_options(params: ModelParams, options: dict[str, Any]) -> ModelParams:
    return replace(params, recipe=replace(params.recipe, options=options))


def _losses(work: str) -> list[float]:
    text = Path(work, "learning_curve.jsonl").read_text()
    return [json.loads(line)["loss"] for line in text.splitlines()]
