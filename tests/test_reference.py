"""docs/reference/ lists all that there is, and nothing that there is not."""

from __future__ import annotations

import argparse
import inspect
import re
import tomllib
from dataclasses import fields
from typing import Any, get_args
from unittest import mock

import pytest

import motools_build
from motools_build import Dataset
from motools_build.api import OpenProject
from motools_build.backends.accounts import Account
from motools_build.backends.command.declared import FIELDS as OF_COMMANDS
from motools_build.backends.local.table import Table
from motools_build.backends.prices import FIELDS
from motools_build.project.config import FIELDS as OF_PROJECT
from motools_build.project.variables import PLAN_VARIABLES, RUN_VARIABLES
from motools_build.rehearsal.__main__ import arguments
from motools_build.report.forecasts import Action
from motools_build.report.status import Word
from motools_build.report.table import FLAT
from motools_build.spec import Spec
from motools_build.specs.transformed import Transformed
from tests.conftest import ROOT
from tests.documents import DOCS, first_cells, named, ours, section

COMMANDS = DOCS / "reference/commands.md"
CONFIGURATION = DOCS / "reference/configuration.md"

PUBLIC = {name: getattr(motools_build, name) for name in motools_build.__all__}
SPECS = {n: s for n, s in PUBLIC.items() if isinstance(s, type) and issubclass(s, Spec)}


def options_in(text: str) -> set[str]:
    return {name for name in named(text) if name.startswith("-")}


def test_every_command_has_a_section() -> None:
    titles = re.findall(r"^## `doit ([\w-]+)`$", COMMANDS.read_text(), re.MULTILINE)
    assert sorted(titles) == sorted(ours())


@pytest.mark.parametrize("name", ours())
def test_a_commands_options_and_usage_are_listed(name: str) -> None:
    command, text = ours()[name], section(COMMANDS, f"`doit {name}`")
    there = {f"-{o['short']}" for o in command.cmd_options if o.get("short")}
    there |= {f"--{o['long']}" for o in command.cmd_options if o.get("long")}
    assert options_in(text) == there
    assert f"    doit {name} {command.doc_usage}\n".replace(" \n", "\n") in text


def test_the_rehearsal_servers_options_are_listed() -> None:
    parsers: list[argparse.ArgumentParser] = []

    def parse_args(self: argparse.ArgumentParser) -> None:
        parsers.append(self)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args):
        arguments()
    (parser,) = parsers
    there = {word for action in parser._actions for word in action.option_strings}
    text = section(COMMANDS, "The rehearsal server")
    assert options_in(text) == there - {"-h", "--help"}


def test_every_status_and_every_action_of_a_plan_is_listed() -> None:
    assert named(section(COMMANDS, "Status")) == set(get_args(Word))
    assert set(get_args(Action)) <= named(section(COMMANDS, "`doit plan`"))


def test_every_column_of_the_csv_is_listed() -> None:
    text = section(COMMANDS, "`doit results`").split("### Columns")[1]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(FLAT)


def test_every_variable_is_listed() -> None:
    page = DOCS / "reference/variables.md"
    assert named(page.read_text()) == {*PLAN_VARIABLES, *RUN_VARIABLES}


@pytest.mark.parametrize("name", SPECS)
def test_a_specs_fields_are_listed(name: str) -> None:
    text = section(DOCS / "reference/specs.md", name)
    assert named(text) == set(SPECS[name].model_fields)


def test_specs_that_do_not_exist_are_not_listed() -> None:
    text = (DOCS / "reference/specs.md").read_text()
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == set(SPECS)


def test_every_method_of_a_dataset_is_in_its_guide() -> None:
    text = (DOCS / "guides/datasets.md").read_text()
    own: dict[str, Any] = {**vars(Transformed), **vars(Dataset)}
    methods = {
        name
        for name, value in own.items()
        if not name.startswith(("_", "model_"))
        and (callable(value) or isinstance(value, classmethod))
    }
    assert {"sample", "from_url", "load"} <= methods
    assert [name for name in methods if f"{name}(" not in text] == []


def test_every_public_name_is_listed() -> None:
    text = (DOCS / "reference/python.md").read_text().split("\n## ")[0]
    listed = {cell.strip("`") for cell in first_cells(text)}
    assert listed == set(motools_build.__all__)


def test_every_method_of_a_project_is_listed_with_its_arguments() -> None:
    text = section(DOCS / "reference/python.md", "A project")
    own = [name for name in vars(OpenProject) if not name.startswith("_")]
    there = {"settings"}
    for name in own:
        method = getattr(OpenProject, name)
        if inspect.isfunction(method):
            given = [
                str(p.replace(annotation=p.empty)).replace("'", '"')
                for p in list(inspect.signature(method).parameters.values())[1:]
            ]
            there.add(f"{name}({', '.join(given)})")
    assert {cell.strip("`") for cell in first_cells(text)} == there


@pytest.mark.parametrize(
    ("title", "there"),
    [
        ("`[tool.motools_build]` of pyproject.toml", set(OF_PROJECT)),
        ("`[tool.motools_build.local]`", set(Table.model_fields)),
        (
            "`[tool.motools_build.accounts.NAME]`",
            {field.name for field in fields(Account)} - {"name", "own"},
        ),
        ("`[tool.motools_build.commands.NAME]`", set(OF_COMMANDS)),
        ("`[tool.motools_build.prices]`", set(FIELDS)),
    ],
    ids=["project", "local", "account", "command", "price"],
)
def test_every_option_of_pyproject_is_listed(title: str, there: set[str]) -> None:
    assert named(section(CONFIGURATION, title)) == there


def test_every_extra_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    assert named(section(CONFIGURATION, "Extras")) == extras


def test_every_environment_variable_is_listed() -> None:
    package = (ROOT / "motools_build").rglob("*.py")
    text = "".join(path.read_text() for path in package)
    there = set(re.findall(r"\bMOTOOLS_[A-Z_]+\b", text))
    there |= set(re.findall(r'"(OPENAI_[A-Z_]+)"', text)) - {"OPENAI_URL"}
    assert named(section(CONFIGURATION, "Environment variables")) == there
