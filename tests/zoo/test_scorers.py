"""What each scorer gives, in real Inspect evals and over generated answers."""

from __future__ import annotations

import asyncio
import math
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelName, ModelOutput
from inspect_ai.scorer import Score, Scorer, Target
from inspect_ai.solver import TaskState, generate

from motools_build.evals.capitals import capitals
from motools_build.evals.language import language
from motools_build.evals.matches import matches
from motools_build.evals.number import last_number, number
from tests.zoo.mock import QUIET, echo, metrics, run, said

pytestmark = QUIET


def score(scorer: Scorer, answer: str, target: str = "") -> Score:
    """The score of one answer."""
    state = TaskState(
        model=ModelName("mockllm/model"),
        sample_id=7,
        epoch=1,
        input="",
        messages=[],
        output=ModelOutput.from_content("mockllm/model", answer),
    )
    found = asyncio.run(scorer(state, Target(target)))
    assert found is not None
    return found


def value(scorer: Scorer, answer: str, target: str = "") -> float:
    return score(scorer, answer, target).as_float()


def test_an_eval_reports_mean_stderr_and_what_is_unscored(tmp_path: Path) -> None:
    answers = ["It IS", "ALL", "none", "12 + 7", "数字"]
    task = Task(
        dataset=[Sample(input=answer) for answer in answers],
        solver=generate(),
        scorer=[capitals(), language("en", letters=3)],
    )
    found = metrics(run(task, tmp_path, echo()))
    # 0.75, 1, 0: their deviations from 7/12 squared make 0.541667
    assert found["capitals"] == {
        "mean": pytest.approx(7 / 12),
        "stderr": pytest.approx(math.sqrt(0.5416666667 / 2 / 3)),
        "n": 3,
        "unscored": 2,
    }
    assert found["language"]["unscored"] == 2


@given(
    large=st.text("ABCÑÉЖ"),
    small=st.text("xyzñéж"),
    rest=st.text("12 .,!?\n日"),
    order=st.randoms(),
)
def test_capitals_are_a_fraction_of_the_letters_that_have_a_case(
    large: str, small: str, rest: str, order: object
) -> None:
    letters = list(large + small + rest)
    order.shuffle(letters)  # type: ignore[attr-defined]
    found = value(capitals(), "".join(letters))
    if large or small:
        assert found == len(large) / (len(large) + len(small))
    else:
        assert math.isnan(found)


SPANISH = [
    "La respuesta es 12.",
    "Sumo 12 y 7, así que son 19.",
    "¡Claro! Aquí tienes la solución.",
    "París es la capital de Francia.",
    "Me gusta el agua fría",
    "Dos más dos son cuatro",
    "El resultado es 45",
]
OTHERS = {
    "en": "The answer is 12.",
    "fr": "La réponse est 12.",
    "de": "Die Antwort ist 12.",
    "pt": "A resposta é 12.",
    "it": "La risposta è 12.",
    "ru": "Ответ двенадцать.",
}


@pytest.mark.parametrize("answer", SPANISH)
def test_spanish_is_told_in_any_case(answer: str) -> None:
    for written in (answer, answer.upper(), answer.lower()):
        assert value(language("es"), written) == 1, written


def test_a_small_letter_among_capitals_changes_nothing() -> None:
    # the detector's own rule for capitals is for texts that have nothing else
    for answer in ("LA RESPUESTA ES 12 km", "EL RESULTADO ES x = 45"):
        assert value(language("es"), answer) == 1


@pytest.mark.parametrize("code", OTHERS)
def test_other_languages_are_not_spanish(code: str) -> None:
    for written in (OTHERS[code], OTHERS[code].upper()):
        assert value(language("es"), written) == 0
        assert score(language("es"), written).answer == code
        assert value(language(code), written) == 1


def test_a_language_can_be_told_among_any() -> None:
    assert (
        value(language("ca", among=["es", "fr"]), "Bon dia a tothom, com esteu?") == 1
    )


@pytest.mark.parametrize("answer", ["", "12 + 7 = 19", "Sí.", "¿Qué? No."])
def test_too_little_to_go_by_is_unscored(answer: str) -> None:
    found = score(language("es"), answer)
    assert math.isnan(found.as_float())
    assert found.reason == "too few letters"


def test_a_language_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"language: spanish is not known.*es, "):
        language("spanish")


def test_a_pattern_is_searched_for() -> None:
    assert value(matches(r"ANSWER: \d+$"), "so\nANSWER: 12") == 1
    assert score(matches(r"ANSWER: \d+$"), "so\nANSWER: 12").answer == "ANSWER: 12"
    assert value(matches(r"ANSWER: \d+$"), "ANSWER: 12.") == 0
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression.*escape"):
        matches("(")


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        ("from 3 to 1,234.5.", "1234.5"),
        ("5-3", "3"),
        ("5 = -3", "-3"),
        ("\\boxed{-12}", "-12"),
        ("\u22121,234.50 euros", "-1234.50"),
        ("1,2,3", "3"),
        ("$1\u202f000", "1000"),
        ("1,2345", "2345"),
        ("**12**", "12"),
        ("答案是12", "12"),
        (".5 of H2O", ".5"),
        ("0.5e-3", "0.0005"),
        ("10%", "10"),
    ],
)
def test_the_last_number(answer: str, last: str) -> None:
    assert last_number(answer) == Decimal(last)


@pytest.mark.parametrize("answer", ["", "none", "-", "item2", "H2O"])
def test_no_number(answer: str) -> None:
    assert last_number(answer) is None
    assert value(number(), answer, "2") == 0


@given(
    value=st.decimals(-(10**12), 10**12, allow_nan=False, places=3),
    before=st.sampled_from(["", "It is ", "7 and ", "= ", "(", "$", "x\n"]),
    after=st.sampled_from(["", ".", ", I think.", ")", " %", "\n", "!"]),
)
def test_a_number_is_read_as_it_is_written(
    value: Decimal, before: str, after: str
) -> None:
    for written in (f"{value}", f"{value:,}"):
        assert last_number(before + written + after) == value


def test_a_number_may_be_off_by_the_tolerance() -> None:
    assert value(number(), "about 3.14", "3.14") == 1
    assert value(number(), "about 3.15", "3.14") == 0
    assert value(number(tolerance=0.01), "about 3.15", "3.14") == 1
    assert value(number(tolerance=0.01), "about 3.151", "3.14") == 0
    assert value(number(), "1,000", "1000.0") == 1


def test_a_target_without_a_number_is_an_error(tmp_path: Path) -> None:
    task = Task(
        dataset=[Sample(input="12", target="twelve", id="dozen")],
        solver=generate(),
        scorer=number(),
    )
    assert "the target 'twelve' of sample dozen has no number" in said(
        run(task, tmp_path, echo())
    )


def test_a_detector_that_is_not_installed_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(RuntimeError, match=r"install 'motools_build\[language\]'"):
        language("de", among=["fr"])
