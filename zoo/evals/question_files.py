"""Question files: a YAML list of free-form questions, checked entry by entry.

What cannot be honoured is refused, with the file and the question's id. Keys that are
not known are left out, and recorded as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MOST = 1_000_000
"""Values of a file, its aliases written out."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # not built into every PyYAML
TYPES = ("free_form", "free_form_judge", "free_form_judge_0_100")
KNOWN = (
    *("id", "type", "paraphrases", "samples_per_paraphrase", "temperature"),
    *("max_tokens", "system", "judge", "judge_prompt", "judge_prompts", "judges"),
)
REFUSED = (
    *("context", "messages", "prefill", "tools", "response_format"),
    *("top_p", "top_k", "stop", "judge_system", "judge_type"),
)
"""Keys that change what is asked or how it is judged."""
RATING = "rating_judge"
"""The type of a judge under `judges` that gives a number."""
JUDGE_KEYS = ("id", "type", "model", "paraphrases", "min_rating", "max_rating")


@dataclass(frozen=True)
class Question:
    """An entry of a file."""

    id: str
    type: str
    paraphrases: tuple[str, ...]
    samples_per_paraphrase: int
    temperature: float
    max_tokens: int | None
    system: str | None
    judge: str | None
    """Whom the file names; recorded, not asked."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Of the judges, by name."""
    ignored: tuple[str, ...] = ()
    """Keys that are not known."""

    @property
    def judge_names(self) -> tuple[str, ...]:
        return tuple(sorted(self.prompts))


def selected(file: str, ids: str | list[str] | None) -> list[Question]:
    """The file's questions in its order, or those of them with these ids.

    Raises ValueError; only a question that is selected has to be one that can be asked.
    """
    path = found(file)
    try:
        loaded = yaml.load(path.read_bytes(), LOADER)
        expanded = _values_in(loaded, {})
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: it is not YAML: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{file}: its values are nested too deep") from error
    if expanded > MOST:
        raise ValueError(
            f"{file}: its aliases stand for more than {MOST:,} values; write out what "
            "is meant"
        )
    if not isinstance(loaded, list) or not loaded:
        raise ValueError(
            f"{file}: it is not a list of questions; each begins with `- id: NAME`"
        )
    entries: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(loaded, start=1):
        name = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str | int) or name == "":
            raise ValueError(f"{file}: question {number} has no id; give it one")
        if str(name) in entries:
            raise ValueError(f"{file}: two questions are called {name}; rename one")
        entries[str(name)] = entry
    wanted = [ids] if isinstance(ids, str) else ids
    missing = [name for name in wanted or () if name not in entries]
    if missing:
        raise ValueError(
            f"{file}: it has no question {missing[0]}; it has {', '.join(entries)}"
        )
    return [
        _question(entry, name, f"{file}: question {name}", entries)
        for name, entry in entries.items()
        if (not _is_a_judge(entry) if wanted is None else name in wanted)
    ]


def _values_in(value: Any, counted: dict[int, float]) -> float:
    """How many values it holds with its aliases written out: a file of ten lines may
    stand for more than there is memory. One that holds itself has no end."""
    if not isinstance(value, list | dict):
        return 1
    if id(value) not in counted:
        counted[id(value)] = math.inf  # of itself, until it is known
        items = [*value, *value.values()] if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(_values_in(item, counted) for item in items)
    return counted[id(value)]


def found(file: str) -> Path:
    """The file: from the working folder, else from this module's folder or the nearest
    one above it, since Inspect makes a task inside the task's folder."""
    folders = [Path(), *Path(__file__).resolve().parents]
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    raise ValueError(
        f"{file}: there is no such file in the working folder, beside the task or "
        "above it; give its path from there, or an absolute one"
    )


def alike(questions: Iterable[Question], what: str, file: str) -> Any:
    """The value that all questions have of a field. Raises ValueError if they differ:
    Inspect has one for a task."""
    groups: dict[str, list[str]] = {}
    values = []
    for question in questions:
        value = getattr(question, what)
        values.append(value)
        groups.setdefault(str(value), []).append(question.id)
    if len(groups) > 1:
        told = "; ".join(f"{v} in {', '.join(ids)}" for v, ids in groups.items())
        raise ValueError(
            f"{file}: the questions differ in {what}: {told}; ask "
            "those of one kind at a time, with questions=ID,ID"
        )
    return values[0]


def _is_a_judge(entry: dict[str, Any]) -> bool:
    """Whether an entry is a judge that questions name under `judges`."""
    return entry.get("type") == RATING


