"""Jobs: what is refused, how they end, how they are found again."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import openai
import pytest

from tests.rehearsal.server import BASE, JOBS, Rehearsal, pairs, rows


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": "gpt-0"}, "model_not_available", None),
        ({"training_file": "file-0"}, "invalid_training_file", "training_file"),
        ({"validation_file": "file-0"}, "invalid_validation_file", "validation_file"),
        ({"suffix": "x" * 65}, "string_above_max_length", "suffix"),
        ({"seed": "1"}, "invalid_type", "seed"),
        ({"seed": -1}, None, "seed"),
        (
            {"metadata": {str(n): "" for n in range(17)}},
            "object_above_max_properties",
            "metadata",
        ),
        (
            {"metadata": {"k" * 65: ""}},
            "string_above_max_length",
            f"metadata.{'k' * 64}",
        ),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "metadata.k"),
        ({"metadata": {"k": 1}}, "invalid_type", "metadata.k"),
        ({"method": {"type": "magic"}}, "invalid_value", "method.type"),
        (
            {"hyperparameters": {"beta": 1}},
            "unknown_parameter",
            "hyperparameters.beta",
        ),
        ({"hyperparameters": {"n_epochs": 51}}, None, "hyperparameters.n_epochs"),
        (
            {"hyperparameters": {"n_epochs": 1.5}},
            "invalid_type",
            "hyperparameters.n_epochs",
        ),
        ({"extra_body": {"speed": 1}}, "unknown_parameter", "speed"),
    ],
)
def test_a_wrong_order_is_refused(
    client: openai.OpenAI,
    file: str,
    fields: dict[str, object],
    code: str | None,
    param: str | None,
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(
            **{"model": BASE, "training_file": file, **fields}
        )
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id
    assert not list(client.fine_tuning.jobs.list())


def test_a_file_of_another_purpose_or_in_processing_is_refused(
    server: Rehearsal, client: openai.OpenAI
) -> None:
    other = client.files.create(file=("r.jsonl", rows()), purpose="user_data")
    server.settings(processing=1000)
    fresh = client.files.create(file=("r.jsonl", rows()), purpose="fine-tune")
    assert fresh.status == "uploaded"
    for name in (other.id, fresh.id):
        with pytest.raises(openai.BadRequestError) as caught:
            client.fine_tuning.jobs.create(model=BASE, training_file=name)
        assert caught.value.code == "invalid_training_file"
    server.settings(processing=0)
    assert client.files.retrieve(fresh.id).status == "processed"
    client.fine_tuning.jobs.create(model=BASE, training_file=fresh.id)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rows(9), "9 example"),
        (rows(10) + b"{", "Line 11 is not JSON"),
        (pairs(10), "Line 1: 'messages'"),
        (rows(10).replace(b"assistant", b"robot"), "roles"),
        (rows(10).replace(b"ANSWER", b"<|endoftext|>"), "special tokens"),
    ],
)
def test_a_bad_file_fails_in_validation(
    client: openai.OpenAI, data: bytes, text: str
) -> None:
    name = client.files.create(file=("r.jsonl", data), purpose="fine-tune").id
    job = client.fine_tuning.jobs.create(model=BASE, training_file=name)
    assert job.status == "validating_files"
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == "invalid_training_file"
    assert failed.error.param == "training_file"
    assert text in failed.error.message
    assert failed.fine_tuned_model is failed.trained_tokens is None
    events = list(client.fine_tuning.jobs.list_events(job.id))
    assert (events[0].level, events[0].message) == ("error", failed.error.message)


def test_the_phases_come_in_order(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.settings(seconds=0.5)
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file)
    seen = [job.status]
    until = time.monotonic() + 30
    while seen[-1] != "succeeded" and time.monotonic() < until:
        found = client.fine_tuning.jobs.retrieve(job.id)
        if found.status == "running":
            assert found.estimated_finish is not None
        if found.status != seen[-1]:
            seen.append(found.status)
    order = ["validating_files", "queued", "running", "succeeded"]
    assert seen == [status for status in order if status in seen]
    assert seen[-1] == "succeeded"


def test_a_job_is_cancelled_once(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.settings(seconds=1000)
    jobs = client.fine_tuning.jobs
    job = jobs.create(model=BASE, training_file=file)
    cancelled = jobs.cancel(job.id)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None
    with pytest.raises(openai.BadRequestError, match="already been cancelled"):
        jobs.cancel(job.id)
    server.settings(seconds=0)
    assert jobs.retrieve(job.id).status == "cancelled"
    done = jobs.create(model=BASE, training_file=file)
    with pytest.raises(openai.BadRequestError, match="already succeeded"):
        jobs.cancel(done.id)


def test_a_job_is_paused_and_resumed(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.settings(seconds=1000)
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file)
    # OpenAI's `paused` is none of the statuses that its client knows
    with server.client(
        project=client.project, _strict_response_validation=False
    ) as lenient:
        jobs = lenient.fine_tuning.jobs
        with pytest.raises(openai.BadRequestError, match="not paused"):
            jobs.resume(job.id)
        assert str(jobs.pause(job.id).status) == "paused"
        server.settings(seconds=0)
        assert str(jobs.retrieve(job.id).status) == "paused"
        assert jobs.resume(job.id).status in ("queued", "running", "succeeded")
        assert jobs.retrieve(job.id).status == "succeeded"
        assert jobs.retrieve(job.id).fine_tuned_model in {
            model.id for model in lenient.models.list()
        }


def test_jobs_are_found_by_page_and_by_metadata(
    client: openai.OpenAI, file: str
) -> None:
    jobs = client.fine_tuning.jobs
    made = [
        jobs.create(
            model=BASE,
            training_file=file,
            metadata={"key": str(n % 3), "empty": ""} if n else None,
        ).id
        for n in range(25)
    ]
    assert made == sorted(made)
    first = jobs.list()
    assert len(first.data) == 20
    assert first.has_more
    assert [job.id for job in jobs.list(limit=10)] == made[::-1]
    assert [job.id for job in jobs.list(limit=3, metadata={"key": "1"})] == (
        made[1::3][::-1]
    )
    assert len(list(jobs.list(metadata={"key": "2", "empty": ""}))) == 8
    assert not list(jobs.list(metadata={"key": "2", "empty": "x"}))
    untagged = jobs.list(extra_query={"metadata": "null"})
    assert [job.id for job in untagged] == made[:1]
    for wrong in ({"limit": 101}, {"limit": 0}, {"after": "ftjob-0"}):
        with pytest.raises(openai.BadRequestError):
            jobs.list(**wrong)  # type: ignore[arg-type]


def test_lists_lag_behind(server: Rehearsal, client: openai.OpenAI) -> None:
    server.settings(list_lag=1000)
    name = client.files.create(file=("r.jsonl", rows()), purpose="fine-tune").id
    job = client.fine_tuning.jobs.create(model=BASE, training_file=name).id
    made = client.fine_tuning.jobs.retrieve(job).fine_tuned_model
    assert made is not None
    assert client.files.retrieve(name).id == name
    assert client.models.retrieve(made).id == made

    def shown() -> list[bool]:
        return [
            name in {file.id for file in client.files.list()},
            job in {found.id for found in client.fine_tuning.jobs.list()},
            made in {model.id for model in client.models.list()},
        ]

    assert shown() == [False] * 3
    state = server.state()
    assert job in {found["id"] for found in state["jobs"]}
    assert name in {found["id"] for found in state["files"]}
    assert made in {found["id"] for found in state["models"]}
    server.settings(list_lag=0)
    assert shown() == [True] * 3


def test_a_deleted_model_is_gone(client: openai.OpenAI, file: str) -> None:
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file)
    name = client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model
    assert name is not None
    assert client.models.delete(name).deleted
    for call in (
        lambda: client.models.retrieve(name),
        lambda: client.models.delete(name),
        lambda: client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": "x"}]
        ),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.code == "model_not_found"
    assert name not in {model.id for model in client.models.list()}
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == name
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(BASE)


def test_a_thousand_jobs(server: Rehearsal, file: str, client: openai.OpenAI) -> None:
    server.settings(seconds=1000)
    headers = {"Authorization": "Bearer any", "OpenAI-Project": str(client.project)}

    async def create() -> set[str]:
        async with aiohttp.ClientSession(headers=headers) as session:

            async def one(number: int) -> str:
                order = {"model": BASE, "training_file": file, "seed": number}
                url = f"{server.url}/fine_tuning/jobs"
                async with session.post(url, json=order) as made:
                    return str((await made.json())["id"])

            return set(await asyncio.gather(*map(one, range(1000))))

    made = asyncio.run(create())
    assert len(made) == 1000
    assert {job.id for job in client.fine_tuning.jobs.list(limit=100)} == made
    counts = server.requests()["counts"]
    assert counts[f"POST {JOBS}"] == 1000
    assert counts[f"GET {JOBS}"] == 10
