"""A setting under `until=`: its seeds, and those that were added to its groups.

What is added follows from the artifacts alone: beginning with the setting's own seeds,
each group whose interval is too wide is given the next one, which is made already or
will be. So a run that was killed goes on where it was, without a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from motools_build.errors import InputError
from motools_build.planning.plan import Cell, Plan
from motools_build.project.variables import overridden, until_of
from motools_build.report.cells import named_parts
from motools_build.report.estimates import Estimates
from motools_build.report.means import Group
from motools_build.report.results import Result, results
from motools_build.report.until import Until
from motools_build.report.widths import GroupWidth, group_widths
from motools_build.specs import Setting
from motools_build.stages import with_needed
from motools_build.store.artifacts import ArtifactStore
from motools_build.text import hints


class Sequential:
    """A setting whose groups of models get seeds until their intervals are narrow."""

    def __init__(
        self,
        until: Until,
        setting: Setting,
        own: Plan,
        wide: Plan,
        order: Sequence[int],
        store: ArtifactStore,
    ) -> None:
        """`own` is the plan of the setting with its seeds, `wide` that with `max_seeds`
        seeds, `order` those seeds, the setting's first."""
        self.name, self.until, self.store = own.setting, until, store
        self.wide = wide
        self.plan = own
        """The setting with the seeds that its groups have been given."""
        self.fresh: Plan | None = None
        """What the latest round adds, with all that it is made from."""
        self.groups: list[GroupWidth] = []
        """The groups, with the seeds that they have been given."""
        self.wanted: list[GroupWidth] = []
        """The groups that are given a seed by the latest round, as they were before."""
        self._own, self._order = own, order
        self._listed = len(setting.seeds)
        self._count = {
            named_parts(cell): self._listed
            for cell in own.cells
            if cell.seed is not None
        }
        self._ended: set[Group] = set()
        self._made: dict[tuple[str, str], Result] = {}
        self._estimates = Estimates([])
        self.look()

    def last_seed(self, group: Group) -> int:
        """The seed that the group was given last."""
        return self._order[self._count[group] - 1]

    def look(self, is_tried: bool = False, adds: bool = True) -> bool:
        """Look at the results, and give groups with wide intervals their next seed;
        whether any of these seeds is not made yet. All groups move on together: while
        a result is missing, none is given a seed.

        With `is_tried`, a run has tried to make all that was asked for: groups that
        lack results even so are given no more seeds, and no longer waited for. Without
        `adds`, no seed is given.
        """
        before = dict(self._count)
        self.wanted = []
        while True:
            found = self._results()
            self._estimates = self._estimates.of_others(found)
            seeds = {g: self._order[:count] for g, count in self._count.items()}
            evals = self.until.evals
            self.groups = [*group_widths(found, self._estimates, seeds, evals)]
            lost = {one.group for one in self.groups if one.lost}
            if is_tried:
                self._ended |= lost
                is_tried = False
            if lost - self._ended:
                break
            self.wanted = [
                one for one in self.groups if one.state(self.until) == "wide"
            ]
            if not self.wanted or not adds:
                break
            for one in self.wanted:
                self._count[one.group] += 1
        self._set_plan(before)
        return bool(self.wanted)

    def _results(self) -> list[Result]:
        """The results of what the groups have been given. One that is made does not
        change, and is read once."""
        cells = [cell for cell in self.wide.cells if self._is_given(cell)]
        fresh = [cell for cell in cells if _place(cell) not in self._made]
        looked = results(Plan(self.name, (), tuple(fresh)), self.store)
        found = {_place(one.cell): one for one in looked}
        self._made.update((p, one) for p, one in found.items() if one.status == "ok")
        return [found.get(_place(c)) or self._made[_place(c)] for c in cells]

    def _is_given(self, cell: Cell) -> bool:
        if cell.seed is None:
            return True
        return cell.seed in self._order[: self._count[named_parts(cell)]]

    def _set_plan(self, before: dict[Group, int]) -> None:
        cells = tuple(cell for cell in self.wide.cells if self._is_given(cell))
        there = {stage.name for stage in self._own.stages}
        needed = {s.name for s in with_needed(cell.stage for cell in cells)}
        added = [
            stage
            for stage in self.wide.stages
            if stage.name in needed and stage.name not in there
        ]
        self.plan = Plan(self.name, (*self._own.stages, *added), cells)
        new = tuple(
            cell
            for cell in cells
            if cell.seed is not None
            and cell.seed in self._order[before[named_parts(cell)] :]
        )
        needed = {s.name for s in with_needed(cell.stage for cell in new)}
        stages = tuple(s for s in self.plan.stages if s.name in needed)
        self.fresh = Plan(self.name, stages, new)

    def told(self) -> Iterator[str]:
        """Lines about what was asked for, and what became of each group."""
        yield f"{self.name}: {self.until}"
        for one in self.groups:
            said = one.told(self.until)
            again = f" ({hints.command('run', self.name)})" if one.lost else ""
            yield f"   {said}{again}"
        most = max(self._count.values())
        if most > self._listed:
            seeds = ",".join(map(str, self._order[:most]))
            without = ("until", "max_seeds", "seeds")
            hint = hints.command(
                "results", self.name, f"seeds={seeds}", without=without
            )
            yield f"   the setting lists {self._listed} of these seeds; all: {hint}"
            if min(self._count.values()) < most:
                hint = hints.command(
                    "run", self.name, f"seeds={seeds}", without=without
                )
                yield f"   to compare the groups, give all as many seeds: {hint}"


def sequential(
    variables: Mapping[str, str],
    setting: Setting,
    own: Plan,
    planned: Callable[[Setting], Plan],
    store: ArtifactStore,
) -> Sequential | None:
    """A setting under `until=`; None for one without results of models that it trains,
    which has no seeds to add. `own` is its plan, and `planned` plans it with others.
    Raises VariableError for an `until=` that does not fit it."""
    until = until_of(variables)
    if until is None or all(cell.seed is None for cell in own.cells):
        return None
    until.check_evals(own.setting, [one.name for one in setting.evals])
    order = until.seeds_of(own.setting, setting.seeds)
    wide = overridden(setting, {"seeds": ",".join(map(str, order))})
    return Sequential(until, setting, own, planned(wide), order, store)


def check_names(names: Sequence[str], found: Mapping[str, Sequential]) -> None:
    """Raises InputError if a setting has no seeds to add."""
    for name in names:
        if name not in found:
            raise InputError(
                f"until=: setting {name} has no results of models that it trains, and "
                "so no seed to add; leave until= out"
            )


def _place(cell: Cell) -> tuple[str, str]:
    return cell.arm, cell.stage.name
