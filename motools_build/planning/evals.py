"""An eval as a plan asks for it: once a setting, whatever the number of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from motools_build.account import Account
from motools_build.keys import Digest, canonical
from motools_build.params import EvalParams, EvalTask, Scorer, Subject
from motools_build.specs import Dataset, Eval, ModelName
from motools_build.specs.eval import Block
from motools_build.stages import Kind, Stage, Staging


@dataclass(frozen=True)
class Sources:
    """What of the disk a spec stands for."""

    inputs: Mapping[str, Digest]
    """Role (`dataset`, `task`, `module:helpers`, `file:x.jsonl`) to digest."""
    files: tuple[str, ...]
    """Names of the files behind them: paths from the project's root, or of a file of
    `motools_build.evals`."""
    scoring: Sources | None = None
    """Of an eval whose scorer is apart: what the scorer stands for."""
    stages: tuple[Stage, ...] = ()
    """Of a derived dataset: what it is made by, each after those it depends on, named
    by the dataset alone."""
    sampled: Stage | None = None
    """Of a dataset that a teacher writes: the stage that asks it. Its key stands for
    the rows, which only a run knows."""

    @property
    def rows(self) -> tuple[str, str]:
        """Path and digest of a dataset's rows; both are empty, and filled in by a run,
        where a teacher writes them."""
        return ("", "") if self.sampled else (self.files[0], self.inputs["dataset"])


Resolve = Callable[[Dataset | Eval], Sources]

Payer = Callable[[str], Account]
"""Who pays a provider, by its name. Raises AccountError."""


def payer_of(account: Account | Payer | None) -> Payer:
    """One account pays for all; by default that of no name."""
    if account is None or isinstance(account, Account):
        one = account or Account()
        return lambda provider: one
    return account


def identity_of(model: ModelName, payer: Payer) -> str:
    """The backend in keys: a provider's also says which service."""
    return payer(model.backend).identity if model.facts.remote else model.backend


def paid_by(payer: Payer, model: ModelName) -> Account | None:
    """The account that pays for a model; None where it is of this machine."""
    return payer(model.backend) if model.facts.remote else None


@dataclass(frozen=True)
class Part:
    """What of an eval is one stage, whichever model it is of."""

    spec: dict[str, object]
    canonical_spec: bytes
    sources: Sources
    task: EvalTask
    judges: Mapping[str, Account] = field(default_factory=dict)
    """By role: who pays for a judge that is a provider's model."""
    block: str = ""
    """Of samples: which epochs, by name."""

    @classmethod
    def of(
        cls,
        spec: dict[str, object],
        sources: Sources,
        task: EvalTask,
        judges: Mapping[str, Account] | None = None,
        block: str = "",
    ) -> Part:
        return cls(spec, canonical(spec), sources, task, judges or {}, block)

    def of_base(self) -> Part:
        spec = {name: v for name, v in self.spec.items() if name != "checkpoint"}
        task = replace(self.task, checkpoint=None)
        return self.of(spec, self.sources, task, self.judges, self.block)


@dataclass(slots=True)  # not frozen: that takes longer, thousands of times
class Answers:
    """Where an eval's answers come from: a model; or samples of it, made before."""

    inputs: dict[str, str]
    subject: Subject
    account: Account | None = None
    """Who pays for the model; None where nobody need, or its answers are there."""
    upstream: tuple[Stage, ...] = ()
    setup: tuple[Stage, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedEval:
    """An eval, resolved: what all its stages have in common."""

    name: str
    backend: str
    tags: tuple[str, ...]
    checkpoint: int | None
    whole: Part
    """Its answers and scores; or, where the scorer is apart, the scores."""
    samples: tuple[Part, ...] = ()
    """Blocks of answers, where the scorer is apart."""

    @classmethod
    def of(cls, an_eval: Eval, sources: Sources, payer: Payer) -> PlannedEval:
        judges = {role: ModelName.parse(name) for role, name in an_eval.roles.items()}
        spec = an_eval.identity()
        overrides = an_eval.model_dump(
            mode="json", include=set(Eval.OVERRIDES), exclude_defaults=True
        )
        task = EvalTask(
            function=an_eval.function,
            eval_name=an_eval.name,
            file=an_eval.file,
            package=an_eval.package,
            data=an_eval.data,
            overrides=overrides,
            checkpoint=an_eval.checkpoint,
        )
        samples: tuple[Part, ...] = ()
        if an_eval.scorer is not None:
            assert sources.scoring is not None
            samples = tuple(
                _block(block, spec, sources, task) for block in an_eval.blocks()
            )
            spec, sources = an_eval.scoring_identity(), sources.scoring
            file, _, function = an_eval.scorer.partition("@")
            scorer = Scorer(file, function, an_eval.scorer_args, an_eval.reducer)
            task = replace(task, data=(), scorer=scorer)  # data is the task's own
        if judges:
            spec["roles"] = {
                role: f"{identity_of(judge, payer)}/{judge.model}"
                for role, judge in judges.items()
            }
        return cls(
            name=an_eval.name,
            backend=an_eval.backend,
            tags=an_eval.tags,
            checkpoint=an_eval.checkpoint,
            whole=Part.of(
                spec,
                sources,
                replace(task, roles={r: str(judge) for r, judge in judges.items()}),
                {
                    role: payer(judge.backend)
                    for role, judge in judges.items()
                    if judge.facts.remote
                },
            ),
            samples=samples,
        )

    def of_base(self) -> PlannedEval:
        """The same eval of a base model, which has no checkpoints."""
        return replace(
            self,
            checkpoint=None,
            whole=self.whole.of_base(),
            samples=tuple(part.of_base() for part in self.samples),
        )

    def staged(self, path: str, answers: Answers, staging: Staging) -> Stage:
        """The eval's stage for one model; where its scorer is apart, after those of the
        blocks of answers."""
        blocks = {
            part.block: self._stage(
                "samples", f"{path}/{part.block}", part, answers, staging
            )
            for part in self.samples
        }
        if blocks:
            answers = Answers(
                inputs={f"samples:{name}": block.key for name, block in blocks.items()},
                subject=answers.subject,
                upstream=tuple(blocks.values()),
                tags=answers.tags,
            )
        return self._stage("eval", path, self.whole, answers, staging)

    def _stage(
        self, kind: Kind, path: str, part: Part, answers: Answers, staging: Staging
    ) -> Stage:
        return staging.add(
            kind,
            self.backend,
            path,
            part.spec,
            part.canonical_spec,
            {**part.sources.inputs, **answers.inputs},
            EvalParams(part.task, answers.subject),
            answers.account,
            judges=part.judges,
            files=part.sources.files,
            upstream=answers.upstream,
            tags=(*answers.tags, *self.tags),
            # the dummy backend asks no model
            setup=answers.setup if self.backend == "inspect" else (),
        )


def _block(
    block: Block,
    spec: dict[str, object],
    sources: Sources,
    task: EvalTask,
) -> Part:
    """Answers to some epochs of a task, unscored."""
    of_all = {n: v for n, v in spec.items() if n not in ("epochs", "reducer")}
    epochs = {"epochs": block.epochs} if block.epochs else {}
    first = {"first_epoch": block.first} if block.first > 1 else {}
    each = {n: v for n, v in task.overrides.items() if n not in ("epochs", "reducer")}
    return Part.of(
        {**of_all, **epochs, **first},
        sources,
        replace(task, overrides={**each, **epochs}, first_epoch=block.first),
        block=block.name,
    )
