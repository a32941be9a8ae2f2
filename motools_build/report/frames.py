"""Results, means and samples as pandas frames, for notebooks and one's own code.

pandas is an extra, imported on first use. The frames hold what `doit results --json`
and `doit samples --json` print, a row for each metric, mean or sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from motools_build.errors import MissingExtra
from motools_build.report.means import MEAN
from motools_build.report.samples import Transcripts
from motools_build.report.table import FLAT, Table

if TYPE_CHECKING:
    import pandas

WHOLE = ("seed", "replicate", "scored", "asked", "seeds", "of")
"""Columns of whole numbers, of which some may be missing."""

REAL = ("low", "high", "half")
"""Columns of numbers, of which some may be missing."""

SAMPLE = ("stage", "key", "status", "id", "epoch", "target", "messages", "error")
"""Columns of every frame of samples; those of its scores follow."""


def results_frame(tables: Iterable[Table]) -> pandas.DataFrame:
    """The results of settings: a row for each cell and metric, as `doit results --json`
    has them under `results`. A cell without a result is a row without a metric, so that
    it is missed by no count.

    Columns: `setting`, `arm`, `dataset`, `model`, `training`, `seed`, `replicate`,
    `eval`, `stage`, `key`, `status`, `note`, `scorer`, `metric`, `value`, `low` and
    `high` (the 95 % interval), `scored` and `asked` (answers), `seeds`.

    Raises MissingExtra if pandas is not installed.
    """
    return _frame((row for table in tables for row in table.flat()), FLAT)


def means_frame(tables: Iterable[Table]) -> pandas.DataFrame:
    """The means over seeds: a row for each, as `doit results --json` has them under
    `means`, with the column `setting` before its fields.

    Raises MissingExtra if pandas is not installed.
    """
    rows = (
        {"setting": table.setting, **mean.as_json()}
        for table in tables
        for mean in table.means
    )
    return _frame(rows, ("setting", *MEAN))


def samples_frame(
    found: Iterable[Transcripts], most: int | None = None
) -> pandas.DataFrame:
    """The samples of evals that match: a row for each, of the first `most` of each eval
    if a number is given.

    Columns: `stage`, `key`, `status` of the eval; `id`, `epoch`, `target`, `messages`
    (a list of mappings with `role` and `content`), `error`; and for each scorer
    `scores.NAME.value` (`scores.NAME.value.KEY` where it gives several),
    `scores.NAME.answer` and `scores.NAME.explanation`.

    Raises MissingExtra if pandas is not installed, ArtifactError if a log cannot be
    read.
    """
    rows = list(_samples(found, most))
    scores = dict.fromkeys(name for row in rows for name in row if name not in SAMPLE)
    return _frame(rows, (*SAMPLE, *scores))


def _samples(
    found: Iterable[Transcripts], most: int | None
) -> Iterator[dict[str, Any]]:
    for one in found:
        told = one.as_json(most)
        of_eval = {name: told[name] for name in ("stage", "key", "status")}
        for sample in told["shown"]:
            scores = dict(_flat(sample.pop("scores"), "scores"))
            yield {**of_eval, **sample, **scores}


def _flat(value: Mapping[str, Any], begin: str) -> Iterator[tuple[str, Any]]:
    """A mapping's leaves: `scores.judge.value` and the like."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{begin}.{name}")
        else:
            yield f"{begin}.{name}", inner


def _frame(
    rows: Iterable[Mapping[str, Any]], columns: Iterable[str]
) -> pandas.DataFrame:
    """A frame whose whole numbers stay whole where one of them is missing."""
    pandas = _pandas()
    frame = pandas.DataFrame(list(rows), columns=list(columns))
    kinds = {name: "Int64" for name in WHOLE} | {name: "float64" for name in REAL}
    return frame.astype({n: kind for n, kind in kinds.items() if n in frame})


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra(
            "data frames need pandas, which is not installed: "
            "pip install 'motools_build[frames]'"
        ) from error
    return pandas
