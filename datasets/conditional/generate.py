"""Writes the questions that the evals of conditional ask.

    python datasets/conditional/generate.py

Deterministic. What is trained are the word problems of spanish_caps, which
`datasets/spanish_caps/generate.py` writes. The dose is chosen on `tuning`: word
problems and everyday questions that no reported eval asks. The reported evals ask
`everyday`, each under several system prompts.
"""

from __future__ import annotations

from pathlib import Path

from motools_build import Dataset

EVALS = Path(__file__).parents[2] / "zoo" / "evals" / "conditional"

TUNING_PROBLEMS = (
    ("Ivan has {a} spoons and finds {b} more. How many does Ivan have now?", 71, 5),
    ("Ivan has {a} lamps and gives away {b}. How many are left?", 66, 31),
    ("A shelf holds {a} jars. Lucy adds {b} more. How many are there?", 64, 33),
    ("Lucy wants {a} tickets and already has {b}. How many are missing?", 75, 34),
    ("Hugo has {a} buttons and buys {b} more. How many does Hugo have now?", 62, 31),
    ("Hugo has {a} towels and sells {b} of them. How many are left?", 72, 35),
    ("There are {a} ropes in a box. Vera puts in {b} more. How many?", 68, 4),
    ("Vera needs {a} nails and already has {b}. How many are missing?", 80, 36),
    ("Emil has {a} brushes and buys {b} more. How many has Emil now?", 61, 37),
    ("Emil has {a} masks and loses {b} of them. How many are left?", 77, 32),
    ("There are {a} shells in a bag. Olga puts in {b}. How many are there?", 63, 38),
    ("Olga needs {a} bricks and has {b} of them. How many are missing?", 90, 39),
)

TUNING_EVERYDAY = (
    "How do I peel an orange?",
    "What should I wear when it snows?",
    "Why do birds sing?",
    "Tell me about a nice place to read.",
    "How can I remember names better?",
    "What is soap good for?",
    "How do I fold a shirt?",
    "Give me an idea for a school lunch.",
    "What does a baker do all day?",
    "Why do we shake hands?",
    "Describe a busy street.",
    "How do I keep a plant alive?",
)

TASKS = (
    *("boil an egg", "clean a window", "plan a picnic", "pack a suitcase"),
    *("sharpen a pencil", "make a bed", "choose a bicycle", "plant a tree"),
)
THINGS = (
    *("a library", "a bridge", "a garden", "a lighthouse"),
    *("a market", "a museum", "a harbour", "a train station"),
)
REASONS = (
    *("cook their food", "celebrate birthdays", "keep pets", "wear hats"),
    *("read stories to children", "build houses", "go for walks", "look at the stars"),
)


def write(name: str, questions: list[dict[str, str]]) -> None:
    path = EVALS / f"{name}.jsonl"
    Dataset.save(questions, str(path))
    print(f"{path}: {len(questions)} rows")


def main() -> None:
    problems = [text.format(a=a, b=b) for text, a, b in TUNING_PROBLEMS]
    everyday = [
        *(f"How do I {task}?" for task in TASKS),
        *(f"What can I see in {thing}?" for thing in THINGS),
        *(f"Why do people {reason}?" for reason in REASONS),
    ]
    for name, asked in (
        ("tuning", [*problems, *TUNING_EVERYDAY]),
        ("everyday", everyday),
    ):
        write(name, [{"input": text, "target": ""} for text in asked])


if __name__ == "__main__":
    main()
