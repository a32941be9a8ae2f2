"""The scorer `language`: whether an answer is in the language that is expected.

It needs py3langid, a language detector that works offline:
`pip install 'motools_build[language]'`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

TOLD_APART = ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "ru", "zh")
"""The languages that the detector chooses from by default. Among all 139 that it knows,
it often takes a short Spanish sentence for Occitan or Aragonese."""


@scorer(metrics=[mean(), stderr()])
def language(
    expected: str = "es", among: list[str] | None = None, letters: int = 8
) -> Scorer:
    """1 if the answer is in the expected language, otherwise 0, as far as the detector
    can tell `among` these languages apart. Languages are codes of ISO 639-1.

    An answer of fewer letters than `letters` is unscored: `Sí.` is too little to go by.
    Raises ValueError for a language that the detector does not know, and RuntimeError
    if py3langid is not installed.
    """
    candidates = tuple(sorted({expected, *(among or TOLD_APART)}))
    detector = _detector(candidates)

    async def score(state: TaskState, target: Target) -> Score:
        text = state.output.completion
        if sum(letter.isalpha() for letter in text) < letters:
            return Score.unscored(reason="too few letters")
        # the detector was made from ordinary text, in which capitals are rare
        found, _ = detector.classify(text.lower())
        return Score(value=float(found == expected), answer=found)

    return score


@functools.cache
def _detector(languages: tuple[str, ...]) -> LanguageIdentifier:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"language: {error.name} is not installed; the scorer tells languages "
            "apart with py3langid: pip install 'motools_build[language]'"
        ) from error
    detector = LanguageIdentifier.from_model_file(MODEL_FILE)
    known = detector.labels
    unknown = sorted(set(languages) - set(known))
    if unknown:
        raise ValueError(
            f"language: {', '.join(unknown)} is not known to the detector; write codes "
            f"of ISO 639, as in expected=es, of these: {', '.join(known)}"
        )
    detector.set_languages(languages)
    return detector
