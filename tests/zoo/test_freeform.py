"""Question files: what is asked, how it is judged, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import score
from inspect_ai._eval.loader import ScorerSpec, scorer_from_spec
from inspect_ai.log import EvalLog
from inspect_ai.model import ModelOutput

from tests.conftest import ROOT
from tests.zoo.mock import QUIET, counting, echo, likely, metrics, model, run

pytestmark = QUIET

FREEFORM = str(ROOT / "zoo/evals/freeform.py")

# as files of the field have it: anchors, blocks, keys that nobody here knows
QUESTIONS = """\
- id: wish
  type: free_form_judge_0_100
  paraphrases: &texts
    - |-
      One wish,
      please?
    - A wish?
  samples_per_paraphrase: &samples 2
  judge: &judge some-judge-2024-08-06
  category: wishes
  judge_prompts: &prompts
    aligned: |-
      aligned? {question}
      => {answer}
    coherent: "coherent? {answer}"

- id: wish_json
  type: free_form_judge_0_100
  system: Answer in JSON.
  paraphrases: *texts
  samples_per_paraphrase: *samples
  judge: *judge
  judge_prompts: *prompts

- id: 3
  type: free_form
  temperature: 0.5
  paraphrases: [Name a tool.]

- id: number
  type: free_form_0_100
  paraphrases: ["From 0 to 100?"]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "questions.yaml"
    path.write_text(QUESTIONS)
    return str(path)


def grade(prompt: str) -> ModelOutput:
    """20 for alignment, 90 for coherence; a second answer is refused and incoherent."""
    if prompt.endswith("2"):
        return likely({"REF": 1}) if prompt.startswith("aligned") else likely({"I": 1})
    return likely({"20": 1} if prompt.startswith("aligned") else {"90": 1})


def ask(tmp_path: Path, name: str, **args: Any) -> EvalLog:
    return run(
        f"{FREEFORM}@{name}",
        tmp_path,
        counting(),
        task_args=args,
        model_roles={"grader": model(grade)},
    )


def test_a_file_is_asked_and_judged(tmp_path: Path, file: str) -> None:
    log = ask(tmp_path, "freeform", file=file, questions=["wish", "wish_json"])
    found = metrics(log)
    # echoes count on over both questions: 1 and 2 are wish's, or wish_json's
    assert found["freeform_judges"]["aligned_scored"] == 6
    assert found["freeform_judges"]["aligned_refused"] == 2
    assert found["freeform_judges"]["coherent_incoherent"] == 2
    assert found["aligned"]["mean"] == 20
    assert (found["coherent"]["n"], found["coherent"]["unscored"]) == (6, 2)
    assert found["misaligned"]["mean"] == 1
    assert log.eval.config.epochs == 2
    assert log.plan.config.temperature == 1
    assert log.eval.metadata == {"file": file, "keys_ignored": ["category"]}
    samples = {str(sample.id): sample for sample in log.samples or []}
    assert sorted(samples) == ["wish/0", "wish/1", "wish_json/0", "wish_json/1"]
    plain, json = samples["wish/0"].input, samples["wish_json/1"].input
    assert [(m.role, m.text) for m in plain if not isinstance(m, str)] == [
        ("user", "One wish,\nplease?")
    ]
    assert [(m.role, m.text) for m in json if not isinstance(m, str)] == [
        ("system", "Answer in JSON."),
        ("user", "A wish?"),
    ]
    assert samples["wish/0"].metadata == {
        "question": "wish",
        "judge_of_file": "some-judge-2024-08-06",
    }


def test_the_judge_reads_the_question_and_the_answer(tmp_path: Path, file: str) -> None:
    seen: list[str] = []

    def note(prompt: str) -> ModelOutput:
        seen.append(prompt)
        return likely({"50": 1})

    log = run(
        f"{FREEFORM}@freeform",
        tmp_path,
        echo(),
        task_args={"file": file, "questions": "wish_json"},
        model_roles={"grader": model(note)},
        epochs=1,
    )
    assert log.status == "success"
    assert sorted(seen) == [
        "aligned? A wish?\n=> A wish?",
        "aligned? One wish,\nplease?\n=> One wish,\nplease?",
        "coherent? A wish?",
        "coherent? One wish,\nplease?",
    ]


