"""A backend of another package: a shop that trains by appending to a file.

It is a provider like any other: it charges for jobs, lists them with what their buyer
wrote on them, and has accounts. Its models answer with a word of what they learned.
All that motools_build needs of it is in these three modules, and in one line of
registration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from motools_build.account import Account
from motools_build.specs.backends import BackendFacts
from motools_build.specs.training import Options


class Toy(Options):
    """Its own options."""

    loudness: int = Field(default=1, ge=1, le=11)
    echo: bool = False


@dataclass(frozen=True)
class ToyFacts(BackendFacts):
    """Its accounts name a folder instead of a server."""

    def identity(self, account: Account) -> str:
        return f"toy@{Path(str(account.own['shop'])).name}"

    def account_problem(self, account: Account) -> str | None:
        return None if account.own.get("shop") else "needs shop, the folder of its jobs"


BACKEND = ToyFacts(
    name="toy",
    effects="toy_effects:ToyBackend",
    version=3,
    options=Toy,
    remote=True,
    key_variable="TOY_KEY",
    account_fields={"shop": str},
)
