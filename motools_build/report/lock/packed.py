"""Results as a lock holds them, and back.

Specs, versions and lists of questions, which many results share, are stored once, by
digest. Scores are numbers in the order of the questions, which take a twentieth of what
the files of scores take.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from motools_build.backends.inspect.outcome import SCORES
from motools_build.errors import ArtifactError, InputError
from motools_build.keys import Key, canonical, digest_bytes
from motools_build.params import EvalParams, EvalTask, Subject
from motools_build.planning.plan import Cell
from motools_build.report.answers import are_recorded, read
from motools_build.report.lineage import LINEAGE, Lineage, checkpoint_of
from motools_build.report.lock.document import digest
from motools_build.report.results import Result
from motools_build.report.scored import Place, Scored
from motools_build.stages import Stage
from motools_build.store.accepted import Acceptance
from motools_build.store.records import Record, known_fields
from motools_build.text import hints
from motools_build.text.scrub import scrub_values
from motools_build.text.visible import whole

DETAILS = ("samples", "scores", "counts", "limits", "never_asked")
"""The fields of a record's details that results are told from."""

NAMED = ("arm", "dataset", "model", "training", "seed", "replicate", "eval")
"""The fields of a cell besides its stage."""


@dataclass
class Packed:
    """What is stored once, by digest or key."""

    specs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    questions: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    """Key -> what a record says of an eval's scores, and the scores of its answers."""

    def stage(self, stage: Stage, record: Record | None) -> dict[str, Any]:
        """A stage with its key, all that its key is the hash of, and what came out.

        Raises InputError if a secret is part of the key: a lock is made to be shared.
        """
        preimage = stage.preimage
        if scrub_values(preimage) != preimage:
            raise InputError(
                f"{stage.name}: a secret is part of its key, and a lock is made to be "
                "shared; pass it by an environment variable instead of an argument"
            )
        found = {
            "name": stage.name,
            "key": stage.key,
            "kind": stage.kind,
            "backend": stage.backend,
            "version": preimage["version"],
            "spec": _shared(self.specs, preimage["spec"]),
            "inputs": dict(sorted(preimage["inputs"].items())),
        }
        if record is not None:
            found |= {"output": record.output, "made": record.made.get("time")}
        return found

    def result(self, result: Result) -> dict[str, Any]:
        """A result: its cell, its status, and the key of the record that it shows."""
        cell, made_from = result.cell, result.lineage.as_json()
        if made_from["versions"]:
            made_from["versions"] = _shared(self.versions, dict(made_from["versions"]))
        else:
            del made_from["versions"]
        found = {
            "stage": cell.stage.name,
            "key": cell.stage.key,
            **{name: getattr(cell, name) for name in NAMED},
            "checkpoint": checkpoint_of(cell.stage),
            "status": result.status,
            "note": result.note,
            "record": self._record(result),
            "accepted": asdict(result.accepted) if result.accepted else None,
            **made_from,
        }
        kept = {n: v for n, v in found.items() if v not in (None, "")}
        shown: dict[str, Any] = whole(scrub_values(kept))
        return shown

    def _record(self, result: Result) -> str | None:
        record = result.record
        if record is None:
            return None
        if record.key in self.records and not result.is_made:
            return str(record.key)  # the same, or with the scores of its answers
        details = {n: record.details[n] for n in DETAILS if n in record.details}
        told = {
            "name": record.name,
            "backend": record.backend,
            "output": record.output,
            "made": record.made.get("time"),
            "details": whole(scrub_values(details)),
        }
        if result.is_made:
            told["answers"] = self._answers(result)
        self.records[record.key] = told
        return str(record.key)

    def _answers(self, result: Result) -> dict[str, Any]:
        """Raises ArtifactError if the scores cannot be read, or are damaged."""
        _check_recorded(result)
        found = scores_of(result)
        questions: dict[Hashable, None] = {}
        for scored in found.values():
            questions.update(dict.fromkeys(scored.answers))
        every = list(questions)
        places = [
            [list(place), one.asked, [_compact(one.answers.get(q)) for q in every]]
            for place, one in found.items()
        ]
        return {"questions": _shared(self.questions, every), "places": places}


def scores_of(result: Result) -> Mapping[Place, Scored]:
    """The scores of a made result's answers. Raises ArtifactError if they cannot be
    read."""
    if result.scores is not None:
        return result.scores
    try:
        return read(result.folder) if result.folder else {}
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{result.cell.stage.name}: its scores cannot be read ({error}): "
            "doit verify, then run again"
        ) from error


