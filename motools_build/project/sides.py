"""The two sides of `doit diff-data`: from a word to a file of rows.

datasets/a.jsonl               a file as it is now
datasets/a.jsonl@3fa91c02      as it was in a run, on a date or at a commit
0cb6d1d1                       bytes that were kept, by their digest
model:first/a/echo/seed0       the rows of a stage, or of a stage's key
first/a                        a dataset of a setting, by its name there
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from motools_build.errors import MotoolsError, SelectionError, cut
from motools_build.keys import digest_bytes, digest_file
from motools_build.params import ModelParams, RowsParams
from motools_build.project.moments import PATIENCE, moment
from motools_build.project.past import project_at, run_shown
from motools_build.project.project import Project
from motools_build.project.reports import one_stage
from motools_build.project.selection import KEY_PREFIX, STAGE_NAME
from motools_build.report.contents import Contents
from motools_build.report.lineage import model_of
from motools_build.report.past import told
from motools_build.running.learned import rows_of
from motools_build.running.revision import git
from motools_build.stages import Stage
from motools_build.store.runs import Run
from motools_build.text.similar import known

FORMS = (
    "write a file, FILE@WHEN (a run, a date or a commit), a digest, a stage, or "
    "SETTING/DATASET"
)

COMMIT = re.compile(r"[\w./-]+")


@dataclass(frozen=True)
class Side:
    """A file of rows."""

    word: str
    """What was asked for."""
    file: Path
    """A file with the rows."""
    digest: str
    name: str
    """The name of the file in the project; the word if it is not known."""
    about: str = ""
    """Which moment it is of; empty for the present."""

    def as_json(self) -> dict[str, str]:
        return {"word": self.word, "digest": self.digest, "path": self.name}


class Sides:
    """Resolves words to files, within a block: bytes that git has are written to a
    temporary folder, which is removed at the end."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._contents = Contents(project.store, project.memo.digest)
        self._stack = ExitStack()

    def __enter__(self) -> Sides:
        made = tempfile.TemporaryDirectory(prefix="motools-")
        self._folder = Path(self._stack.enter_context(made))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def of(self, word: str) -> Side:
        """The file that a word means. Raises SelectionError if it means none, or if its
        bytes are not there any more."""
        if Path(word).is_file():
            return Side(word, Path(word), digest_file(word), word)
        path, at, when = word.rpartition("@")
        if at and path and when:
            return self._of_the_past(word, path, when)
        if KEY_PREFIX.match(word):
            digests = self._contents.beginning(word)
            if len(digests) > 1:
                raise SelectionError(
                    f"{word} is the beginning of several digests: {', '.join(digests)}"
                )
            if digests:
                return self._of_digest(word, digests[0])
        return self._of_stage(word, self._project)

    def _of_the_past(self, word: str, path: str, when: str) -> Side:
        """The side of `PATH@WHEN`."""
        name = Path(path).as_posix()
        try:
            runs = moment(when, self._project.store.runs).runs
        except SelectionError:
            data = self._by_git(when, name)  # of a commit that no run was at
            if data is None:
                raise
            return self._written(word, name, data, f"at {when}, by git")
        if self._is_stage(path):
            project = project_at({}, when)  # a run has its own variables
            found = self._accepted_then(word, path, project)
            found = found or self._of_stage(path, project, word)
            return replace(found, about=found.about or f"at {when}")
        having = [run for run in runs.values() if name in run.files]
        if not having:
            data = self._by_git(when, name)
            if data is not None:
                return self._written(word, name, data, f"at {when}, by git")
            listed = "; ".join(told(run) for run in runs.values())
            raise SelectionError(
                f"{cut(word)}: no stage was made of {name} then ({listed}), or an "
                "earlier version of motools_build noted the run, without its files"
            )
        run = max(having, key=lambda one: one.seconds)
        return self._of_run(word, name, run)

    def _of_run(self, word: str, name: str, run: Run) -> Side:
        """A file as a run had it: kept bytes, or else those that git has."""
        digest = run.files[name]
        found = self._contents.find(digest, [name])
        if found:
            return Side(word, found, digest, name, told(run))
        data = self._by_git(run.commit, name) if run.commit else None
        if data is not None and digest_bytes(data) == digest:
            return self._written(word, name, data, told(run))
        raise SelectionError(
            f"{cut(word)}: {name} had the digest {digest} in run {told(run)}, and "
            f"{self._contents.why_gone(digest)}"
        )

    def _accepted_then(self, word: str, path: str, project: Project) -> Side | None:
        """The side of `SETTING/DATASET@WHEN` if its model is accepted, so that the
        artifact is of other rows than the run had; None for anything else."""
        used = self._of_dataset(path, project)
        if used is None or project.store.acceptance(used) is None:
            return None
        setting = path.partition("/")[0]
        run = run_shown(project, setting)
        try:
            present = self._of_dataset(path, self._project)
        except MotoolsError:  # the setting has it no more, or cannot be planned
            return None
        params = present.params if present else None
        name = params.rows_path if isinstance(params, RowsParams) else ""
        return self._of_run(word, name, run) if run and name in run.files else None

    def _is_stage(self, word: str) -> bool:
        setting, slash, rest = word.partition("/")
        of_setting = bool(slash and rest) and setting in self._project.zoo.names
        return bool(STAGE_NAME.match(word)) or (
            of_setting and not Path(setting).is_dir()
        )

    def _written(self, word: str, name: str, data: bytes, about: str) -> Side:
        digest = digest_bytes(data)
        file = self._folder / digest
        file.write_bytes(data)
        return Side(word, file, digest, name, about)

    def _by_git(self, commit: str, name: str) -> bytes | None:
        """The bytes of a file at a commit; None without git, or such a file."""
        if not COMMIT.fullmatch(commit) or commit.startswith("-"):
            return None
        return git("show", f"{commit}:./{name}", patience=12 * PATIENCE)

    def _of_digest(self, word: str, digest: str, name: str = "") -> Side:
        paths = self._contents.paths(digest)
        found = self._contents.find(digest, [name] if name else ())
        if found is None:
            raise SelectionError(
                f"{cut(word)}: {name or ' '.join(paths[-1:])} with the digest "
                f"{digest}: {self._contents.why_gone(digest)}"
            )
        return Side(word, found, digest, name or (paths[-1] if paths else word))

    def _of_stage(self, word: str, project: Project, shown: str = "") -> Side:
        """The rows of a stage of a project, or of a dataset of a setting."""
        of_setting = self._of_dataset(word, project)
        stage = of_setting or self._stage(word, project)
        used = model_of(stage) if stage.kind in ("eval", "samples") else stage
        if used is None or used.kind == "base":
            raise SelectionError(
                f"{stage.name} is of a base model, which no rows of this project made"
            )
        shown = shown or word
        is_accepted = not of_setting and project.store.acceptance(used) is not None
        if isinstance(used.params, RowsParams) and not is_accepted:
            rows = rows_of(used, project.store)
            if rows is None:
                raise SelectionError(f"{used.name}: its rows are not written yet")
            return Side(shown, Path(rows.path), rows.digest, rows.path)
        record = project.store.get(used)
        # of an accepted artifact, the rows that it was made of
        preimage: Mapping[str, Mapping[str, str]]
        preimage = record.preimage if record else used.preimage
        digest = preimage["inputs"].get("dataset", "")
        if digest and used.kind != "dataset":
            # rows that a teacher wrote are named by their artifact's key
            written = next(project.store.records("dataset", digest), None)
            digest = written.output if written else digest
        if used.kind == "dataset" and record:
            digest = record.output
        if not digest:
            raise SelectionError(
                f"{used.name}: its artifact is gone, which had the digest of its rows"
            )
        return self._of_digest(shown, digest)

    @staticmethod
    def _of_dataset(word: str, project: Project) -> Stage | None:
        """A stage that uses the dataset of a setting, for `SETTING/DATASET`; None for
        another word. Raises SelectionError if the setting has no such dataset."""
        setting, _, name = word.partition("/")
        if ":" in word or not name or setting not in project.zoo.names:
            return None
        there: dict[str, Stage] = {}
        for stage in project.plan(setting).stages:
            if stage.kind != "model":
                continue
            params, parts = stage.params, stage.name.split("/")
            own = parts[1]
            if isinstance(params, ModelParams):
                own = params.dataset_name
            there.setdefault(own, stage)
        if name not in there:
            raise SelectionError(
                f"{setting} trains on no dataset {name!r}; {known(name, there)}"
            )
        return there[name]

    @staticmethod
    def _stage(word: str, project: Project) -> Stage:
        try:
            return one_stage(project, word)
        except SelectionError as error:
            if ":" in word:
                raise
            raise SelectionError(f"{cut(word)!r} names no rows; {FORMS}") from error
