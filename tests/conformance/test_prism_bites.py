"""The validating proxy finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.conformance.servers import Prism
from tests.conformance.upstream import Upstream, upstream

pytestmark = pytest.mark.node

JOB = {
    "id": "ftjob-1",
    "object": "fine_tuning.job",
    "created_at": 1,
    "error": None,
    "fine_tuned_model": None,
    "finished_at": None,
    "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 2},
    "method": {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": "auto"}},
    },
    "model": "gpt-4.1-mini-2025-04-14",
    "organization_id": "org-1",
    "result_files": [],
    "seed": 0,
    "status": "queued",
    "trained_tokens": None,
    "training_file": "file-1",
    "validation_file": None,
    "integrations": None,
    "estimated_finish": None,
    "metadata": None,
}
ERROR = {"message": "no", "type": "invalid_request_error", "param": None, "code": None}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 3,
    "created_at": 1,
    "filename": "a.jsonl",
    "purpose": "fine-tune",
    "status": "processed",
    "expires_at": None,
    "status_details": None,
}
EMPTY = {
    "object": "list",
    "data": [],
    "has_more": False,
    "first_id": None,
    "last_id": None,
}


@dataclass
class Rig:
    """An upstream that answers as told, a proxy before it, and a client of that."""

    upstream: Upstream
    prism: Prism
    client: openai.OpenAI

    def violations(
        self, call: Callable[[openai.OpenAI], object], answer: Any, status: int = 200
    ) -> str:
        """What the proxy finds in one call and its answer."""
        before = len(self.prism.violations())
        self.upstream.answer, self.upstream.status = answer, status
        if status == 200:
            call(self.client)
        else:
            with pytest.raises(openai.APIStatusError):
                call(self.client)
        return "\n".join(self.prism.violations()[before:])


@pytest.fixture(scope="module")
def rig(prism: Callable[[str], Prism]) -> Iterator[Rig]:
    with upstream() as orders:
        proxy = prism(orders.url)
        with openai.OpenAI(
            base_url=proxy.url, api_key="sk-test", max_retries=0
        ) as client:
            yield Rig(orders, proxy, client)


def retrieve(client: openai.OpenAI) -> object:
    return client.fine_tuning.jobs.retrieve("ftjob-1")


def without(whole: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key != name}


def test_true_answers_are_no_violation(rig: Rig) -> None:
    assert not rig.violations(retrieve, JOB)
    assert not rig.violations(retrieve, {"error": ERROR}, 404)
    assert not rig.violations(lambda client: client.files.retrieve("file-1"), FILE)
    assert not rig.violations(lambda client: client.files.list(), EMPTY)


def test_what_a_client_may_send_is_no_violation(rig: Rig) -> None:
    def nulls(client: openai.OpenAI) -> object:
        return client.fine_tuning.jobs.create(
            model="gpt-4.1-mini-2025-04-14",
            training_file="file-1",
            seed=None,
            suffix=None,
            validation_file=None,
        )

    assert not rig.violations(nulls, JOB)


@pytest.mark.parametrize("name", ["status", "seed", "fine_tuned_model", "object"])
def test_a_job_lacks_a_field(rig: Rig, name: str) -> None:
    found = rig.violations(retrieve, without(JOB, name))
    assert f"response.body Response body must have required property '{name}'" in found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "done"),
        ("created_at", "yesterday"),
        ("hyperparameters", {"n_epochs": 0}),
        ("hyperparameters", {"learning_rate_multiplier": 0}),
        ("result_files", None),
        ("metadata", {"n": 1}),
        ("error", "bad"),
    ],
)
def test_a_jobs_field_is_wrong(rig: Rig, name: str, value: object) -> None:
    found = rig.violations(retrieve, {**JOB, name: value})
    assert f"response.body.{name}" in found


def test_a_list_lacks_has_more(rig: Rig) -> None:
    answer = without(EMPTY, "has_more")
    found = rig.violations(lambda client: client.fine_tuning.jobs.list(), answer)
    assert "'has_more'" in found


def test_an_error_lacks_its_code(rig: Rig) -> None:
    found = rig.violations(retrieve, {"error": without(ERROR, "code")}, 404)
    assert "'code'" in found


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"suffix": "x" * 65}, "request.body.suffix"),
        ({"seed": -1}, "request.body.seed"),
        ({"metadata": {"k": 1}}, "request.body.metadata"),
        ({"method": {"type": "sft"}}, "request.body.method.type"),
        (
            {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 3}}}},
            "request.body.method.dpo.hyperparameters.beta",
        ),
    ],
)
def test_a_request_is_wrong(rig: Rig, given: dict[str, Any], named: str) -> None:
    def create(client: openai.OpenAI) -> object:
        return client.fine_tuning.jobs.create(
            model="gpt-4.1-mini-2025-04-14", training_file="file-1", **given
        )

    assert named in rig.violations(create, JOB)


def test_a_file_has_a_wrong_purpose(rig: Rig) -> None:
    def create(client: openai.OpenAI) -> object:
        return client.files.create(file=("a.jsonl", b"{}\n"), purpose="tune")  # type: ignore[arg-type]

    assert "request.body.purpose" in rig.violations(create, FILE)


def test_a_route_that_openai_does_not_have(rig: Rig) -> None:
    def ask(client: openai.OpenAI) -> object:
        return client.get("/fine_tuning/job/1", cast_to=object)

    assert "route not found" in rig.violations(ask, JOB)
