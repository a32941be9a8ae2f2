"""Marks in figures and pages: what they show, read by other programs, and traced."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motools_build.errors import InputError, MotoolsError
from motools_build.report.marks import embedding
from motools_build.report.marks.embedding import in_page, in_pdf, text_in
from motools_build.report.marks.mark import Item, Mark, decode
from motools_build.report.page.document import document, policy
from tests.conftest import Project, Ran, furnish
from tests.test_page import HOSTILE, Tags

FILES = ("fig.svg", "fig.png", "fig.pdf", "tiny.html")
SEED0 = "eval:tiny/tiny/echo/seed0/questions"

MARK = Mark(
    ("tiny",),
    {},
    (Item("eval:tiny/base/echo/questions", "0" * 32, "1" * 32, "ok"),),
    "2026-11-29T06:30:00Z",
    "0.1.0",
    "",
    False,
    "doit plot tiny --out fig.svg",
    "",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with figures and a page of 3 results."""
    project = furnish(tmp_path_factory.mktemp("trace") / "made")
    project.dataset("tiny")
    project.setting("tiny", seeds="[0, 1]", evals='[Eval("dummy/questions")]')
    project.doit("run", "tiny")
    project.doit("lock", "tiny")
    for name in FILES[:-1]:
        project.doit("plot", "tiny", "--out", name)
    project.doit("report", "tiny")
    return project


@pytest.fixture
def copy(made: Project, tmp_path: Path) -> Project:
    return Project(shutil.copytree(made.root, tmp_path / "copy"))


def traced(project: Project, file: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        project.doit("trace", file, "--json", code=code).out
    )
    return found


def keys_in(text: str) -> set[str]:
    return {one["key"] for one in json.loads(text)["items"]}


def keys_of(project: Project) -> set[str]:
    return {one["key"] for one in project.results("tiny")}


# ---- read by others


def test_an_svg_is_read_by_an_xml_parser(made: Project) -> None:
    root = ElementTree.parse(made.root / "fig.svg").getroot()
    space = root.tag.partition("}")[0] + "}"
    (found,) = root.iter(f"{space}metadata")
    assert keys_in(found.text or "") == keys_of(made)


def test_a_png_is_read_by_pillow(made: Project) -> None:
    image = pytest.importorskip("PIL.Image")
    with image.open(made.root / "fig.png") as opened:
        opened.load()
        assert keys_in(opened.text["motools_build"]) == keys_of(made)


def test_a_pdf_is_read_by_pypdf(made: Project) -> None:
    pypdf = pytest.importorskip("pypdf")
    found = pypdf.PdfReader(made.root / "fig.pdf", strict=True)
    assert keys_in(found.metadata["/motools_build"]) == keys_of(made)
    assert found.metadata["/Producer"] == "svg2pdf"
    assert len(found.pages) == 1
    assert "questions" in found.pages[0].extract_text()


def test_a_page_is_read_by_an_html_parser(made: Project) -> None:
    page = (made.root / "tiny.html").read_text()
    (found,) = (a for tag, a in Tags(page).found if a.get("name") == "motools_build")
    assert keys_in(found["content"] or "") == keys_of(made)


def test_a_page_with_a_mark_has_the_same_policy() -> None:
    made = document("t", "", head=in_page(replace(MARK, command=HOSTILE).encode()))
    assert f'content="{policy()}"' in made
    assert "script" not in {tag for tag, _ in Tags(made).found}


def test_a_figure_of_the_same_results_has_the_same_bytes(copy: Project) -> None:
    before = [(copy.root / name).read_bytes() for name in FILES[:2]]
    for name in FILES[:2]:
        copy.doit("plot", "tiny", "--out", name)
    assert [(copy.root / name).read_bytes() for name in FILES[:2]] == before


# ---- traced


@pytest.mark.parametrize("file", FILES)
def test_all_is_current(made: Project, file: str) -> None:
    ran = made.doit("trace", file)
    assert f"{file}: 3 artifacts, 3 current\n" in ran.out
    assert f"--out {file}" in ran.out
    found = traced(made, file)
    assert {one["key"] for one in found["artifacts"]} == keys_of(made)
    assert found["counts"] == {"current": 3}
    assert found["settings"] == ["tiny"]


def test_what_is_superseded_is_told_with_its_key(copy: Project) -> None:
    copy.dataset("tiny", 5)
    ran = copy.doit("trace", "fig.png", code=1)
    assert "fig.png: 3 artifacts, 1 current, 2 superseded" in ran.out
    key = next(one["key"] for one in copy.results("tiny") if one["stage"] == SEED0)
    assert f"its key is {key} now (doit why {SEED0})" in ran.out
    copy.doit("run", "tiny")
    assert traced(copy, "fig.png", code=1)["counts"] == {"current": 1, "superseded": 2}
    copy.doit("plot", "tiny", "--out", "fig.png")
    assert traced(copy, "fig.png")["counts"] == {"current": 3}


