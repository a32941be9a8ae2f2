"""A transform of one's own: a class, and its line in the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from motools_build import Dataset
from motools_build.data.rows.checks import Row
from motools_build.data.transforms.files import Out, Rows
from motools_build.data.transforms.step import Step, each
from motools_build.data.transforms.table import STEPS
from motools_build.errors import DatasetError
from motools_build.keys import DigestMemo
from motools_build.planning.sources import Resolver
from motools_build.running.derived import Derive
from motools_build.store.artifacts import ArtifactStore


class Shout(Step):
    """Each answer in capitals; one that is a shout already is refused."""

    WORD: ClassVar[str] = "shout"
    end: str = "!"

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        for index in range(len(rows)):
            each(rows, out, index, self.WORD, self._shouted)

    def _shouted(self, row: Row) -> Row:
        *asked, answer = row["messages"]
        if answer["content"].isupper():
            raise ValueError("is shouted already")
        shouted = {**answer, "content": answer["content"].upper() + self.end}
        return {**row, "messages": [*asked, shouted]}


def rows(*answers: str) -> list[Row]:
    return [
        {
            "messages": [
                {"role": "user", "content": "Well?"},
                {"role": "assistant", "content": answer},
            ]
        }
        for answer in answers
    ]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(STEPS, Shout.WORD, Shout)  # its line in the table


def shouted(dataset: Dataset) -> Dataset:
    return dataset.then(Shout(), "shouted")


def test_its_rows_are_made() -> None:
    dataset = shouted(Dataset.save(rows("yes", "no"), "rows.jsonl").head(1))
    assert dataset.load() == rows("YES!")
    assert dataset.name == "rows-head1-shouted"


def test_a_plan_makes_its_artifact() -> None:
    memo = DigestMemo(Path("artifacts/memo.json"))
    store = ArtifactStore(Path("artifacts"), memo)
    found = Resolver(memo, Derive(store, memo))(
        shouted(Dataset.save(rows("yes"), "rows.jsonl"))
    )
    (stage,) = found.stages
    assert stage.preimage["spec"] == {"step": "shout"}
    record = store.get(stage)
    assert record
    assert record.details == {"rows": 1, "changed": 1}
    assert Path(found.files[0]).read_text().count("YES!") == 1


def test_what_it_refuses_names_file_and_line() -> None:
    dataset = shouted(Dataset.save(rows("yes", "NO"), "rows.jsonl").system("Be loud."))
    with pytest.raises(
        DatasetError, match=r"rows\.jsonl:2, after system: is shouted already"
    ):
        dataset.load()
