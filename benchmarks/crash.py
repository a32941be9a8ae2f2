"""The long crash test: kill `doit run` at random while its provider loses responses.

    python benchmarks/crash.py [KILLS] [SEED]

Prints what the provider holds in the end. Exits with 1 if anything was paid for twice,
lost, or not reported to the user. A kill counts if it lands while a run is working.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.conftest import furnish  # noqa: E402
from tests.crash.harness import SERVER, Doit, storm  # noqa: E402
from tests.rehearsal.server import Rehearsal  # noqa: E402

SEEDS = 8


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Rehearsal().start(*SERVER) as server,
    ):
        client = Doit(furnish(Path(folder)), server, SEEDS)
        counts = storm(server, client, kills, seed=seed)
        faults = server.requests()["faults"]
    figures = {
        "kills in mid work": counts.kills,
        "other kills": counts.early_kills,
        "folders lost": counts.losses,
        "between intent and bind": counts.between_intent_and_bind,
        "answers lost after commit": faults.get("lost", 0),
        "500 after commit": faults.get("error", 0),
        "404s that pass": faults.get("job_gone", 0) + faults.get("file_gone", 0),
        "lists cut, endless or without has_more": sum(
            faults.get(name, 0) for name in ("cut", "endless", "no_has_more")
        ),
        "models wanted": client.wanted,
        "jobs created": counts.jobs,
        "jobs beyond one a key": counts.extra_jobs,
        "duplicate jobs": counts.duplicate_jobs,
        "files created": counts.files,
        "duplicate files": counts.duplicate_files,
        "lost": counts.lost,
        "untold": counts.untold,
        "runs that failed by themselves": len(counts.failed_runs),
        "seconds": round(time.monotonic() - began),
    }
    for name, figure in figures.items():
        print(f"{figure:6}  {name}")
    for out in counts.failed_runs:
        print(f"\nA run that failed by itself said:\n{out}")
    bad = counts.duplicate_jobs, counts.duplicate_files, counts.lost, counts.untold
    return int(any(bad))


if __name__ == "__main__":
    sys.exit(main())
