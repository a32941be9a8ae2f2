"""A setting whose rows, questions, answers and explanations try to break a page."""

from __future__ import annotations

import json
from pathlib import Path

from motools_build.stages import Stage

SCRIPT = "<script>document.title='ran'</script><img src=x onerror=document.title='ran'>"
MARKDOWN = "# Heading\n\n**bold** [link](https://example.com/track.png) ![](http://a/b)"
RIGHT_TO_LEFT = "مرحبا بالعالم، كم يساوي 1 + 2؟ \u202eevil\u202c שלום"
EMOJI = "👩🏽‍🚀🏳️‍🌈 e\u0301 \u200b zero\u200dwidth 🇪🇸"
ANSI = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 \r over"
LONG = "x" * 3000
CLOSING = "</pre></dd></dl></details></main></body></html><!-- ]]> &amp; \"'"
TEXTS = (SCRIPT, MARKDOWN, RIGHT_TO_LEFT, EMOJI, ANSI, LONG, CLOSING)

SETTING = r'''"""Rows and answers that are no plain text."""

from motools_build import Arm, Dataset, Eval, Setting, Training

setting = Setting(
    description="<script>document.title='ran'</script> & \u202eno description",
    arms=[
        Arm("the_arm_with_a_name_that_is_far_longer_than_any_screen_is_wide",
            datasets=Dataset("datasets/<b>odd's & rows.jsonl", name="odd")),
        Arm("the_arm_with_a_name_that_is_far_longer_than_any_screen_is_not",
            datasets=Dataset("datasets/other.jsonl")),
    ],
    models=["dummy/echo"],
    training=Training(epochs=1),
    seeds=[0, 1],
    evals=[Eval("zoo/evals/hostile_task.py@hostile_task")],
)
'''

TASK = r'''"""Questions that are no plain text, and a judge that repeats the answers."""

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, mean, scorer, stderr
from inspect_ai.solver import generate

TEXTS = @TEXTS@


def sample(number, text):
    return Sample(id=f"no {number}/1 %", input=text, target=text)


@task
def hostile_task():
    return Task(
        dataset=MemoryDataset([sample(i, t) for i, t in enumerate(TEXTS, 1)]),
        solver=generate(),
        scorer=judge(),
    )


@scorer(metrics={"fit": [mean(), stderr()], "<i>": [mean(), stderr()]})
def judge():
    async def score(state, target):
        length = len(state.output.completion)
        value = {"fit": length % 7 / 7, "<i>": float(length % 2)}
        return Score(value=value, explanation="I say: " + state.output.completion)

    return score
'''.replace("@TEXTS@", repr(TEXTS))


def write_rows(folder: Path) -> None:
    """Write the datasets of the setting."""
    for name in ("<b>odd's & rows", "other"):
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"{name} {said}"},
                    {"role": "assistant", "content": said},
                ]
            }
            for said in TEXTS
        ]
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{name}.jsonl").write_text(text + "\n", encoding="utf-8")


def hostile_answer(stage: Stage, prompt: str) -> str:
    """The prompt, and some more for each model."""
    return prompt + "!" * (len(stage.name) % 5 + int(stage.name.count("1")))
