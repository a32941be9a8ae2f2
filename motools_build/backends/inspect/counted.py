"""What an eval's results are of: each with its name, its numbers, and what has none.

Inspect's own conversion makes a zero of what it cannot read (a text, a list, None), and
says so in a warning only. Here such an answer is unscored: it is in no metric, and is
counted with what it was. So is one that a limit of this machine ended.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.recomputing import Lost, recomputed
from motools_build.backends.inspect.scores import (
    BY_CHANCE,
    SCORED,
    Name,
    ended_by,
    finite,
    leaf,
    number,
    without_package,
)
from motools_build.errors import EvalFailed, one_line

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog, EvalSample, EvalScore

KINDS = 5
"""Different values without a number that a record tells apart."""


class Counted:
    """The scores of a log, and what of them has no number."""

    def __init__(
        self, log: EvalLog, task: Task | None, converted: Collection[str]
    ) -> None:
        assert log.results is not None
        self.samples = log.samples or []
        self._converted = converted
        self._counted: dict[Name, Counter[str]] = {}
        self._keys = self._all_keys()
        self.results: list[EvalScore] = list(log.results.scores)
        self.results = self._recounted(log, task)

    def scores(self) -> dict[str, dict[str, Any]]:
        """By name: its metrics, over how many samples they are, and how many answers
        are not in them."""
        return {
            name: {
                "n": score.scored_samples,
                "unscored": sum(self._lost(score).values()),
                # last: a metric of the task may be called so
                **{m: finite(found.value) for m, found in score.metrics.items()},
            }
            for name, score in self._named()
        }

    def counts(self) -> dict[str, dict[str, Any]]:
        """By name: how many answers were asked for and how many have a number, what
        the others were, and which metrics JSON has no number for."""
        found: dict[str, dict[str, Any]] = {}
        for name, score in self._named():
            lost = self._lost(score)
            asked = len(self.samples)
            count: dict[str, Any] = {
                "asked": asked,
                "scored": asked - sum(lost.values()),
            }
            if lost:
                first = dict(lost.most_common(KINDS))
                more = sum(lost.values()) - sum(first.values())
                count["was"] = {**first, **({"others": more} if more else {})}
            odd = {
                metric: str(value.value)
                for metric, value in score.metrics.items()
                if score.scored_samples and not math.isfinite(value.value)
            }
            if odd:
                count["not_finite"] = odd
            own = [m for m in score.metrics if m in ("n", "unscored")]
            if own:
                count["metrics"] = own
            outcomes = list(outcomes_of(score))
            if outcomes:
                count["outcomes"] = outcomes
            found[name] = count
        return found

    def why(self, sample: EvalSample) -> dict[str, str]:
        """By scorer, or scorer and key: why the sample's score is no number."""
        found = {}
        for scorer, keys in self._keys.items():
            for key in keys:
                lost = self._why(sample, (scorer, key))
                value = leaf(sample, (scorer, key))
                if lost is None and isinstance(value, float) and math.isinf(value):
                    lost = str(value)
                if lost:
                    found[scorer if key is None else f"{scorer}.{key}"] = lost
        return found

    # ---- details

    def _all_keys(self) -> dict[str, list[str | None]]:
        """Of every scorer the keys of its values, in their order."""
        keys: dict[str, dict[str | None, None]] = {}
        for sample in self.samples:
            for scorer, score in (sample.scores or {}).items():
                of_scorer = keys.setdefault(scorer, {})
                if isinstance(score.value, Mapping):
                    of_scorer.update(dict.fromkeys(score.value))
        return {scorer: list(found) or [None] for scorer, found in keys.items()}

    def _why(self, sample: EvalSample, name: Name) -> str | None:
        """Why an answer has no number there; None if it has one, or if the metrics of
        the task read what it has without Inspect's conversion."""
        if (limit := ended_by(sample)) in BY_CHANCE:
            return f"ended by its {limit} limit"
        score = (sample.scores or {}).get(name[0])
        if score is None:
            return "none"
        of_several = isinstance(score.value, Mapping) and name[1] is not None
        if of_several and name[1] not in score.as_dict():
            return "missing"
        value = leaf(sample, name)
        if isinstance(value, float) and math.isnan(value):
            reason = score.reason or "nan"
            return reason if reason.isprintable() else repr(reason)
        if value is None:
            return "None"
        return self._read_as_zero(value)

    def _read_as_zero(self, value: Any) -> str | None:
        """What a value is that Inspect counted as 0 without reading it."""
        if number(value) is not None:
            return None
        if isinstance(value, int):
            return "an integer too large for a metric"
        if isinstance(value, str):
            text = repr(value if len(value) <= 60 else value[:59] + "…")
            return text if value.lower() in self._converted else None
        kind, begin = (
            ("a mapping", "{") if isinstance(value, Mapping) else ("a list", "[")
        )
        return kind if any(said.startswith(begin) for said in self._converted) else None

    def _lost(self, score: EvalScore) -> Counter[str]:
        """The answers that are in no metric of a result, by what they were."""
        name = self._name(score)
        if name not in self._counted:
            found = (self._why(sample, name) for sample in self.samples)
            self._counted[name] = Counter(why for why in found if why is not None)
        return self._counted[name]

    def _name(self, score: EvalScore) -> Name:
        keys = self._keys.get(score.scorer, [None])
        return (score.scorer, score.name if score.name in keys else None)

    def _named(self) -> Iterator[tuple[str, EvalScore]]:
        """Each result with its name: that of its scorer or of its value, with the
        scorer's before it where several scorers give a value of that name. The first
        reducer's name is left out where only one scorer does."""
        scorers: dict[str, set[str]] = {}
        for score in self.results:
            scorers.setdefault(score.name, set()).add(score.scorer)
        seen: set[str] = set()
        for score in self.results:
            name, alone = score.name, len(scorers[score.name]) == 1
            if not alone and score.name != score.scorer:
                name = f"{score.scorer}.{score.name}"
            reduced = any(
                (other.scorer, other.name) == (score.scorer, score.name)
                and other.reducer != score.reducer
                for other in self.results
            )
            if reduced and (name in seen or not alone):
                name = f"{name}/{score.reducer or 'unreduced'}"
            if name in seen:  # a value that is called like its scorer
                name = f"{score.scorer}.{name}"
            seen.add(name)
            yield name, score

    def _recounted(self, log: EvalLog, task: Task | None) -> list[EvalScore]:
        """The results, computed again where Inspect counted what is no number."""
        assert log.results is not None
        found = list(log.results.scores)
        limited = self._to_drop(by_chance=True)
        lost = self._to_drop(by_chance=False)
        if log.error and not lost:
            raise EvalFailed(f"its metrics failed: {one_line(log.error.message)}")
        if task and (limited or lost):
            try:
                again = limited and not log.error
                whole = recomputed(log, task, limited) if again else found
                fresh = recomputed(log, task, lost)
            except Exception as error:  # a metric of the task, so anything may come
                raise _not_computed(lost or limited, error) from error
            # metrics of all answers by themselves read texts as they are
            as_they_are = {(s.scorer, s.name): s for s in whole if _is_apart(s, whole)}
            found = [
                as_they_are.get((s.scorer, s.name), s) if _is_apart(s, fresh) else s
                for s in fresh
            ]
        return [without_package(self._blank(score)) for score in found]

    def _blank(self, score: EvalScore) -> EvalScore:
        """A result without numbers where Inspect made zeros of whole mappings."""
        name = self._name(score)
        if name[1] is not None or self._keys.get(score.scorer, [None]) == [None]:
            return score
        if _is_apart(score, self.results) or not self._lost(score)["a mapping"]:
            return score
        metrics = {
            metric: found.model_copy(update={"value": math.nan})
            for metric, found in score.metrics.items()
        }
        return score.model_copy(update={"metrics": metrics, "scored_samples": 0})

    def _to_drop(self, *, by_chance: bool) -> Lost:
        """What Inspect counted though it is no number; or only what a limit of the
        machine ended."""
        found: Lost = {}
        for sample in self.samples:
            if by_chance and ended_by(sample) not in BY_CHANCE:
                continue
            for scorer in sample.scores or {}:  # what has no score is left out anyway
                for key in self._keys[scorer]:
                    value = leaf(sample, (scorer, key))
                    why = self._why(sample, (scorer, key))
                    if why and not (isinstance(value, float) and math.isnan(value)):
                        at = found.setdefault(scorer, {})
                        at.setdefault((sample.id, sample.epoch), {})[key] = why
        return found


def outcomes_of(score: EvalScore) -> Iterator[str]:
    """The metrics that count what became of the answers: the several values of one
    function, whole numbers all, that name how many answers are scored."""
    groups: dict[str, list[str]] = {}
    for name, metric in score.metrics.items():
        if metric.group:
            groups.setdefault(metric.group, []).append(name)
    for names in groups.values():
        whole = all(float(score.metrics[name].value).is_integer() for name in names)
        if whole and any(name.endswith(SCORED) for name in names):
            yield from names


def _is_apart(score: EvalScore, results: Sequence[EvalScore]) -> bool:
    """Whether it is over all answers, beside others of its scorer that are of reduced
    epochs."""
    return score.reducer is None and any(
        other.scorer == score.scorer and other.reducer for other in results
    )


def _not_computed(lost: Lost, error: Exception) -> EvalFailed:
    scorer, samples = next(iter(lost.items()))
    (id, epoch), keys = next(iter(samples.items()))
    return EvalFailed(
        f"sample {id} (epoch {epoch}): the score of {scorer} is no number "
        f"({next(iter(keys.values()))}), and its metrics cannot be computed without it "
        f"({type(error).__name__}: {error}); give a number, or Score.unscored(), "
        "which is counted apart"
    )