def test_what_the_setting_does_not_ask_for_is_removed(
    copy: Project, edit: Callable[[Path, str, str], None]
) -> None:
    edit(copy.root / "zoo/tiny.py", "[0, 1]", "[0]")
    out = copy.doit("trace", "fig.svg", code=1).out
    assert "3 artifacts, 2 current, 1 removed" in out
    assert "tiny does not ask for it now" in out
    (copy.root / "zoo/tiny.py").unlink()
    out = copy.doit("trace", "fig.svg", code=1).out
    assert "3 artifacts, 0 current, 3 removed" in out
    assert "no setting is called tiny" in out


def test_a_setting_that_cannot_be_planned_is_told(copy: Project) -> None:
    (copy.root / "zoo/tiny.py").write_text("nothing_like_that\n")
    out = copy.doit("trace", "fig.svg", code=1).out
    assert "3 artifacts, 0 current, 3 unknown" in out
    assert "zoo/tiny.py:1: NameError" in out


@pytest.mark.parametrize("file", FILES)
def test_without_artifacts_and_from_elsewhere(
    copy: Project, tmp_path: Path, file: str
) -> None:
    elsewhere = shutil.move(copy.root / file, tmp_path / f"else where {file}")
    shutil.rmtree(copy.root / "artifacts")
    ran = copy.doit("trace", str(elsewhere), code=1)
    assert "3 artifacts, 0 current, 3 not here" in ran.out
    assert "its artifact is not on this machine" in ran.out


def test_a_model_that_was_made_again_is_told(copy: Project) -> None:
    file = copy.root / "fig.svg"
    output = traced(copy, "fig.svg")
    assert output["counts"] == {"current": 3}
    text = file.read_text()
    outputs = re.findall(r"output&quot;:&quot;(\w{32})", text)
    file.write_text(text.replace(outputs[0], "0" * 32))
    out = copy.doit("trace", "fig.svg", code=1).out
    assert "made again since, with other scores" in out


def test_a_figure_under_variables_is_traced_under_them(copy: Project) -> None:
    copy.doit("plot", "tiny", "--out", "one.svg", "seeds=1")
    found = traced(copy, "one.svg")
    assert found["command"] == "doit plot tiny --out one.svg seeds=1"
    assert found["counts"] == {"current": 2}
    assert len(traced(copy, "fig.svg")["artifacts"]) == 3


def test_only_what_is_drawn_is_in_the_mark(
    copy: Project, edit: Callable[[Path, str, str], None]
) -> None:
    evals = '[Eval("dummy/questions"), Eval("dummy/score")]'
    edit(copy.root / "zoo/tiny.py", '[Eval("dummy/questions")]', evals)
    copy.doit("run", "tiny")
    copy.doit("plot", "tiny", "--out", "all.svg")
    copy.doit("plot", "tiny", "--out", "one.svg", "--eval", "score")
    assert len(traced(copy, "all.svg")["artifacts"]) == 6
    stages = [one["stage"] for one in traced(copy, "one.svg")["artifacts"]]
    assert len(stages) == 3
    assert all(stage.endswith("/score") for stage in stages)


def test_a_figure_from_a_lock_says_so(made: Project, copy: Project) -> None:
    shutil.rmtree(copy.root / "artifacts")
    copy.doit("plot", "tiny", "--out", "fig.svg", "--from-lock")
    svg = [
        re.sub(r"<metadata.*?</metadata>", "", (p.root / "fig.svg").read_text())
        for p in (made, copy)
    ]
    assert svg[0] == svg[1]
    out = copy.doit("trace", "fig.svg", code=1).out
    assert "from zoo/tiny.lock.json, locked 20" in out
    assert "3 not here" in out
    shutil.copy(copy.root / "fig.svg", made.root / "locked.svg")
    assert "3 artifacts, 3 current" in made.doit("trace", "locked.svg").out


# ---- files from anywhere


def refused(project: Project, name: str, data: bytes) -> Ran:
    (project.root / name).write_bytes(data)
    ran = project.doit("trace", name, code=3)
    assert ran.out == ""
    assert "Traceback" not in ran.err
    return ran


@pytest.mark.parametrize("file", FILES)
def test_a_file_without_a_mark(copy: Project, file: str) -> None:
    data = (copy.root / file).read_bytes()
    ran = refused(copy, file, data.replace(b"motools_build", b"another_thing"))
    assert f"{file} does not say what it shows" in ran.err
    assert "does not say what it shows" in refused(copy, file, b"").err