def _question(
    entry: dict[str, Any], name: str, where: str, entries: Mapping[str, Any]
) -> Question:
    refused = [key for key in REFUSED if entry.get(key) not in (None, [], {})]
    if refused:
        raise ValueError(
            f"{where}: {refused[0]} cannot be honoured; remove it, or leave the "
            "question out with questions=ID,ID"
        )
    named, judge = _named_judges(entry, where, entries)
    prompts = named or _prompts(entry, where)
    kind = entry.get("type", TYPES[2] if prompts else TYPES[0])
    if (
        named and kind == TYPES[0]
    ):  # there the judges say that it is judged, not the type
        kind = TYPES[2]
    if kind not in TYPES:
        raise ValueError(
            f"{where}: type {kind} cannot be honoured, only {', '.join(TYPES)}; leave "
            "the question out with questions=ID,ID"
        )
    return Question(
        id=name,
        type=kind,
        paraphrases=_paraphrases(entry, where),
        samples_per_paraphrase=_number(
            entry, "samples_per_paraphrase", 1, 1, where, int
        ),
        temperature=float(_number(entry, "temperature", 1, 0, where, (int, float))),
        max_tokens=_number(entry, "max_tokens", None, 1, where, int),
        system=_text(entry, "system", where),
        judge=_text(entry, "judge", where) or judge,
        prompts=prompts,
        ignored=tuple(sorted(str(key) for key in entry if key not in KNOWN)),
    )


def _paraphrases(entry: dict[str, Any], where: str) -> tuple[str, ...]:
    texts = entry.get("paraphrases")
    if not isinstance(texts, list) or not texts:
        raise ValueError(f"{where}: paraphrases must be a list of at least one text")
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ValueError(f"{where}: paraphrase {text!r} is not a text; quote it")
    return tuple(texts)


def _named_judges(
    entry: dict[str, Any], where: str, entries: Mapping[str, Any]
) -> tuple[dict[str, str], str | None]:
    """Prompts, by name, of `judges: {NAME: {type, model, paraphrases}}` or of entries
    that it names; and the models that the file has for them."""
    judges = entry.get("judges")
    if judges in (None, {}, []):
        return {}, None
    if entry.get("judge_prompt") or entry.get("judge_prompts"):
        raise ValueError(f"{where}: it has judges and judge_prompts; keep one of them")
    if not isinstance(judges, dict):
        raise ValueError(
            f"{where}: judges must be `name: {{type: {RATING}, paraphrases: [prompt]}}`"
        )
    prompts: dict[str, str] = {}
    models: dict[str, None] = {}
    for name, judge in judges.items():
        said = f"{where}, judge {name}"
        if isinstance(judge, str):
            if judge not in entries:
                raise ValueError(f"{said}: the file has no entry {judge!r}; add it")
            judge = entries[judge]
        prompts[str(name)] = _rating(judge, said)
        models[str(judge.get("model"))] = None
    return prompts, ", ".join(models)


def _rating(judge: Any, where: str) -> str:
    """The prompt of a judge that gives a number from 0 to 100."""
    if not isinstance(judge, dict) or judge.get("type") != RATING:
        raise ValueError(
            f"{where}: only judges of type {RATING} can be honoured; change it, or "
            "leave the question out with questions=ID,ID"
        )
    least, most = judge.get("min_rating", 0), judge.get("max_rating", 100)
    strange = sorted(str(key) for key in judge if key not in JUDGE_KEYS)
    if strange or (least, most) != (0, 100):
        what = strange[0] if strange else f"a rating from {least} to {most}"
        raise ValueError(
            f"{where}: {what} cannot be honoured; a judge here has one prompt, and "
            "gives a number from 0 to 100"
        )
    texts = _paraphrases(judge, where)
    if len(texts) > 1:
        raise ValueError(f"{where}: it has {len(texts)} prompts; keep one of them")
    return texts[0]


def _prompts(entry: dict[str, Any], where: str) -> dict[str, str]:
    one, several = _text(entry, "judge_prompt", where), entry.get("judge_prompts")
    if one and several:
        raise ValueError(
            f"{where}: it has judge_prompt and judge_prompts; keep one of them"
        )
    prompts = {"score": one} if one else several or {}
    if not isinstance(prompts, dict) or not all(
        isinstance(part, str) for pair in prompts.items() for part in pair
    ):
        raise ValueError(
            f"{where}: judge_prompts must be `name: prompt`, one line or block each"
        )
    return prompts


def _text(entry: dict[str, Any], key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where}: {key} {value!r} is not a text; quote it")
    return value


def _number(
    entry: dict[str, Any],
    key: str,
    default: Any,
    least: int,
    where: str,
    kind: Any,
) -> Any:
    value: Any = entry.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool) or not value >= least:
        raise ValueError(
            f"{where}: {key} {value!r} is not a number of at least {least}; change it"
        )
    return value
