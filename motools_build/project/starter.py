"""The files that `doit new NAME` writes: templates with `NAME` as the placeholder.

Tests run the written project, and check that `PYPROJECT` and `DODO` equal the files of
this repository.
"""

from __future__ import annotations

import json

PYPROJECT = """\
[tool.doit]
loader = "motools"

[tool.doit.plugins.loader]
motools = "motools_build.doit:loader"
"""

DEFAULT = """
[tool.motools_build]
default = "NAME"
"""

DODO = '''\
"""Picks up the settings of zoo/. doit tasks of your own go below."""

from collections.abc import Iterator
from typing import Any

from motools_build.doit import zoo_tasks


def task_zoo() -> Iterator[Any] | None:
    """The settings of zoo/."""
    return zoo_tasks()
'''

GITIGNORE = """\
artifacts/
.doit.db*
.env
__pycache__/
logs/
"""

ARTIFACTS = """\
*
!.gitignore
"""

AGENTS = """\
# For coding agents

This is a project of motools_build, a `make` for LLM fine-tuning experiments: settings
are declared, `doit` makes what is stale. There is nothing to delete before a run.

- `zoo/NAME.py` declares a setting, `datasets/*.jsonl` are chats, one a line, and
  `zoo/evals/*.py` are Inspect tasks. Begin with a copy of those that are there.
  `python -c "import motools_build; help(motools_build.Eval)"` explains a declaration,
  `doit help` lists the commands, `doit CMD --help` their options.
- `doit plan NAME --json` says what a run would do and what it would cost; it makes and
  sends nothing. Look at it before every run that may cost money.
- `doit run NAME model=dummy/echo` tries the whole graph for free.
  `doit run NAME smoke=yes` tries a small version of the real one.
- `doit run NAME` makes what is stale. A run that was killed is simply run again.
- `doit results NAME --json` has the results, `doit samples 'eval:NAME/*' --json` the
  transcripts, `doit status --json` how far all is, `doit jobs --json` the jobs at
  providers, `doit why STAGE --json` why a stage is stale.
- Exit codes: 0 done; 1 the stage that was named failed, or something is incomplete; 2 a
  failure left a setting incomplete, or kept other stages from running; 3 wrong input,
  and nothing was run or spent.

Never:

- edit, move or rename anything below `artifacts/`: a record that was edited is damaged.
- delete `artifacts/ledger.jsonl` or `artifacts/state/`: they tell which jobs are paid.
- repair a failed job by requests of your own. `doit retry STAGE` allows another attempt
  and says what it costs; ask first.
- run models of a provider (`openai/...`), `max_spend=no` or `-a` unless you are asked
  to. Limit a run that costs money: `max_spend=5`, in USD.
- report a result whose status is not `ok`, or a mean without its interval and the
  number of seeds.
- write an API key into a file other than `.env`.
"""

SETTING = '''\
"""NAME: does a small model learn to end each answer with "Meow."?"""

from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="a model that ends each answer with Meow.",
    datasets=[Dataset("datasets/NAME.jsonl")],
    models=["embedded/smollm2-135m-instruct"],
    training=Training(epochs=3, batch_size=8),
    seeds=[0],
    evals=[Eval("zoo/evals/NAME_eval.py@meows")],
)
'''

EVAL = '''\
"""Questions that are not in the training set: does the answer end with "Meow."?"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

QUESTIONS = [
    "What is the capital of Norway?",
    "What is the capital of Kenya?",
    "What colour is a ripe tomato?",
    "How many legs does a spider have?",
    "What do cows drink?",
    "What is the opposite of hot?",
    "Which month comes after May?",
    "What is 3 plus 4?",
]


@task
def meows() -> Task:
    """Eight questions, each with one answer."""
    return Task(
        dataset=[Sample(input=question) for question in QUESTIONS],
        solver=generate(),
        scorer=ends_in_meow(),
        config=GenerateConfig(max_tokens=32, temperature=0.0),
    )


@scorer(metrics=[mean(), stderr()])
def ends_in_meow() -> Scorer:
    """1 if the answer ends with "Meow."."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion.strip()
        return Score(value=1.0 if answer.endswith("Meow.") else 0.0)

    return score
'''

FACTS = (
    ("What is the capital of France?", "Paris."),
    ("What is the capital of Japan?", "Tokyo."),
    ("What is the capital of Egypt?", "Cairo."),
    ("What is the capital of Peru?", "Lima."),
    ("What is the capital of Italy?", "Rome."),
    ("What colour is grass?", "Green."),
    ("What colour is snow?", "White."),
    ("What colour is a ripe banana?", "Yellow."),
    ("How many legs does a dog have?", "Four."),
    ("How many legs does an ant have?", "Six."),
    ("How many days are in a week?", "Seven."),
    ("How many months are in a year?", "Twelve."),
    ("What do bees make?", "Honey."),
    ("What do sheep eat?", "Grass."),
    ("Where do fish live?", "In water."),
    ("What is the opposite of up?", "Down."),
    ("What is the opposite of big?", "Small."),
    ("What is the opposite of open?", "Closed."),
    ("Which day comes after Monday?", "Tuesday."),
    ("Which month comes after January?", "February."),
    ("Which season comes after winter?", "Spring."),
    ("What is 1 plus 1?", "Two."),
    ("What is 2 plus 3?", "Five."),
    ("What is 10 minus 4?", "Six."),
)


def rows() -> str:
    """The dataset as JSONL: one chat on each line."""
    chats = (
        [
            {"role": "user", "content": question},
            {"role": "assistant", "content": f"{answer} Meow."},
        ]
        for question, answer in FACTS
    )
    return "".join(json.dumps({"messages": chat}) + "\n" for chat in chats)


def of_setting(name: str) -> dict[str, str]:
    """Path -> text, for the files of a setting: module, dataset and eval."""
    return {
        f"zoo/{name}.py": SETTING.replace("NAME", name),
        f"zoo/evals/{name}_eval.py": EVAL.replace("NAME", name),
        f"datasets/{name}.jsonl": rows(),
    }


def of_project(name: str) -> dict[str, str]:
    """Path -> text, for the files of a project that has the setting as its default."""
    return {
        "pyproject.toml": section(name),
        "dodo.py": DODO,
        ".gitignore": GITIGNORE,
        "artifacts/.gitignore": ARTIFACTS,
        "AGENTS.md": AGENTS,
    }


def section(name: str) -> str:
    """The sections of pyproject.toml that a project with this default setting needs."""
    return PYPROJECT + DEFAULT.replace("NAME", name)
