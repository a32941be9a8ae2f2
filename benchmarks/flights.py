"""A thousand jobs in flight at once from one `doit run`, on the rehearsal server.

    python benchmarks/flights.py [JOBS=1000] [SECONDS=5]

Prints the run's wall and CPU time, its peak memory, and the requests that it sent. The
server answers 2 % of job creations with a rate-limit 429, which must fail no stage.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.conftest import furnish  # noqa: E402
from tests.rehearsal.server import KEY, Rehearsal  # noqa: E402

SETTING = """\
from motools_build import Dataset, Setting

setting = Setting(
    description="many seeds",
    datasets=[Dataset("datasets/rows.jsonl")],
    models=["openai/gpt-4.1-mini-2025-04-14"],
    seeds=[*range({jobs})],
    controls=False,
)
"""

LIMITED = "rate:on=POST /v1/fine_tuning/jobs:probability=0.02:value=1"

JOB = re.compile(r"/fine_tuning/jobs(/[^/]+)?$")
"""Matches the path of a request for the list of jobs or for one job's status."""


def main(jobs: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project(Path(folder), jobs)
        with Rehearsal().start("--seconds", str(seconds), "--fault", LIMITED) as server:
            measure(Path(folder), server, jobs)


def project(folder: Path, jobs: int) -> None:
    """Write a project with one setting of `jobs` seeds."""
    furnish(folder)
    (folder / "zoo/many.py").write_text(SETTING.format(jobs=jobs))
    row = {
        "messages": [
            {"role": "user", "content": "What is 1 + 1?"},
            {"role": "assistant", "content": "2"},
        ]
    }
    (folder / "datasets/rows.jsonl").write_text((json.dumps(row) + "\n") * 10)


def measure(folder: Path, server: Rehearsal, jobs: int) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": KEY,
        "MOTOOLS_SETTLE_SECONDS": "2",
    }
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "doit", "run", "many"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
    )
    wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = ran.stdout.splitlines()
    summary = next((line for line in said if " made" in line and "." not in line), "?")
    told = server.requests()
    print(f"{jobs} jobs: exit code {ran.returncode}, {summary}")
    print(f"wall {wall:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s")
    print(f"peak memory {used.ru_maxrss / 1024:.0f} MB")
    print(f"created {len(server.control('GET', 'state')['jobs'])} jobs; requests:")
    for what, count in sorted(told["counts"].items()):
        print(f"   {count:6} {what}")
    print(f"polls in the busiest second: {busiest(told['log'])}")
    if ran.returncode:
        print(ran.stdout[-2000:], ran.stderr[-2000:])
        sys.exit(1)


def busiest(log: list[dict[str, Any]]) -> int:
    """Number of list and status requests in the second that had the most."""
    polls = [r for r in log if r["method"] == "GET" and JOB.search(r["path"])]
    seconds = Counter(int(request["time"]) for request in polls)
    return max(seconds.values(), default=0)


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]]
    main(int(given[0]) if given else 1000, given[1] if len(given) > 1 else 5.0)
