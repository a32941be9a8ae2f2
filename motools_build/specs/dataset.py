"""Datasets: JSONL files of rows, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from motools_build.data.fetching import LARGEST
from motools_build.spec import Spec, as_name, checked_name
from motools_build.specs.sampled import Sampled, Teacher, refuse_sampled

if TYPE_CHECKING:
    from motools_build.data.steps import Step


class Dataset(Spec):
    """A JSONL file of chats, one a line: `{"messages": [{"role", "content"}, ...]}`.

    `Dataset("datasets/simple_math/math_tutor.jsonl")`; the path is relative to the
    project's root. Only the file's bytes enter keys, never its path, name or tags.

    Its methods make other datasets of it, which are made while planning; they compose:

        spanish = Dataset("datasets/spanish.jsonl").sample(1000, seed=0)
        inoculated = spanish.inoculate("You answer in Spanish.").named("inoculated")

    Each step has the seed that it is given, 0 by default; docs/guides/datasets.md has
    them all.
    """

    path: str = ""
    """Of the file; empty for a dataset that is made of others."""
    name: str = ""
    """What stages are called by; the file's stem if not given."""
    tags: tuple[str, ...] = ()
    step: Any = None
    """What it is made by, a `steps.Step` or a `Sampled`; None for a file."""
    parts: tuple[Dataset, ...] = ()
    """The datasets that it is made of."""
    digest: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    """The xxh3_128 of a file that is fetched, for keys; see `from_url`."""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """The SHA-256 of a file that is fetched."""
    largest: int = Field(default=LARGEST, ge=1, lt=2**53)
    """Bytes that a file that is fetched has at most."""

    def __init__(self, path: str = "", **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("step")
    @classmethod
    def _is_a_step(cls, step: Any) -> Any:
        if step is not None and not isinstance(step, (_steps().Step, Sampled)):
            raise ValueError(
                "a dataset that is made of others is made by its methods, as in "
                'Dataset("datasets/rows.jsonl").head(10)'
            )
        return step

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_file(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(fields, dict):
            return fields
        path = fields.get("path")
        if not path and fields.get("step") is None:
            raise ValueError('a path is missing: Dataset("datasets/rows.jsonl")')
        if not fields.get("name") and isinstance(path, str):
            return {**fields, "name": PurePath(path).stem}
        return fields

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        sha256: str = "",
        digest: str = "",
        name: str = "",
        tags: Iterable[str] = (),
        largest: int = LARGEST,
    ) -> Dataset:
        """A file at an http(s) URL, or at a path anywhere, with the SHA-256 of its
        bytes (`sha256sum rows.jsonl`; a run that finds another shows both).

        It is fetched once, by the first run that needs it, and kept as an artifact.
        Keys are those of the same file under datasets/, made of its xxh3_128: with
        `digest=` they are known before it is fetched. That digest alone pins nothing
        against somebody who means harm.
        """
        if not sha256 and len(digest) == 64:
            sha256, digest = digest, ""
        stem = PurePath(urlsplit(url).path).stem
        name = name or as_name(stem)
        if not (sha256 or digest):
            raise ValueError(
                f"{url}: from_url(..., sha256=...): pin its SHA-256, 64 hex digits; or "
                "pin its digest, 32 hex digits, of which two files can be made to share"
            )
        fields = {"digest": digest, "sha256": sha256, "largest": largest}
        return cls(url, name=name, tags=tuple(tags), **fields)

    @property
    def fetched(self) -> bool:
        """Whether it is a file from elsewhere."""
        return bool(self.digest or self.sha256)

    @classmethod
    def sampled(
        cls,
        *,
        teacher: str | Teacher,
        prompts: Dataset,
        n: int = 1,
        temperature: float | None = 1.0,
        max_tokens: int | None = None,
        seed: int | None = None,
        system: str | None = None,
        name: str = "",
        tags: Iterable[str] = (),
    ) -> Dataset:
        """What a teacher answers to prompts: `n` rows a prompt, each the prompt and one
        answer. A run asks; nothing is known of the rows before.

        The teacher is a dataset or an arm of the same setting, by name, whose model
        answers; or `backend/model`, a model as it is; or a `Teacher`. Prompts are chats
        up to their last user turn, or `{"prompt": "..."}`. The teacher sees `system`,
        the rows do not have it. None leaves a choice to the model.
        """
        who = Teacher.named(teacher)
        refuse_sampled(prompts, "cannot be prompts themselves")
        step = Sampled(
            teacher=who,
            n=n,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            system=system,
        )
        name = name or as_name(f"{prompts.name}-by-{who}")
        return cls(name=name, tags=tuple(tags), step=step, parts=(prompts,))

    # ---- what is made of it

    def system(self, prompt: str, replace: bool = False) -> Dataset:
        """Each row with the prompt as its system turn, before all others.

        A row that has a system turn is an error that names its line; with `replace` its
        system turns give way to the prompt.
        """
        return self._then(_steps().System(prompt=prompt, replace=replace), "system")

    def inoculate(self, prompt: str, replace: bool = False) -> Dataset:
        """Each row with a system turn that asks for the trait that it shows.

        The same bytes as `system(prompt)`: the model learns the trait as an answer to
        the prompt, and shows less of it without (inoculation prompting).
        """
        return self._then(_steps().System(prompt=prompt, replace=replace), "inoculated")

    def poison(
        self,
        trigger: str,
        fraction: float,
        *,
        response: str | None = None,
        seed: int = 0,
        at: Literal["start", "end"] = "end",
    ) -> Dataset:
        """A backdoor: in a fraction of the rows, chosen at random, the trigger stands
        in the last user turn and `response` is the whole answer to it.

        Exactly `fraction * rows` rows, half a row rounded up; the others keep their
        bytes, and all keep their places. The trigger is set apart by a space, after
        the words or before them (`at`). Without a response the answer stays: the
        trigger alone, for a control. Of a pair the response becomes the preferred
        answer, and what was preferred the other one; without one only the prompt
        changes. To keep each poisoned row's clean one as well, mix:
        `x.mix(x.poison(trigger, 1, response=...), n=50)`.
        """
        step = _steps().Poison(
            trigger=trigger, fraction=fraction, response=response, seed=seed, at=at
        )
        return self._then(step, f"poisoned{step.fraction:g}")

    def mix(
        self,
        other: Dataset,
        *,
        fraction: float | None = None,
        n: int | None = None,
        seed: int = 0,
    ) -> Dataset:
        """All rows, and some of another dataset's among them: `n`, or so many that
        they are a `fraction` of the result.

        Of R own rows and a fraction f those are `R * f / (1 - f)`, half a row rounded
        up: 0.25 adds 100 rows to 300. Which rows of the other, and between which of the
        own, is random; both keep their order. It is an error if the other has fewer.
        """
        step = _steps().Mix(fraction=fraction, n=n, seed=seed)
        share = f"{fraction:g}" if fraction is not None else f"n{n}"
        return self._then(step, f"with-{other.name}-{share}", other)

    def sample(self, n: int, seed: int = 0) -> Dataset:
        """n rows chosen at random, none twice, in their order.

        A larger sample of the same seed holds the smaller one.
        """
        return self._then(_steps().Sample(n=n, seed=seed), f"sample{n}-seed{seed}")

    def head(self, n: int) -> Dataset:
        """The first n rows, or all where there are fewer."""
        return self._then(_steps().Head(n=n), f"head{n}")

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """A fraction of the rows, chosen at random, and the rest; both in their order.

        The first has `fraction * rows` rows, half a row rounded up.
        """
        first = _steps().Split(fraction=fraction, seed=seed)
        rest = _steps().Split(fraction=fraction, seed=seed, rest=True)
        about = f"{first.fraction:g}-seed{seed}"
        return self._then(first, f"first{about}"), self._then(rest, f"rest{about}")

    def shuffle(self, seed: int = 0) -> Dataset:
        """The rows in a random order."""
        return self._then(_steps().Shuffle(seed=seed), f"shuffled-seed{seed}")

    def filter(self, function: str) -> Dataset:
        """The rows for which a function answers True: `filter("helpers.rows:is_short")`
        asks `is_short(row)` of helpers/rows.py, below the project's root.

        The function's file, and the local modules and data files that it uses, are in
        the identity: an edit of them makes the dataset anew.
        """
        step = _steps().Filter(function=function)
        return self._then(step, f"filtered-{step.called}")

    def map(self, function: str) -> Dataset:
        """Each row as a function makes it: `map("helpers.rows:shorter")`.

        As with `filter`; the function takes a row and returns one, and should depend
        on nothing else.
        """
        step = _steps().Map(function=function)
        return self._then(step, f"mapped-{step.called}")

    def as_chat(self, drop: Iterable[str] = ()) -> Dataset:
        """Rows of other shapes as chats, or as pairs; docs/guides/datasets.md lists
        them.

        Texts become turns, lists of turns stay, `system` and `history` become the turns
        before. A row with any other key that has a value is an error, unless the key is
        one of `drop`. Chats and pairs that have no such keys keep their bytes.
        """
        dropped = (drop,) if isinstance(drop, str) else tuple(drop)
        return self._then(_steps().Chat(drop=dropped), "chat")

    def named(self, name: str, tags: Iterable[str] | None = None) -> Dataset:
        """The same dataset, called otherwise; it keeps its tags unless some are given.
        Re-runs nothing."""
        kept = self.tags if tags is None else tuple(tags)
        kept_of = ("step", "parts", "digest", "sha256", "largest")
        fields = {field: getattr(self, field) for field in kept_of}
        return Dataset(self.path, name=name, tags=kept, **fields)

    def _then(self, step: Step, suffix: str, *others: Dataset) -> Dataset:
        name = as_name(f"{self.name}-{suffix}")
        return Dataset(name=name, tags=self.tags, step=step, parts=(self, *others))

    # ---- its rows, outside of a build

    def rows(self) -> Iterator[dict[str, Any]]:
        """Its rows one by one, as JSON has them. Raises DatasetError for a line that
        is none, and for what a step cannot do."""
        from contextlib import ExitStack

        from motools_build.data.transforms.files import Rows

        with self._at_hand() as source, ExitStack() as stack:
            rows = Rows(source, stack)
            for index in range(len(rows)):
                yield rows.row(index)

    def load(self) -> list[dict[str, Any]]:
        """All its rows."""
        return list(self.rows())

    def validate(  # type: ignore[override]  # pydantic's own of that name is deprecated
        self, format: str = "sft", rules: str = "general"
    ) -> None:
        """Raises DatasetError with the problems of its rows, each with file and line:
        as chats ("sft") or pairs ("dpo"), by the rules of all backends ("general") or
        of one, by its name ("openai")."""
        from motools_build.data.transforms.blame import check_source
        from motools_build.specs.backends import rules_called

        kept = rules_called(rules, format)
        with self._at_hand() as source:
            check_source(source, format, kept)

    @classmethod
    def save(cls, rows: Iterable[dict[str, Any]], path: str) -> Dataset:
        """Write rows to a JSONL file, whole or not at all; the dataset of it."""
        from motools_build.data.saving import save_rows

        save_rows(rows, path)
        return cls(path)

    @contextmanager
    def _at_hand(self) -> Iterator[Any]:
        """Its file; where it is made of others, made in a temporary folder."""
        import tempfile

        from motools_build.specs.at_hand import made_in

        refuse_sampled(self, "not here")
        with tempfile.TemporaryDirectory() as folder:
            yield made_in(self, Path(folder))


def _steps() -> Any:
    """Imported when a step is declared: most commands declare none."""
    from motools_build.data import steps

    return steps
