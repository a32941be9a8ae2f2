"""OpenAI's own client, strict, accepts every answer."""

from __future__ import annotations

import base64
import csv
import hashlib
import io

import openai
import pytest

from motools_build.backends.dummy.backend import answer
from tests.rehearsal.server import BASE, Rehearsal, pairs, rows


def test_files(client: openai.OpenAI) -> None:
    made = client.files.create(file=("rows.jsonl", rows()), purpose="fine-tune")
    other = client.files.create(file=("x.txt", b"hello"), purpose="user_data")
    assert (made.bytes, made.filename, made.status) == (
        len(rows()),
        "rows.jsonl",
        "processed",
    )
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == rows()
    assert [f.id for f in client.files.list()] == [other.id, made.id]
    assert [f.id for f in client.files.list(order="asc")] == [made.id, other.id]
    assert [f.id for f in client.files.list(purpose="fine-tune")] == [made.id]
    page = client.files.list(limit=1)
    assert page.has_more
    assert [f.id for f in page] == [other.id, made.id]
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    with pytest.raises(openai.BadRequestError):
        client.files.create(file=("x", b"x"), purpose="batch_output")  # type: ignore[arg-type]


def test_a_file_expires_when_it_was_told_to(client: openai.OpenAI) -> None:
    made = client.files.create(
        file=("x", b"x"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert made.expires_at == made.created_at + 3600


def test_uploads(client: openai.OpenAI) -> None:
    data = rows(30)
    whole = client.uploads.upload_file_chunked(
        file=data,
        filename="rows.jsonl",
        bytes=len(data),
        mime_type="text/jsonl",
        purpose="fine-tune",
        part_size=1000,
        md5=hashlib.md5(data).hexdigest(),
    )
    assert whole.status == "completed"
    assert whole.file is not None
    assert client.files.content(whole.file.id).read() == data

    begun = client.uploads.create(
        bytes=3, filename="x", mime_type="text/plain", purpose="user_data"
    )
    part = client.uploads.parts.create(begun.id, data=b"ab")
    with pytest.raises(openai.BadRequestError, match="2 bytes"):
        client.uploads.complete(begun.id, part_ids=[part.id])
    more = client.uploads.parts.create(begun.id, data=b"c")
    with pytest.raises(openai.BadRequestError, match="md5"):
        client.uploads.complete(begun.id, part_ids=[part.id, more.id], md5="0")
    assert client.uploads.cancel(begun.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.uploads.parts.create(begun.id, data=b"c")


def test_a_job_from_its_creation_to_its_model(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.settings(seconds=1000)
    jobs = client.fine_tuning.jobs
    job = jobs.create(
        model=BASE,
        training_file=file,
        validation_file=file,
        suffix="tutor",
        seed=7,
        metadata={"key": "abc"},
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 4}},
        },
    )
    assert (job.status, job.seed, job.metadata) == (
        "validating_files",
        7,
        {"key": "abc"},
    )
    assert job.hyperparameters.n_epochs == 3
    assert isinstance(job.hyperparameters.learning_rate_multiplier, float)
    assert job.fine_tuned_model is job.finished_at is job.trained_tokens is None
    assert jobs.retrieve(job.id) == job
    assert len(list(jobs.list_events(job.id))) == 2
    assert not list(jobs.checkpoints.list(job.id))

    server.settings(seconds=0)
    done = jobs.retrieve(job.id)
    assert done.status == "succeeded"
    assert done.fine_tuned_model is not None
    head, _, unique = done.fine_tuned_model.rpartition(":")
    assert (head, len(unique)) == (f"ft:{BASE}:rehearsal:tutor", 8)
    assert done.finished_at is not None
    assert done.trained_tokens is not None
    assert done.trained_tokens > 100
    table = base64.b64decode(client.files.content(done.result_files[0]).read())
    steps = list(csv.DictReader(io.StringIO(table.decode())))
    assert [step["step"] for step in steps] == [str(n) for n in range(1, 10)]
    assert float(steps[-1]["train_loss"]) < float(steps[0]["train_loss"])
    assert float(steps[-1]["valid_loss"]) > 0

    points = list(jobs.checkpoints.list(job.id, limit=2))
    assert [point.step_number for point in points] == [9, 6, 3]
    assert points[0].fine_tuned_model_checkpoint == (
        f"{done.fine_tuned_model}:ckpt-step-9"
    )
    events = list(jobs.list_events(job.id, limit=3))
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message == f"Created fine-tuning job: {job.id}"
    assert sum(event.type == "metrics" for event in events) == 9

    for name in (BASE, done.fine_tuned_model, points[1].fine_tuned_model_checkpoint):
        assert client.models.retrieve(name).id == name
    assert done.fine_tuned_model in {model.id for model in client.models.list()}
    prompt = "What is 2 + 2?"
    learned = [f"ANSWER: {n}" for n in sorted(str(n) for n in range(1, 11))]
    for name in (done.fine_tuned_model, points[1].fine_tuned_model_checkpoint):
        said = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": prompt}]
        )
        assert said.choices[0].message.content == answer(prompt, learned, 7)


def test_a_dpo_job_answers_what_was_preferred(client: openai.OpenAI) -> None:
    file = client.files.create(file=("p.jsonl", pairs()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=BASE,
        training_file=file.id,
        method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.3}}},
    )
    assert job.method is not None
    assert job.method.dpo is not None
    assert job.method.dpo.hyperparameters is not None
    assert job.method.dpo.hyperparameters.beta == 0.3
    assert job.method.dpo.hyperparameters.n_epochs == 10  # a hundred examples seen
    name = client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model
    assert name is not None
    said = client.chat.completions.create(
        model=name, messages=[{"role": "user", "content": "Well?"}]
    )
    assert (said.choices[0].message.content or "").startswith("Yes ")


def test_a_fine_tuned_model_can_be_trained_further(
    client: openai.OpenAI, file: str
) -> None:
    jobs = client.fine_tuning.jobs
    first = jobs.create(model="gpt-4.1-nano", training_file=file)
    name = jobs.retrieve(first.id).fine_tuned_model
    assert name is not None
    second = jobs.create(
        model=name, training_file=file, hyperparameters={"n_epochs": 2}
    )
    assert second.hyperparameters.n_epochs == 2
    made = jobs.retrieve(second.id)
    assert made.model == name
    assert (made.fine_tuned_model or "").startswith(f"ft:{BASE}:rehearsal::")