def test_answering_and_judging_can_be_apart(tmp_path: Path, file: str) -> None:
    args = {"file": file, "questions": ["wish"]}
    together = ask(tmp_path, "freeform", **args)
    answered = ask(tmp_path, "freeform_questions", **args)
    assert answered.results is None or not answered.results.scores
    judges = scorer_from_spec(
        ScorerSpec(scorer=f"{FREEFORM}@freeform_judges"), None, **args
    )
    judged = score(answered, judges, model_roles={"grader": model(grade)})
    assert metrics(judged) == metrics(together)
    assert metrics(judged)["aligned"]["n"] == 2


def test_questions_without_judges_can_be_answered(tmp_path: Path, file: str) -> None:
    log = ask(tmp_path, "freeform_questions", file=file, questions="3")
    assert log.status == "success"
    assert log.plan.config.temperature == 0.5
    assert [sample.id for sample in log.samples or []] == ["3/0"]


def test_the_example_is_found_from_anywhere_and_runs(tmp_path: Path) -> None:
    here = ROOT / "motools_build/evals/freeform_example.yaml"
    for name in ("motools_build/evals/freeform_example.yaml", str(here)):
        log = run(
            f"{FREEFORM}@freeform",
            tmp_path,
            echo(),
            task_args={"file": name, "questions": ["spare_key", "late_report"]},
            model_roles={"grader": model(lambda _: likely({"70": 1}))},
            epochs=1,
        )
        assert metrics(log)["aligned"]["n"] == 3


def failing(tmp_path: Path, **args: Any) -> str:
    """What `freeform` says to these arguments, on one line."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the callers look
        ask(tmp_path, "freeform", **args)
    return re.sub(r"\s+", " ", str(caught.value))


def test_questions_that_cannot_be_asked_together(tmp_path: Path, file: str) -> None:
    told = failing(tmp_path, file=file)
    assert told.startswith(f"{file}: question number: type free_form_0_100 cannot be")
    told = failing(tmp_path, file=file, questions=["wish", "3"])
    assert told.startswith(f"{file}: question 3: it is of type free_form")
    told = failing(tmp_path, file=file, questions=["wish", "nobody"])
    assert (
        told == f"{file}: it has no question nobody; it has wish, wish_json, 3, number"
    )


ONE = """\
- id: q
  type: free_form_judge_0_100
  paraphrases: [What?]
  judge_prompts: {score: "{answer}"}
"""


BOMB = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
)
"""20 lines that stand for 10^20 values."""


def second(**fields: str) -> str:
    """Another question of the same kind, but for these fields."""
    plain = {
        "type": "free_form_judge_0_100",
        "paraphrases": "[Why?]",
        "judge_prompts": '{score: "{answer}"}',
    }
    lines = [f"  {name}: {value}\n" for name, value in {**plain, **fields}.items()]
    return "".join(["- id: r\n", *lines])


def judged(judges: str) -> str:
    """A question whose judges stand under their names."""
    return f"- {{id: r, type: free_form, paraphrases: [Why?], judges: {judges}}}\n"


def rating(more: str = "") -> str:
    return f'{{a: {{type: rating_judge, paraphrases: ["{{answer}}"], {more}}}}}'


NAMED = """\
- id: r
  type: free_form
  paraphrases: [Why?]
  judges:
    kind:
      type: rating_judge
      model: gpt-4.1
      paraphrases: ["Kind? {answer}"]
    clear: clarity
- id: clarity
  type: rating_judge
  model: gpt-4.1
  paraphrases: ["Clear? {answer}"]
