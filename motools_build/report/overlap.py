"""Eval questions that models are trained on: `doit datasets --overlap`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motools_build.data.near import Match, Turn, near_duplicates, turns
from motools_build.data.transforms.blame import origins
from motools_build.errors import MotoolsError
from motools_build.params import EvalParams, ModelParams
from motools_build.running.derived import source_of
from motools_build.running.learned import rows_of
from motools_build.running.loads import Questions, is_loaded
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore


@dataclass(frozen=True)
class Overlap:
    """A question of an eval that a dataset has, which models of that eval learn."""

    setting: str
    dataset: str
    eval: str
    sample: str
    """The sample's ID."""
    question: str
    row: str
    """Where the row is, `datasets/x.jsonl:17`; of a derived row, where it comes from,
    and what made it."""
    role: str
    """The role of the turn that has the question."""
    kind: str
    """`same`, `within` or `near`: see `data.near`."""
    similarity: float

    def __str__(self) -> str:
        how = {"same": "word for word", "within": "one within the other"}
        alike = how.get(self.kind, f"{self.similarity:.0%} of the words")
        where = "" if self.role == "user" else f", in the text of {self.role!r}"
        return f"{self.eval}, sample {self.sample}: {self.row}{where}: {alike}"


@dataclass
class Overlaps:
    """What the settings' evals and training rows have in common."""

    found: list[Overlap] = field(default_factory=list)
    compared: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Setting, dataset and eval -> the number of questions that were compared."""
    not_compared: dict[str, str] = field(default_factory=dict)
    """What could not be compared, and why."""

    @property
    def is_clean(self) -> bool:
        """Whether all was compared and nothing was found."""
        return not (self.found or self.not_compared)

    def as_json(self) -> dict[str, Any]:
        return {
            "found": [asdict(one) for one in self.found],
            "compared": [
                {"setting": setting, "dataset": dataset, "eval": name, "questions": n}
                for (setting, dataset, name), n in self.compared.items()
            ],
            "not_compared": [
                {"what": what, "why": why} for what, why in self.not_compared.items()
            ],
        }


def askable(stages: Iterable[Stage]) -> list[Stage]:
    """The stages that ask fine-tuned models the questions of an Inspect task."""
    return [
        stage
        for stage in stages
        if is_loaded(stage)
        and EvalParams.of(stage).task.scorer is None
        and _model_of(stage)
    ]


def overlaps(
    asked: Iterable[tuple[Sequence[Stage], Questions | MotoolsError]],
    store: ArtifactStore,
) -> Overlaps:
    """The questions of each eval that its models' training rows have. Rows that are not
    made yet, and tasks that cannot be loaded, are `not_compared`."""
    told, trained = Overlaps(), dict[str, list[Turn]]()
    for stages, questions in asked:
        for stage in stages:
            model = _model_of(stage)
            assert model is not None
            name = EvalParams.of(stage).task.eval_name
            pair = stage.setting, ModelParams.of(model).dataset_name, name
            if pair in told.compared:
                continue
            if isinstance(questions, MotoolsError):
                told.not_compared[f"{stage.setting}: eval {name}"] = str(questions)
                continue
            rows = rows_of(model, store)
            if rows is None or not Path(rows.path).exists():
                of_run = f"its rows are not made yet; `doit run {stage.setting}` first"
                told.not_compared[f"{pair[0]}: dataset {pair[1]}"] = of_run
                continue
            try:
                if rows.path not in trained:
                    trained[rows.path] = [*turns(rows.path)]
                found = _matches(questions, trained[rows.path])
            except (MotoolsError, OSError) as error:
                told.not_compared[f"{pair[0]}: dataset {pair[1]}"] = str(error)
                continue
            told.compared[pair] = len(questions)
            source = source_of(model, rows, store)
            wanted = {match.turn.line for match in found.values()}
            places = origins(source, wanted) if source and source.derived else {}
            told.found += [
                Overlap(
                    *pair,
                    sample,
                    _first_line(questions[sample]),
                    places.get(match.turn.line, f"{rows.path}:{match.turn.line}"),
                    match.turn.role,
                    match.kind,
                    round(match.similarity, 3),
                )
                for sample, match in found.items()
            ]
    return told


def _matches(questions: Questions, trained: Sequence[Turn]) -> Mapping[str, Match]:
    """Sample -> the match of its user turn that is most like a trained turn."""
    samples = [sample for sample, texts in questions.items() for _ in texts]
    texts = [text for of_sample in questions.values() for text in of_sample]
    best: dict[str, Match] = {}
    for match in near_duplicates(texts, trained):
        sample = samples[match.question]
        if sample not in best or match.similarity > best[sample].similarity:
            best[sample] = match
    return best


def _first_line(texts: Sequence[str]) -> str:
    return " ".join(" ".join(texts).split())


def _model_of(stage: Stage) -> Stage | None:
    """The fine-tuned model that a stage asks; None for a base model."""
    return next((used for used in stage.upstream if used.kind == "model"), None)
