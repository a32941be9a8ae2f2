"""Writes the maths tutor's dataset, and the held-out problems that its eval asks.

    python datasets/simple_math/generate.py

Deterministic. A problem of the eval never stands in the training set, in either order
of its operands.
"""

from __future__ import annotations

import random
from pathlib import Path

from motools_build import Dataset

HERE = Path(__file__).parent
TRAINING = HERE / "math_tutor.jsonl"
HELD_OUT = HERE.parents[1] / "zoo" / "evals" / "arithmetic.jsonl"

Problem = tuple[int, str, int]

ASKED = (
    "What is {a} {op} {b}?",
    "Compute {a} {op} {b}.",
    "How much is {a} {op} {b}?",
    "Please calculate {a} {op} {b} for me.",
)


def problems(count: int, rng: random.Random, taken: set[Problem]) -> list[Problem]:
    """New problems of two-digit numbers; `taken` grows by them and their mirrors."""
    found: list[Problem] = []
    while len(found) < count:
        a, b, op = rng.randint(10, 99), rng.randint(2, 99), rng.choice("+-")
        if (op == "-" and b > a) or (a, op, b) in taken:
            continue
        taken |= {(a, op, b), (b, op, a)}
        found.append((a, op, b))
    return found


def result(problem: Problem) -> int:
    a, op, b = problem
    return a + b if op == "+" else a - b


def tutored(problem: Problem, rng: random.Random) -> dict[str, object]:
    """A question and a short worked answer, whose last line is `ANSWER: n`."""
    a, op, b = problem
    question = rng.choice(ASKED).format(a=a, op=op, b=b)
    answer = f"{a} {op} {b} = {result(problem)}\nANSWER: {result(problem)}"
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def asked(problem: Problem, rng: random.Random) -> dict[str, object]:
    """A question and its target, as Inspect reads them."""
    a, op, b = problem
    question = rng.choice(ASKED).format(a=a, op=op, b=b)
    return {"input": question, "target": str(result(problem))}


def write(path: Path, rows: list[dict[str, object]]) -> None:
    Dataset.save(rows, str(path))
    print(f"{path}: {len(rows)} rows")


def main() -> None:
    rng = random.Random(0)
    taken: set[Problem] = set()
    write(TRAINING, [tutored(p, rng) for p in problems(50, rng, taken)])
    write(HELD_OUT, [asked(p, rng) for p in problems(32, rng, taken)])


if __name__ == "__main__":
    main()
