"""`doit datasets`: the datasets that settings train on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from json import dumps, loads
from pathlib import Path

from motools_build.data import DATA
from motools_build.data.foreign.shape import is_prompt
from motools_build.data.prompts import prompt_problems
from motools_build.data.rows.checks import GENERAL, SHOWN, Rules
from motools_build.data.tokens import Tokens, count_tokens
from motools_build.data.transforms import Source
from motools_build.doit_host.helping import Needs
from motools_build.doit_host.queries import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.errors import DatasetError, MotoolsError
from motools_build.keys import Digest
from motools_build.params import LessonParams, ModelParams
from motools_build.planning.later import origins
from motools_build.project.checks import asked_problems, row_problems
from motools_build.project.project import Project
from motools_build.project.stated import declared_datasets
from motools_build.report.as_trained import as_trained
from motools_build.report.drawing.as_trained import print_row
from motools_build.running.derived import source_of
from motools_build.running.learned import Learned, rows_of
from motools_build.running.pins import pin_note
from motools_build.specs.model_name import ModelName
from motools_build.stages import Stage

ENCODING = "o200k_base"
"""The tokenizer that counts tokens, whichever model is trained; the counts are
estimates."""

FOLDER = Path("datasets")


@dataclass
class Listed:
    """A dataset's entry in the list."""

    name: str
    path: str
    digest: str
    rows: int | None = None
    tokens: int | None = None
    """Tokens of the file for one epoch; None if a row cannot be counted."""
    problems: list[str] = field(default_factory=list)
    used_by: list[str] = field(default_factory=list)
    """Names of the settings that use it."""
    licence: str = ""
    """The licence and the citation that the first of them states."""
    cite: str = ""

    def add(self, problems: list[str]) -> None:
        """Add problems, without duplicates."""
        self.problems += [one for one in problems if one not in self.problems]


class Datasets(Query):
    """`doit datasets`: rows, tokens, digest, problems and users of each dataset."""

    name = "datasets"
    doc_purpose = "list datasets: rows, tokens, problems, who uses them"
    doc_usage = "[SETTING...] [--show N | --overlap] [model=...]"
    needs = Needs(tasks=False, default=False, tells_broken=True)
    doc_description = (
        "Without names, those of all settings, and the files of datasets/ that none "
        "uses. Rows are checked by the rules of the models that learn from them; "
        "tokens are counted by the encoding of OpenAI's models: an order of size. "
        "--show prints a row of each dataset as each model is trained on it, with the "
        "learned text in green, or between « and ». "
        "--overlap tells the eval questions that models are trained on, word for word "
        "or nearly; without it, rows are not compared with evals."
    )
    cmd_options = (
        OPT_JSON,
        {
            "name": "show",
            "long": "show",
            "type": int,
            "default": 0,
            "help": "print row N (from 1) as trained",
        },
        {
            "name": "overlap",
            "long": "overlap",
            "type": bool,
            "default": False,
            "help": "compare the rows with what the evals ask",
        },
    )

    def _execute(
        self, json: bool, show: int, overlap: bool, pos_args: list[str]
    ) -> int:
        project = current().project
        stages = project.selection.chosen(self._planned(project, pos_args)).values()
        if show:
            print_row(as_trained(project.store, stages, show), json, self.outstream)
            return 0
        if overlap:
            return self._overlap(project, list(stages), json)
        found: dict[tuple[str, str], Listed] = {}
        for stage in stages:
            if stage.kind == "model":
                _add(project, stage, found)
            elif stage.kind == "dataset" and stage.asks:
                _add_prompts(project, stage, found)
        if not pos_args:
            used = {path for _, path in found}
            used.update(path for stage in stages for path in _read_by(stage))
            for path in _unused(used):
                found["", path] = _file(project, path)
        project.memo.save()
        if json:
            _add_stated(project, found.values())
            body = [asdict(listed) for listed in found.values()]
            self._say(dumps(body, ensure_ascii=False))
        else:
            self._table(list(found.values()))
            if any(one.used_by for one in found.values()):
                self._say("rows and evals are compared by: doit datasets --overlap")
            self._tell_broken()
        return 1 if self.broken else 0

    def _overlap(self, project: Project, stages: list[Stage], json: bool) -> int:
        """Tell the eval questions that models are trained on. Returns 1 if there are
        some, or if something could not be compared."""
        from motools_build.project.overlapping import overlapping
        from motools_build.report.drawing.overlap import lines

        told = overlapping(project, stages)
        if json:
            self._say(dumps(told.as_json(), ensure_ascii=False))
        else:
            for line in lines(told):
                self._say(line)
            self._tell_broken()
        return 0 if told.is_clean and not self.broken else 1

    def _table(self, found: list[Listed]) -> None:
        from motools_build.report.drawing.console import console_of, plain_table

        table = plain_table(
            "dataset", "rows", "tokens", "digest", "problems", "used by"
        )
        for one in found:
            tokens = "?" if one.tokens is None else f"{one.tokens:,}"
            problems = _many(one.problems) if one.problems else "-"
            users = ", ".join(one.used_by) or "-"
            name = one.name if one.used_by else one.path
            unknown = "?" if one.digest else "not made yet"
            rows = unknown if one.rows is None else f"{one.rows:,}"
            cells = (rows, tokens, one.digest[:8], problems, users)
            table.add_row(name, *cells)
        console_of(self.outstream).print(table)
        for one in found:
            for problem in one.problems[:SHOWN]:
                self._say(problem)