def _check_recorded(result: Result) -> None:
    """Raises ArtifactError if the file of scores is not the one that was recorded."""
    if result.record is None or result.folder is None:
        return
    try:
        if are_recorded(result.folder, result.record):
            return
        why = "its digest is not the recorded one"
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
    name, hint = result.cell.stage.name, hints.command("verify", "--repair")
    raise ArtifactError(
        f"{name}: {result.folder / SCORES} has not the scores that were recorded "
        f"({why}), so nothing was locked: {hint}, then {hints.command('run', name)}"
    )


def _shared(table: dict[str, Any], value: Any) -> str:
    """The digest by which a value is in the table from now on."""
    name = digest(value)
    table[name] = value
    return name


def _compact(scores: Sequence[float] | None) -> Any:
    """A question's scores: a number if there is one answer, None without any."""
    if not scores:
        return None
    numbers = [int(one) if one.is_integer() else one for one in scores]
    return numbers[0] if len(numbers) == 1 else numbers


def _scores(packed: Any) -> list[float]:
    if packed is None:
        return []
    return [float(one) for one in (packed if isinstance(packed, list) else [packed])]


# ---- and back


def unpacked_stage(body: Mapping[str, Any], told: Mapping[str, Any]) -> Stage:
    """A stage of a lock, as far as it is known without its plan. Raises ValueError if
    its key is not the hash of what the lock says it was made from."""
    preimage = {
        "kind": told["kind"],
        "version": told["version"],
        "backend": told["backend"],
        "spec": body["specs"][told["spec"]],
        "inputs": told["inputs"],
    }
    name, key = told["name"], Key(told["key"])
    if str(digest_bytes(canonical(preimage))) != key:
        raise ValueError(f"the key of {name} is not the hash of its inputs")
    return Stage(told["kind"], told["backend"], name, key, preimage, None)


def unpacked_result(
    body: Mapping[str, Any], told: Mapping[str, Any], stage: Stage
) -> Result:
    """A result of a lock. Raises LookupError, TypeError or ValueError for what no
    version of this format wrote."""
    if told["key"] != stage.key:
        raise ValueError(f"{stage.name} has two keys")
    usual = {"arm": "", "training": "", "dataset": "", "model": "", "seed": None}
    named = {**usual, **{name: told[name] for name in NAMED if name in told}}
    cell = Cell(stage=_with_checkpoint(stage, told.get("checkpoint")), **named)
    made_from: dict[str, Any] = {name: told.get(name) for name in LINEAGE}
    made_from["versions"] = body["versions"].get(told.get("versions"), {})
    record, scores = None, None
    if "record" in told:
        kept = body["records"][told["record"]]
        record, scores = _record(told["record"], kept), _answers(body, kept)
    return Result(
        cell,
        told["status"],
        record,
        told.get("note", ""),
        lineage=Lineage(**made_from),
        scores=scores,
        accepted=_accepted(told.get("accepted")),
    )


def _accepted(told: Mapping[str, Any] | None) -> Acceptance | None:
    """The acceptance of a result; None if it has none, and in locks of versions that
    did not lock it. Raises TypeError for what no version wrote."""
    if told is None:
        return None
    found = known_fields(Acceptance, told)
    if found is None:
        raise TypeError("an acceptance lacks a field")
    texts = [v for v in vars(found).values() if not isinstance(v, list | tuple)]
    if not all(isinstance(one, str) for one in [*texts, *found.differs]):
        raise TypeError("a field of an acceptance is no text")
    return found


def _with_checkpoint(stage: Stage, checkpoint: int | None) -> Stage:
    """The stage with the one value of its parameters that results tell."""
    if checkpoint is None:
        return stage
    task = EvalTask("", "", checkpoint=checkpoint)
    params = EvalParams(task, Subject("", "", "", "", None))
    return replace(stage, params=params)


def _record(key: str, kept: Mapping[str, Any]) -> Record:
    return Record(
        kind="eval",
        backend=kept["backend"],
        key=Key(key),
        preimage={},
        name=kept["name"],
        output=kept["output"],
        inputs={},
        payload={},
        details=kept["details"],
        made={"time": kept["made"]} if kept["made"] else {},
    )


def _answers(
    body: Mapping[str, Any], kept: Mapping[str, Any]
) -> Mapping[Place, Scored] | None:
    answers = kept.get("answers")
    if answers is None:
        return None
    questions = body["questions"][answers["questions"]]
    return {
        tuple(place): Scored(
            asked,
            {
                question: scores
                for question, one in zip(questions, packed, strict=True)
                if (scores := _scores(one))
            },
        )
        for place, asked, packed in answers["places"]
    }
