"""The datasets and evals of a setting: tuples that can be filtered by tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from motools_build.errors import SelectionError
from motools_build.specs.dataset import Dataset
from motools_build.specs.eval import Eval
from motools_build.text.similar import known


class Datasets(tuple[Dataset, ...]):
    """A setting's datasets: `setting.datasets` has all of them, and
    `setting.datasets(tags="ood")` those with a tag."""

    def __call__(self, *, tags: str | Iterable[str] | None = None) -> Datasets:
        """The datasets with at least one of the tags; all if `tags` is None. Raises
        SelectionError for a tag that no dataset has."""
        wanted = _checked(tags, [tag for d in self for tag in d.tags], "dataset")
        return Datasets(d for d in self if tags is None or wanted & {*d.tags})

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, handler(tuple[Dataset, ...])
        )


class Evals(tuple[Eval, ...]):
    """A setting's evals: `setting.evals` has all of them, and
    `setting.evals(tags="ood")` those with a tag."""

    datasets: Datasets
    """The setting's datasets, to which `dataset_tags` refer."""

    def __new__(
        cls, evals: Iterable[Eval] = (), datasets: Sequence[Dataset] = ()
    ) -> Self:
        made = super().__new__(cls, tuple(evals))
        made.datasets = Datasets(datasets)
        return made

    def __call__(
        self,
        *,
        tags: str | Iterable[str] | None = None,
        dataset_tags: str | Iterable[str] | None = None,
    ) -> Evals:
        """The evals with at least one of `tags` that apply to the models of a dataset
        with at least one of `dataset_tags`. None selects all. Raises SelectionError for
        a tag that no eval, or no dataset, has."""
        wanted = _checked(tags, [tag for e in self for tag in e.tags], "eval")
        of = self.datasets(tags=dataset_tags)
        return Evals(
            (
                e
                for e in self
                if (tags is None or wanted & {*e.tags})
                and (dataset_tags is None or any(e.is_for(d.name, d.tags) for d in of))
            ),
            self.datasets,
        )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, handler(tuple[Eval, ...])
        )


def _checked(
    tags: str | Iterable[str] | None, there: Iterable[str], what: str
) -> set[str]:
    """The tags as a set. Raises SelectionError for one that is not in `there`."""
    wanted = {tags} if isinstance(tags, str) else {*(tags or ())}
    for tag in sorted(wanted - {*there}):
        raise SelectionError(f"no {what} has the tag {tag!r}; {known(tag, {*there})}")
    return wanted
