"""The meaning of words on the command line: one grammar for all commands.

    simple_math              a setting
    eval:simple_math/...     a stage
    'eval:*/arithmetic'      a pattern of names of stages
    tag:inoculated           the stages with the tag
    0a1b2c3d                 a key, by eight or more of its digits
    ftjob-...                a job, by the ID that its provider gave it

A key or a job may belong to a superseded stage, which no present plan has. The ledger,
the run log and the artifacts tell which stage that was.
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
    """Whether the word is a pattern, which can match many names."""
    return "*" in word


def key_of(word: str, store: ArtifactStore) -> str | None:
    """The key of a word: the word itself if it is a key or the beginning of one, or the
    key of the job with this ID. None for any other word."""
    if KEY_PREFIX.match(word):
        return word
    if ":" in word or is_pattern(word):
        return None
    for key in store.ledger:
        if any(entry.id == word for entry in store.ledger.of(key)):
            return key
    return None


def past(prefix: str, store: ArtifactStore) -> dict[str, str]:
    """Key -> the name of its latest stage, for every key with this beginning that is in
    the run log or the ledger or has an artifact."""
    found: dict[str, str] = {}
    for run in store.runs.changes():
        for name, key in run.stages.items():
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
    """A superseded stage, rebuilt from its artifact's record (so without `params`).
    None if no artifact, or more than one key, begins with the prefix."""
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
    """A sentence about a key that no present stage has: whose it was, and what replaced
    it. None if no stage ever had it. `present` finds a present stage by name."""
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
    """The names that a word, a name or a pattern, matches."""
    return [name for name in names if fnmatchcase(name, word)]


class Selection:
    """Resolves words to settings and stages, by the zoo, its plans and the artifacts.

    `plan` returns a setting's plan by name, and raises InputError if the setting cannot
    be planned. A setting is planned only if a word may refer to one of its stages.
    """

    def __init__(
        self, zoo: Zoo, store: ArtifactStore, plan: Callable[[str], Plan]
    ) -> None:
        self.zoo, self.store, self._plan = zoo, store, plan

    def settings_of(self, words: Iterable[str]) -> tuple[str, ...]:
        """Names of the settings that the words may refer to. A pattern or a tag may
        refer to any setting; the name of a user's own task refers to none."""
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
        """Settings with a stage whose key begins with `key`; broken settings are left
        out."""
        return [
            name
            for name in self.zoo.names
            if name not in self.broken([name])
            and any(s.key.startswith(key) for s in self._plan(name).stages)
        ]

    def broken(self, names: Iterable[str]) -> dict[str, MotoolsError]:
        """Name -> error, of those settings that cannot be planned. The errors are
        returned rather than raised, so that the other settings can still be used."""
        found: dict[str, MotoolsError] = {}
        for name in names:
            try:
                self._plan(name)
            except MotoolsError as error:
                found[name] = error
        return found

    def names_of(self, word: str, stages: Mapping[str, Stage]) -> list[str]:
        """Names of the stages with a tag (`tag:NAME`), a key or a job's ID. Any other
        word is returned as it is, as a name.

        Raises SelectionError for a tag or a superseded key that none of the stages has,
        and for the beginning of several keys.
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
        """The present stage of that name; None if there is none."""
        try:
            return self.chosen([name]).get(name)
        except MotoolsError:
            return None

    def chosen(
        self, words: Iterable[str], *, superseded: bool = False
    ) -> dict[str, Stage]:
        """Name -> stage, for words that are settings, stage names, patterns, tags, keys
        or jobs. With `superseded`, a key that no present stage has is found, too, if it
        has an artifact. Raises SelectionError for a word that matches nothing."""
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
        """A sentence about a superseded stage and what replaced it; None for a stage of
        a present plan."""
        if stage.params is not None:
            return None
        return superseded(stage.key, stage.key, self.store, self._present)
