"""Estimates what an eval or a sampled dataset may cost at a provider: the cost of the
same work in an earlier run, or else an upper bound.

If the work has never run, the bound is samples x epochs x (prompt tokens + max_tokens)
at the model's price. A token has at least one byte, and prompts come from the files in
the key, so the bytes of these files bound the prompt tokens without a tokenizer. The
bound holds for tasks with one request per sample. For other tasks, the actual cost is
counted when they end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from motools_build.backends.prices import Prices
from motools_build.params import AskParams, Lesson
from motools_build.running.alike import Alike
from motools_build.running.budget import no_price
from motools_build.specs import ModelName
from motools_build.stages import Stage
from motools_build.task_code.shipped import place_of

AROUND = 100
"""Upper bound on a request's tokens beyond its texts: roles and separators."""


@dataclass(frozen=True)
class Size:
    """The size of a stage's requests; None for what is unknown before it runs."""

    samples: int | None
    """Upper bound on the number of samples."""
    epochs: int | None
    """Number of answers per sample."""
    max_tokens: int | None
    """Upper bound on the tokens of one answer."""
    once: int | None
    """Upper bound on the bytes of the prompts of all samples together."""
    each: int
    """Upper bound on the further bytes in every prompt: from the code, or a system
    prompt."""


@dataclass(frozen=True)
class Bound:
    """The estimated cost of a stage, or why it is unknown."""

    cost: float | None
    """USD; None if unknown."""
    why: str = ""
    """Why the cost is unknown; empty if it is known."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Account name -> USD, its part of the cost."""


def bound(stage: Stage, prices: Prices, alike: Alike) -> Bound:
    """The estimated cost of a stage that queries a provider's models."""
    subject = subject_of(stage)
    judges = [
        name.partition("/")[2]
        for name in AskParams.of(stage).task.roles.values()
        if ModelName.parse(name).facts.remote
    ]
    for model in (*([subject] if subject else ()), *judges):
        if prices.inference(model, 1, 1) is None:
            return Bound(None, no_price(model))
    used = alike.usage(stage)
    if used is not None:
        shares = _as_before(used, stage, subject, prices)
        return Bound(sum(shares.values()), shares=shares)
    found = _at_most(size_of(stage), subject, judges, prices)
    if found.cost is None or not subject:
        return found
    return replace(found, shares={_payer(stage): found.cost})


def shares_of(
    stage: Stage, usage: Mapping[str, tuple[int, int]], prices: Prices
) -> dict[str, float | None]:
    """Account name -> USD that it pays for the given token usage (model -> input and
    output tokens); None if a price is unknown."""
    costs: dict[str, float | None] = {account.name: 0.0 for account in stage.accounts}
    for model, tokens in usage.items():
        payer, cost = _payer(stage, model), prices.usage({model: tokens})
        so_far = costs[payer]
        costs[payer] = None if cost is None or so_far is None else so_far + cost
    return costs


def _payer(stage: Stage, model: str = "") -> str:
    """Name of the account that pays for a model, given by Inspect's name: the judge's
    account if it is a judge, else the stage's own account. If the model under test runs
    on this machine, the first judge's account stands for the stage's."""
    roles = AskParams.of(stage).task.roles
    for role, account in stage.judges.items():
        if roles[role] == model:
            return account.name
    return next((account.name for account in stage.accounts), "")


def subject_of(stage: Stage) -> str | None:
    """The provider's model under test, as the price table names it. None if the model
    runs on this machine, or if its answers are recorded already. A fine-tuned model is
    `ft:BASE`, since only its base is known before it is made."""
    name = ModelName.parse(AskParams.of(stage).subject.model)
    answered = any(used.kind == "samples" for used in stage.upstream)
    if answered or not name.facts.remote:
        return None
    tuned = any(used.kind == "model" for used in stage.upstream)
    return f"ft:{name.model}" if tuned else name.model


def size_of(stage: Stage) -> Size:
    """The size of a stage's requests, from its declaration and files."""
    task = AskParams.of(stage).task
    given = task.overrides
    epochs, max_tokens = given.get("epochs"), given.get("max_tokens")
    if isinstance(task, Lesson):
        path = Path(task.prompts_path)
        lines = path.read_bytes().splitlines() if path.exists() else []
        system = len((task.system or "").encode())
        return Size(len(lines), epochs or 1, max_tokens, sum(map(len, lines)), system)
    files = map(place_of, stage.files)
    sizes = {path: Path(path).stat().st_size for path in files}
    code = [path for path in sizes if path.endswith(".py")]
    if epochs is None and not any(b"epochs" in Path(p).read_bytes() for p in code):
        epochs = 1
    each = sum(sizes[path] for path in code)
    once = sum(sizes.values()) - each if sizes else None
    return Size(given.get("limit"), epochs, max_tokens, once, each)


def _as_before(
    used: dict[str, tuple[int, int]], stage: Stage, subject: str | None, prices: Prices
) -> dict[str, float]:
    """Account name -> USD for the token usage of an earlier run of the same work, at
    the prices of this stage's models."""
    shares = {account.name: 0.0 for account in stage.accounts}
    judges = set(AskParams.of(stage).task.roles.values())
    for model, (asked, told) in used.items():
        if model in judges:
            cost = prices.usage({model: (asked, told)})
        else:
            cost = prices.inference(subject, asked, told) if subject else 0.0
        payer = _payer(stage, model)
        shares[payer] = shares.get(payer, 0.0) + (cost or 0.0)
    return shares


def _at_most(
    size: Size, subject: str | None, judges: list[str], prices: Prices
) -> Bound:
    """The upper bound for work that has never run; unknown if it has judges."""
    if judges:
        why = f"its judge {judges[0]} may write answers of any length"
        return Bound(None, f"{why}, and it has never run")
    if size.samples is None:
        why = "how many samples it has is not known before it has run: write "
        return Bound(None, f"{why}Eval(..., limit=N)")
    if size.epochs is None:
        why = "its epochs are not known before it has run: write "
        return Bound(None, f"{why}Eval(..., epochs=N)")
    if size.max_tokens is None:
        why = "there is no max_tokens, so that answers may be of any length: write "
        return Bound(None, f"{why}Eval(..., max_tokens=N)")
    if size.once is None:
        return Bound(None, "its prompts are not known before it has run")
    read = size.epochs * (size.once + size.samples * (size.each + AROUND))
    written = size.epochs * size.samples * size.max_tokens
    return Bound(prices.inference(subject, read, written) if subject else 0.0)
