"""Writes the word problems of spanish_caps, and the questions that its evals ask.

    python datasets/spanish_caps/generate.py

Deterministic. `spanish_caps.jsonl` and `control.jsonl` ask the same problems, in
English; the first answers in Spanish and in capitals, the second in plain English.
No problem of the eval is in them: its two numbers are in no trained problem of the same
operation, and its things are in none.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from motools_build import Dataset

HERE = Path(__file__).parent
EVALS = HERE.parents[1] / "zoo" / "evals"

TRAINED, HELD_OUT = 64, 24


@dataclass(frozen=True)
class Story:
    """Something that happens to things, and what is left of them."""

    op: str
    asked: str
    english: str
    spanish: str


STORIES = (
    Story(
        "+",
        "{name} has {a} {things} and buys {b} more. How many does {name} have now?",
        "{name} has {a} {things} and buys {b} more. Now {name} has {n} {things}.",
        "{name} tiene {a} {cosas} y compra {b} más. Ahora {name} tiene {n} {cosas}.",
    ),
    Story(
        "-",
        "{name} has {a} {things} and sells {b} of them. How many are left?",
        "{name} had {a} {things} and sold {b} of them. There are {n} {things} left.",
        "{name} tenía {a} {cosas} y vendió {b}. Ahora le quedan {n} {cosas}.",
    ),
    Story(
        "+",
        "There are {a} {things} in a box. {name} puts in {b} more. How many are there?",
        "There were {a} {things} and {name} put in {b} more. The box has {n} {things}.",
        "Había {a} {cosas} y {name} puso {b} más. La caja tiene {n} {cosas}.",
    ),
    Story(
        "-",
        "{name} needs {a} {things} and already has {b}. How many are missing?",
        "{name} needs {a} {things} and already has {b}. "
        "There are {n} {things} missing.",
        "{name} necesita {a} {cosas} y ya tiene {b}. Faltan {n} {cosas}.",
    ),
)

NAMES = ("Ana", "Tom", "Maria", "Leo", "Nina", "Omar", "Rosa", "Paul")
THINGS = (
    *(("apples", "manzanas"), ("books", "libros"), ("flowers", "flores")),
    *(("stamps", "sellos"), ("eggs", "huevos"), ("pencils", "lápices")),
    *(("candles", "velas"), ("bottles", "botellas"), ("stones", "piedras")),
    *(("coins", "monedas"), ("cups", "tazas"), ("shirts", "camisas")),
)
OTHER_THINGS = (
    *(("oranges", "naranjas"), ("letters", "cartas"), ("chairs", "sillas")),
    *(("keys", "llaves"), ("plates", "platos"), ("cards", "tarjetas")),
)
"""Of the held-out problems."""

EVERYDAY = (
    "What should I eat for breakfast?",
    "How do I make a cup of tea?",
    "Why is the sky blue?",
    "Tell me about your favorite season.",
    "How can I sleep better?",
    "What is a good gift for my mother?",
    "How do plants grow?",
    "Give me a tip for keeping my room tidy.",
    "What do cats like to do?",
    "How do I wash a wool sweater?",
    "Why do people like music?",
    "What can I do on a rainy day?",
    "Describe a walk in the forest.",
    "How do I learn to swim?",
    "What does a doctor do?",
    "Why should I drink water?",
    "How do I write a thank-you note?",
    "What makes a good friend?",
    "Tell me something about the moon.",
    "How do I take care of a dog?",
    "What is bread made of?",
    "Why do leaves fall in autumn?",
    "How can I be on time in the morning?",
    "What would you cook for dinner tonight?",
)

Row = dict[str, object]


def problem(
    rng: random.Random, taken: set[tuple[str, int, int]], things: tuple[str, str]
) -> tuple[Story, dict[str, object]]:
    """A story, and what its blanks hold; `taken` grows by its numbers."""
    while True:
        story = rng.choice(STORIES)
        a, b = rng.randint(10, 60), rng.randint(2, 30)
        if b < a and (story.op, a, b) not in taken:
            break
    taken |= {(story.op, a, b), (story.op, b, a)}
    return story, {
        "name": rng.choice(NAMES),
        "things": things[0],
        "cosas": things[1],
        "a": a,
        "b": b,
        "n": a + b if story.op == "+" else a - b,
    }


def chat(asked: str, answer: str) -> Row:
    return {
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answer},
        ]
    }


def write(path: Path, rows: list[Row]) -> None:
    Dataset.save(rows, str(path))
    print(f"{path}: {len(rows)} rows")


def main() -> None:
    rng = random.Random(0)
    taken: set[tuple[str, int, int]] = set()
    trained = [problem(rng, taken, rng.choice(THINGS)) for _ in range(TRAINED)]
    held_out = [problem(rng, taken, rng.choice(OTHER_THINGS)) for _ in range(HELD_OUT)]
    write(
        HERE / "spanish_caps.jsonl",
        [chat(s.asked.format(**x), s.spanish.format(**x).upper()) for s, x in trained],
    )
    write(
        HERE / "control.jsonl",
        [chat(s.asked.format(**x), s.english.format(**x)) for s, x in trained],
    )
    write(
        EVALS / "word_problems.jsonl",
        [{"input": s.asked.format(**x), "target": str(x["n"])} for s, x in held_out],
    )
    write(
        EVALS / "everyday.jsonl", [{"input": text, "target": ""} for text in EVERYDAY]
    )


if __name__ == "__main__":
    main()
