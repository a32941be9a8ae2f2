"""Many stages that wait at the same time: wall time, CPU time and memory of one
`doit run`.

    python benchmarks/waits.py [CHAINS] [SECONDS]

Each chain is a model and an eval of it on the dummy backend; each of the two waits half
of the seconds.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = '{"messages": [{"role": "user", "content": "yes?"}, {"role": "assistant", '
ROW += '"content": "yes"}]}\n'

SETTING = """\
from motools_build import Dataset, Eval, Setting
setting = Setting(description="", datasets=[Dataset("d.jsonl")], models=["dummy/echo"],
                  seeds=range({chains}), controls=False, evals=[Eval("dummy/score")])
"""


def main() -> None:
    chains = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "zoo").mkdir()
        text = SETTING.replace("range({chains})", f"list(range({chains}))")
        (folder / "zoo/waits.py").write_text(text)
        (folder / "d.jsonl").write_text(ROW * 10)
        ours = (ROOT / "pyproject.toml").read_text()
        section = ours[ours.index("[tool.doit]") : ours.index("[tool.motools_build]")]
        (folder / "pyproject.toml").write_text(section)
        (folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "doit", "run", "waits"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "MOTOOLS_DUMMY_DELAY": str(seconds / 2),
            },
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{chains} chains of {seconds:g} s: {wall:.1f} s, {wall / seconds:.1f} x the "
        f"wait; CPU {used.ru_utime + used.ru_stime:.1f} s; "
        f"peak {used.ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
