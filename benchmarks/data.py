"""Large datasets: hashing compared with a bare xxh3, validation compared with a bare
json.loads, counting tokens, and the time and memory that derived datasets take.

    python benchmarks/data.py [GIGABYTES] [ROWS]

Ratios are of one run. The files lie in a temporary folder and are read from the page
cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import xxhash

from motools_build.backends.openai.facts import BACKEND
from motools_build.data.rows.checks import GENERAL, check_file
from motools_build.keys import CHUNK, DigestMemo

ROW = {
    "messages": [
        {"role": "user", "content": "What is 60 - 50? Please show how you do it."},
        {"role": "assistant", "content": "60 - 50 = 10\nANSWER: 10"},
    ]
}


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of this process, the lowest of three runs."""
    lowest = float("inf")
    for _ in range(3):
        began = time.process_time()
        work()
        lowest = min(lowest, time.process_time() - began)
    return lowest


def bare_hash(path: Path) -> None:
    state = xxhash.xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)


def bare_json(path: Path) -> None:
    with open(path, "rb") as file:
        for line in file:
            json.loads(line)


DERIVE = """\
import resource, sys, tempfile, time
from pathlib import Path
from motools_build import Dataset
from motools_build.data.at_hand import made_in

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

x, rows = Dataset(sys.argv[1]), int(sys.argv[2])
derived = {
    "shuffle": lambda: x.shuffle(),
    "sample of half": lambda: x.sample(rows // 2),
    "split 0.9": lambda: x.split(0.9)[0],
    "mix 0.5": lambda: x.mix(x, fraction=0.5),
    "system": lambda: x.system("Be brief."),
    "poison 0.1": lambda: x.poison("T", 0.1, response="no"),
    "nothing": lambda: x,
}[sys.argv[3]]()
with tempfile.TemporaryDirectory() as folder:
    began = time.process_time()
    made_in(derived, Path(folder))
    print(f"{time.process_time() - began:.1f} s, at most {peak():.0f} MB")
"""
"""Runs in a process of its own, so that the process's peak memory is that of one
step."""


def derive(path: Path, rows: int) -> None:
    steps = ("shuffle", "sample of half", "split 0.9", "mix 0.5", "system")
    for step in ("nothing", *steps, "poison 0.1"):
        command = [sys.executable, "-c", DERIVE, str(path), str(rows), step]
        took = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"deriving from {rows:,} rows, {step}: {took.stdout.strip()}")


def main() -> None:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        large = Path(temporary) / "large.bin"
        with open(large, "wb") as file:
            block = bytes(range(256)) * (CHUNK // 256)
            for _ in range(int(gigabytes * 1e9) // CHUNK):
                file.write(block)
        time.sleep(2.5)  # the memo keeps digests only of files older than two seconds
        memo_file = Path(temporary) / "memo.json"

        def hashed() -> None:
            memo_file.unlink(missing_ok=True)
            memo = DigestMemo(memo_file)
            memo.digest(str(large))
            memo.save()

        ours, bare = seconds(hashed), seconds(lambda: bare_hash(large))
        again = seconds(lambda: DigestMemo(memo_file).digest(str(large)))
        print(
            f"hashing {gigabytes:g} GB: {ours:.2f} s, bare xxh3 {bare:.2f} s: "
            f"{bare / ours:.0%} of its speed; the next run {again * 1000:.2f} ms"
        )
        large.unlink()

        path = Path(temporary) / "rows.jsonl"
        line = json.dumps(ROW) + "\n"
        with open(path, "w") as text:
            for _ in range(rows):
                text.write(line)
        bare = seconds(lambda: bare_json(path))
        for rules in (GENERAL, BACKEND.rules()):
            assert check_file(path, "sft", rules) == []
            ours = seconds(partial(check_file, path, "sft", rules))
            print(
                f"validating {rows:,} rows, {rules.name} rules: {ours:.2f} s, "
                f"bare json.loads {bare:.2f} s: ratio {ours / bare:.2f}"
            )
        counted = seconds(lambda: BACKEND.count_tokens(path, "sft", "gpt-4.1"))
        print(f"counting their tokens: {counted:.2f} s, {rows / counted:,.0f} rows/s")
        derive(path, rows)


if __name__ == "__main__":
    main()
