"""Stages: units of work, each identified by the hash of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from motools_build.account import Account
from motools_build.keys import Key, stage_key
from motools_build.params import LessonParams, Params

Kind = Literal["base", "dataset", "upload", "model", "samples", "eval"]

KINDS: tuple[Kind, ...] = get_args(Kind)

ASKED: frozenset[Kind] = frozenset({"samples", "eval"})
"""Kinds of evals: both query a model through Inspect, for answers or for scores."""

VERSIONS: dict[Kind, int] = {
    **{"base": 1, "dataset": 1, "upload": 1},
    **{"samples": 1, "eval": 1},
}
"""Version per kind, part of each key. Increment it when the same inputs give another
output. The version of a `model` is its backend's (`BackendFacts.version`)."""

ON_DEMAND: frozenset[Kind] = frozenset({"base", "dataset", "upload"})
"""Built only when another stage needs them; never a run's goal."""


RESUME = "resume"
"""The folder in a job's work folder in which a training keeps what it needs to go on
after its death. It stays when the job is tried again; the training removes it at its
end."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A unit of work that makes one artifact. Stages with equal keys are the same
    work."""

    kind: Kind
    backend: str
    name: str
    """The name that users see: `kind:setting/dataset/model[/training]/seed0[/eval]`."""
    key: Key
    preimage: Mapping[str, Any]
    """kind, version, backend, spec and inputs: exactly what the key is the hash of."""
    params: Params | None
    """Paths, names and defaults that executing the stage requires and the key leaves
    out. None for a superseded stage, which is known only by its artifact's record."""
    account: Account | None = None
    """The account that pays for the model that is trained or queried. None if no
    provider serves the model, or if its answers are recorded already."""
    files: tuple[str, ...] = ()
    """Names of source files whose bytes are inputs of the key."""
    upstream: tuple[Stage, ...] = ()
    """Stages whose output is an input, and may differ under the same key."""
    tags: tuple[str, ...] = ()
    """Tags of the dataset, its arms and the eval; used only to select stages."""
    setup: tuple[Stage, ...] = ()
    """Stages built on demand, only when this stage must be made."""
    judges: Mapping[str, Account] = field(default_factory=dict)
    """Role -> account that pays, for each judge that is a provider's model."""

    @property
    def folder(self) -> str:
        """The artifact's folder, relative to the artifacts folder."""
        return f"{self.kind}/{self.backend}-{self.key}"

    @property
    def uses(self) -> Iterator[str]:
        """The stage's key, and the keys and digests that it is made from."""
        yield self.key
        yield from self.preimage.get("inputs", {}).values()

    @property
    def at_provider(self) -> bool:
        """Whether a provider makes the artifact. False for evals and sampled datasets,
        where a provider only answers requests."""
        return self.account is not None and not self.asks

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts that pay for the stage's model and judges, without
        duplicates."""
        return payers(self.account, self.judges)

    @property
    def asks(self) -> bool:
        """Whether the stage queries a model through Inspect: for scores, for answers,
        or for the rows of a dataset."""
        return self.kind in ASKED or isinstance(self.params, LessonParams)

    @property
    def sampled(self) -> Stage | None:
        """The stage in which a teacher writes the rows that this stage uses, so that
        only a run knows their bytes. None if the rows are known while planning."""
        return next((used for used in self.upstream if used.kind == "dataset"), None)

    @property
    def setting(self) -> str:
        """The name of the setting that the stage was planned for."""
        return setting_of(self.name)

    def __str__(self) -> str:
        return self.name


def setting_of(name: str) -> str:
    """The setting of a stage's name: `model:simple_math/...` -> `simple_math`."""
    return name.partition(":")[2].partition("/")[0]


def payers(
    account: Account | None, judges: Mapping[str, Account]
) -> tuple[Account, ...]:
    """The accounts of a model and its judges, without duplicates."""
    own = (account,) if account else ()
    return tuple({one.name: one for one in (*own, *judges.values())}.values())


def with_needed(stages: Iterable[Stage]) -> list[Stage]:
    """The stages and all that they are made from, each name and key once."""
    found: dict[tuple[str, Key], Stage] = {}
    waiting = list(stages)
    while waiting:
        stage = waiting.pop()
        if (stage.name, stage.key) not in found:
            found[stage.name, stage.key] = stage
            waiting += (*stage.setup, *stage.upstream)
    return list(found.values())


def work_of(preimage: Mapping[str, Any]) -> str:
    """An identifier that stages of about the same size share: models of the same
    dataset and training, whatever the seed and replicate, or the same eval of different
    models. Used to estimate duration and cost from earlier runs."""
    draw = ("seed", "replicate") if preimage["kind"] == "model" else ()
    spec = {name: v for name, v in preimage["spec"].items() if name not in draw}
    inputs = {
        role: v
        for role, v in preimage["inputs"].items()
        if role != "model" and not role.startswith("samples:")
    }
    parts = (preimage["kind"], preimage["backend"], sorted(inputs.items()))
    return repr((*parts, sorted(spec.items(), key=str)))


def keyed(
    kind: Kind,
    version: int,
    backend: str,
    spec: Mapping[str, Any],
    canonical_spec: bytes,
    inputs: dict[str, str],
) -> tuple[Key, dict[str, Any]]:
    """A stage's key, and its preimage: the mapping that the key is the hash of."""
    key = stage_key(
        kind=kind, version=version, backend=backend, spec=canonical_spec, inputs=inputs
    )
    preimage = {
        "kind": kind,
        "version": version,
        "backend": backend,
        "spec": spec,
        "inputs": inputs,
    }
    return key, preimage


class Staging:
    """Collects the stages of a plan and gives each a unique name."""

    def __init__(self, place: str) -> None:
        self.place = place
        """The first part of all stage names: `setting`, or `setting/variant`."""
        self.stages: dict[str, Stage] = {}
        """Name -> stage, in the order in which they were added."""

    def add(
        self,
        kind: Kind,
        backend: str,
        path: str,
        spec: Mapping[str, Any],
        canonical_spec: bytes,
        inputs: dict[str, str],
        params: Params,
        account: Account | None = None,
        *,
        version: int | None = None,
        **relations: Any,
    ) -> Stage:
        """Add a stage and return it. If a stage with the same name and key exists (an
        upload that several models share), return that one. `canonical_spec` is `spec`
        as canonical JSON: the caller encodes it once for thousands of stages."""
        version = VERSIONS[kind] if version is None else version
        key, preimage = keyed(kind, version, backend, spec, canonical_spec, inputs)
        name = self._name(kind, path, key)
        if name not in self.stages:
            self.stages[name] = Stage(
                kind, backend, name, key, preimage, params, account, **relations
            )
        return self.stages[name]

    def put(self, stage: Stage) -> Stage:
        """Add a stage whose name is still only a path, and return it with its full
        name. If that stage was added before, return the earlier one."""
        name = self._name(stage.kind, stage.name, stage.key)
        return self.stages.setdefault(name, replace(stage, name=name))

    def _name(self, kind: Kind, path: str, key: Key) -> str:
        """The stage's full name. If a stage with another key has it already, a number
        is appended (two dataset files may have the same stem)."""
        name = wanted = f"{kind}:{self.place}/{path}"
        number = 1
        while name in self.stages and self.stages[name].key != key:
            number += 1
            name = f"{wanted}-{number}"
        return name
