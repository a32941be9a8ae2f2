"""The cut document is OpenAI's, whole where it is in use."""

from __future__ import annotations

import doctest
import json

from tests.conformance import openapi


def test_the_examples_are_true() -> None:
    failed, tried = doctest.testmod(openapi)
    assert tried
    assert not failed


def test_the_cut_document_is_complete() -> None:
    cut = openapi.document()
    paths = cut["paths"]
    for path in ("/files", "/models/{model}", "/chat/completions", "/uploads"):
        assert path in paths
    job = "/fine_tuning/jobs/{fine_tuning_job_id}"
    for below in ("", "/events", "/checkpoints", "/cancel", "/pause", "/resume"):
        assert job + below in paths
    assert not any(path.startswith(("/responses", "/audio")) for path in paths)
    schemas = cut["components"]["schemas"]
    assert set(openapi.refs(cut)) == set(schemas)


def test_no_word_of_version_30_is_left() -> None:
    text = json.dumps(openapi.document())
    assert '"openapi": "3.1' in text
    assert '"nullable": true' not in text
    assert '"exclusiveMinimum": true' not in text


def test_a_jobs_required_fields_are_openais() -> None:
    job = openapi.document()["components"]["schemas"]["FineTuningJob"]
    assert {"id", "status", "fine_tuned_model", "seed"} <= set(job["required"])
    assert "succeeded" in job["properties"]["status"]["enum"]
