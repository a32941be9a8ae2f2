"""A project whose models are fine-tuned at a rehearsal server."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import Project, Ran
from tests.rehearsal.server import BASE, JOBS, Rehearsal

KEY = "sk-rehearsal-never-to-be-seen"
MODEL = f"model:tutor/tutor/{BASE}/seed"
EVAL = f"eval:tutor/tutor/{BASE}/seed"
BASE_EVAL = f"eval:tutor/base/{BASE}/score"
UPLOAD = "upload:tutor/tutor/openai"
SETTLE = "0.3"

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def ask():
    samples = [Sample(input=f"What is 1 + {n}?", target="ANSWER") for n in range(2)]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


@dataclass
class Lab:
    """A project that trains at a rehearsal server, as an organization of its own."""

    project: Project
    server: Rehearsal
    organization: str
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environ = {
            "OPENAI_BASE_URL": self.server.url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_ORG_ID": self.organization,
            "MOTOOLS_SETTLE_SECONDS": SETTLE,
        }

    def setting(self, rows: int = 12, **replaced: str) -> None:
        """Write the setting `tutor`, by default with 12 rows and two seeds. Arguments
        replace its fields."""
        self.project.dataset("tutor", rows)
        usual = {"models": f'["openai/{BASE}"]', "seeds": "[0, 1]"}
        file = self.project.setting("tutor", **{**usual, **replaced})
        text = file.read_text().replace("import Dataset", "import OpenAI, Dataset")
        file.write_text(text)

    def tool(self, text: str) -> None:
        """Append a text to pyproject.toml: `[tool.motools_build.accounts.lab] ...`"""
        file = self.project.root / "pyproject.toml"
        file.write_text(f"{file.read_text()}\n{text}\n")

    def account(self, name: str = "lab", **fields: str | int) -> None:
        """Declare an account for this organization."""
        usual = {"base_url": self.server.url, "organization": self.organization}
        lines = [f"{f} = {json.dumps(v)}" for f, v in {**usual, **fields}.items()]
        self.tool("\n".join([f"[tool.motools_build.accounts.{name}]", *lines]))

    def doit(self, *args: str, code: int | None = 0, **environ: str) -> Ran:
        """Run a command to its end. Asserts that it prints no API key and no
        traceback."""
        ran = self.project.doit(*args, code=code, **{**self.environ, **environ})
        assert KEY not in ran.out + ran.err
        assert "Traceback" not in ran.out + ran.err, ran.out + ran.err
        return ran

    def run(self, *args: str, code: int = 0, **environ: str) -> Ran:
        return self.doit("run", "tutor", *args, code=code, **environ)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return self.project.start(*args, **self.environ)

    def plan(self, *args: str) -> dict[str, dict[str, Any]]:
        """Stage name -> its entry in `doit plan --json`."""
        out = self.doit("plan", "tutor", "--json", *args).out
        return {intent["stage"]: intent for intent in json.loads(out)}

    def statuses(self) -> dict[str, str]:
        """Stage name of each eval -> its status in `doit results --json`."""
        found = json.loads(self.doit("results", "tutor", "--json").out)["results"]
        return {result["stage"]: result["status"] for result in found}

    def failed(self) -> int:
        """Number of failed models and evals, by `doit status`. Asserts that its exit
        code is 1."""
        out = self.doit("status", "tutor", "--json", code=1).out
        count: int = json.loads(out)["settings"]["tutor"].get("failed", 0)
        return count

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, by `doit jobs --json`."""
        found: list[dict[str, Any]] = json.loads(self.doit("jobs", "--json").out)
        return found

    def there(self, what: str) -> list[dict[str, Any]]:
        """This organization's objects at the server: "files", "jobs" or "models"."""
        found = self.server.state()[what]
        return [one for one in found if one["organization"] == self.organization]

    def client(self) -> Any:
        return self.server.client(organization=self.organization)

    def created(self) -> int:
        """Number of job creations requested since the last count, including refused
        ones. Resets all counts."""
        asked: int = self.counts()[f"POST {JOBS}"]
        return asked

    def counts(self) -> Counter[str]:
        """Number of requests since the last count, by method and path. Resets the
        counts."""
        found = Counter(self.server.requests()["counts"])
        self.server.forget()
        return found

    def ledger(self) -> list[dict[str, Any]]:
        file = self.project.root / "artifacts/ledger.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]
