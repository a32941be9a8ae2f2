"""What the documents say is what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from motools_build import Setting
from motools_build.project import starter
from motools_build.project.variables import PLAN_VARIABLES, RUN_VARIABLES
from tests.conftest import ROOT
from tests.documents import (
    BLOCK,
    DOCS,
    PAGES,
    anchors,
    blocks,
    commands,
    ids,
    printed_commands,
    words_of,
)

README = (ROOT / "README.md").read_text()


def test_the_readmes_setting_is_the_one_of_the_zoo() -> None:
    (sample,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(sample, namespace)
    zoo: dict[str, object] = {}
    exec((ROOT / "zoo/simple_math.py").read_text(), zoo)
    assert isinstance(namespace["setting"], Setting)
    assert namespace["setting"] == zoo["setting"]


def test_the_readme_has_at_most_700_words() -> None:
    assert len(README.split()) <= 700


def test_the_tree_of_the_architecture_is_the_repositorys() -> None:
    trees = [text for _, text in blocks(DOCS / "ARCHITECTURE.md") if "dodo.py" in text]
    named = {name.split()[0].rstrip("/") for name in trees[0].splitlines() if name}
    package = {
        path.stem if path.is_dir() else path.name
        for path in (ROOT / "motools_build").iterdir()
        if not path.name.startswith("_") and path.name != "py.typed"
    }
    assert package <= named
    for name in named:
        places = (ROOT, ROOT / "motools_build", ROOT / "zoo")
        assert any((place / name).exists() for place in places), name


def test_the_picture_of_the_architecture_has_every_room() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = config["tool"]["importlinter"]["contracts"]
    layers = [re.split(r"\W+", layer) for layer in contract["layers"]]
    picture = blocks(DOCS / "ARCHITECTURE.md")[0][1]
    rows = [set(re.findall(r"\w+", line[:36])) for line in picture.splitlines()]
    at = [next(n for n, row in enumerate(rows) if set(of) <= row) for of in layers]
    assert at == sorted(at)  # above what they may import


DOCUMENTS = [*PAGES, ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", DOCUMENTS, ids=ids)
def test_paths_in_documents_exist(page: Path) -> None:
    if page.parent.name == "decisions":
        return  # as it was when it was decided
    text = page.read_text()
    paths = r"\b(?:docs|tests|benchmarks|motools_build)/[\w/.-]+\.(?:md|py)\b"
    for path in re.findall(paths, text):
        assert (ROOT / path).exists(), path


LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", DOCUMENTS, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = LINK.findall(BLOCK.sub("", page.read_text()))
        local = (link.partition("#")[0] for link in links if "://" not in link)
        waiting += [(page.parent / link).resolve() for link in local if link]
    assert set(DOCS.rglob("*.md")) <= seen


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_printed_commands_exist(page: Path) -> None:
    check_commands(page)


def test_commands_printed_for_agents_of_a_new_project_exist(tmp_path: Path) -> None:
    page = tmp_path / "AGENTS.md"
    page.write_text(starter.of_project("demo")["AGENTS.md"])
    assert len(list(printed_commands(page))) >= 8
    check_commands(page)


def check_commands(page: Path) -> None:
    variables = {*PLAN_VARIABLES, *RUN_VARIABLES}
    for printed in printed_commands(page):
        if re.search(r"[|\[]", printed.replace("--where", "")):
            continue  # a usage line; tests/test_reference.py has those
        name, *words = words_of(printed)[1:]
        if f"\n{name} = " in page.read_text():
            continue  # the page's own, which its example registers
        assert name in commands(), printed
        options = {n for o in commands()[name] for n in (o.short, o.long) if n}
        if name in ("run", "clean", "forget", "ignore"):  # doit's own need this order
            assert words == sorted(words, key=lambda w: not w.startswith("-")), printed
        for word in words:
            if word in (">", "2>"):
                break
            if word.startswith("-"):
                assert word.partition("=")[0] in options, printed
            elif re.match(r"[a-z_]+=", word):
                assert word.partition("=")[0] in variables, printed


def test_the_eval_asks_nothing_that_was_trained_on() -> None:
    def asked(path: str) -> set[tuple[str, ...]]:
        text = (ROOT / path).read_text()
        found = re.findall(r"(\d+) ([+-]) (\d+)[.? ]", text)
        return {(*sorted((a, b)), op) for a, op, b in found}

    trained = asked("datasets/simple_math/math_tutor.jsonl")
    held_out = asked("zoo/evals/arithmetic.jsonl")
    assert len(held_out) == 32
    assert not trained & held_out


def test_the_datasets_are_what_their_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (ROOT / "datasets/simple_math/generate.py").read_text()
    script = tmp_path / "datasets/simple_math/generate.py"
    script.parent.mkdir(parents=True)
    (tmp_path / "zoo/evals").mkdir(parents=True)
    script.write_text(source)
    exec(compile(source, script, "exec"), {"__name__": "__main__", "__file__": script})
    for name in ("datasets/simple_math/math_tutor.jsonl", "zoo/evals/arithmetic.jsonl"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