def test_a_file_that_is_not_there(made: Project) -> None:
    assert "fig.gif" in made.doit("trace", "fig.gif", code=3).err
    assert "write doit trace FILE" in made.doit("trace", code=3).err
    assert "directory" in made.doit("trace", "zoo", code=3).err.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": 1}',
        json.dumps({**json.loads(MARK.encode()), "items": [{"stage": 1}]}),
        json.dumps({**json.loads(MARK.encode()), "items": 7}),
        json.dumps({**json.loads(MARK.encode()), "variables": []}),
        json.dumps({**json.loads(MARK.encode()), "settings": [["x"]]}),
    ],
    ids=range(9),
)
def test_a_mark_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"fig\.svg has a mark that is not"):
        decode(text, "fig.svg")


def test_a_mark_of_a_newer_format_is_refused() -> None:
    body = {**json.loads(MARK.encode()), "format": 2, "version": "9.1"}
    with pytest.raises(MotoolsError, match=r"upgrade motools_build to 9\.1"):
        decode(json.dumps(body), "fig.svg")


def test_a_hostile_mark_is_inert(copy: Project) -> None:
    evil = replace(
        MARK,
        settings=("../../evil", "tiny", HOSTILE),
        items=(Item(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        variables={"model": HOSTILE},
        command=HOSTILE,
        locked=HOSTILE,
        version=HOSTILE,
        commit=HOSTILE,
        newest=HOSTILE,
    )
    (copy.root / "x.html").write_text(document("t", "", head=in_page(evil.encode())))
    for words in ((), ("--json",)):
        out = copy.doit("trace", "x.html", *words, code=1).out
        assert "\x1b" not in out
        assert "\u202e" not in out
    assert "1 artifact, 0 current" in copy.doit("trace", "x.html", code=1).out


def test_a_large_mark_and_a_large_file_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.html"
    file.write_text(in_page(MARK.encode()))
    assert text_in(file) == MARK.encode()
    monkeypatch.setattr(embedding, "MOST", 10)
    assert text_in(file) is None
    monkeypatch.setattr(embedding, "LARGEST", 100)
    with pytest.raises(InputError, match="larger than a figure"):
        text_in(file)


@given(data=st.data())
def test_a_damaged_figure_is_read_or_has_no_mark(
    made: Project, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(FILES))
    whole = (made.root / name).read_bytes()
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    more = data.draw(st.binary(max_size=8))
    file = tmp_path_factory.getbasetemp() / f"damaged {name}"
    file.write_bytes(whole[:begin] + more + whole[end:])
    try:
        text = text_in(file)
        if text is not None:
            decode(text, name)
    except MotoolsError:
        pass


def test_a_png_whose_chunk_claims_too_much_has_no_mark(tmp_path: Path) -> None:
    chunk = struct.pack(">I", 1 << 31) + b"iTXtmotools_build\0\0\0\0\0{}"
    file = tmp_path / "x.png"
    file.write_bytes(embedding.SIGNATURE + chunk)
    assert text_in(file) is None


def test_a_compressed_chunk_is_left_alone(tmp_path: Path) -> None:
    bomb = zlib.compress(b"0" * 10_000_000)
    content = b"motools_build\0\1\0\0\0" + bomb
    size = struct.pack(">I", len(content))
    file = tmp_path / "x.png"
    file.write_bytes(embedding.SIGNATURE + size + b"iTXt" + content + b"1234")
    assert text_in(file) is None


def test_a_pdf_of_another_structure_is_not_marked() -> None:
    with pytest.raises(InputError, match="write SVG or PNG"):
        in_pdf(b"%PDF-1.7\n...", "{}")


def test_a_mark_has_no_secret(copy: Project) -> None:
    secret = "sk-secret-of-a-figure"
    copy.doit("plot", "tiny", "--out", f"{secret}.svg", LAB_API_KEY=secret)
    assert secret not in (copy.root / f"{secret}.svg").read_text()


def test_a_killed_plot_leaves_the_old_figure(copy: Project) -> None:
    before = (copy.root / "fig.svg").read_bytes()
    copy.doit("plot", "tiny", "--out", "fig.svg", "--eval", "nothing", code=3)
    assert (copy.root / "fig.svg").read_bytes() == before
    assert not [*copy.root.glob(".*.new")]


def test_pypdf_reads_an_update_of_an_update(made: Project) -> None:
    pypdf = pytest.importorskip("pypdf")
    twice = in_pdf((made.root / "fig.pdf").read_bytes(), '{"later":1}')
    found = pypdf.PdfReader(io.BytesIO(twice))
    assert found.metadata["/motools_build"] == '{"later":1}'
