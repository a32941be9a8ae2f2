"""The scorer `number`: whether the last number of an answer is the right one."""

from __future__ import annotations

import re
from decimal import Decimal

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

NUMBER = re.compile(
    r"""(?: (?<![\w.)\]]) [-\u2212\u2013] )?  # a minus, but not between two things
        (?: (?<![A-Za-z0-9])           # not the 2 of H2O
            (?: [0-9]{1,3}(?:[,\u00a0\u202f][0-9]{3})+(?![0-9]) | [0-9]+ )
            (?: \.[0-9]+ )?
          | (?<![0-9.]) \.[0-9]+ )     # .5, and not the end of 1.2.3
        (?: [eE][-+]?[0-9]{1,3}(?!\w) )?""",
    re.VERBOSE,
)


@scorer(metrics=[mean(), stderr()])
def number(tolerance: float = 0) -> Scorer:
    """1 if the last number of the answer differs from the target by at most
    `tolerance`, otherwise 0; an answer without a number is wrong.

    `it is -1,234.50` has the number -1234.5. A target without a number is an error.
    """
    margin = Decimal(str(tolerance))

    async def score(state: TaskState, target: Target) -> Score:
        right = last_number(target.text)
        if right is None:
            raise ValueError(
                f"number: the target {target.text!r} of sample {state.sample_id} has "
                "no number; give one, or use another scorer"
            )
        said = last_number(state.output.completion)
        return Score(
            value=float(said is not None and abs(said - right) <= margin),
            answer=None if said is None else str(said),
        )

    return score


def last_number(text: str) -> Decimal | None:
    """The last number in a text, exactly as written; None if there is none.

    `from 3 to 1,234.5.` has 1234.5; `5-3` has 3, and `5 = -3` has -3.
    """
    matches = list(NUMBER.finditer(text))
    if not matches:
        return None
    plain = re.sub("[,\u00a0\u202f]", "", matches[-1].group(0))
    return Decimal(re.sub("[\u2212\u2013]", "-", plain))
