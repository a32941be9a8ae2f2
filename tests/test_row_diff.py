"""Which rows of two files differ, and how."""

from __future__ import annotations

import io
import itertools
import json
import random
import tracemalloc
from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from motools_build.report.row_diff import Lines, RowDiff, row_diff
from motools_build.report.row_words import Field, fields, word_diff


def lines_of(*rows: str, end: str = "\n") -> Lines:
    return Lines(io.BytesIO("".join(f"{row}{end}" for row in rows).encode()))


def diff(old: list[str], new: list[str]) -> RowDiff:
    return row_diff(lines_of(*old), lines_of(*new))


rows = st.lists(st.sampled_from("abcdef"), max_size=8)


def longest(numbers: list[int]) -> int:
    """The length of a longest increasing subsequence, by trying all."""
    for size in range(len(numbers), 0, -1):
        for chosen in itertools.combinations(numbers, size):
            if all(a < b for a, b in itertools.pairwise(chosen)):
                return size
    return 0


def paired(old: list[str], new: list[str]) -> list[int]:
    """The old number of each row that both have, in the new order: the first of equal
    rows with the first, after what is equal at the beginning and the end."""
    begin = 0
    while begin < min(len(old), len(new)) and old[begin] == new[begin]:
        begin += 1
    ends = 0
    least = min(len(old), len(new)) - begin
    while ends < least and old[-1 - ends] == new[-1 - ends]:
        ends += 1
    there: dict[str, list[int]] = {}
    for i in range(begin, len(old) - ends):
        there.setdefault(old[i], []).append(i)
    inner = [
        there[row].pop(0) for row in new[begin : len(new) - ends] if there.get(row)
    ]
    tail = [*range(len(old) - ends, len(old))]
    return [*range(begin), *inner, *tail]


@given(rows, rows)
@example(["a", "b", "c"], ["c", "a", "b"])
@example(["a", "a"], ["a"])
@example(["a", "b", "a"], ["b", "a", "a"])
def test_a_diff_is_what_a_simple_model_says(old: list[str], new: list[str]) -> None:
    found = diff(old, new)
    both = sum((Counter(old) & Counter(new)).values())
    assert found.kept == longest(paired(old, new))
    assert found.kept + len(found.moved) == both
    assert both + len(found.changed) + len(found.removed) == len(old)
    assert both + len(found.changed) + len(found.added) == len(new)
    assert found.same == (old == new)


@given(rows, rows)
def test_a_diff_tells_each_row_once_and_truly(old: list[str], new: list[str]) -> None:
    found = diff(old, new)
    assert all(old[i] == new[j] for i, j in found.moved)
    assert all(old[i] != new[j] for i, j in found.changed)
    from_old = [*(i for i, _ in (*found.moved, *found.changed)), *found.removed]
    into_new = [*(j for _, j in (*found.moved, *found.changed)), *found.added]
    assert len({*from_old}) == len(from_old)
    assert len({*into_new}) == len(into_new)
    # what is left is equal, and in the same order
    kept = [row for i, row in enumerate(old) if i not in from_old]
    assert kept == [row for j, row in enumerate(new) if j not in into_new]
    assert len(kept) == found.kept
    events = [*found.events()]
    assert len(events) == sum(found.counts().values()) - found.kept


def test_an_insertion_moves_nothing() -> None:
    found = diff(["a", "b", "c"], ["x", "a", "b", "c"])
    assert found.counts() == {
        "kept": 3,
        "changed": 0,
        "added": 1,
        "removed": 0,
        "moved": 0,
    }


def test_of_several_rows_in_a_place_the_most_similar_is_the_changed_one() -> None:
    old = ["begin", "what is one and one ? two", "end"]
    new = ["begin", "an entirely new row", "what is one and one ? 2", "end"]
    found = diff(old, new)
    assert (found.changed, [*found.added]) == ([(1, 2)], [1])


def test_the_numbers_of_lines_count_empty_ones() -> None:
    file = Lines(io.BytesIO(b"\n\na\n  \nb"))
    assert [file.number(row) for row in range(len(file))] == [3, 5]
    assert [file.read(row) for row in range(len(file))] == [b"a", b"b"]


def test_an_end_of_a_line_that_differs_is_a_change_without_other_values() -> None:
    old, new = '{"a": 1}', '{"a": 1}\r'
    found = diff([old], [new])
    assert found.changed == [(0, 0)]
    assert fields(old.encode(), new.encode()) == []


def test_a_large_shuffled_file_is_compared_in_bounded_memory() -> None:
    count = 30_000
    numbers = [*range(count)]
    random.Random(1).shuffle(numbers)
    filler = "x" * 400
    old = io.BytesIO("".join(f"{n} {filler}\n" for n in range(count)).encode())
    new = io.BytesIO("".join(f"{n} {filler}\n" for n in numbers).encode())
    tracemalloc.start()
    found = row_diff(Lines(old), Lines(new))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.kept + len(found.moved) == count
    assert not found.changed
    assert peak < count * 400  # less than the text of one of the files


# ---- within a row


def test_a_changed_message_is_told_by_its_role_and_words() -> None:
    def row(answer: str) -> bytes:
        said = [
            {"role": "user", "content": "1+1"},
            {"role": "assistant", "content": answer},
        ]
        return json.dumps({"messages": said}).encode()

    (found,) = fields(row("It is two."), row("It is 2."))
    assert found == Field("messages[1].content", "assistant", "It is two.", "It is 2.")
    assert found.pieces == [("=", "It is "), ("-", "two"), ("+", "2"), ("=", ".")]


def test_fields_that_came_and_went() -> None:
    found = fields(b'{"a": 1, "b": [1, 2]}', b'{"a": true, "c": null}')
    assert [(one.path, one.old, one.new) for one in found] == [
        ("a", 1, True),
        ("c", None, None),
        ("b[0]", 1, None),
        ("b[1]", 2, None),
    ]


def test_a_row_that_is_no_json_is_compared_as_text() -> None:
    (found,) = fields(b"one two", b"one three \xff")
    assert found.path == ""
    assert ("+", "three") in found.pieces or found.pieces[1][0] == "-"
    assert fields(b'{"a": 1}', b'{"a":1}') == []
    deep = b"[" * 100_000
    assert fields(deep, b"{}")[0].old == deep.decode()


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_pieces_make_both_texts(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(text for mark, text in pieces if mark != "+") == old
    assert "".join(text for mark, text in pieces if mark != "-") == new


def test_a_very_long_text_is_not_compared_word_by_word() -> None:
    old, new = "same " + "a " * 9_000, "same " + "b " * 9_000
    assert [mark for mark, _ in word_diff(old, new)] == ["=", "-", "+", "="]
