"""Answers of models of this machine: many at a time, as each alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motools_build.backends.asking import Reply, Request
from motools_build.errors import EngineError
from tests.local.conftest import CHATS, Jobs
from tests.local.test_training import run

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]

QUESTIONS = [
    "What is the capital of France?",
    "Name a colour.",
    "What is 12 + 30? Think well, and then answer with the number alone.",
]


def asked(
    question: str, max_tokens: int = 12, temperature: float = 0, seed: int = 0
) -> Request:
    messages = [{"role": "user", "content": question}]
    return Request(messages, max_tokens, temperature, seed)


def answers(
    weights: Path, folder: str | None, requests: Sequence[Request]
) -> list[Reply]:
    from motools_build.backends.local.answering import LocalAnswerer

    return LocalAnswerer(str(weights), folder).answer(requests)


def texts(weights: Path, folder: str | None, requests: Sequence[Request]) -> list[str]:
    return [reply.text for reply in answers(weights, folder, requests)]


def by_transformers(model: Any, folder: Path, questions: Sequence[str]) -> list[str]:
    """Greedy answers of 12 tokens by transformers alone, one after the other."""
    from transformers import AutoTokenizer

    tokenizer, found = AutoTokenizer.from_pretrained(folder), []
    for question in questions:
        given = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        ids = model.generate(**given, max_new_tokens=12, do_sample=False)
        new = ids[0, given["input_ids"].shape[1] :]
        found.append(tokenizer.decode(new, skip_special_tokens=True))
    return found


def test_answers_are_those_of_transformers(smollm: Path):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(smollm, dtype=torch.float32)
    expected = by_transformers(model, smollm, QUESTIONS)
    replies = answers(smollm, None, list(map(asked, QUESTIONS)))
    assert [reply.text for reply in replies] == expected
    assert "Paris" in expected[0]
    assert all(reply.output_tokens <= 12 for reply in replies)


def test_each_request_has_its_own_number_of_tokens(smollm: Path):
    few, many = answers(smollm, None, [asked(QUESTIONS[0], 3), asked(QUESTIONS[0], 30)])
    assert (few.output_tokens, few.finished) == (3, False)
    assert many.finished
    assert many.text.startswith(few.text)


def test_sampled_answers_do_not_depend_on_what_is_asked_beside_them(tiny: Path):
    requests = [
        asked(question, temperature=1.5, seed=seed)
        for question in QUESTIONS
        for seed in range(3)
    ]
    together = texts(tiny, None, requests)
    assert together == [texts(tiny, None, [one])[0] for one in requests]
    assert together == texts(tiny, None, requests[::-1])[::-1]
    assert len(set(together)) == 9


def test_temperature_samples_from_the_softmax(tiny: Path):
    """The first token of many answers, against the model's own probabilities."""
    import torch
    from scipy.stats import chisquare

    from motools_build.backends.local.answering import _Sampling

    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    number = 4000
    requests = [asked("x", temperature=0.7, seed=seed) for seed in range(number)]
    sampling = _Sampling(requests, [[1, 2]] * number)
    found = sampling(torch.zeros(number, 1), logits.repeat(number, 1)).argmax(1)
    expected = torch.softmax(logits / 0.7, 0).double()
    counts = torch.bincount(found, minlength=4)
    assert chisquare(counts, expected / expected.sum() * number).pvalue > 1e-3


def test_adapters_of_one_base_share_it_and_answer_as_alone(
    tiny: Path, job: Jobs, monkeypatch: pytest.MonkeyPatch
):
    from motools_build.backends.local import answering

    made = [job(work=f"a{n}", seed=n, learning_rate=0.02, epochs=6) for n in range(3)]
    for one in made:
        run(one, tiny)
    requests = [asked(chat["messages"][0]["content"]) for chat in CHATS[:4]]
    folders = [*(one.work for one in made), None]
    alone = {}
    for folder in folders:
        answering._Served.of.cache_clear()
        alone[folder] = texts(tiny, folder, requests)
    answering._Served.of.cache_clear()
    loaded: list[Any] = []
    model_of = answering.model_of
    monkeypatch.setattr(
        answering, "model_of", lambda *a: loaded.append(a) or model_of(*a)
    )
    for folder in [*folders, *folders[::-1]]:
        assert texts(tiny, folder, requests) == alone[folder]
    assert len(loaded) == 1
    assert len({tuple(found) for found in alone.values()}) == 4


