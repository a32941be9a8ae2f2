"""The openai backend, by `doit` against the rehearsal server."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log

from tests.lab import EVAL, KEY, MODEL, TASK, Lab
from tests.rehearsal.server import BASE, pairs

PRICE = f"""
[tool.motools_build.prices]
"{BASE}" = {{training = 1.5}}
"""


def folder_of(lab: Lab, kind: str, key: str) -> Path:
    (found,) = (lab.project.root / "artifacts" / kind).glob(f"*-{key}")
    return found


class TestWholeLife:
    def test_nothing_is_paid_twice(self, lab: Lab) -> None:
        """Upload, two jobs, Inspect evals of a tuned model and of the base; a second
        run; a clean, and a third."""
        lab.tool(PRICE)
        lab.project.write("ask.py", TASK)
        lab.setting(evals='[Eval("ask.py@ask")]')
        words = f"eval:tutor/base/{BASE}/ask", f"{EVAL}0/ask", f"{MODEL}1"
        assert "5 made" in lab.doit("run", *words, OPENAI_LOG="info").out
        assert lab.counts()["POST /v1/fine_tuning/jobs"] == 2
        assert len(lab.there("files")) == 1 + 2  # and a curve for each job

        assert lab.doit("run", *words).made == set()
        assert lab.counts() == {}, "a run with nothing to do asks nobody"

        self.look_at_records(lab)
        self.look_at_answers(lab)
        self.look_for_the_key(lab)

        before = lab.project.records("model")
        lab.doit("clean", "tutor")
        assert lab.project.records("model") == {}
        assert lab.counts() == {}
        lab.doit("run", f"{MODEL}0", f"{MODEL}1")
        counts = lab.counts()
        assert counts["POST /v1/files"] == counts["POST /v1/fine_tuning/jobs"] == 0
        assert len(lab.there("jobs")) == 2
        after = lab.project.records("model")
        assert {n: r["output"] for n, r in after.items()} == {
            n: r["output"] for n, r in before.items()
        }
        assert all(record["details"]["adopted"] for record in after.values())

    def look_at_records(self, lab: Lab) -> None:
        jobs = {job["id"]: job for job in lab.there("jobs")}
        records = lab.project.records("model")
        assert set(records) == {f"{MODEL}0", f"{MODEL}1"}
        for record in records.values():
            details = record["details"]
            job = jobs.pop(details["job"])
            assert record["output"] == job["fine_tuned_model"]
            assert details["trained_tokens"] == job["trained_tokens"]
            assert details["cost"] == pytest.approx(job["trained_tokens"] * 1.5e-6)
            assert details["account"] == "default"
            assert not details["adopted"]
            assert job["seed"] == record["preimage"]["spec"]["seed"]
            assert job["metadata"]["motools_key"] == record["key"]
            folder = folder_of(lab, "model", record["key"])
            raw = json.loads((folder / "job.json").read_bytes())
            assert raw["id"] == details["job"]
            kept = json.loads((folder / "checkpoints.json").read_bytes())
            assert len(kept) == details["checkpoints"] == 3
            assert [c["step"] for c in kept] == sorted(c["step"] for c in kept)
            assert all(record["output"] in c["model"] for c in kept)
            with open(folder / "metrics.csv", newline="") as file:
                curve = list(csv.DictReader(file))
            assert len(curve) == kept[-1]["step"]
            assert 0 < float(curve[-1]["train_loss"]) < float(curve[0]["train_loss"])
        (upload,) = lab.project.records("upload").values()
        sizes = {file["id"]: file["bytes"] for file in lab.there("files")}
        data = (lab.project.root / "datasets/tutor.jsonl").read_bytes()
        assert sizes[upload["output"]] == upload["details"]["bytes"] == len(data)
        assert {job["state"] for job in lab.jobs()} == {"succeeded"}
        assert {job["cost"] for job in lab.jobs()} == {
            r["details"]["cost"] for r in records.values()
        }

    def look_at_answers(self, lab: Lab) -> None:
        """Each eval asked its own model, through Inspect's provider."""
        models = lab.project.records("model")
        asked = {
            f"eval:tutor/base/{BASE}/ask": BASE,
            f"{EVAL}0/ask": models[f"{MODEL}0"]["output"],
        }
        for name, record in lab.project.records("eval").items():
            folder = folder_of(lab, "eval", record["key"])
            log = read_eval_log(str(folder / record["details"]["log"]))
            assert log.eval.model == f"openai/{asked.pop(name)}"
            (score,) = record["details"]["scores"].values()
            # the base model repeats the question; a tuned one answers as its rows do
            assert score["accuracy"] == (0 if "/base/" in name else 1)
        assert not asked

    def look_for_the_key(self, lab: Lab) -> None:
        files = [p for p in lab.project.root.rglob("*") if p.is_file()]
        assert len(files) > 20
        for path in files:
            assert KEY.encode() not in path.read_bytes(), path


