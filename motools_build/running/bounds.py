"""What asking a provider's models may cost: as the same work did, or else at most.

Before an eval has ever run, it is bounded by samples x epochs x (the prompt's tokens +
max_tokens), at the price of the model, and likewise for its judges. A token has a byte
or more, and a prompt is taken from the files that the key covers: so no tokenizer and
no run is needed. It holds for a task that asks once a sample; what others came to in
the end is counted when they end.
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
"""Tokens of a request beyond its texts: roles, separators."""


@dataclass(frozen=True)
class Size:
    """How much a stage asks, as far as that is known before it runs."""

    samples: int | None
    """At most."""
    epochs: int | None
    max_tokens: int | None
    """Of an answer."""
    once: int | None
    """Bytes of the prompts of all samples together."""
    each: int
    """Bytes that may be in every prompt besides: of the code, or a system prompt."""


@dataclass(frozen=True)
class Bound:
    """USD, or why nobody can say."""

    cost: float | None
    why: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of the cost, by the account that pays it."""


def bound(stage: Stage, prices: Prices, alike: Alike) -> Bound:
    """What asking the stage's models may cost."""
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
    """USD that each of the stage's accounts pays for what was asked; None where that is
    not known."""
    costs: dict[str, float | None] = {account.name: 0.0 for account in stage.accounts}
    for model, tokens in usage.items():
        payer, cost = _payer(stage, model), prices.usage({model: tokens})
        so_far = costs[payer]
        costs[payer] = None if cost is None or so_far is None else so_far + cost
    return costs


def _payer(stage: Stage, model: str = "") -> str:
    """The account that pays for a model, as Inspect names it: a judge's; or else that
    of the model under test, or where it is one of this machine, of the first judge."""
    roles = AskParams.of(stage).task.roles
    for role, account in stage.judges.items():
        if roles[role] == model:
            return account.name
    return next((account.name for account in stage.accounts), "")


def subject_of(stage: Stage) -> str | None:
    """The provider's model that is asked; None if it is one of this machine, or its
    answers are there. A fine-tune is priced by its base, which is all that is known of
    it before it is made."""
    name = ModelName.parse(AskParams.of(stage).subject.model)
    answered = any(used.kind == "samples" for used in stage.upstream)
    if answered or not name.facts.remote:
        return None
    tuned = any(used.kind == "model" for used in stage.upstream)
    return f"ft:{name.model}" if tuned else name.model


def size_of(stage: Stage) -> Size:
    """What the stage's declaration and files tell."""
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
    """The same work of another model read and wrote so much, at this model's price; by
    the account that pays it."""
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
