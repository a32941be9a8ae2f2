"""The wheel and the source distribution."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINK = re.compile(r"\]\(([^)#]+)")


@dataclass
class Built:
    """What is uploaded, and the wheel that is made of the source distribution."""

    source: Path
    wheel: Path
    of_source: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    source, wheel = build("sdist", ROOT, folder), build("wheel", ROOT, folder)
    with tarfile.open(source) as packed:
        # Python 3.11 has filters from 3.11.4 on, and later ones warn without
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(folder / "unpacked", **safe)
    (unpacked,) = (folder / "unpacked").iterdir()
    return Built(source, wheel, build("wheel", unpacked, folder / "again"))


def build(target: str, root: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=100)
    (made,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def metadata(wheel: Path) -> str:
    (text,) = (t for name, t in files(wheel).items() if name.endswith("/METADATA"))
    return text.decode()


def test_the_wheel_is_the_package(built: Built) -> None:
    packed = files(built.wheel)
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "motools_build").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    organisms = {
        f"motools_build/organisms/{path.relative_to(ROOT)}"
        for folder in ("zoo", "datasets")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    own = {n for n in packed if not n.startswith("motools_build-")}
    assert own == package | organisms
    assert {"motools_build/py.typed", "motools_build/evals/language.py"} <= package
    assert "motools_build/evals/freeform_example.yaml" in package


def test_the_source_makes_the_same_wheel(built: Built) -> None:
    assert files(built.of_source) == files(built.wheel)


def test_the_source_holds_what_its_tests_need(built: Built) -> None:
    with tarfile.open(built.source) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {
        *("dodo.py", "zoo/simple_math.py", "datasets/simple_math/math_tutor.jsonl"),
        *("tests/conftest.py", "README.md", "CHANGELOG.md", "LICENSE"),
    } <= names
    made = {name for name in names if name.startswith(("artifacts/", ".git/"))}
    assert made == {"artifacts/.gitignore"}


def test_the_index_would_take_them(built: Built) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict"]
    ran = subprocess.run(
        [*command, built.source, built.wheel], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_links_of_the_readme_lead_somewhere(built: Built) -> None:
    for link in LINK.findall((ROOT / "README.md").read_text()):
        assert link.startswith("https://") or (ROOT / link).exists(), link
    for link in LINK.findall(metadata(built.wheel).partition("\n\n")[2]):
        assert link.startswith("https://"), link


def test_the_address_of_the_repository_is_one() -> None:
    """Links of the README and of the project lead to the same place."""
    text = (ROOT / "pyproject.toml").read_text()
    (repository,) = re.findall(r'^Repository = "(.*)"', text, re.MULTILINE)
    links = r'^(?:Documentation|Changelog|links) = "(.*)"'
    others = re.findall(links, text, re.MULTILINE)
    assert len(others) == 3
    for address in others:
        assert address.startswith(f"{repository}/blob/main/")
