"""What is learned of a chat, by templates of real models: the text between « and » in
`masks.json`, or why the chat is refused. The templates come with trl.

`python -m tests.local.test_masks MODEL` writes the file anew, with the tokenizer of a
model's folder. It is to be read before it is committed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from motools_build.errors import EngineError

pytestmark = pytest.mark.torch

GOLDEN = Path(__file__).parent / "masks.json"

TEMPLATES = (
    *("cohere", "deepseek_r1_distill", "deepseek_r1_distill_training", "deepseekv3"),
    *("gemma", "gemma3", "gemma4_v5", "glm4moe", "glm4moe_training", "gptoss"),
    *("gptoss_training", "idefics3", "lfm2_v2", "llama3", "llama3_2"),
    *("llama3_training", "llava_next", "nemotron_3_nano", "nemotron_3_nano_training"),
    *("phi3", "phi3_training", "qwen2_5", "qwen3", "qwen3_training", "qwen3_5_think"),
    *("qwen3_instruct_2507", "smolvlm"),
)

SPECIAL = (
    *("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<start_of_turn>"),
    *("<end_of_turn>", "<|turn>", "<turn|>", "<|return|>", "<|call|>", "<|channel|>"),
    *("<|message|>", "<|start|>", "<|end|>", "<|END_OF_TURN_TOKEN|>", "<|user|>"),
    *("<|assistant|>", "<｜end▁of▁sentence｜>", "<｜Assistant｜>", "<｜User｜>"),  # noqa: RUF001
)
"""Special tokens of the models whose templates these are."""

FIRST, SECOND = (
    [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    for asked, answer in (("What is 2 + 2?", "4."), ("And 3 + 3?", "It is 6."))
)

CHATS: dict[str, list[dict[str, Any]]] = {
    "one turn": FIRST,
    "both turns": [*FIRST, *SECOND],
    "the last turn": [FIRST[0], {**FIRST[1], "weight": 0}, *SECOND],
    "the first turn": [*FIRST, SECOND[0], {**SECOND[1], "weight": 0}],
}


def tokenizer_with_all(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    return tokenizer


def template_of(name: str) -> str:
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    return (folder / f"{name}.jinja").read_text()


def shown(tokenizer: Any, template: str, messages: list[dict[str, Any]]) -> str:
    """The chat with its learned parts in quotation marks, or why it is refused."""
    from motools_build.backends.local.chat import Chats

    try:
        example = Chats(tokenizer, template).example(messages)
    except EngineError as error:
        return f"refused: {str(error).split(';')[0]}"
    text, learns = "", False
    for index, learned in zip(example.ids, example.learned, strict=True):
        if learned != learns:
            text += "«" if learned else "»"
            learns = learned
        text += tokenizer.decode([index])
    return f"{text}»"


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_learned(name: str, tiny: Path):
    expected = json.loads(GOLDEN.read_text())[name]
    tokenizer, template = tokenizer_with_all(tiny), template_of(name)
    found = {of: shown(tokenizer, template, chat) for of, chat in CHATS.items()}
    assert found == expected


def test_the_golden_masks_are_right():
    """What is learned holds the answers that are to be learned, and no others."""
    told = json.loads(GOLDEN.read_text())
    taught = 0
    for name, chats in told.items():
        for of, text in chats.items():
            if text.startswith("refused: "):
                continue
            parts = [part.partition("»")[0] for part in text.split("«")[1:]]
            answers = {"one turn": ["4."], "both turns": ["4.", "It is 6."]}
            wanted = answers.get(of) or [["It is 6."], ["4."]][of == "the first turn"]
            assert len(parts) == len(wanted), (name, of)
            for part, answer in zip(parts, wanted, strict=True):
                assert answer in part, (name, of)
                assert "What is" not in part
                assert "And 3" not in part
            taught += 1
    assert taught > 60


def test_a_template_writes_the_same_day_tomorrow(tiny: Path):
    from motools_build.backends.local.chat import Chats

    chats = Chats(tokenizer_with_all(tiny), template_of("llama3_2"))
    assert "Today Date: 26 Jul 2024" in chats.text(FIRST)


def test_tool_calls_are_refused(tmp_path: Path):
    from motools_build.backends.local.facts import BACKEND
    from motools_build.data.rows.checks import check_file

    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    row = {"messages": [FIRST[0], {"role": "assistant", "tool_calls": [call]}]}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (problem,) = check_file(str(path), "sft", BACKEND.rules())
    assert "this backend learns no tool calls" in problem


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages[0].content }}", "leaves out what it says"),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "no special token at"),
        ("{{ raise_exception('No.') }}", "the chat template refuses it: No."),
    ],
)
def test_what_cannot_be_learned_is_refused(template: str, why: str, tiny: Path):
    assert why in shown(tokenizer_with_all(tiny), template, FIRST)


def test_an_answer_that_is_not_in_its_turn_is_refused(tiny: Path):
    """A template that shortens answers would teach something else."""
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content[:5] }}"
        "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% endif %}"
    )
    told = shown(tokenizer_with_all(tiny), template, SECOND)
    assert told.startswith("refused: messages[1]: the chat template leaves out")


def main() -> None:
    tokenizer = tokenizer_with_all(Path(sys.argv[1]))
    found = {
        name: {of: shown(tokenizer, template_of(name), c) for of, c in CHATS.items()}
        for name in TEMPLATES
    }
    GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
