"""aimock does what the backend's test takes for granted, and no more.

What it does not do is tested too: once it does, that test can ask for more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest

from tests.conformance.servers import Aimock

pytestmark = pytest.mark.node

BASE = "gpt-4.1-mini-2025-04-14"
ROWS = "".join(
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": f"1 + {n}?"},
                {"role": "assistant", "content": f"ANSWER: {n + 1}, naïvely"},
            ]
        }
    )
    + "\n"
    for n in range(10)
).encode()


@pytest.fixture
def client(aimock: Aimock) -> Iterator[openai.OpenAI]:
    """The official client, which refuses an answer that is not as it says."""
    with openai.OpenAI(
        base_url=aimock.url,
        api_key="sk-test",
        max_retries=0,
        _strict_response_validation=True,
    ) as made:
        yield made


def test_from_a_file_to_a_chat(client: openai.OpenAI, aimock: Aimock) -> None:
    file = client.files.create(file=("tiny.jsonl", ROWS), purpose="fine-tune")
    assert (file.filename, file.bytes) == ("tiny.jsonl", len(ROWS))
    assert client.files.content(file.id).content == ROWS
    listed = client.files.list(purpose="fine-tune", limit=10, order="desc")
    assert [each.id for each in listed.data] == [file.id]

    job = client.fine_tuning.jobs.create(
        model=BASE,
        training_file=file.id,
        seed=3,
        suffix="tiny",
        metadata={"key": "k1"},
        method={"type": "supervised", "supervised": {"hyperparameters": {}}},
    )
    assert (job.status, job.seed, job.metadata) == (
        "validating_files",
        3,
        {"key": "k1"},
    )
    # Each look at a job moves it on; looks at the list do not.
    client.fine_tuning.jobs.list()
    seen = [client.fine_tuning.jobs.retrieve(job.id) for _ in range(3)]
    assert [each.status for each in seen] == ["queued", "running", "succeeded"]
    model = seen[-1].fine_tuned_model
    assert model is not None
    assert model.startswith(f"ft:{BASE}:aimock:tiny:")

    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "1 + 0?"}]
    )
    assert answer.choices[0].message.content == "ANSWER: 1"
    (sent,) = aimock.posted("fine-tuning", "/v1/fine_tuning/jobs")
    assert sent["training_file"] == file.id


def test_a_cancelled_job_stays_so(client: openai.OpenAI) -> None:
    job = client.fine_tuning.jobs.create(model=BASE, training_file="file-1")
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="already terminal"):
        client.fine_tuning.jobs.cancel(job.id)


def test_jobs_come_newest_first_in_pages(client: openai.OpenAI) -> None:
    made = [
        client.fine_tuning.jobs.create(model=BASE, training_file="file-1").id
        for _ in range(5)
    ]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)] == made[::-1]


def test_what_it_does_not_do(client: openai.OpenAI) -> None:
    # It takes a file that does not exist for a good one.
    job = client.fine_tuning.jobs.create(
        model=BASE, training_file="file-none", metadata={"key": "k1"}
    )
    # It does not filter by metadata.
    others = client.fine_tuning.jobs.list(metadata={"key": "k2"})
    assert [each.id for each in others.data] == [job.id]
    for _ in range(3):
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded"
    # It names a file of results that it does not have.
    with pytest.raises(openai.NotFoundError):
        client.files.content(job.result_files[0])
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.checkpoints.list(job.id)
    # It knows no single model, neither a base nor one of its own making.
    for name in (BASE, str(job.fine_tuned_model)):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(name)
    # Its errors have no code.
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve("file-none")
    assert caught.value.code is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("ratelimit", openai.RateLimitError),
        ("drop", openai.InternalServerError),
        ("disconnect", openai.APIConnectionError),
    ],
)
def test_its_faults_come_before_the_work(
    client: openai.OpenAI, fault: str, error: type[openai.OpenAIError]
) -> None:
    with pytest.raises(error):
        client.fine_tuning.jobs.create(
            model=BASE,
            training_file="file-1",
            extra_headers={f"x-aimock-chaos-{fault}": "1"},
        )
    assert client.fine_tuning.jobs.list().data == []
