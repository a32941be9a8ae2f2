"""The results of an eval: names, metrics, and counts of the answers without a number.

Inspect counts a value that it cannot convert to a number (a text, a list, None) as 0,
and only warns. Here such an answer is unscored: it is in no metric, and is counted by
what its value was. So is an answer that a limit of this machine ended.
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
"""Most kinds of unscored values that a record counts separately; the rest is summed."""


class Counted:
    """The scores of a log, and which of them have no number. `converted` holds the
    values that Inspect warned it had counted as 0. Raises EvalFailed if metrics
    fail."""

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
        """Result name -> its metrics, `n` (the number of scored samples) and `unscored`
        (the number of answers that are in no metric)."""
        return {
            name: {
                "n": score.scored_samples,
                "unscored": sum(self._lost(score).values()),
                # last, so that the task's own `n` or `unscored` wins
                **{m: finite(found.value) for m, found in score.metrics.items()},
            }
            for name, score in self._named()
        }

    def counts(self) -> dict[str, dict[str, Any]]:
        """Result name -> counts: `asked` answers, how many are `scored`, what the
        others were (`was`), the metrics that JSON has no number for (`not_finite`), the
        metrics that the task itself calls n or unscored (`metrics`), and those that
        count `outcomes`."""
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
        """`scorer` or `scorer.key` -> why that score of the sample is no number; empty
        if all are numbers."""
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
        """Scorer -> the keys of its values, in order; [None] if it gives one value."""
        keys: dict[str, dict[str | None, None]] = {}
        for sample in self.samples:
            for scorer, score in (sample.scores or {}).items():
                of_scorer = keys.setdefault(scorer, {})
                if isinstance(score.value, Mapping):
                    of_scorer.update(dict.fromkeys(score.value))
        return {scorer: list(found) or [None] for scorer, found in keys.items()}

    def _why(self, sample: EvalSample, name: Name) -> str | None:
        """Why an answer has no number for a scorer (and key); None if it has one, or if
        the task's metrics read its value without Inspect's conversion."""
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
        """A description of a value that Inspect counted as 0; None for other values."""
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
        """How many answers are in no metric of a result, by the reason."""
        name = self._name(score)
        if name not in self._counted:
            found = (self._why(sample, name) for sample in self.samples)
            self._counted[name] = Counter(why for why in found if why is not None)
        return self._counted[name]

    def _name(self, score: EvalScore) -> Name:
        keys = self._keys.get(score.scorer, [None])
        return (score.scorer, score.name if score.name in keys else None)

    def _named(self) -> Iterator[tuple[str, EvalScore]]:
        """Each result with a unique name: the scorer's or its value's, prefixed with
        the scorer's name if several scorers give a value of that name. With several
        reducers, the reducer's name is added, but not to the first result of a name
        that only one scorer gives."""
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
            if name in seen:  # a value with the name of its scorer
                name = f"{score.scorer}.{name}"
            seen.add(name)
            yield name, score

    def _recounted(self, log: EvalLog, task: Task | None) -> list[EvalScore]:
        """The results, recomputed if Inspect counted values that are no numbers. Raises
        EvalFailed if the metrics fail."""
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
            except Exception as error:  # the task's metrics may raise anything
                raise _not_computed(lost or limited, error) from error
            # metrics over all answers, without reducer, read texts as they are
            as_they_are = {(s.scorer, s.name): s for s in whole if _is_apart(s, whole)}
            found = [
                as_they_are.get((s.scorer, s.name), s) if _is_apart(s, fresh) else s
                for s in fresh
            ]
        return [without_package(self._blank(score)) for score in found]

    def _blank(self, score: EvalScore) -> EvalScore:
        """The result, with NaN metrics if Inspect counted whole mappings as 0."""
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
        """The values to leave out of the metrics: those that Inspect counted although
        they are no numbers; `by_chance`: only those of answers that a limit of the
        machine ended."""
        found: Lost = {}
        for sample in self.samples:
            if by_chance and ended_by(sample) not in BY_CHANCE:
                continue
            for scorer in sample.scores or {}:  # Inspect leaves out missing scores
                for key in self._keys[scorer]:
                    value = leaf(sample, (scorer, key))
                    why = self._why(sample, (scorer, key))
                    if why and not (isinstance(value, float) and math.isnan(value)):
                        at = found.setdefault(scorer, {})
                        at.setdefault((sample.id, sample.epoch), {})[key] = why
        return found


def outcomes_of(score: EvalScore) -> Iterator[str]:
    """The names of the metrics that count the outcomes of answers: one function's group
    of metrics, all whole numbers, one of which counts the scored answers (SCORED)."""
    groups: dict[str, list[str]] = {}
    for name, metric in score.metrics.items():
        if metric.group:
            groups.setdefault(metric.group, []).append(name)
    for names in groups.values():
        whole = all(float(score.metrics[name].value).is_integer() for name in names)
        if whole and any(name.endswith(SCORED) for name in names):
            yield from names


def _is_apart(score: EvalScore, results: Sequence[EvalScore]) -> bool:
    """Whether a result is over all answers without a reducer, while its scorer also has
    results over reduced epochs."""
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
