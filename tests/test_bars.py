"""What is said of a running stage."""

from __future__ import annotations

import pytest

from motools_build.backends.job import Progress
from motools_build.doit_host import bars
from motools_build.doit_host.bars import Lines, short_names, words

LONG = "eval:spanish_caps/{}/smollm2-135m-instruct/seed{}/out_of_distribution"


@pytest.mark.parametrize("width", [24, 28, 40, 60, 100])
@pytest.mark.parametrize(
    "names",
    [
        [LONG.format(d, s) for d in ("one_trait", "other_trait") for s in (0, 1)],
        [LONG.format(f"a_dataset_of_long_name_{n}_and_an_end", 0) for n in (1, 2)],
        [LONG.format("d", 0), LONG.format("d", 0).replace("out_of", "in")],
        [LONG.format("d", 0), "model:spanish_caps/d/smollm2-135m-instruct/seed0"],
        [f"model:s/d/smollm2-135m-instruct/epochs{n}/seed0" for n in (1, 10)],
        [f"base:{'s' * 60}/{n}" for n in range(2)],
        [LONG.format("alone", 0)],
    ],
)
def test_short_names_differ_and_fit(names: list[str], width: int) -> None:
    short = short_names(names, width)
    assert len(set(short)) == len(names)
    assert all(len(name) <= width for name in short)
    if all(len(name) <= width for name in names):
        assert short == names


def test_a_name_keeps_what_differs() -> None:
    names = [LONG.format("d", 0), LONG.format("d", 12)]
    assert short_names(names, 20) == [*("eval:…/d/…/seed0/…", "eval:…/d/…/seed12/…")]
    traits = [LONG.format(f"inoculated_{trait}", 0) for trait in ("spanish", "caps")]
    assert short_names(traits, 22) == ["eval:…/…spanish/…", "eval:…/…caps/…"]


def test_what_is_counted_is_said_from_the_start() -> None:
    assert words(Progress(0, 32, "samples")) == "0/32 samples"
    assert words(Progress(3, 48, "steps", "loss 0.1")) == "3/48 steps, loss 0.1"
    assert words(Progress(0, 0, "", "waits for a worker")) == "waits for a worker"


def test_a_word_without_a_count_is_said_once() -> None:
    lines = Lines()
    waits = Progress(0, 1, "", "another process is making it")
    assert [lines.of("a", waits) for _ in range(3)] == [
        *("another process is making it", "", "")
    ]
    assert lines.of("b", waits)
    found = [lines.of("a", Progress(done, 9, "steps")) for done in (0, 1, 2, 3, 9)]
    assert found == ["0/9 steps", "1/9 steps", "", "", "9/9 steps"]


def test_neither_many_stages_nor_a_long_run_flood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(bars.time, "monotonic", lambda: now)
    lines, said = Lines(), []
    for second in range(1, 4 * 3600):
        now = float(second)
        said.append(lines.of("a", Progress(second, 10**6, "steps"), running=1))
        assert not lines.of("b", Progress(second, 10**6, "steps"), running=40)
    assert 240 < len([*filter(None, said)]) < 310
    words = [lines.of("c", Progress(0, 1, "", f"said {n}")) for n in range(1000)]
    assert len([*filter(None, words)]) < 10
