"""The rehearsal server by OpenAI's own document and by its strict client, at once.

Every test's requests and answers go through the validating proxy; a violation in any
of them fails the test when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import openai
import pytest

from tests.conformance.servers import Prism
from tests.rehearsal.server import BASE, KEY, Rehearsal, pairs, rows

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def served() -> Iterator[Rehearsal]:
    with Rehearsal().start("--list-lag", "0", "--key", KEY) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(served: Rehearsal, prism: Callable[[str], Prism]) -> Prism:
    return prism(served.url)


@pytest.fixture
def server(served: Rehearsal) -> Rehearsal:
    """The server behind the proxy, whose jobs end at once."""
    served.faults([])
    served.settings(seconds=0)
    return served


@pytest.fixture
def client(
    server: Rehearsal, proxy: Prism, request: pytest.FixtureRequest
) -> Iterator[openai.OpenAI]:
    """The strict client before the proxy, in a project of its own."""
    before = len(proxy.violations())
    with server.client(base_url=proxy.url, project=request.node.name[:60]) as made:
        yield made
    assert not "\n".join(proxy.violations()[before:])


@pytest.fixture
def file(client: openai.OpenAI) -> str:
    """A training file's ID."""
    return client.files.create(file=("rows.jsonl", rows()), purpose="fine-tune").id


def test_files(client: openai.OpenAI) -> None:
    assert client.files.list(purpose="fine-tune").data == []
    data = rows() + '{"note": "naïve: 数"}\n'.encode()
    made = client.files.create(file=("rows.jsonl", data), purpose="fine-tune")
    lasting = client.files.create(
        file=("x.txt", b"x"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert lasting.expires_at == lasting.created_at + 3600
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == data
    page = client.files.list(limit=1, order="asc")
    assert [each.id for each in page] == [made.id, lasting.id]
    assert client.files.delete(made.id).deleted


def test_uploads(client: openai.OpenAI) -> None:
    data = rows(30)
    upload = client.uploads.create(
        bytes=len(data),
        filename="rows.jsonl",
        mime_type="application/jsonl",
        purpose="fine-tune",
    )
    half = len(data) // 2
    parts = [
        client.uploads.parts.create(upload.id, data=part).id
        for part in (data[:half], data[half:])
    ]
    whole = client.uploads.complete(upload.id, part_ids=parts)
    assert whole.file is not None
    assert client.files.content(whole.file.id).read() == data
    upload = client.uploads.create(
        bytes=3, filename="x", mime_type="text/plain", purpose="assistants"
    )
    assert client.uploads.cancel(upload.id).status == "cancelled"


def test_a_supervised_job(client: openai.OpenAI, server: Rehearsal, file: str) -> None:
    jobs = client.fine_tuning.jobs
    server.settings(seconds=1000)
    job = jobs.create(
        model=BASE,
        training_file=file,
        validation_file=file,
        suffix="tutor",
        seed=7,
        metadata={"key": "abc"},
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 3, "learning_rate_multiplier": "auto"}
            },
        },
    )
    other = jobs.create(model=BASE, training_file=file, metadata={"key": "xyz"})
    assert [each.id for each in jobs.list(metadata={"key": "abc"})] == [job.id]
    assert [each.id for each in jobs.list(limit=1)] == [other.id, job.id]
    assert jobs.retrieve(job.id) == job
    assert jobs.cancel(other.id).status == "cancelled"

    server.settings(seconds=0)
    done = jobs.retrieve(job.id)
    assert done.status == "succeeded"
    assert list(jobs.list_events(job.id, limit=3))
    points = list(jobs.checkpoints.list(job.id, limit=2))
    assert len(points) == 3
    assert client.files.retrieve(done.result_files[0]).purpose == "fine-tune-results"
    assert client.files.content(done.result_files[0]).read()

    model = done.fine_tuned_model
    assert model is not None
    assert model in {each.id for each in client.models.list()}
    assert client.models.retrieve(model).id == model
    assert client.models.retrieve(points[0].fine_tuned_model_checkpoint)
    assert client.models.delete(model).deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(model)


def test_a_dpo_job(client: openai.OpenAI) -> None:
    made = client.files.create(file=("p.jsonl", pairs()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=BASE,
        training_file=made.id,
        method={
            "type": "dpo",
            "dpo": {"hyperparameters": {"beta": 0.3, "n_epochs": "auto"}},
        },
    )
    assert client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_a_job_fails(client: openai.OpenAI) -> None:
    few = client.files.create(file=("few.jsonl", rows(2)), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE, training_file=few.id)
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == "invalid_training_file"
    assert list(client.fine_tuning.jobs.list_events(job.id))
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.cancel(job.id)


def test_a_paused_job(client: openai.OpenAI, server: Rehearsal, file: str) -> None:
    server.settings(seconds=1000)
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file)
    # The client's type of a job has no word for this state either.
    lenient = client.with_options(_extra_kwargs={"_strict_response_validation": False})
    assert lenient.fine_tuning.jobs.pause(job.id).status == "paused"
    assert client.fine_tuning.jobs.resume(job.id).id == job.id


def test_chat(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(
        model=BASE,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Say it."},
        ],
        n=2,
        stop=["."],
        temperature=0.5,
        seed=1,
    )
    assert len(plain.choices) == 2
    scored = client.chat.completions.create(
        model=BASE,
        messages=[{"role": "user", "content": "A number from 0 to 100, please."}],
        max_tokens=1,
        logprobs=True,
        top_logprobs=5,
    )
    logprobs = scored.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert len(logprobs.content[0].top_logprobs) == 5


def test_errors(
    client: openai.OpenAI, server: Rehearsal, proxy: Prism, file: str
) -> None:
    jobs = client.fine_tuning.jobs
    with (
        server.client(base_url=proxy.url, api_key="sk-wrong") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    with pytest.raises(openai.NotFoundError):
        jobs.retrieve("ftjob-none")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(
            model="none", messages=[{"role": "user", "content": "?"}]
        )
    with pytest.raises(openai.BadRequestError):
        jobs.create(model="none", training_file=file)
    with pytest.raises(openai.BadRequestError):
        jobs.create(model=BASE, training_file="file-none")
    for fault, error in (
        ("rate", openai.RateLimitError),
        ("daily", openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("forbidden", openai.PermissionDeniedError),
        ("error", openai.InternalServerError),
    ):
        server.faults([{"fault": fault}])
        with pytest.raises(error):
            jobs.create(model=BASE, training_file=file)
