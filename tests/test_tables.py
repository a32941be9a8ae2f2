"""`[tool.motools_build.local]`: checked with place and remedy, and in no key."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.local import devices
from motools_build.backends.local.table import Table
from motools_build.errors import InputError
from motools_build.project.config import Config
from motools_build.project.tables import tables

Read = Callable[[str], dict[str, Any]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A function that gives the backends' tables of a pyproject.toml."""

    def found(text: str) -> dict[str, Any]:
        path = tmp_path / "pyproject.toml"
        path.write_text(f"[tool.motools_build]\nworkers = 2\n{text}")
        config = Config.read(path)
        assert config.workers == 2
        return dict(config.backends)

    return found


LOCAL = "[tool.motools_build.local]\n"


def test_a_table_is_read(read: Read) -> None:
    text = 'serve = "vllm"\nvllm = ["--max-model-len", "4096"]\ndevices = [0, "GPU-a1"]'
    arguments = ("--max-model-len", "4096")
    assert read(LOCAL + text) == {
        "local": Table(serve="vllm", vllm=arguments, devices=("0", "GPU-a1"))
    }
    assert read("") == {}
    (there,) = read(LOCAL + 'base_url = "http://h:1/v1/"').values()
    assert (there.serve, there.base_url) == ("vllm", "http://h:1/v1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("servce = 1", "local] has no 'servce'; did you mean 'serve'?"),
        ('serve = "vlm"', "local] serve: Input should be 'torch' or 'vllm', not 'vlm'"),
        ('base_url = "localhost"', "local] base_url: write a URL as http://127"),
        ('base_url = "http://h:x/v1"', "local] base_url: write a URL as http://127"),
        ("devices = [-1]", "devices: a GPU is a number as 0, or a name as GPU-89"),
        ("devices = [true]", "a name as GPU-8932f937, not True"),
        ('vllm = ["--port=3"]', "vllm: --port is set by motools_build; leave it out"),
        ('vllm = ["--served_model_name", "x"]', "--served-model-name is set by mo"),
        ("vllm = [3]", "vllm.0: Input should be a valid string"),
        (
            'base_url = "http://h/v1"\nvllm = ["-x"]',
            "`base_url` names one that is the",
        ),
    ],
)
def test_a_wrong_field_is_refused(read: Read, text: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        read(LOCAL + text)
    assert told in str(raised.value)
    assert "pyproject.toml: [tool.motools_build.local]" in str(raised.value)


def test_a_password_is_refused_and_not_shown(read: Read) -> None:
    with pytest.raises(InputError, match="VLLM_API_KEY") as raised:
        read(LOCAL + 'base_url = "http://me:sesame-0123@h:1/v1"')
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("name", ["locl", "openai", "backends"])
def test_a_table_that_no_backend_has_is_refused(read: Read, name: str) -> None:
    with pytest.raises(InputError, match=f"has no '{name}'; .*there are: .*local"):
        read(f"[tool.motools_build.{name}]\nx = 1")


def test_the_command_line_says_who_answers(read: Read) -> None:
    there = read(LOCAL + 'base_url = "http://h:1/v1"')
    own = {"base_url": "http://h:1/v1", "vllm": [], "devices": []}
    assert tables(there, {}) == {"local": {**own, "serve": "vllm"}}
    assert tables(there, {"serve": "torch"}) == {"local": {**own, "serve": "torch"}}
    assert Table.of(tables(there, {"serve": "torch"})).serve == "torch"
    assert tables({}, {}) == {}
    assert Table.of(tables({}, {"serve": "vllm"})) == Table(serve="vllm")


def test_devices_are_what_the_environment_leaves_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(devices.VISIBLE, "")  # so that it is restored
    monkeypatch.delenv(devices.VISIBLE)
    devices.restrict(())
    assert devices.VISIBLE not in os.environ
    devices.restrict(("2", "3"))
    assert os.environ[devices.VISIBLE] == "2,3"
    devices.restrict(("0",))
    assert os.environ[devices.VISIBLE] == "2,3"
