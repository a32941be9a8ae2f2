"""Runs whose evals vLLM answers: its server is shared, and never left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.vllm.lab import BARE, Lab, gone


def test_a_killed_run_leaves_no_server_and_the_next_goes_on(lab: Lab) -> None:
    lab.configure('serve = "vllm"')
    run = lab.project.start("run", "bare", **lab.environ, VLLM_FAULT="slow")
    (started,) = lab.wait_for("started")
    lab.wait_for("asked")
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert gone([started["pid"]])
    lab.doit("run", "bare")
    assert lab.statuses("bare") == ["ok"]


@pytest.mark.long
def test_a_killed_guardian_leaves_no_server(lab: Lab) -> None:
    lab.configure('serve = "vllm"')
    run = lab.project.start("run", "bare", **lab.environ, VLLM_FAULT="slow")
    (started,) = lab.wait_for("started")
    status = Path(f"/proc/{started['pid']}/status").read_text()
    os.kill(int(status.split("PPid:")[1].split()[0]), signal.SIGKILL)
    assert gone([started["pid"]])
    run.communicate()
    lab.doit("run", "bare")
    assert lab.statuses("bare") == ["ok"]


@pytest.mark.long
def test_a_server_that_dies_is_told_with_its_log_and_the_next_run_goes_on(
    lab: Lab,
) -> None:
    lab.configure('serve = "vllm"')
    ran = lab.doit("run", "bare", code=None, VLLM_FAULT="die=3")
    assert ran.code in (1, 2)
    said = ran.out + ran.err
    assert "does not answer" in said
    assert "an illegal memory access was encountered" in said
    log = Path(said.split("its log is ")[1].split(",")[0])
    assert " serve " in log.read_text()
    lab.doit("run", "bare")
    assert lab.statuses("bare") == ["ok"]


def test_a_server_that_does_not_start_is_told_with_its_log(lab: Lab) -> None:
    lab.configure('serve = "vllm"')
    ran = lab.doit("run", "bare", code=None, VLLM_FAULT="start")
    assert ran.code in (1, 2)
    said = ran.out + ran.err
    assert "did not start: it ended with exit code 1; its log is" in said
    assert "no room for the KV cache" in said
    assert len(lab.journal("started")) == 1


def test_without_vllm_a_sentence_names_the_extra(lab: Lab) -> None:
    ran = lab.doit("run", "bare", "serve=vllm", code=None, PATH="/usr/bin:/bin")
    assert ran.code
    assert "pip install 'motools_build[vllm]'" in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.long
def test_two_runs_at_once_share_a_server_until_both_have_ended(lab: Lab) -> None:
    lab.configure('serve = "vllm"')
    lab.project.write("zoo/other.py", BARE % ', name="again", limit=3')
    runs = [
        lab.project.start("run", name, **lab.environ, VLLM_FAULT="slow")
        for name in ("bare", "other")
    ]
    told = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert len(lab.journal("asked")) == 7
    # the first may have ended before the second asked, on a busy machine
    started = lab.journal("started")
    assert len(started) <= 2
    assert gone([one["pid"] for one in started])


def test_a_wrong_serve_is_refused(lab: Lab) -> None:
    ran = lab.doit("plan", "bare", "serve=vlm", code=3)
    assert "serve=vlm: write serve=vllm or serve=torch" in ran.out + ran.err
    lab.configure('serve = "vlm"')
    ran = lab.doit("plan", "bare", code=3)
    assert "[tool.motools_build.local] serve" in ran.out + ran.err