def _add_stated(project: Project, found: Iterable[Listed]) -> None:
    """Add what a setting that uses a dataset states of it."""
    stated = cache(partial(declared_datasets, project))
    for one in found:
        spec = stated(one.used_by[0]).get(one.name) if one.used_by else None
        if spec:
            one.licence, one.cite = spec.licence, spec.cite


def _many(problems: list[str]) -> str:
    return f"{SHOWN} or more" if len(problems) > SHOWN else str(len(problems))


def _add(project: Project, stage: Stage, found: dict[tuple[str, str], Listed]) -> None:
    """Add the dataset that a model trains on, or one more setting that uses it."""
    params = ModelParams.of(stage)
    rows = rows_of(stage, project.store)
    if rows is None:  # the teacher has not written the rows yet
        assert stage.sampled is not None
        rows = Learned(project.store.planned_file(stage.sampled, DATA), "")
    one = _noted(stage, found, params.dataset_name, rows)
    if not rows.digest or not _is_there(one):
        return
    for used in stage.setup:
        one.add(pin_note(used, project.store))
    method = params.recipe.method
    rules = ModelName.parse(params.model).facts.rules()
    _look(project, one, method, rules, source_of(stage, rows, project.store))


def _add_prompts(
    project: Project, stage: Stage, found: dict[tuple[str, str], Listed]
) -> None:
    """Add the prompts that a teacher is to answer."""
    lesson = LessonParams.of(stage).task
    rows = Learned(lesson.prompts_path, lesson.prompts_digest)
    one = _noted(stage, found, lesson.prompts_name, rows)
    if _is_there(one):
        one.rows = _rows(one.path)
        one.add(asked_problems(project, stage))


def _noted(
    stage: Stage, found: dict[tuple[str, str], Listed], name: str, rows: Learned
) -> Listed:
    """The entry of these rows, with the stage's setting among its users; a new entry if
    there is none."""
    one = found.setdefault((name, rows.path), Listed(name, *rows))
    if stage.setting not in one.used_by:
        one.used_by.append(stage.setting)
    return one


def _is_there(one: Listed) -> bool:
    """Whether the file exists. If not, the entry's only problem says that it is not
    fetched yet."""
    if Path(one.path).exists():
        return True
    one.problems = [f"dataset {one.name}: not fetched yet; `doit run` fetches it"]
    return False


def _read_by(stage: Stage) -> Iterable[str]:
    """The source files of a dataset's stage: those that transforms read, or prompts for
    a teacher. They are in use, but no model trains on them, so their rows are not
    checked."""
    return origins(stage).values() if stage.kind == "dataset" else ()


def _file(project: Project, path: str) -> Listed:
    """The entry of a file that no setting uses. The first row decides how the file is
    checked: as prompts, DPO pairs or SFT rows."""
    try:
        listed = Listed(Path(path).stem, path, project.memo.digest(path))
        with open(path, "rb") as file:
            first = file.readline()
    except (OSError, MotoolsError) as error:  # the other files are still listed
        return Listed(Path(path).stem, path, "", problems=[f"{path}: {error}"])
    if _is_prompt(first):
        listed.rows = _rows(path)
        listed.add(prompt_problems(path))
        return listed
    method = "dpo" if b'"preferred_output"' in first else "sft"
    _look(project, listed, method, GENERAL, None)
    return listed


def _is_prompt(line: bytes) -> bool:
    """Whether a line is a prompt without an answer."""
    try:
        row = loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and is_prompt(row)


def _look(
    project: Project, one: Listed, method: str, rules: Rules, derived: Source | None
) -> None:
    """Fill in an entry's rows, tokens and problems by these rules. The results are
    cached by the file's digest."""
    note, digest, path = project.memo.note, Digest(one.digest), one.path
    one.rows = note("count-1", digest, partial(_rows, path))
    rows = Learned(path, digest)
    one.add(row_problems(project, rows, method, rules, derived))
    one.tokens = note(
        f"total-2:{ENCODING}:{method}:{rules.name}",
        digest,
        partial(_tokens, path, method, rules),
    )


def _rows(path: str) -> int:
    with open(path, "rb") as file:
        return sum(bool(line.removeprefix(b"\xef\xbb\xbf").strip()) for line in file)


def _tokens(path: str, method: str, rules: Rules) -> int | None:
    try:
        counted: Tokens = count_tokens(path, method, ENCODING, rules)
    except DatasetError:
        return None
    return counted["total"]


def _unused(used: set[str]) -> Iterator[str]:
    for path in sorted(FOLDER.rglob("*.jsonl")):
        if str(path) not in used:
            yield str(path)
