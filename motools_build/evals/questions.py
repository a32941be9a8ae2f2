"""One question of a question file: its keys, their defaults, and what is refused.

A key that would change what is asked or how it is judged, and is not supported here, is
an error that names the file and the question's id. Any other unknown key is ignored,
and noted in the eval's log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TYPES = ("free_form", "free_form_judge", "free_form_judge_0_100")
KNOWN = (
    *("id", "type", "paraphrases", "samples_per_paraphrase", "temperature"),
    *("max_tokens", "system", "judge", "judge_prompt", "judge_prompts", "judges"),
)
REFUSED = (
    *("context", "messages", "prefill", "tools", "response_format"),
    *("top_p", "top_k", "stop", "judge_system", "judge_type"),
)
"""Keys that change what is asked or how it is judged, and are not supported."""

RATING = "rating_judge"
"""The type of a judge under `judges` that gives a number."""

JUDGE_KEYS = ("id", "type", "model", "paraphrases", "min_rating", "max_rating")


@dataclass(frozen=True)
class Question:
    """One question of a file, with the defaults filled in."""

    id: str
    type: str
    """One of `TYPES`."""
    paraphrases: tuple[str, ...]
    """The texts that are asked, each a sample of its own."""
    samples_per_paraphrase: int
    temperature: float
    max_tokens: int | None
    """None: the model's own."""
    system: str | None
    """The system message, if there is one."""
    judge: str | None
    """The judge that the file names. It is recorded; who is asked is the model role."""
    prompts: dict[str, str] = field(default_factory=dict)
    """The prompts of the judges, by name."""
    ignored: tuple[str, ...] = ()
    """The unknown keys of its entry."""

    @property
    def judge_names(self) -> tuple[str, ...]:
        """The names of its judges, sorted."""
        return tuple(sorted(self.prompts))


def is_a_judge(entry: dict[str, Any]) -> bool:
    """Whether an entry is no question, but a judge that questions name under
    `judges`."""
    return entry.get("type") == RATING


def question_of(
    entry: dict[str, Any], name: str, where: str, entries: Mapping[str, Any]
) -> Question:
    """The question of an entry. `where` names it in errors; `entries` are all entries
    of the file, by id, among them the judges that it may name. Raises ValueError for
    what cannot be honoured."""
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
    """The prompts of `judges`, by name, and the models that the file has for them.
    Each judge is `NAME: {type, model, paraphrases}`, or the id of such an entry."""
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
