"""What a word of the command line means: one grammar, for every command.

    simple_math              a setting
    eval:simple_math/...     a stage
    'eval:*/arithmetic'      a pattern of names of stages
    tag:inoculated           what has the tag
    0a1b2c3d                 a key, by eight or more of its digits
    ftjob-...                a job, by the ID that its provider gave it

A key or a job may be of a stage as it was: superseded. What it was then is known from
the ledger, the run log and the artifacts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from motools_build.errors import MotoolsError, SelectionError
from motools_build.keys import Key
from motools_build.planning.plan import Plan
from motools_build.project.zoo import Zoo
from motools_build.stages import KINDS, Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from motools_build.text import hints
from motools_build.text.similar import known

STAGE_NAME = re.compile(rf"^(?:{'|'.join(KINDS)}):([^/]+)/")
TAG = "tag:"
KEY_PREFIX = re.compile(r"^[0-9a-f]{8,32}$")


def is_pattern(word: str) -> bool:
    """Whether it may fit many names."""
    return "*" in word


def key_of(word: str, store: ArtifactStore) -> str | None:
    """The key, or its beginning, that a word is or that its job is of."""
    if KEY_PREFIX.match(word):
        return word
    if ":" in word or is_pattern(word):
        return None
    for key in store.ledger:
        if any(entry.id == word for entry in store.ledger.of(key)):
            return key
    return None


def past(prefix: str, store: ArtifactStore) -> dict[str, str]:
    """Key -> the name of its last stage, of all keys with this beginning that a run
    ever stood for, that a provider was ever paid for, or that have an artifact."""
    found: dict[str, str] = {}
    for run in store.runs:
        for name, key in run["stages"].items():
            if key.startswith(prefix):
                found[key] = name
    for key in store.ledger:
        if key.startswith(prefix):
            found.setdefault(key, store.ledger.of(key)[-1].stage)
    for record in _records(prefix, store):
        found.setdefault(record.key, record.name)
    return found


def _records(prefix: str, store: ArtifactStore) -> list[Record]:
    return [record for kind in KINDS for record in store.records(kind, prefix)]


def stage_of(prefix: str, store: ArtifactStore) -> Stage | None:
    """A superseded stage, as its artifact tells of it; None if it has none."""
    records = _records(prefix, store)
    if len({record.key for record in records}) != 1:
        return None
    record = records[0]
    return Stage(
        kind=record.kind,  # type: ignore[arg-type]
        backend=record.backend,
        name=record.name,
        key=Key(record.key),
        preimage=record.preimage,
        params=None,
    )


def superseded(
    word: str, prefix: str, store: ArtifactStore, present: Callable[[str], Stage | None]
) -> str | None:
    """What to say of a key that no present stage has; None if it was never any's."""
    known = past(prefix, store)
    if not known:
        return None
    if len(known) > 1:
        return f"{word} is the beginning of several keys: {', '.join(sorted(known))}"
    ((key, name),) = known.items()
    of = f"{word} is of {name} as it was" + ("" if word in key else f", key {key}")
    now = present(name)
    if now is None:
        return f"{of}; no present setting has that stage (under these variables)"
    return f"{of}; it is superseded by {now.key} ({hints.command('why', name)})"


def fitting(word: str, names: Iterable[str]) -> list[str]:
    """The names that a name or a pattern fits."""
    return [name for name in names if fnmatchcase(name, word)]


class Selection:
    """Finds what words mean: in a zoo, in its plans, and among its artifacts.

    `plan` gives a setting's plan by its name, and raises InputError for a setting that
    cannot be planned. A setting is planned only if a word may mean a part of it.
    """

    def __init__(
        self, zoo: Zoo, store: ArtifactStore, plan: Callable[[str], Plan]
    ) -> None:
        self.zoo, self.store, self._plan = zoo, store, plan

    def settings_of(self, words: Iterable[str]) -> tuple[str, ...]:
        """The settings that command line words mean. A word of a user's own task
        means none; a pattern or a tag may mean any."""
        names: dict[str, None] = {}
        for word in words:
            stage = STAGE_NAME.match(word)
            if word in self.zoo.names:
                names[word] = None
            elif stage and stage[1] in self.zoo.names:
                names[stage[1]] = None
            elif is_pattern(word) or word.startswith(TAG):
                names.update(dict.fromkeys(self.zoo.names))
            elif key := key_of(word, self.store):
                names.update(dict.fromkeys(self._with_key(key)))
        return tuple(names)

    def _with_key(self, key: str) -> list[str]:
        """Settings with a stage whose key begins so; a broken one has none."""
        return [
            name
            for name in self.zoo.names
            if name not in self.broken([name])
            and any(s.key.startswith(key) for s in self._plan(name).stages)
        ]

    def broken(self, names: Iterable[str]) -> dict[str, MotoolsError]:
        """The settings that cannot be planned, and why: they hide nothing of others."""
        found: dict[str, MotoolsError] = {}
        for name in names:
            try:
                self._plan(name)
            except MotoolsError as error:
                found[name] = error
        return found

    def names_of(self, word: str, stages: Mapping[str, Stage]) -> list[str]:
        """The stages that `tag:NAME`, a key's beginning or a job's ID means; any other
        word is a name.

        Raises SelectionError if there are none, or if a beginning fits several keys.
        """
        if word.startswith(TAG):
            tag = word.removeprefix(TAG)
            tagged = [name for name, stage in stages.items() if tag in stage.tags]
            if not tagged:
                tags = {tag for stage in stages.values() for tag in stage.tags}
                raise SelectionError(
                    f"no dataset, arm or eval has the tag {tag!r}; " + known(tag, tags)
                )
            return tagged
        key = None if word in self.zoo.names else key_of(word, self.store)
        if key is None:
            return [word]
        found = [name for name, s in stages.items() if s.key.startswith(key)]
        if len({stages[name].key for name in found}) > 1:
            raise SelectionError(
                f"{word} is the beginning of several keys: {', '.join(sorted(found))}"
            )
        told = None if found else superseded(word, key, self.store, self._present)
        if told:
            raise SelectionError(told)
        return found[:1] or [word]

    def _present(self, name: str) -> Stage | None:
        """What is called so now, if anything is."""
        try:
            return self.chosen([name]).get(name)
        except MotoolsError:
            return None

    def chosen(
        self, words: Iterable[str], *, superseded: bool = False
    ) -> dict[str, Stage]:
        """Stages by name, of settings, stage names, patterns, tags, keys and jobs; with
        `superseded`, also of a key that no present stage has, if its artifact is there.
        Raises SelectionError for a word that means nothing."""
        chosen: dict[str, Stage] = {}
        for word in words:
            stages = {
                stage.name: stage
                for setting in self.settings_of([word])
                for stage in self._plan(setting).stages
            }
            if word in self.zoo.names:
                chosen.update(stages)
                continue
            key = key_of(word, self.store) if superseded and not stages else None
            was = stage_of(key, self.store) if key else None
            if was:
                chosen[was.name] = was
                continue
            found = [
                name
                for wanted in self.names_of(word, stages)
                for name in fitting(wanted, stages)
            ]
            if not found:
                there = stages if ":" in word and stages else self.zoo.names
                raise SelectionError(
                    f"no setting or stage is called {word!r}; {known(word, there)}"
                )
            chosen.update((name, stages[name]) for name in found)
        return chosen

    def superseded_by(self, stage: Stage) -> str | None:
        """What to say of a stage that is none of the present ones; None of one that
        is."""
        if stage.params is not None:
            return None
        return superseded(stage.key, stage.key, self.store, self._present)