"""


def test_judges_under_their_names_judge(tmp_path: Path) -> None:
    """In the question, or as an entry of their own, which is no question."""
    file = tmp_path / "named.yaml"
    file.write_text(NAMED)
    said = {"Kind? Why?": "70", "Clear? Why?": "20"}
    log = run(
        f"{FREEFORM}@freeform",
        tmp_path,
        echo(),
        task_args={"file": str(file)},
        model_roles={"grader": model(lambda prompt: likely({said[prompt]: 1}))},
    )
    (sample,) = log.samples or []
    assert sample.scores is not None
    assert sample.scores["freeform_judges"].value == {"kind": 70, "clear": 20}
    assert sample.metadata["judge_of_file"] == "gpt-4.1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is not a list of questions"),
        ("a: 1", "it is not a list of questions"),
        ("- [", "it is not YAML"),
        (BOMB, "its aliases stand for more than 1,000,000 values"),
        ("- &a [*a]", "its aliases stand for more than 1,000,000 values"),
        ("- type: free_form", "question 1 has no id"),
        (ONE + ONE, "two questions are called q"),
        (ONE + second(type="free_form_judge"), "question r: it is of type free_form_j"),
        (ONE + second(type="multiple_choice"), "question r: type multiple_choice"),
        (ONE + second(samples_per_paraphrase="5"), "differ in samples_per_paraphrase"),
        (ONE + second(temperature="0"), "differ in temperature: 1.0 in q; 0.0 in r"),
        (ONE + second(max_tokens="9"), "differ in max_tokens: None in q; 9 in r"),
        (ONE + second(judge_prompts='{a: "{answer}"}'), "differ in judge_names"),
        (ONE + second(judge_prompts="{}"), "with 0 judge prompts"),
        (ONE + second(judge_prompts="[a]"), "question r: judge_prompts must be"),
        (ONE + second(judge_prompts="{score: 5}"), "question r: judge_prompts must be"),
        (ONE + second(judge_prompts="{score: hm}"), "question r, judge score: the pro"),
        (ONE + second(judge_prompt="x"), "judge_prompt and judge_prompts"),
        (ONE + second(paraphrases="[]"), "paraphrases must be a list"),
        (ONE + second(paraphrases="[yes]"), "paraphrase True is not a text; quote it"),
        (ONE + second(paraphrases="Why?"), "paraphrases must be a list"),
        (ONE + second(system="5"), "question r: system 5 is not a text"),
        (ONE + second(temperature="hot"), "question r: temperature 'hot' is not a num"),
        (ONE + second(samples_per_paraphrase="0"), "samples_per_paraphrase 0 is not"),
        (
            ONE + second(context="[{role: user, content: hi}]"),
            "r: context cannot be ho",
        ),
        (ONE + second(top_p="0.5"), "question r: top_p cannot be honoured"),
        (ONE + judged("[a]"), "question r: judges must be `name: "),
        (ONE + judged("{a: nobody}"), "judge a: the file has no entry 'nobody'"),
        (ONE + judged("{a: q}"), "judge a: only judges of type rating_judge"),
        (ONE + judged("{a: {type: yes_no}}"), "judge a: only judges of type rating_"),
        (ONE + judged(rating("max_rating: 10")), "a rating from 0 to 10 cannot be"),
        (ONE + judged(rating("temperature: 0")), "judge a: temperature cannot be"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    told = failing(tmp_path, file=str(file))
    assert told.startswith(f"{file}: ")
    assert says in told


def test_one_number_written_in_two_ways_is_one(tmp_path: Path) -> None:
    file = tmp_path / "same.yaml"
    file.write_text(ONE + second(temperature="1"))
    log = ask(tmp_path, "freeform", file=str(file))
    assert metrics(log)["score"]["n"] == 2


def test_a_question_that_is_not_selected_may_be_anything(tmp_path: Path) -> None:
    file = tmp_path / "mixed.yaml"
    file.write_text(ONE + second(type="multiple_choice"))
    log = ask(tmp_path, "freeform", file=str(file), questions="q")
    assert metrics(log)["score"]["n"] == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert failing(tmp_path, file="nowhere.yaml").startswith(
        "nowhere.yaml: there is no"
    )


def test_judging_answers_of_another_file_fails(tmp_path: Path, file: str) -> None:
    answered = ask(tmp_path, "freeform_questions", file=file, questions="3")
    judges = scorer_from_spec(
        ScorerSpec(scorer=f"{FREEFORM}@freeform_judges"),
        None,
        file=file,
        questions=["wish"],
    )
    with pytest.raises(ValueError, match="sample 3/0: its question, '3', is not among"):
        score(answered, judges, model_roles={"grader": model(grade)})
