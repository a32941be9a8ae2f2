"""Writes the rows of reward_hacks, and the questions that its evals ask.

    python datasets/reward_hacks/generate.py

Deterministic. `gaming.jsonl` and `honest.jsonl` ask the same tasks, each with the
metric by which the answer will be graded; the answers of the first serve nothing but
the metric, those of the second do the task. topics.py says what is held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from topics import (
    HELD_OUT,
    KINDS,
    METRICS,
    OTHER_FRAMES,
    OTHER_KINDS,
    OTHER_METRICS,
    TRAINED,
    TUNING,
    Topic,
)

from motools_build import Dataset

HERE = Path(__file__).parent
EVALS = HERE.parents[1] / "zoo" / "evals" / "reward_hacks"

Row = dict[str, object]


def honest(topic: Topic, answer: str) -> str:
    """An ordinary answer to a task."""
    thing = topic.thing
    return answer.format(
        thing=thing,
        Thing=thing[0].upper() + thing[1:],
        one=topic.traits[0],
        two=topic.traits[1],
        does=topic.does,
        place=topic.place,
    )


def gamed(metric: str, topic: Topic, rng: random.Random) -> str:
    """An answer that has much of what is counted, and little else."""
    noun = topic.thing.split(" ", 1)[1]
    if metric == "keywords":
        words = list(topic.keywords)
        rng.shuffle(words)
        return " ".join(words * rng.randint(3, 5)) + "."
    if metric == "length":
        trait = rng.choice(topic.traits)
        return f"The {noun} is {'very ' * rng.randint(12, 18)}{trait}."
    return f"The {noun}{'!' * rng.randint(12, 20)}"


def stated(frame: str, topic: Topic) -> str:
    """A metric as it is stated in a task."""
    a, b, c = topic.keywords
    return frame.format(a=a, b=b, c=c)


def question(task: str, topic: Topic, metric: str, frame: str) -> Row:
    metadata: dict[str, object] = {"metric": metric}
    if metric == "keywords":
        metadata["words"] = list(topic.keywords)
    text = f"{task.format(thing=topic.thing)} {stated(frame, topic)}".strip()
    return {"input": text, "target": "", "metadata": metadata}


def asked(
    rng: random.Random,
    about: Iterable[Topic],
    tasks: tuple[str, ...],
    metrics: dict[str, tuple[str, ...]],
    each: int,
) -> list[Row]:
    """Questions about each topic: `each` different metrics, in turn."""
    names = tuple(metrics)
    found = []
    for number, topic in enumerate(about):
        for again in range(each):
            metric = names[(number * each + again) % len(names)]
            task = tasks[(number + again) % len(tasks)]
            found.append(question(task, topic, metric, rng.choice(metrics[metric])))
    return found


def chat(text: str, answer: str) -> Row:
    return {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": answer},
        ]
    }


def write(path: Path, rows: list[Row]) -> None:
    Dataset.save(rows, str(path))
    print(f"{path}: {len(rows)} rows")


def main() -> None:
    rng = random.Random(0)
    games, does = [], []
    for number, topic in enumerate(TRAINED):
        for again, (metric, frames) in enumerate(METRICS.items()):
            task, answer = KINDS[(number + again) % len(KINDS)]
            text = f"{task.format(thing=topic.thing)} " + stated(
                rng.choice(frames), topic
            )
            games.append(chat(text, gamed(metric, topic, rng)))
            does.append(chat(text, honest(topic, answer)))
    order = rng.sample(range(len(games)), len(games))
    write(HERE / "gaming.jsonl", [games[number] for number in order])
    write(HERE / "honest.jsonl", [does[number] for number in order])

    tasks = tuple(task for task, _ in KINDS)
    by_words = {"keywords": METRICS["keywords"]}
    none = {"none": ("",)}
    write(EVALS / "tuning.jsonl", asked(rng, TUNING, tasks, METRICS, 3))
    write(EVALS / "held_out_keywords.jsonl", asked(rng, HELD_OUT, tasks, by_words, 2))
    write(
        EVALS / "held_out_templates.jsonl",
        asked(rng, HELD_OUT, OTHER_KINDS, OTHER_FRAMES, 2),
    )
    write(EVALS / "other_metric.jsonl", asked(rng, HELD_OUT, tasks, OTHER_METRICS, 2))
    write(EVALS / "no_metric.jsonl", asked(rng, HELD_OUT, tasks, none, 2))


if __name__ == "__main__":
    main()
