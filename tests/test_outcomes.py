"""A judge's refusals are counted beside the values, not among them."""

from __future__ import annotations

from motools_build.report.outcomes import lost, told, values


def counts(begin: str, **found: int) -> dict[str, float]:
    outcomes = ("scored", "refused", "code", "incoherent", "failed")
    return {f"{begin}{name}": float(found.get(name, 0)) for name in outcomes}


def test_counts_of_each_prompt_are_no_values() -> None:
    metrics = {**counts("aligned_", scored=9), **counts("coherent_", scored=9)}
    assert values(metrics) == []
    assert values({"mean": 1.0, "stderr": 0.1, "n": 9, "unscored": 0}) == ["mean"]


def test_a_metric_that_happens_to_be_called_so_is_a_value() -> None:
    assert values({"failed": 0.5, "mean": 1.0}) == ["failed", "mean"]


def test_what_is_not_scored_throughout_is_told() -> None:
    judged = {
        **counts("aligned_", scored=7, refused=2),
        **counts("coherent_", scored=9),
    }
    assert list(told({"judges": judged})) == ["aligned: 2 refused, 7 scored"]
    assert list(told({"judge": counts("", scored=1, failed=1)})) == [
        "judge: 1 failed, 1 scored"
    ]


def test_a_record_names_its_counts_whatever_they_are_called() -> None:
    metrics = {"kind_scored": 7.0, "kind_evasive": 2.0, "mean": 1.0, "refused": 0.5}
    named = ["kind_scored", "kind_evasive"]
    assert values(metrics, told=named) == ["mean", "refused"]
    counts = {"judge": {"outcomes": named}}
    assert list(told({"judge": metrics}, counts)) == ["kind: 2 evasive, 7 scored"]
    assert list(told({"judge": metrics})) == []


def test_answers_without_a_number_are_counted_by_metric() -> None:
    judged = {
        "judge": {"mean": 0.5, **counts("", scored=7, refused=2)},
        "judges": {
            "aligned": 80.0,
            **counts("aligned_", scored=6, incoherent=3),
            "coherent": 90.0,
            **counts("coherent_", scored=9),
        },
        "match": {"accuracy": 1.0},
    }
    details = {"scores": judged}
    none = {"refused": 0, "code": 0, "incoherent": 0, "failed": 0}
    assert lost(details, "judge", "mean") == {**none, "refused": 2}
    assert lost(details, "judges", "aligned") == {**none, "incoherent": 3}
    assert lost(details, "judges", "coherent") == none
    assert lost(details, "match", "accuracy") == {}