class TestWhatIsAsked:
    def test_all_options_reach_the_server(self, lab: Lab) -> None:
        for name, number in (("pairs", 12), ("held_out", 3)):
            lab.project.write(f"datasets/{name}.jsonl", pairs(number).decode())
        lab.setting(
            datasets='[Dataset("datasets/pairs.jsonl")]',
            seeds="[7]",
            training="Training(method='dpo', epochs=2, batch_size=4, openai=OpenAI("
            "beta=0.3, learning_rate_multiplier=0.5, suffix='mine', "
            "validation='datasets/held_out.jsonl'))",
        )
        lab.run()
        (job,) = lab.there("jobs")
        assert job["method"]["type"] == "dpo"
        assert job["method"]["dpo"]["hyperparameters"] == {
            "n_epochs": 2,
            "batch_size": 4,
            "learning_rate_multiplier": 0.5,
            "beta": 0.3,
        }
        assert job["user_provided_suffix"] == "mine"
        assert job["seed"] == 7
        sizes = {file["id"]: file["bytes"] for file in lab.there("files")}
        assert sizes[job["training_file"]] == len(pairs(12))
        assert sizes[job["validation_file"]] == len(pairs(3))
        (record,) = lab.project.records("model").values()
        folder = folder_of(lab, "model", record["key"])
        with open(folder / "metrics.csv", newline="") as curve:
            assert all(float(row["valid_loss"]) > 0 for row in csv.DictReader(curve))


class TestCheckpoints:
    def test_each_eval_asks_its_own(self, lab: Lab) -> None:
        evals = ", ".join(
            f'Eval("dummy/score", name="at{n}", checkpoint={n})'
            for n in (-1, -2, 2, 6, 9)
        )
        lab.project.write("ask.py", TASK)
        lab.setting(
            seeds="[0]",
            controls="False",
            evals=f'[Eval("dummy/score"), {evals}, Eval("ask.py@ask", checkpoint=-2)]',
        )
        ran = lab.run(code=2)
        evals_made = lab.project.records("eval")
        record = evals_made.pop(f"{EVAL}0/ask")
        folder = folder_of(lab, "eval", record["key"])
        log = read_eval_log(str(folder / record["details"]["log"]))
        (job,) = lab.there("jobs")
        model = job["fine_tuned_model"]
        assert log.samples
        # the server's own word for the model that it was asked for
        assert {sample.output.model for sample in log.samples} == {
            f"{model}:ckpt-step-4"
        }
        made = {name.rpartition("/")[2]: r["output"] for name, r in evals_made.items()}
        assert set(made) == {"score", "at-1", "at-2", "at2", "at6"}
        assert made["at-1"] == made["at6"]
        assert len(set(made.values())) == 4
        assert f"{model} has no checkpoint 9; it has the steps 2, 4, 6" in ran.out
