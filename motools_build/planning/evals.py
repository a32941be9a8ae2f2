"""Evals in a plan: each is resolved once per setting and reused for all its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from motools_build.account import Account
from motools_build.keys import Digest, canonical
from motools_build.params import EvalParams, EvalTask, Scorer, Subject, Trainer
from motools_build.specs import Dataset, Eval, ModelName
from motools_build.specs.eval import Block
from motools_build.stages import Kind, Stage, Staging


@dataclass(frozen=True)
class Sources:
    """The files that a `Dataset` or `Eval` refers to, with their digests."""

    inputs: Mapping[str, Digest]
    """Role (`dataset`, `task`, `module:helpers`, `file:x.jsonl`) to digest."""
    files: tuple[str, ...]
    """Names of these files: paths from the project's root, or names under
    `motools_build/evals/` for files that come with this package."""
    scoring: Sources | None = None
    """The scorer's files, for an eval with a separate scorer; else None."""
    stages: tuple[Stage, ...] = ()
    """The stages that make a derived dataset, dependencies first. Their names are
    dataset names, without kind and setting. Empty for other specs."""
    sampled: Stage | None = None
    """The stage that asks the teacher, for a dataset that a teacher writes; else None.
    Its key replaces the digest of the rows, which are unknown until a run."""

    @property
    def rows(self) -> tuple[str, str]:
        """Path and digest of a dataset's rows. Both are empty for a dataset that a
        teacher writes; a run fills them in."""
        return ("", "") if self.sampled else (self.files[0], self.inputs["dataset"])


Resolve = Callable[[Dataset | Eval | ModelName | Trainer], Sources]
"""Function that finds the files and digests of a spec, of a model on this machine's
disk, or of a command that trains."""

OnDisk = Callable[[ModelName], Stage | None]
"""Function that plans the stage of a base model on this machine's disk; None for a
model that its name identifies."""

Payer = Callable[[str], Account]
"""Function from a provider's name to the account that pays. Raises AccountError."""


def payer_of(account: Account | Payer | None) -> Payer:
    """A function that returns the account for a provider. A single account pays for
    all providers; None means the default account."""
    if account is None or isinstance(account, Account):
        one = account or Account()
        return lambda provider: one
    return account


def identity_of(model: ModelName, payer: Payer) -> str:
    """The backend's identity in keys; for a provider, it includes the service."""
    return payer(model.backend).identity if model.facts.remote else model.backend


def paid_by(payer: Payer, model: ModelName) -> Account | None:
    """The account that pays for a model; None if the model runs on this machine."""
    return payer(model.backend) if model.facts.remote else None


@dataclass(frozen=True)
class Part:
    """The model-independent half of one stage of an eval: answers, scores or both."""

    spec: dict[str, object]
    canonical_spec: bytes
    sources: Sources
    task: EvalTask
    judges: Mapping[str, Account] = field(default_factory=dict)
    """Role -> account that pays, for each judge that is a provider's model."""
    block: str = ""
    """Name of the block of epochs (`1-100`) for `samples`; empty for `eval`."""

    @classmethod
    def of(
        cls,
        spec: dict[str, object],
        sources: Sources,
        task: EvalTask,
        judges: Mapping[str, Account] | None = None,
        block: str = "",
    ) -> Part:
        """A part, with the canonical JSON of its spec."""
        return cls(spec, canonical(spec), sources, task, judges or {}, block)

    def of_base(self) -> Part:
        """The same part without a checkpoint, since a base model has none."""
        spec = {name: v for name, v in self.spec.items() if name != "checkpoint"}
        task = replace(self.task, checkpoint=None)
        return self.of(spec, self.sources, task, self.judges, self.block)


@dataclass(slots=True)  # not frozen: slower to construct, and a plan makes thousands
class Answers:
    """Where an eval's answers come from: a model, or recorded `samples` artifacts."""

    inputs: dict[str, str]
    subject: Subject
    account: Account | None = None
    """The account that pays for the model; None if it is free, or if the answers come
    from recorded samples."""
    upstream: tuple[Stage, ...] = ()
    setup: tuple[Stage, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedEval:
    """A resolved eval: everything that its stages share, whatever their model."""

    name: str
    backend: str
    tags: tuple[str, ...]
    checkpoint: int | None
    whole: Part
    """The `eval` stage: answers and scores, or scores alone with a separate scorer."""
    samples: tuple[Part, ...] = ()
    """The `samples` stages, one per block of epochs; empty without a separate
    scorer."""
    bases: tuple[Stage, ...] = ()
    """The stages of the judges that lie on this machine's disk."""

    @classmethod
    def of(
        cls, an_eval: Eval, sources: Sources, payer: Payer, on_disk: OnDisk
    ) -> PlannedEval:
        """The planned eval. Raises InputError for a judge that is no model, and
        AccountError if a judge's account is missing."""
        judges = {r: ModelName.parse(name).base for r, name in an_eval.roles.items()}
        bases = {judge: on_disk(judge) for judge in judges.values()}
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
            task = replace(task, data=(), scorer=scorer)  # only the task reads `data`
        if judges:
            spec["roles"] = {
                role: f"{identity_of(judge, payer)}/{base.key if base else judge.model}"
                for role, judge in judges.items()
                for base in (bases[judge],)
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
            bases=tuple(base for base in bases.values() if base),
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
        """Add the eval's stages for one model, and return the `eval` stage. With a
        separate scorer, the `samples` stages of its blocks are added first."""
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
        if self.bases:
            answers = replace(answers, setup=(*answers.setup, *self.bases))
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
    """The `samples` stage of one block: unscored answers for a range of epochs."""
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
