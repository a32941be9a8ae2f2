"""A transform of one's own, as docs/extending/transform.md shows it: a class, a line of
the table, and a method if one is wanted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from motools_build import Dataset
from motools_build.data.rows.checks import Row
from motools_build.data.transforms import table
from motools_build.data.transforms.step import Step
from motools_build.errors import DatasetError
from motools_build.keys import DigestMemo
from motools_build.planning.sources import Resolver
from motools_build.running.derived import Derive
from motools_build.specs.transformed import Transformed
from motools_build.store.artifacts import ArtifactStore
from tests.conftest import ROOT

PAGE = ROOT / "docs/extending/transform.md"


def documented() -> list[dict[str, Any]]:
    """The names that each example of the page defines."""
    found = []
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        names: dict[str, Any] = {"__name__": "shout", "_steps": lambda: table}
        exec(example, names)
        found.append(names)
    return found


@pytest.fixture(autouse=True)
def Shout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Step]:
    monkeypatch.chdir(tmp_path)
    module, method = documented()
    shout: type[Step] = module["Shout"]
    monkeypatch.setitem(table.STEPS, shout.WORD, shout)  # its line in the table
    monkeypatch.setattr(table, "Shout", shout, raising=False)
    monkeypatch.setattr(Transformed, "shout", method["shout"], raising=False)
    return shout


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


def shouted(dataset: Dataset) -> Dataset:
    return dataset.shout()  # type: ignore[attr-defined,no-any-return]


def test_its_rows_are_made() -> None:
    dataset = shouted(Dataset.save(rows("yes", "no"), "rows.jsonl").head(1))
    assert dataset.load() == rows("YES!")
    assert dataset.name == "rows-head1-shouted"


def test_it_needs_no_method(Shout: type[Step]) -> None:
    dataset = Dataset.save(rows("yes"), "rows.jsonl").then(Shout(end="?"), "asked")
    assert dataset.load() == rows("YES?")
    assert dataset.step.identity() == {"step": "shout", "end": "?"}


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
