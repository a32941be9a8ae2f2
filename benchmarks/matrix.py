"""CPU time of commands on a large setting: 500 models with 4 evals each.

    python benchmarks/matrix.py

The setting has 10 datasets in 2 arms, a grid of 5 trainings, and 10 seeds, on the dummy
backend. `plan` is planning alone, in this process, without remembered digests; the
other figures are of whole commands. CPU seconds are user + system, the lowest of three.
Fails if `plan` or `doit plan` takes `MOST` seconds or longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from noop import ENVIRON, ROOT, ROW, cpu

from motools_build.keys import DigestMemo
from motools_build.planning.plan import plan
from motools_build.planning.sources import Resolver
from motools_build.project.zoo import Zoo

SETTING = """\
from motools_build import Arm, Dataset, Eval, Setting, Training

DATASETS = [Dataset(f"datasets/d{n}.jsonl", tags=[f"tag{n % 3}"]) for n in range(10)]

setting = Setting(
    description="a matrix of 500 models",
    arms=[Arm("control", datasets=DATASETS[:5]), Arm("odd", datasets=DATASETS[5:])],
    models=["dummy/echo"],
    training=Training.grid(epochs=[1, 2, 3, 4, 5]),
    seeds=range(10),
    evals=[Eval(f"dummy/score{n}") for n in range(4)],
)
"""
MOST = 2.0
"""CPU seconds that planning must stay below."""


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("zoo", "datasets", "artifacts"):
            (folder / name).mkdir()
        ours = (ROOT / "pyproject.toml").read_text()
        section = ours[ours.index("[tool.doit]") : ours.index("[tool.motools_build]")]
        (folder / "pyproject.toml").write_text(section)
        (folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
        (folder / "zoo/matrix.py").write_text(SETTING)
        for n in range(10):
            (folder / f"datasets/d{n}.jsonl").write_text(ROW % n)
        os.chdir(folder)
        planned = float("inf")
        for _ in range(3):
            began = time.process_time()
            setting = Zoo()["matrix"]
            found = plan("matrix", setting, Resolver(DigestMemo(Path("none.json"))))
            planned = min(planned, time.process_time() - began)
        models = sum(stage.kind == "model" for stage in found.stages)
        print(f"{models} models, {len(found.stages)} stages   (CPU seconds)")
        print(f"{'plan':>24} {planned:6.2f}")
        doit = [sys.executable, "-m", "doit"]
        commands = {
            "doit list": ["list"],
            "doit list --all": ["list", "--all", "matrix"],
            "doit plan": ["plan", "matrix"],
            "doit results": ["results", "matrix"],
        }
        spent = {name: cpu([*doit, *words], folder) for name, words in commands.items()}
        run = [*doit, "run", "matrix"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, env=ENVIRON)
        spent["doit results, all made"] = cpu([*doit, "results", "matrix"], folder)
        spent["doit run, nothing to do"] = cpu(run, folder)
        for name, seconds in spent.items():
            print(f"{name:>24} {seconds:6.2f}")
        os.chdir(ROOT)
    assert planned < MOST, (
        f"the plan took {planned:.2f} s; at most {MOST:g} are allowed"
    )
    assert spent["doit plan"] < MOST, "doit plan takes longer"


if __name__ == "__main__":
    main()
