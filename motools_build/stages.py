"""A stage: a unit of work, named by the hash of what goes into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from motools_build.account import Account
from motools_build.keys import Key, stage_key
from motools_build.params import LessonParams, Params

Kind = Literal["base", "dataset", "upload", "model", "samples", "eval"]

KINDS: tuple[Kind, ...] = get_args(Kind)

ASKED: frozenset[Kind] = frozenset({"samples", "eval"})
"""Kinds that ask a model, by Inspect: of answers, and of scores."""

VERSIONS: dict[Kind, int] = {
    **{"base": 1, "dataset": 1, "upload": 1},
    **{"samples": 1, "eval": 1},
}
"""Raised when the same inputs begin to give another output; a model's version is its
backend's (`BackendFacts.version`)."""

ON_DEMAND: frozenset[Kind] = frozenset({"base", "dataset", "upload"})
"""Kinds that are made for others, where those must be made; no run is for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What is to be made; two stages with one key are the same work."""

    kind: Kind
    backend: str
    name: str
    """`kind:setting/dataset/model[/training]/seed0[/eval]`, for people."""
    key: Key
    preimage: Mapping[str, Any]
    """kind, version, backend, spec and inputs: exactly what the key is made of."""
    params: Params | None
    """What its work needs to know and the key leaves out: paths, names, defaults. None
    of a superseded stage, of which only its artifact's record tells."""
    account: Account | None = None
    """Who pays for the model that it trains or asks; None where that is no provider's,
    or its answers are there."""
    files: tuple[str, ...] = ()
    """Source files whose bytes are inputs."""
    upstream: tuple[Stage, ...] = ()
    """Stages whose output is an input, and may differ under the same key."""
    tags: tuple[str, ...] = ()
    """Of the dataset, its arms and the eval; for selection only."""
    setup: tuple[Stage, ...] = ()
    """Stages made on demand, only when this one must be made."""
    judges: Mapping[str, Account] = field(default_factory=dict)
    """By role: who pays for a judge that is a provider's model."""

    @property
    def folder(self) -> str:
        """The artifact's folder, relative to the artifacts folder."""
        return f"{self.kind}/{self.backend}-{self.key}"

    @property
    def at_provider(self) -> bool:
        """Whether a provider makes it, by an account; of an eval it only answers."""
        return self.account is not None and not self.asks

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All who pay for it, each once: for the model, and for its judges."""
        return payers(self.account, self.judges)

    @property
    def asks(self) -> bool:
        """Whether a model is asked, by Inspect: for scores, for answers, or for rows
        that another one learns from."""
        return self.kind in ASKED or isinstance(self.params, LessonParams)

    @property
    def sampled(self) -> Stage | None:
        """The stage that writes the rows which this one learns from or sends, where a
        model writes them: only a run knows their bytes."""
        return next((used for used in self.upstream if used.kind == "dataset"), None)

    @property
    def setting(self) -> str:
        """The setting that it was planned for."""
        return self.name.split(":", 1)[1].split("/", 1)[0]

    def __str__(self) -> str:
        return self.name


def payers(
    account: Account | None, judges: Mapping[str, Account]
) -> tuple[Account, ...]:
    """The accounts of a model and its judges, each once."""
    own = (account,) if account else ()
    return tuple({one.name: one for one in (*own, *judges.values())}.values())


def work_of(preimage: Mapping[str, Any]) -> str:
    """What work of the same size has in common: the same dataset and training but for
    the seed and replicate, or the same eval but for the model."""
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
    """A stage's key, and what it is made of."""
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
    """The stages of a plan, as they come, by name."""

    def __init__(self, place: str) -> None:
        self.place = place
        """Where their names begin."""
        self.stages: dict[str, Stage] = {}

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
        """A stage and its key; the one that is there, if it is the same (an upload that
        several models share). `canonical_spec` is `spec` as canonical JSON, which
        thousands of stages have in common."""
        version = VERSIONS[kind] if version is None else version
        key, preimage = keyed(kind, version, backend, spec, canonical_spec, inputs)
        name = self._name(kind, path, key)
        if name not in self.stages:
            self.stages[name] = Stage(
                kind, backend, name, key, preimage, params, account, **relations
            )
        return self.stages[name]

    def put(self, stage: Stage) -> Stage:
        """Take in a stage that is named by its path alone."""
        name = self._name(stage.kind, stage.name, stage.key)
        return self.stages.setdefault(name, replace(stage, name=name))

    def _name(self, kind: Kind, path: str, key: Key) -> str:
        """The stage's own; another one of that name is left what it is, and this one
        gets a number (two files may have one stem)."""
        name = wanted = f"{kind}:{self.place}/{path}"
        number = 1
        while name in self.stages and self.stages[name].key != key:
            number += 1
            name = f"{wanted}-{number}"
        return name
