"""Accepting an earlier artifact as a stage's own, by a person's word: `doit accept`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from motools_build.errors import ArtifactError, InputError
from motools_build.keys import canonical, digest_bytes
from motools_build.project.equivalents import KINDS, Earlier, refusal
from motools_build.project.project import Project
from motools_build.project.reports import plannable
from motools_build.project.revoking import who
from motools_build.project.selection import TAG, is_pattern
from motools_build.report.equivalence import substituted
from motools_build.report.payments import payment
from motools_build.stages import Stage
from motools_build.store.accepted import BY_HAND, COSMETIC, Acceptance
from motools_build.store.runs import now
from motools_build.store.state import UNFINISHED
from motools_build.text import hints


@dataclass
class Act:
    """What `doit accept` did."""

    accepted: list[Acceptance] = field(default_factory=list)
    """In the order of the plan: what was named, and what goes along with it."""
    left: dict[str, str] = field(default_factory=dict)
    """Name of a stage -> why it was not accepted: one that a pattern or a setting
    meant, or one that would have gone along."""
    told: list[str] = field(default_factory=list)
    """What differs, where more than comments and formatting does."""


def accept(project: Project, words: Sequence[str], why: str, of: str = "") -> Act:
    """Write down that a person holds the stages that the words mean equivalent to
    earlier artifacts of theirs: those that differ least, and only if nothing but
    comments and formatting of code differs; or, for a single stage, the artifact whose
    key begins with `of`, whatever differs.

    Raises InputError, with nothing written, if a stage that was named cannot be
    accepted, or if none can; ArtifactError if a run is making one, or a job of it is
    under way.
    """
    if not any(letter.isalnum() for letter in why):
        raise InputError(
            "--why says in a few words why the earlier result still holds, for those "
            "who see it later: --why 'renamed a variable'"
        )
    with project.store.live.removing():  # what is accepted must not be removed now
        return _Proposal(project, words, why, of).act()


class _Proposal:
    """The acceptances that an act of a person comes to."""

    def __init__(
        self, project: Project, words: Sequence[str], why: str, of: str
    ) -> None:
        self._project, self._store, self._of = project, project.store, of
        self._earlier = Earlier(project)
        self._by = {"by": who(), "time": now(), "why": " ".join(why.split())}
        chosen = project.selection.chosen(words)
        self._named = {stage.key: stage for stage in chosen.values()}
        exact = [word for word in words if not _is_vague(word, project)]
        self._exact = {s.key for s in project.selection.chosen(exact).values()}
        if of and len(self._named) != 1:
            raise InputError("--of is the key of one stage's artifact: name one stage")
        standing = {one.key: one.of for one in self._store.accepted}
        self._accepted: dict[str, str] = standing
        """Key -> key of the artifact, of all that is or will be accepted."""
        self._found: dict[str, Acceptance] = {}
        self._act = Act()

    def act(self) -> Act:
        """Find what can be accepted, check it, and write it down."""
        for stage in self._stages:
            if stage.key in self._named:
                self._add_named(stage)
            else:
                self._add_along(stage)
        self._drop_what_stays_stale()
        if not self._found:
            raise InputError(_none(self._act.left))
        with ExitStack() as locks:
            self._take(locks)
            self._store.accepted.note([*self._found.values()])
        self._project.memo.save()
        self._act.accepted = [*self._found.values()]
        return self._act

    @cached_property
    def _stages(self) -> list[Stage]:
        """All stages of all settings that can be planned, each key once, dependencies
        first; those that were named under the names that the user gave."""
        names, _ = plannable(self._project, ())
        every: dict[str, Stage] = {}
        for name in names:
            for stage in self._project.plan(name).stages:
                every.setdefault(stage.key, self._named.get(stage.key, stage))
        return [*every.values()]

    # ---- one stage

    def _add_named(self, stage: Stage) -> None:
        try:
            if not self._is_wanted(stage):
                return
            if self._of or not self._add_along(stage):
                self._add_root(stage)
        except InputError as error:
            if stage.key in self._exact:
                raise
            self._act.left[stage.name] = str(error).splitlines()[0].rstrip(":")

    def _is_wanted(self, stage: Stage) -> bool:
        """Whether a named stage is one to look at: those of a setting or a pattern that
        are up to date or of another kind are passed over. Raises InputError."""
        is_exact = stage.key in self._exact
        if stage.kind not in KINDS:
            if is_exact:
                raise InputError(refusal(stage))
            return False
        reason = self._store.why_stale(stage)
        accepted = self._store.acceptance(stage)
        if reason is None or self._store.has_own(stage):
            if is_exact:
                raise InputError(_needless(stage, reason, accepted))
            return False
        return True

    def _add_root(self, stage: Stage) -> None:
        """Accept the stage as the artifact that differs least from it, or as the one
        that the user named. Raises InputError."""
        if self._of:
            found = self._earlier.named(stage, self._of, self._accepted)
        else:
            found = self._earlier.nearest(stage, self._accepted)
        is_cosmetic = found.is_cosmetic
        if not is_cosmetic:
            if not self._of:
                raise InputError(self._earlier.refusal(stage, found))
            self._act.told += self._earlier.said(stage, found)
        difference = COSMETIC if is_cosmetic else BY_HAND
        self._put(stage, found.record.key, difference, found.names)

    def _add_along(self, stage: Stage) -> bool:
        """Accept a stage whose key differs only because of what was accepted here, if
        it has no artifact under its own key, and had one before. Returns whether it
        did."""
        inputs: Mapping[str, str] = stage.preimage["inputs"]
        along = [key for key in inputs.values() if key in self._found]
        if not along or stage.kind in ("base", "upload") or self._store.has_own(stage):
            return False
        preimage = substituted(stage.preimage, self._accepted)
        key = str(digest_bytes(canonical(preimage)))
        before = self._store.accepted.of(key)  # itself accepted, before this edit
        record = self._store.by_key(
            stage.kind, stage.backend, before.of if before else key
        )
        if record is None:
            return False
        causes = [self._found[key] for key in along] + ([before] if before else [])
        by_hand = any(one.difference == BY_HAND for one in causes)
        differs = dict.fromkeys(what for one in causes for what in one.differs)
        root = causes[0].root or causes[0].stage
        difference = BY_HAND if by_hand else COSMETIC
        self._put(stage, record.key, difference, [*differs], along, root)
        return True

    def _put(
        self,
        stage: Stage,
        of: str,
        difference: str,
        differs: Sequence[str],
        along: Sequence[str] = (),
        root: str = "",
    ) -> None:
        self._accepted[stage.key] = of
        self._found[stage.key] = Acceptance(
            *(stage.name, stage.kind, stage.backend, stage.key, of),
            difference=difference,
            differs=tuple(differs),
            along=tuple(along),
            root=root,
            **self._by,
        )

    # ---- all of them

    def _drop_what_stays_stale(self) -> None:
        """Leave out what would be stale even so: another file that it read has changed,
        for instance. Raises InputError for a stage that was named."""
        stages = {str(stage.key): stage for stage in self._stages}
        with self._store.accepted.assumed(self._found.values()):
            for key, one in [*self._found.items()]:
                stage = stages[key]
                self._store.forget(stage)
                reason = self._store.why_stale(stage)
                gone = [k for k in one.along if k not in self._found]
                if reason is None and not gone:
                    continue
                reason = reason or "what it is made from was not accepted"
                if key in self._exact:
                    raise InputError(
                        f"{stage.name}: the artifact {one.of[:8]} is stale as well: "
                        f"{reason}"
                    )
                del self._found[key]
                self._act.left[stage.name] = reason
        for stage in stages.values():
            self._store.forget(stage)

    def _take(self, locks: ExitStack) -> None:
        """Hold the locks of all stages, so that no run makes them, and look again.
        Raises ArtifactError if one is made by now, is being made, or has a job."""
        for key, one in self._found.items():
            if not self._store.locks.take(key):
                raise ArtifactError(
                    f"{one.stage} is being made by a run; nothing was accepted: stop "
                    "the run first (Ctrl-C), or let it end"
                )
            locks.callback(self._store.locks.drop, key)
        for stage in self._stages:
            if stage.key not in self._found:
                continue
            if self._store.has_own(stage):
                raise ArtifactError(
                    f"{stage.name} was made just now; nothing was accepted"
                )
            paid = payment(stage, self._store)
            if paid and paid.phase in UNFINISHED:
                raise ArtifactError(
                    f"{stage.name} has a job of its own ({paid.id or 'a request'}), "
                    "which is paid for; nothing was accepted: "
                    f"{hints.command('run', stage.name)} takes its model up, or first: "
                    f"{hints.command('cancel', stage.name)}"
                )


def _is_vague(word: str, project: Project) -> bool:
    """Whether a word means all stages that it fits: a setting, a pattern or a tag."""
    return word in project.zoo.names or is_pattern(word) or word.startswith(TAG)


def _needless(stage: Stage, reason: str | None, accepted: Acceptance | None) -> str:
    if accepted:
        return f"{stage.name} is {accepted.note}; nothing was changed"
    if reason is None:
        return f"{stage.name} is up to date: there is nothing to accept"
    return (
        f"{stage.name} is stale, but not by its key, under which it has an artifact: "
        f"{reason}; only a run can tell whether that matters"
    )


def _none(left: Mapping[str, str]) -> str:
    """The message if nothing could be accepted."""
    if not left:
        return "nothing to accept: nothing that was named is stale"
    lines = [f"{name}: {why}" if name not in why else why for name, why in left.items()]
    first = hints.command("why", next(iter(left)))
    return "\n".join(["nothing was accepted", *lines, f"what differs: {first}"])
