"""Makes derived datasets while planning, once each.

A model's key contains the digest of a derived dataset's bytes, so planning needs them.
They are the artifact's `data.jsonl`, made under the stage's lock if it is missing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from motools_build.data import DATA
from motools_build.data.fetching import sha256_of
from motools_build.data.source import Source
from motools_build.errors import ArtifactError, DatasetError
from motools_build.keys import Digest, DigestMemo, digest_file
from motools_build.params import FetchParams, StepParams
from motools_build.planning.evals import Sources
from motools_build.planning.later import (
    BACKEND,
    derived_source,
    name_of,
    roles,
    source_of_part,
    step_params,
)
from motools_build.planning.sources import Resolver
from motools_build.running.learned import Learned, source_of_sampled
from motools_build.running.pins import FETCH, fetch_stage, pin_note, staged
from motools_build.running.versions import versions
from motools_build.specs import Dataset
from motools_build.specs.sampled import lessons
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import now
from motools_build.task_code.shipped import place_of

NOTE = "derived-1"
"""Name of the memo's notes on the digest of a dataset's bytes, by the stage's key."""


class Derive:
    """The `derive` function of a resolver: makes derived datasets in a store."""

    def __init__(self, store: ArtifactStore, memo: DigestMemo) -> None:
        self.store = store
        self.memo = memo
        self.always = True
        """Whether to make a dataset whose artifact is missing. If False, for read-only
        commands, a digest from the memo is enough."""
        self.fetches = False
        """Whether files may be fetched from the network; only in runs."""
        self.told: list[str] = []
        """Messages for the user about weak pins of fetched files."""

    def __call__(self, spec: Dataset, resolve: Resolver) -> Sources:
        """The sources of a derived or fetched dataset, which is made if necessary.
        Raises DatasetError, with the dataset's name, if it cannot be made."""
        if spec.fetched:
            return self._pinned(spec)
        if lessons(spec):
            return self._code(spec, resolve)
        parts = [resolve(part) for part in spec.parts]
        stage = self._stage(spec, parts, resolve)
        digest = self._digest(stage)
        path = self.store.planned_file(stage, DATA)
        before = {s.key: s for part in parts for s in part.stages}
        stages = (*before.values(), stage)
        return Sources({"dataset": digest}, (path,), stages=stages)

    def _stage(self, spec: Dataset, parts: list[Sources], resolve: Resolver) -> Stage:
        sources = [
            source_of_part(dataset, part)
            for dataset, part in zip(spec.parts, parts, strict=True)
        ]
        digests = (source.digest for source in sources)
        inputs: dict[str, str] = dict(zip(roles(len(sources)), digests, strict=True))
        files = [source.path for source in sources]
        code = self._code(spec, resolve)
        inputs |= code.inputs
        files += code.files
        identity = spec.step.identity()
        params = step_params(spec, sources)
        before = tuple(part.stages[-1] for part in parts if part.stages)
        used = tuple(dict.fromkeys(files))
        return staged(spec, BACKEND, identity, inputs, params, used, before)

    def _code(self, spec: Dataset, resolve: Resolver) -> Sources:
        """The files of the function that a step calls; none for other steps."""
        from motools_build.data.transforms.functions import ByFunction

        if not isinstance(spec.step, ByFunction):
            return Sources({}, ())
        try:
            file = spec.step.file()
        except DatasetError as error:
            raise DatasetError(f"dataset {spec.name}: {error}") from error
        return resolve.function(spec, file)

    def _pinned(self, spec: Dataset) -> Sources:
        """The sources of a fetched file. The plan needs only its digest (xxh3_128), so
        a file that is pinned by its SHA-256 alone must be fetched once."""
        stage = fetch_stage(spec)
        self._check_pin(spec, stage)
        digest = Digest(spec.digest) if spec.digest else self._fetched(stage)
        path = self.store.planned_file(stage, DATA)
        return Sources({"dataset": digest}, (path,), stages=(stage,))

    def _fetched(self, stage: Stage) -> Digest:
        """The digest of a file that is pinned by its SHA-256 alone. Raises DatasetError
        if it was never fetched and fetching is not allowed now."""
        record = self.store.get(stage)
        noted = self.memo.noted(NOTE, stage.key)
        if record is None and isinstance(noted, str):
            return Digest(noted)
        if record is None:
            self._make_part(stage, "its SHA-256 alone names no keys")
            record = self.store.get(stage)
            assert record is not None
        self.memo.renote(NOTE, stage.key, record.output)
        return Digest(record.output)

    def _check_pin(self, spec: Dataset, stage: Stage) -> None:
        """Raises DatasetError if a fetched file does not have the pinned SHA-256. It
        may have been fetched earlier by its xxh3_128 alone, which can be forged."""
        record = self.store.get(stage)
        if record is None or not spec.sha256:
            return
        file = self.store.materialise(stage) / DATA
        found = record.details.get("sha256") or self.memo.note(
            f"sha256-1:{stage.key}", Digest(record.output), partial(sha256_of, file)
        )
        if found != spec.sha256:
            raise DatasetError(
                f"dataset {spec.name}: {file} was fetched with the SHA-256 {found}, "
                f"not the pinned {spec.sha256}; if the pin is right, remove the folder "
                f"{file.parent} and run again"
            )

    def _digest(self, stage: Stage) -> Digest:
        rules = _rules(stage)
        note = NOTE if rules == 1 else f"{NOTE}:{rules}"
        record = self.store.get(stage)
        if record is not None and record.details.get("rules", 1) < rules:
            self.store.remove(stage)
            record = None
        if record is None:
            noted = self.memo.noted(note, stage.key)
            if isinstance(noted, str) and not self.always:
                return Digest(noted)
            self._make(stage)
            record = self.store.get(stage)
            assert record is not None
        self.memo.renote(note, stage.key, record.output)
        return Digest(record.output)

    def fetch(self, stages: Iterable[Stage]) -> None:
        """Fetch the missing files that these stages need. Raises DatasetError."""
        for stage in stages:
            for used in stage.setup:
                if used.backend == FETCH and self.store.get(used) is None:
                    self._make(used)

    def keep(self, spec: Dataset, file: Path) -> None:
        """Keep a file that was fetched just now as a fetched dataset's artifact, unless
        there is one. A run, and a plan, then need no network."""
        stage = fetch_stage(spec)
        with self.store.locks.held(stage.key):
            self.store.forget(stage)
            if self.store.get(stage) is None:
                self._put(stage, file)

    def _make(self, stage: Stage) -> None:
        for used in stage.setup:
            try:
                self.store.check_payload(used)
            except ArtifactError:  # missing, or damaged and just removed
                self._make_part(used)
        try:
            with self.store.locks.held(stage.key):
                self.store.forget(stage)
                if self.store.get(stage) is None:
                    self._put(stage)
                    self.told += pin_note(stage, self.store)
        except DatasetError as error:
            raise DatasetError(f"dataset {name_of(stage)}: {error}") from error
        except OSError as error:
            raise ArtifactError(
                f"dataset {stage.name} cannot be made: the system refused ({error}); "
                "free some space, or mend the permissions"
            ) from error

    def _make_part(self, stage: Stage, why: str = "a step needs it") -> None:
        params = stage.params
        if isinstance(params, FetchParams) and not self.fetches:
            raise DatasetError(
                f"dataset {params.dataset_name}: {params.url} is not fetched yet, and "
                f"{why}: `doit run SETTING` fetches it"
            )
        self._make(stage)

    def _put(self, stage: Stage, file: Path | None = None) -> None:
        """Put a dataset into the store: made now, or of a file that was fetched."""
        from motools_build.backends.transform import written

        began = time.monotonic()
        work = self.store.work_folder(stage)
        try:
            details = written(stage, work, file)
            planned = set(stage.preimage["inputs"].values())
            for name in stage.files:
                if digest_file(place_of(name)) not in planned:
                    raise DatasetError(f"{name} was edited just now; run again")
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        self.store.put(
            stage,
            work,
            output=digest_file(work / DATA),
            details=details,
            inputs={},
            made={
                "time": now(),
                "seconds": round(time.monotonic() - began, 2),
                "versions": versions(),
            },
        )


def _rules(stage: Stage) -> int:
    """The present version of a step's rules; see `Step.RULES`."""
    from motools_build.data.transforms.table import STEPS

    return STEPS[StepParams.of(stage).step["step"]].RULES


def source_of(stage: Stage, rows: Learned, store: ArtifactStore) -> Source | None:
    """The rows of the derived or sampled dataset that a stage uses, with their origin;
    None if the rows are a file of the project."""
    if stage.sampled:
        return source_of_sampled(stage, rows)
    return source_of_file(stage, rows, store)


def source_of_file(stage: Stage, rows: Learned, store: ArtifactStore) -> Source | None:
    """The rows of a derived dataset that a stage uses, with their origin; None if no
    derived dataset of the stage is in that file."""
    path, digest = rows
    for used in stage.setup:
        if used.backend == BACKEND and path == store.planned_file(used, DATA):
            return derived_source(used, path, digest)
    return None
