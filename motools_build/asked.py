"""An eval as a plan asks for it: once a setting, whatever the number of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from motools_build.accounts import Account
from motools_build.keys import Digest, canonical
from motools_build.specs import Dataset, Eval, ModelName


@dataclass(frozen=True)
class Sources:
    """What of the disk a spec stands for."""

    inputs: Mapping[str, Digest]
    """Role (`dataset`, `task`, `module:helpers`, `file:x.jsonl`) to digest."""
    files: tuple[str, ...]
    """The files behind them, relative to the project's root."""


Resolve = Callable[[Dataset | Eval], Sources]


def identity_of(model: ModelName, account: Account) -> str:
    """The backend in keys: a provider's also says which server."""
    return account.identity if model.facts.remote else model.backend


def paid_by(account: Account, *models: ModelName) -> dict[str, object]:
    """The param that says who pays, if one of the models is a provider's."""
    remote = any(model.facts.remote for model in models)
    return {"account": account.as_params()} if remote else {}


@dataclass(frozen=True)
class Asked:
    """An eval, resolved: what all its stages have in common."""

    name: str
    backend: str
    spec: dict[str, object]
    canonical_spec: bytes
    sources: Sources
    tags: tuple[str, ...]
    params: dict[str, object]
    checkpoint: int | None

    @classmethod
    def of(cls, an_eval: Eval, sources: Sources, account: Account) -> Asked:
        judges = {role: ModelName.parse(name) for role, name in an_eval.roles.items()}
        identity = an_eval.identity()
        if judges:
            identity["roles"] = {
                role: f"{identity_of(judge, account)}/{judge.model}"
                for role, judge in judges.items()
            }
        overrides = an_eval.model_dump(
            mode="json", include=set(Eval.OVERRIDES), exclude_none=True
        )
        return cls(
            name=an_eval.name,
            backend=an_eval.backend,
            spec=identity,
            canonical_spec=canonical(identity),
            sources=sources,
            tags=an_eval.tags,
            params={
                "file": an_eval.file,
                "function": an_eval.function,
                "eval": an_eval.name,
                "overrides": overrides,
                "roles": {role: str(judge) for role, judge in judges.items()},
                **paid_by(account, *judges.values()),
            },
            checkpoint=an_eval.checkpoint,
        )

    def of_base(self) -> Asked:
        """The same eval of a base model, which has no checkpoints."""
        spec = {name: v for name, v in self.spec.items() if name != "checkpoint"}
        return replace(self, spec=spec, canonical_spec=canonical(spec), checkpoint=None)
