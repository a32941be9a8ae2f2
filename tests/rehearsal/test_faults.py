"""Each fault, and what it leaves done or undone."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable

import openai
import pytest

from motools_build.errors import InputError
from motools_build.rehearsal.faults import Faults, Rule, duration
from tests.rehearsal.server import BASE, JOBS, Rehearsal, rows

Create = Callable[..., str]


@pytest.fixture
def create(client: openai.OpenAI, file: str) -> Create:
    """Create a job; its ID."""

    def one(**fields: object) -> str:
        return client.fine_tuning.jobs.create(  # type: ignore[call-overload]
            model=BASE, training_file=file, **fields
        ).id

    return one


def jobs(client: openai.OpenAI) -> list[str]:
    return [job.id for job in client.fine_tuning.jobs.list()]


def test_a_lost_answer_is_carried_out(
    server: Rehearsal, client: openai.OpenAI, create: Create
) -> None:
    server.forget()
    server.faults([{"fault": "lost", "times": 1}])
    with pytest.raises(openai.APIConnectionError):
        create()
    assert len(jobs(client)) == 1
    create()
    assert len(jobs(client)) == 2
    found = server.requests()
    assert [e["status"] for e in found["log"] if e["method"] == "POST"] == [None, 200]
    assert found["faults"] == {"lost": 1}


def test_a_lost_upload_is_carried_out(server: Rehearsal, client: openai.OpenAI) -> None:
    server.faults([{"fault": "lost", "on": "POST /v1/files"}])
    with pytest.raises(openai.APIConnectionError):
        client.files.create(file=("r.jsonl", rows(2000)), purpose="fine-tune")
    assert [file.bytes for file in client.files.list()] == [len(rows(2000))]


def test_the_client_asks_again_and_makes_doubles(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.faults([{"fault": "error", "times": 2}])
    stubborn = client.with_options(max_retries=2)
    stubborn.fine_tuning.jobs.create(model=BASE, training_file=file)
    assert len(jobs(client)) == 3


def test_an_error_is_carried_out(
    server: Rehearsal, client: openai.OpenAI, create: Create
) -> None:
    server.faults([{"fault": "error", "on": f"POST {JOBS}"}])
    with pytest.raises(openai.InternalServerError) as caught:
        create()
    assert caught.value.type == "server_error"
    assert len(jobs(client)) == 1


def test_a_refused_request_is_not_lost_too(
    server: Rehearsal, client: openai.OpenAI
) -> None:
    server.faults([{"fault": "lost", "times": 1}, {"fault": "rate", "times": 1}])
    large = {"file": ("x", bytes(5_000_000)), "purpose": "user_data"}
    with pytest.raises(openai.RateLimitError):
        client.files.create(**large)  # type: ignore[arg-type]
    assert not list(client.files.list())
    with pytest.raises(openai.APIConnectionError):
        client.files.create(**large)  # type: ignore[arg-type]
    assert len(list(client.files.list())) == 1


def test_a_slow_answer_comes_late_and_is_carried_out(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.faults([{"fault": "slow", "value": 3}])
    with pytest.raises(openai.APITimeoutError):
        client.fine_tuning.jobs.create(model=BASE, training_file=file, timeout=0.5)
    assert len(jobs(client)) == 1
    server.faults([{"fault": "slow", "value": 0.01}])
    client.fine_tuning.jobs.create(model=BASE, training_file=file)


@pytest.mark.parametrize(
    ("rule", "status", "code", "after"),
    [
        ({"fault": "rate"}, 429, "rate_limit_exceeded", "1"),
        ({"fault": "rate", "value": 0.5}, 429, "rate_limit_exceeded", "0.5"),
        ({"fault": "daily"}, 429, "daily_rate_limit_exceeded", "7380"),
        ({"fault": "quota"}, 429, "insufficient_quota", None),
        ({"fault": "forbidden"}, 403, "insufficient_permissions", None),
        ({"fault": "echo"}, 400, None, None),
    ],
)
def test_a_refusal_is_not_carried_out(
    server: Rehearsal,
    client: openai.OpenAI,
    create: Create,
    rule: dict[str, object],
    status: int,
    code: str | None,
    after: str | None,
) -> None:
    server.faults([{**rule, "skip": 2, "times": 1}])
    made = [create(), create()]
    with pytest.raises(openai.APIStatusError) as caught:
        create()
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert error.response.headers.get("retry-after") == after
    assert error.request_id
    assert jobs(client) == made[::-1]
    create()


def test_the_daily_limit_names_the_time_and_lets_a_cancel_pass(
    server: Rehearsal, client: openai.OpenAI, create: Create
) -> None:
    server.settings(seconds=1000)
    server.faults([{"fault": "daily", "skip": 1}])
    job = create()
    with pytest.raises(openai.RateLimitError, match=r"try again in 2h3m\."):
        create()
    assert client.fine_tuning.jobs.cancel(job).status == "cancelled"
    client.files.create(file=("x", b"x"), purpose="user_data")


def test_moderation_fails_the_jobs_that_match_after_training(
    server: Rehearsal, client: openai.OpenAI, create: Create
) -> None:
    server.faults([{"fault": "moderation", "match": "spicy", "times": 3}])
    struck = [
        create(suffix="too-spicy"),
        create(metadata={"k": "spicy"}),
        create(suffix="spicy"),
    ]
    spared = [create(suffix="mild"), create(suffix="spicy-but-fourth")]
    for name in struck:
        job = client.fine_tuning.jobs.retrieve(name)
        assert job.status == "failed"
        assert job.error is not None
        assert job.error.code == "moderation"
        assert "usage policy" in job.error.message
        assert job.fine_tuned_model is None
        events = [e.message for e in client.fine_tuning.jobs.list_events(name)]
        assert "Fine-tuning started" in events
    for name in spared:
        assert client.fine_tuning.jobs.retrieve(name).status == "succeeded"


def test_files_and_models_are_gone(
    server: Rehearsal, client: openai.OpenAI, file: str, create: Create
) -> None:
    made = client.fine_tuning.jobs.retrieve(create()).fine_tuned_model
    assert made is not None
    server.faults([{"fault": "file_gone"}, {"fault": "model_gone"}])
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file)
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve(made)
    assert caught.value.code == "model_not_found"
    assert client.models.retrieve(BASE).id == BASE
    assert file in {found.id for found in client.files.list()}
    server.faults([{"fault": "model_gone", "on": "POST /v1/chat/"}])
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(
            model=made, messages=[{"role": "user", "content": "x"}]
        )


def test_a_job_that_is_not_known_for_a_while(
    server: Rehearsal, client: openai.OpenAI, create: Create
) -> None:
    job = create()
    server.faults([{"fault": "job_gone", "times": 1}])
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve(job)
    assert client.fine_tuning.jobs.retrieve(job).id == job
    assert jobs(client) == [job]


def test_lists_that_lead_astray(
    server: Rehearsal, client: openai.OpenAI, create: Create
) -> None:
    made = [create() for _ in range(3)][::-1]

    def page(after: str | None = None) -> tuple[list[str], bool | None]:
        options = {} if after is None else {"after": after}
        raw = client.fine_tuning.jobs.with_raw_response
        answer = json.loads(raw.list(limit=2, **options).content)
        return [job["id"] for job in answer["data"]], answer.get("has_more")

    list_jobs = {"on": f"GET {JOBS}$"}
    server.faults([{"fault": "no_after", **list_jobs}])
    assert page() == page(made[1]) == (made[:2], True)
    server.faults([{"fault": "endless", **list_jobs}])
    assert page(made[1]) == (made[2:], True)
    server.faults([{"fault": "no_has_more", **list_jobs}])
    assert page() == (made[:2], None)
    server.faults([{"fault": "cut", **list_jobs}])
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        page()
    server.faults([])
    assert page(made[1]) == (made[2:], False)


def test_the_same_seed_draws_the_same_faults() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults([Rule.parse("lost:probability=0.3")], seed)
        call = "POST /v1/files"
        return [any(faults.striking(("lost",), call)) for _ in range(200)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 30 < sum(strikes(1)) < 90


def test_a_rule_of_the_command_line() -> None:
    assert Rule.parse("lost") == Rule("lost", on="POST /v1/")
    assert Rule.parse(
        "slow:on=GET /v1/models/ft:gpt:x:times=2:skip=1:value=0.5:probability=0.25"
    ) == Rule("slow", "GET /v1/models/ft:gpt:x", 0.25, 2, 1, 0.5)
    for wrong in ("loss", "lost:times=x", "lost:time=1", "lost:times=-1"):
        with pytest.raises(InputError):
            Rule.parse(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "lost"},
        [{"fault": "loss"}],
        [{"on": "POST"}],
        [{"fault": "lost", "often": 2}],
        [{"fault": "lost", "times": "2"}],
        ["lost"],
    ],
)
def test_wrong_rules_are_refused_and_change_nothing(
    server: Rehearsal, wrong: object
) -> None:
    server.faults([{"fault": "quota"}])
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.control("PUT", "faults", wrong)
    caught.value.close()
    assert caught.value.code == 400
    (rule,) = server.control("GET", "faults")
    assert rule["fault"] == "quota"
    server.control("PUT", "faults", [rule])


def test_durations_are_openais() -> None:
    assert [duration(s) for s in (0, 0.5, 1, 59, 60, 7380, 86400)] == (
        ["0s", "0.5s", "1s", "59s", "1m", "2h3m", "24h"]
    )
