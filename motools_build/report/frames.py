"""Results, means and samples as pandas data frames, for notebooks and other code.

pandas is an optional dependency, imported on first use. The frames hold the data that
`doit results --json` and `doit samples --json` print, with one row for each metric,
mean or sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motools_build.errors import MissingExtra
from motools_build.report.comparisons import COMPARISON, Compared
from motools_build.report.means import MEAN
from motools_build.report.pooled import POOLED, PooledTable, named
from motools_build.report.sample_rows import SAMPLE, sample_rows
from motools_build.report.samples import Transcripts
from motools_build.report.table import FLAT, Table

if TYPE_CHECKING:
    import pandas

WHOLE = (
    "seed",
    "replicate",
    "checkpoint",
    "refused",
    "code",
    "incoherent",
    "failed",
    "scored",
    "asked",
    "seeds",
    "of",
    "distinct",
    "pooled",
    "other_seeds",
    "other_of",
)
"""Integer columns that may have missing values."""

REAL = ("low", "high", "half")
"""Float columns that may have missing values."""


def results_frame(tables: Iterable[Table]) -> pandas.DataFrame:
    """The results of settings: one row for each cell and metric, with the data of
    `results` in `doit results --json`. A cell without a result has one row, without a
    metric, so that counting rows does not miss it.

    Columns: `setting`, `arm`, `dataset`, `model`, `training`, `seed`, `replicate`,
    `checkpoint`, `eval`, `stage`, `key`, `status`, `note`, `declared` (`planned` or
    `exploratory`), `scorer`, `metric`, `value`, `low` and `high` (the 95 % interval),
    `scored` and `asked` (answers), `seeds`, `refused`, `code`, `incoherent` and
    `failed` (a judge's answers without a number); and of the lineage `model_key`,
    `model_id`, `dataset_digest`, `made` (UTC), `versions`, `commit` and `dirty`.

    Raises MissingExtra if pandas is not installed.
    """
    return _frame((row for table in tables for row in table.flat()), FLAT)


def means_frame(tables: Iterable[Table]) -> pandas.DataFrame:
    """The means over seeds: one row for each mean, with the data of `means` in
    `doit results --json`, and `setting` as the first column.

    Raises MissingExtra if pandas is not installed.
    """
    rows = (
        {"setting": table.setting, **mean.as_json()}
        for table in tables
        for mean in table.means
    )
    return _frame(rows, ("setting", *MEAN))


def comparisons_frame(found: Iterable[Compared]) -> pandas.DataFrame:
    """The differences between groups of models: one row for each comparison, with the
    data of `doit results --differences --json`, and `setting` as the first column.

    Raises MissingExtra if pandas is not installed.
    """
    return _frame((row for of in found for row in of.flat()), ("setting", *COMPARISON))


def pooled_frame(found: Iterable[PooledTable], by: Sequence[str]) -> pandas.DataFrame:
    """The means over what is not named: one row for each mean, with the data of
    `doit results --by ... --json`, and `setting` as the first column.

    Raises MissingExtra if pandas is not installed, InputError for a wrong name.
    """
    rows = (row for of in found for row in of.flat())
    return _frame(rows, ("setting", *named(by), *POOLED))


def samples_frame(
    found: Iterable[Transcripts], most: int | None = None
) -> pandas.DataFrame:
    """The matching samples of evals: one row for each sample. `most` limits each eval
    to its first samples.

    Columns: `stage`, `key`, `status` of the eval; `id`, `epoch`, `target`, `messages`
    (a list of mappings with `role` and `content`), `error`; and for each scorer
    `scores.NAME.value` (`scores.NAME.value.KEY` where it gives several),
    `scores.NAME.answer` and `scores.NAME.explanation`.

    Raises MissingExtra if pandas is not installed, ArtifactError if a log cannot be
    read.
    """
    rows = list(sample_rows(found, most))
    scores = dict.fromkeys(name for row in rows for name in row if name not in SAMPLE)
    return _frame(rows, (*SAMPLE, *scores))


def _frame(
    rows: Iterable[Mapping[str, Any]], columns: Iterable[str]
) -> pandas.DataFrame:
    """A data frame with these columns. Integer columns use the nullable type `Int64`,
    so that a missing value does not turn them into floats."""
    pandas = _pandas()
    frame = pandas.DataFrame(list(rows), columns=list(columns))
    kinds = {name: "Int64" for name in WHOLE} | {name: "float64" for name in REAL}
    kinds["dirty"] = "boolean"
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
