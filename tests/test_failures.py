"""Failures of one reason are told once, whatever in their messages is their own."""

from __future__ import annotations

from motools_build.report.failures import again, by_reason, of_one_reason, together

LOOK = "to look at it: inspect view --log-dir artifacts/work/"


def test_samples_keys_and_names_are_no_reasons() -> None:
    failures = {
        "eval:s/a": f"sample 1 (epoch 1) failed: no answer; {LOOK}{'a' * 32}",
        "eval:s/b": "sample q x (epoch 2) failed, and 3 more: no answer; "
        f"{LOOK}{'b' * 32}",
        "eval:s/c": f"sample 1 (epoch 1) failed: another answer; {LOOK}{'c' * 32}",
        "model:s/d": "model:s/d cannot be made",
        "model:s/e": "model:s/e cannot be made",
    }
    assert by_reason(failures.items()) == [
        ["eval:s/a", "eval:s/b"],
        ["eval:s/c"],
        ["model:s/d", "model:s/e"],
    ]
    first, second, _ = of_one_reason(failures)
    assert first.startswith("2 stages: eval:s/a, eval:s/b: sample 1 (epoch 1) failed")
    assert second.startswith("eval:s/c: sample 1 (epoch 1) failed: another")


def test_many_are_counted() -> None:
    names = [f"eval:s/{n}" for n in range(40)]
    assert together(names) == "40 stages: eval:s/0, eval:s/1, eval:s/2 and 37 more"


def test_the_command_can_be_pasted() -> None:
    assert again(["eval:s/a", "eval:s/b c"]) == "doit run eval:s/a 'eval:s/b c'"
