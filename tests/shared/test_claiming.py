"""One payer among machines whose folders share nothing but a store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from motools_build.backends.job import Made
from motools_build.errors import Deferred, JobFailed, Refused
from motools_build.running import claiming as module
from motools_build.running import effects
from motools_build.running.claiming import Claiming
from motools_build.store.shared.address import Address
from motools_build.store.shared.claims import Claim, Claims, writer_of
from motools_build.store.shared.objects import Objects
from tests.test_pay_once import KEY, Death, Folder, Toy, a_job

pytestmark = pytest.mark.anyio

SETTLE = 0.2


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Machine(Folder):
    """A folder with a shared store."""

    team: Path = Path()

    def claims(self) -> Claims:
        return Claims(Objects(Address.parse(str(self.team))))

    async def run(self, toy: Toy, *, wait: bool = True, **options: object) -> Made:
        claims = Claiming(self.claims(), self.states, SETTLE, wait)
        return await super().run(
            toy, wait=wait, settle=SETTLE, claiming=claims, **options
        )

    def phases(self) -> list[str]:
        return [claim.phase for claim in self.claims().chain(KEY, 1)]


@pytest.fixture
def both(tmp_path: Path) -> tuple[Machine, Machine]:
    one, two = tmp_path / "one", tmp_path / "two"
    return Machine(one, team=tmp_path / "team"), Machine(two, team=tmp_path / "team")


def dies_at(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    def passing(passed: str) -> None:
        if passed == point:
            raise Death(point)

    monkeypatch.setattr(effects, "passing", passing)


async def test_who_comes_second_takes_up_the_job(both: tuple[Machine, Machine]) -> None:
    one, two = both
    toy = Toy(lag=3600)  # the provider's list never shows it: only the store does
    with pytest.raises(Deferred, match="submitted as job-0"):
        await one.run(toy, wait=False)
    assert one.phases() == ["claimed", "bound"]
    with pytest.raises(Deferred):
        await two.run(toy, wait=False)
    assert two.paid().id == "job-0"
    assert toy.submissions == 1


async def test_both_at_once_send_one_request(both: tuple[Machine, Machine]) -> None:
    toy = Toy(lag=SETTLE / 4)
    found = await asyncio.gather(*(machine.run(toy) for machine in both))
    assert {made.output for made in found} == {"model of job-0"}
    assert toy.submissions == 1


@pytest.mark.parametrize(
    ("point", "sent"),
    [("after claim", 1), ("after intent", 1), ("after the answer", 1)],
)
async def test_a_dead_holder_is_taken_over_after_a_look(
    both: tuple[Machine, Machine],
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    sent: int,
) -> None:
    one, two = both
    toy = Toy(lag=SETTLE / 4)
    dies_at(monkeypatch, point)
    with pytest.raises(Death):
        await one.run(toy)
    dies_at(monkeypatch, "nowhere")
    await two.run(toy)
    await one.run(toy)
    assert toy.submissions == len(toy.jobs) == 1


async def test_a_claim_without_an_id_is_waited_for(
    both: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = both
    toy = Toy()
    dies_at(monkeypatch, "after claim")
    with pytest.raises(Death):
        await one.run(toy)
    dies_at(monkeypatch, "nowhere")
    with pytest.raises(Deferred, match="told no job yet"):
        await two.run(toy, wait=False)
    before = asyncio.get_running_loop().time()
    await two.run(toy)
    assert asyncio.get_running_loop().time() - before >= 3 * SETTLE
    assert two.phases() == ["claimed", "claimed", "bound"]


async def test_a_refusal_frees_the_claim(both: tuple[Machine, Machine]) -> None:
    one, two = both
    toy = Toy(answers=[Refused("no such model")])
    with pytest.raises(Refused, match="no such model"):
        await one.run(toy)
    assert one.phases() == ["claimed", "released"]
    with pytest.raises(Deferred, match="submitted as job-0"):  # it waits for nobody
        await two.run(toy, wait=False)
    assert two.phases() == ["claimed", "released", "claimed", "bound"]


async def test_each_request_has_a_claim_of_its_own(
    both: tuple[Machine, Machine],
) -> None:
    one, _ = both
    toy = Toy(answers=["drop", "drop"])
    await one.run(toy)
    assert one.phases() == ["claimed", "claimed", "claimed", "bound"]


async def test_a_claim_that_took_too_long_is_not_used(
    both: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = both
    toy = Toy()
    real, slow = module.time.monotonic, [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: real() + slow[0])

    def passing(point: str) -> None:
        if point == "after intent" and not slow[0]:
            slow[0] = 2 * SETTLE  # the machine was asleep

    monkeypatch.setattr(effects, "passing", passing)
    await one.run(toy)
    assert toy.submissions == 1
    assert one.phases() == ["claimed", "released", "claimed", "bound"]


async def test_a_provider_that_shows_nothing_needs_a_person(
    both: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = both
    toy = Toy(found_by="untagged")
    dies_at(monkeypatch, "after claim")
    with pytest.raises(Death):
        await one.run(toy)
    dies_at(monkeypatch, "nowhere")
    for _ in range(2):
        with pytest.raises(JobFailed, match="doit adopt"):
            await two.run(toy)
    assert toy.submissions == 0


async def test_a_job_of_another_account_is_named(both: tuple[Machine, Machine]) -> None:
    _, two = both
    claim = Claim("bound", "n", "w", "lab7", "", "model:s", "theirs", id="job-9")
    assert two.claims().add(KEY, 1, 1, claim)
    with pytest.raises(Refused, match="belongs to account theirs"):
        await two.run(Toy())


async def test_an_upload_needs_no_claim(both: tuple[Machine, Machine]) -> None:
    one, _ = both
    await one.run(Toy(charges=False))
    assert one.phases() == []


def test_a_copy_of_a_folder_is_another_writer(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert writer_of(one) == writer_of(one) != writer_of(two)
    assert a_job().key == KEY
