"""The table of all transforms.

To add one, write a module of this folder with a subclass of `Step` (its fields, its
`WORD`, its `make`), and add the class to `STEPS`. A method of `Dataset`
(`specs/transformed.py`) gives it a name that users see.
"""

from __future__ import annotations

from motools_build.data.transforms.chat import Chat
from motools_build.data.transforms.functions import Filter, Map
from motools_build.data.transforms.pair import Pair
from motools_build.data.transforms.pick import Head, Mix, Sample, Shuffle, Split
from motools_build.data.transforms.poison import Poison
from motools_build.data.transforms.step import Step
from motools_build.data.transforms.system import System

STEPS: dict[str, type[Step]] = {
    step.WORD: step
    for step in (
        *(System, Sample, Head, Split, Shuffle),
        *(Mix, Poison, Filter, Map, Chat, Pair),
    )
}
"""`WORD` in keys and stages -> transform."""
