"""What tokens cost: the user's own table, and nothing made up."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motools_build.backends.prices import Prices
from motools_build.errors import InputError

BASE = "gpt-4.1-mini-2025-04-14"
TUNED = f"ft:{BASE}:org:suffix:id"


def prices(toml: str) -> Prices:
    return Prices.read(tomllib.loads(toml))


def test_a_price_is_per_million_tokens() -> None:
    table = prices(f'"{BASE}" = {{training = 5.0, input = 0.8, output = 3.2}}')
    assert table.training(BASE, 2_000_000) == pytest.approx(10.0)
    assert table.inference(BASE, 1_000_000, 500_000) == pytest.approx(2.4)
    assert table.training(BASE, 0) == 0


def test_a_price_that_is_not_there_is_unknown_and_never_nought() -> None:
    table = prices(f'"{BASE}" = {{input = 0.8}}')
    assert table.training(BASE, 1) is None
    assert table.inference(BASE, 0, 0) is None
    assert table.training("gpt-4o-2024-08-06", 1) is None
    assert Prices().inference(BASE, 1, 1) is None


def test_a_fine_tuned_model_costs_what_its_base_does_unless_it_has_prices() -> None:
    base = f'"{BASE}" = {{training = 5, input = 1, output = 2}}\n'
    assert prices(base).inference(TUNED, 10**6, 10**6) == 3
    tuned = prices(base + f'"ft:{BASE}" = {{input = 10, output = 20}}')
    assert tuned.inference(TUNED, 10**6, 10**6) == 30
    assert tuned.inference(f"{TUNED}:ckpt-step-8", 10**6, 10**6) == 30
    assert tuned.inference(BASE, 10**6, 10**6) == 3
    assert tuned.training(TUNED, 10**6) == 5  # the entry has no such price


def test_prices_of_nought_are_prices() -> None:
    table = prices(f'"{BASE}" = {{training = 0, input = 0, output = 0}}')
    assert table.training(BASE, 9) == 0
    assert table.inference(BASE, 9, 9) == 0


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (5, "is a table of models, not 5"),
        ({BASE: 5.0}, f"{BASE!r} is 5.0: write a table"),
        ({BASE: {}}, f"{BASE!r} is {{}}: write a table"),
        ({BASE: {"trainin": 5}}, f"{BASE!r} has no 'trainin'; did you mean"),
        (tomllib.loads("gpt-4.1 = {input = 5}"), "'gpt-4' has a table '1': write"),
        ({BASE: {"input": "5"}}, f"{BASE!r}: input is '5': write USD"),
        ({BASE: {"input": True}}, f"{BASE!r}: input is True"),
        ({BASE: {"output": -1}}, f"{BASE!r}: output is -1"),
        ({BASE: {"output": float("nan")}}, f"{BASE!r}: output is nan"),
        ({BASE: {"output": float("inf")}}, f"{BASE!r}: output is inf"),
    ],
)
def test_what_is_no_price_is_named(section: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Prices.read(section)
    assert str(caught.value).startswith("pyproject.toml: [tool.motools_build.prices]")
    assert said in str(caught.value)


@given(st.floats(0, 1e6), st.integers(0, 10**12), st.integers(0, 10**12))
def test_costs_add_up(price: float, some: int, more: int) -> None:
    table = Prices.read({BASE: {"training": price}})
    one, two, both = (
        table.training(BASE, tokens) for tokens in (some, more, some + more)
    )
    assert one is not None
    assert two is not None
    assert both == pytest.approx(one + two)


def test_an_eval_costs_what_its_models_charge() -> None:
    """Models of this machine are free; one without a price makes the sum unknown."""
    prices = Prices.read({"gpt-4.1": {"input": 2.0, "output": 8.0}})
    used = {"motools/s/d/m/seed0": (10**9, 10**9), "openai/gpt-4.1": (10**6, 10**6)}
    assert prices.usage(used) == 10.0
    assert prices.usage({"motools/x": (1, 1)}) == 0.0
    assert prices.usage({**used, "openai/o9": (1, 1)}) is None
