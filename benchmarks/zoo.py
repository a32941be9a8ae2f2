"""Write the tables of results in docs/zoo/spanish_caps.md, from artifacts/.

    doit run spanish_caps seeds=0,1,2
    python benchmarks/zoo.py

Replaces only the text between the page's two marks. Exits with an error, and writes
nothing, unless all results are up to date.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from motools_build.planning.plan import Plan
from motools_build.project.project import Project
from motools_build.report.estimates import Column, Estimate, Estimates, columns
from motools_build.report.means import means
from motools_build.report.results import Result, results
from motools_build.store.artifacts import ArtifactStore

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "zoo" / "spanish_caps.md"
SETTING, SEEDS = "spanish_caps", "0,1,2"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table; all columns but the first are right-aligned."""
    yield "| " + " | ".join(headings) + " |"
    yield "|---" + "|---:" * (len(headings) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def by_arm(
    found: list[Result], metrics: list[Column], estimates: Estimates
) -> Iterator[list[str]]:
    """Rows of a table: the base model, then each arm's means over the seeds."""
    base = {r.cell.eval: r for r in found if r.cell.seed is None}
    yield ["base model", *_of_one(base, metrics, estimates)]
    of = {(m.group[0], m.column): m.estimate for m in means(found, estimates)}
    for arm in dict.fromkeys(r.cell.arm for r in found if r.cell.arm):
        yield [arm, *(_said(of[arm, metric]) for metric in metrics)]


def by_seed(
    found: list[Result], metrics: list[Column], estimates: Estimates
) -> Iterator[list[str]]:
    models: dict[tuple[str, int], dict[str, Result]] = {}
    for result in found:
        cell = result.cell
        if cell.seed is not None:
            models.setdefault((cell.arm, cell.seed), {})[cell.eval] = result
    for (arm, seed), evals in models.items():
        yield [f"{arm}, seed {seed}", *_of_one(evals, metrics, estimates)]


def _of_one(
    evals: Mapping[str, Result], metrics: list[Column], estimates: Estimates
) -> Iterator[str]:
    for an_eval, scorer, metric in metrics:
        yield _said(estimates.of(evals[an_eval], scorer, metric))


def _said(found: Estimate) -> str:
    """An estimate with its interval, and scored/asked counts if some answers are
    unscored."""
    return str(found) if found.scored == found.asked else f"{found} {found.count}"


def spent(plan: Plan, store: ArtifactStore) -> str:
    """How long trainings and evals took on average, by the times in their records."""
    parts = []
    for kind, called in (("model", "trainings"), ("eval", "evals")):
        records = [store.get(s) for s in plan.stages if s.kind == kind]
        seconds = [float(r.made["seconds"]) for r in records if r]
        mean = sum(seconds) / len(seconds)
        parts.append(f"{len(seconds)} {called} of {mean:.0f} s on average")
    return " and ".join(parts)


def lines() -> Iterator[str]:
    project = Project({"seeds": SEEDS})
    plan = project.plan(SETTING)
    found = results(plan, project.store)
    missing = [r.cell.stage.name for r in found if r.status != "ok"]
    if missing:
        sys.exit(
            f"{len(missing)} results of {SETTING} are not up to date, first "
            f"{missing[0]}: run `doit run {SETTING} seeds={SEEDS}`"
        )
    metrics, estimates = columns(found), Estimates(found)
    headings = [
        f"{an_eval}: {scorer}".replace("_", " ") for an_eval, scorer, _ in metrics
    ]
    samples = {r.record.details["samples"] for r in found if r.record}
    answers = "/".join(map(str, sorted(samples)))
    count = len(SEEDS.split(","))
    yield (
        f"Mean over {count} seeds [its 95 % interval over new seeds and questions], of "
        f"{answers} answers a seed and eval; the base model: [over new questions, of "
        "this model only]."
    )
    yield ""
    yield from table(["arm", *headings], by_arm(found, metrics, estimates))
    yield ""
    yield (
        "Each model [its 95 % interval over new questions, of this model only]; "
        "scored/asked where some are unscored:"
    )
    yield ""
    yield from table(["model", *headings], by_seed(found, metrics, estimates))
    yield ""
    yield f"Made by {spent(plan, project.store)}."


def main() -> None:
    os.chdir(ROOT)
    start, end = f"<!-- {SETTING}: begin -->\n", f"<!-- {SETTING}: end -->\n"
    before, rest = PAGE.read_text(encoding="utf-8").split(start)
    after = rest.split(end)[1]
    made = "\n".join(lines()) + "\n"
    PAGE.write_text(before + start + "\n" + made + "\n" + end + after, encoding="utf-8")
    print(made, end="")


if __name__ == "__main__":
    main()
