"""Mirroring curves and results to trackers."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from motools_build.doit_host.watching.trackers import Mlflow, Told
from motools_build.report.curves import curve
from tests.conftest import Project
from tests.test_messages import tool

QUIET = {"PYTHONWARNINGS": "ignore", "MLFLOW_ALLOW_FILE_STORE": "true"}


@pytest.fixture
def tiny(project: Project) -> Project:
    project.dataset("tiny")
    project.setting("tiny", seeds="[0, 1]")
    return project


def test_curves_of_either_form(tmp_path: Path) -> None:
    lines = tmp_path / "learning_curve.jsonl"
    lines.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": NaN, "a": "b"}\n')
    assert list(curve(lines)) == [(1, {"loss": 2.5}), (2, {})]
    table = tmp_path / "metrics.csv"
    table.write_text("step,train_loss,valid_loss\n1,2.5,\n2,1.5,3\n")
    assert list(curve(table)) == [
        (1, {"train_loss": 2.5}),
        (2, {"train_loss": 1.5, "valid_loss": 3.0}),
    ]


def test_what_is_refused_first(tiny: Project) -> None:
    tool(tiny, 'track = "nosuch"')
    ran = tiny.doit("run", "tiny", code=3)
    assert "trackers are wandb, mlflow, trackio" in ran.err


def test_a_tracker_that_fails_is_a_warning(tiny: Project) -> None:
    tool(tiny, 'track = "mlflow"')
    broken = "def MlflowClient():\n    raise OSError('gone')\n"
    tiny.write("broken/mlflow.py", broken)
    path = str(tiny.root / "broken")
    ran = tiny.doit("run", "tiny", PYTHONPATH=_path(path))
    assert "warning: mlflow was not told of 5 stages (OSError: gone)" in ran.out
    assert "7 made" in ran.out or "6 made" in ran.out


def _path(first: str) -> str:
    from tests.forking import client

    return f"{first}:{client.PYTHONPATH}"


@pytest.mark.trackers
@pytest.mark.real_process
def test_mlflow(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    tool(tiny, 'track = "mlflow"')
    where = {"MLFLOW_TRACKING_URI": f"file:{tiny.root}/mlruns", **QUIET}
    for _ in range(2):  # the second has nothing to do
        tiny.doit("run", "tiny", **where)
    tiny.doit("run", "-a", "tiny", **where)
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    client = mlflow.MlflowClient(where["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    by_seed = {run.data.params.get("seed"): run for run in runs}
    assert len(runs) == len(by_seed) == 3
    assert set(by_seed) == {"0", "1", None}
    run = by_seed["0"]
    assert run.data.params["model"] == "dummy/echo"
    told = Told(
        "tiny",
        run.data.params["key"],
        "n",
        {},
        [(1, {"loss": 2.0}), (2, {"loss": 1.0})],
    )
    Mlflow(mlflow).tell(told)
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 2.0), (2, 1.0)]
    (metric,) = [name for name in run.data.metrics if name.endswith("/score/mean")]
    assert len(client.get_metric_history(run.info.run_id, metric)) == 1


@pytest.mark.trackers
@pytest.mark.real_process
def test_trackio(tiny: Project) -> None:
    pytest.importorskip("trackio")
    tool(tiny, 'track = "trackio"')
    where = {"TRACKIO_DIR": str(tiny.root / "trackio"), **QUIET}
    for _ in range(2):
        tiny.doit("run", "tiny", **where)
    (file,) = (tiny.root / "trackio").glob("tiny*.db")
    with sqlite3.connect(file) as found:
        rows = found.execute("SELECT run_name, metrics FROM metrics").fetchall()
    named = [name for name, metrics in rows if "score" in str(json.loads(metrics))]
    assert len([name for name in named if "seed0" in name]) == 1
    assert len([name for name in named if "seed1" in name]) == 1