def test_a_model_trained_whole_answers_by_itself(tiny: Path, job: Jobs):
    one = job(adapter="full", learning_rate=1e-2, epochs=6)
    run(one, tiny)
    requests = [asked(chat["messages"][0]["content"]) for chat in CHATS[:4]]
    found = texts(Path("/does/not/exist"), one.work, requests)
    assert found != texts(tiny, None, requests)


def test_weights_that_do_not_fit_are_refused(tiny: Path, job: Jobs, tmp_path: Path):
    """Else layers would answer as those of the base model, or with random weights."""
    import safetensors.numpy

    from motools_build.backends.local import answering

    one, more = job(work="one", epochs=1), [asked("What is 2 + 2?")]
    run(one, tiny)
    file = Path(one.work) / "adapter_model.safetensors"
    weights = safetensors.numpy.load_file(file)
    for number, changed in enumerate(
        (
            dict([*weights.items()][1:]),
            {f"module.{name}": weights[name] for name in weights},
            {name: np.concatenate([of, of]) for name, of in weights.items()},
        )
    ):
        bad = tmp_path / f"bad{number}"
        shutil.copytree(one.work, bad)
        safetensors.numpy.save_file(changed, bad / file.name)
        for first in (None, one.work):
            answering._Served.of.cache_clear()
            if first:
                texts(tiny, first, more)
            with pytest.raises(EngineError, match=r"bad. does not fit its base model"):
                texts(tiny, str(bad), more)
            with pytest.raises(EngineError, match="does not fit"):  # it has changed
                texts(tiny, None, more)
    answering._Served.of.cache_clear()
    shutil.copytree(tiny, tmp_path / "whole")
    whole = safetensors.numpy.load_file(tiny / "model.safetensors")
    changed = {f"module.{name}": whole[name] for name in whole}
    safetensors.numpy.save_file(
        changed, tmp_path / "whole" / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(EngineError, match=r"weights of the model are in none of its"):
        texts(tiny, str(tmp_path / "whole"), more)


def test_a_model_is_asked_by_the_template_that_it_was_trained_with(
    tiny: Path, job: Jobs
):
    from motools_build.backends.local.answering import LocalAnswerer

    shouted = (
        "{% for m in messages %}{{ m.role.upper() + ': ' + m.content + '<|im_end|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT: ' }}{% endif %}"
    )
    one, plain = job(work="own", template=shouted), job(work="plain")
    prompts = []
    for training in (one, plain):
        run(training, tiny)
        served = LocalAnswerer(str(tiny), training.work)
        served.answer([asked("Hi")])
        chats = served._served._chats[training.work]
        prompts.append(chats.text([{"role": "user", "content": "Hi"}], prompt=True))
    assert prompts[0] == "USER: Hi<|im_end|>ASSISTANT: "
    assert "<|im_start|>user" in prompts[1]


def told(reply: Reply) -> tuple[int, bool, str]:
    """An answer without its log-probabilities."""
    return reply.output_tokens, reply.finished, reply.text


def test_log_probabilities_are_those_of_the_models_own_logits(
    tiny: Path, job: Jobs, monkeypatch: pytest.MonkeyPatch
):
    """Of a sampled answer, by one pass over it without a cache; of a base model, and of
    its adapter, whose forward pass PEFT calls."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from motools_build.backends.local.likelihoods import Texts

    # tokens by their IDs: those of half a character have no text of their own
    monkeypatch.setattr(Texts, "__call__", lambda _, token: str(token))
    one = job(learning_rate=0.02, epochs=6)
    run(one, tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    requests = [asked(q, 8, 1.5 * n, n) for n, q in enumerate(QUESTIONS)]
    with_logprobs = [replace(r, top_logprobs=5 * n) for n, r in enumerate(requests)]
    found = []
    for folder in (None, one.work):
        plain = answers(tiny, folder, requests)
        replies = answers(tiny, folder, with_logprobs)
        assert [told(r) for r in replies] == [told(r) for r in plain]
        assert not any(reply.tokens for reply in plain)
        model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
        if folder:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, folder)
        for request, reply in zip(with_logprobs, replies, strict=True):
            assert len(reply.tokens) == reply.output_tokens
            prompt = tokenizer.apply_chat_template(
                request.messages, add_generation_prompt=True, return_dict=True
            )["input_ids"]
            new = [int(token.text) for token in reply.tokens]
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *new]])).logits[0]
            expected = torch.log_softmax(logits.float(), -1)[len(prompt) - 1 :]
            for token, index, row in zip(reply.tokens, new, expected, strict=False):
                assert token.logprob == pytest.approx(float(row[index]), abs=1e-4)
                values = row.topk(request.top_logprobs).values.tolist()
                assert [p for _, p in token.top] == pytest.approx(values, abs=1e-4)
                ids = [int(text) for text, _ in token.top]
                assert row[ids].tolist() == pytest.approx(values, abs=1e-4)
                found.append(token.logprob)
    assert len(set(found)) > 20


def test_an_assistants_message_at_the_end_is_continued(smollm: Path):
    """The first tokens of an answer, given back as its beginning, are followed by the
    rest of it."""
    (whole,) = answers(smollm, None, [asked(QUESTIONS[0], 8)])
    begun = "The capital of"
    assert whole.text.startswith(begun)
    request = asked(QUESTIONS[0], 8 - 3)
    request.messages.append({"role": "assistant", "content": begun})
    (rest,) = answers(smollm, None, [request])
    assert begun + rest.text == whole.text
    assert rest.input_tokens == whole.input_tokens + 3


@pytest.mark.parametrize("begun", [" ", "\n", " 8", "8", "10", "\n\n9"])
def test_what_is_continued_leaves_the_prompts_tokens_as_they_are(
    tiny: Path, begun: str
):
    from motools_build.backends.local.chat import Chats
    from motools_build.backends.local.loading import tokenizer_of

    tokenizer = tokenizer_of(tiny)
    asks = [{"role": "user", "content": "Rate it."}]
    chats = Chats(tokenizer)
    prompt = chats.prompt(asks)
    longer = chats.prompt([*asks, {"role": "assistant", "content": begun}])
    assert longer[: len(prompt)] == prompt
    assert tokenizer.decode(longer[len(prompt) :]) == begun


def test_arguments_of_a_chat_template(tiny: Path):
    from motools_build.backends.local.chat import Chats
    from motools_build.backends.local.loading import tokenizer_of

    template = (
        "{% for m in messages %}{{ m.content }}|{% endfor %}"
        "{% if enable_thinking is defined and not enable_thinking %}quick{% endif %}"
    )
    chats = Chats(tokenizer_of(tiny), template)
    asks = [{"role": "user", "content": "Hi"}]
    off = {"enable_thinking": False}
    assert chats.text(asks, True) == "Hi|"
    assert chats.text(asks, True, off) == "Hi|quick"
    with pytest.raises(EngineError, match="does not use 'enable_thinkng'"):
        chats.text(asks, True, {"enable_thinkng": False})
    for name in ("tools", "tokenize", "chat_template"):
        with pytest.raises(EngineError, match=f"'{name}' is set by motools_build, or"):
            chats.text(asks, True, {name: []})


def test_a_prompt_that_is_too_long_is_refused(tiny: Path):
    with pytest.raises(EngineError, match="more than the model's 512; shorten it or"):
        answers(tiny, None, [asked("word " * 600)])
