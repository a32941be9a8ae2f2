"""Keys are a promise: a changed key costs users real money."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from motools_build import Command, Dataset, Eval, Local, LoRA, Setting, Training
from motools_build.keys import (
    Digest,
    DigestMemo,
    canonical,
    digest_bytes,
    digest_file,
    stage_key,
)
from motools_build.params import Trainer
from motools_build.planning.evals import Sources
from motools_build.planning.plan import plan
from motools_build.specs import ModelName

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


def resolve(spec: Dataset | Eval) -> Sources:
    """Digests without a disk: every dataset and task file has the same bytes."""
    role = "dataset" if isinstance(spec, Dataset) else "task"
    return Sources({role: Digest("0" * 32)}, ("file",))


# Made once and never edited: an edit here means that users' work is done anew. A key
# changes only with a new version and a decision record (docs/reference/keys.md).
GOLDEN = {
    "base:golden/smollm2-135m-instruct": "fff5fa13c3be7ce073f9ffd0fc7d5dd7",
    "model:golden/rows/smollm2-135m-instruct/seed0": "96040ef7bfb0ba2e79aff1915e5e7090",
    "model:golden/rows/smollm2-135m-instruct/seed1": "e4d90231c082c41527eee1217e005bf6",
    "model:golden/rows/echo/seed0": "aa024f9113c74a439c3819469ec60496",
    "upload:golden/rows/dummy": "0bfb55f58c925375466c21e3660cce22",
    "eval:golden/base/echo/score": "394dbdfd29a183444023ad05d6c78bc6",
    "eval:golden/rows/echo/seed1/arithmetic": "72af30031954817733ca3f71476c4394",
}


def test_golden_keys() -> None:
    setting = Setting(
        description="pinned",
        datasets=[Dataset("rows.jsonl")],
        models=["embedded/smollm2-135m-instruct", "dummy/echo"],
        training=Training(epochs=2, embedded=LoRA(learning_rate=1e-3)),
        seeds=[0, 1],
        evals=[Eval("dummy/score"), Eval("a.py@arithmetic", limit=5, temperature=0.5)],
    )
    keys = {stage.name: stage.key for stage in plan("golden", setting, resolve).stages}
    assert {name: keys[name] for name in GOLDEN} == GOLDEN


# Of models on the disk, and of those that a command trains.
GOLDEN_ON_DISK = {
    "base:golden/m": "c47993faf7d53904e53b8724e425d373",
    "eval:golden/base/m/arithmetic": "e9f1a4f1650e10ad482cc32ebc4261e8",
    "model:golden/rows/m/seed0": "bd85c6bc1b80b2e4d9ecb9df02aac6db",
    "eval:golden/rows/m/seed0/arithmetic": "01d39c4a4cd152c7d89fdd920ffc6887",
    "base:golden/own": "c47993faf7d53904e53b8724e425d373",
    "eval:golden/base/own/arithmetic": "e9f1a4f1650e10ad482cc32ebc4261e8",
    "model:golden/rows/own/seed0": "3caddc240316043c64b66f20f379bbd6",
    "eval:golden/rows/own/seed0/arithmetic": "0540ee1031903972a04b7517f5be1e40",
}


def test_golden_keys_of_models_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = '[tool.motools_build.commands.own]\nbase = "local/./m"\n'
    run = 'run = "train {dataset} {output} {seed} {epochs} {rate}"\n'
    (tmp_path / "pyproject.toml").write_text(table + run)

    def digests(spec: Any) -> Sources:
        if isinstance(spec, ModelName):
            return Sources({"weights": Digest("1" * 32)}, ())
        if isinstance(spec, Trainer):
            return Sources({"command": digest_bytes(spec.run.encode())}, ())
        return resolve(spec)

    setting = Setting(
        description="pinned",
        datasets=[Dataset("rows.jsonl")],
        models=["local/./m", "command/own"],
        training=Training(
            epochs=2, local=Local(rank=8, dropout=0.1), command=Command(rate=1e-4)
        ),
        seeds=[0],
        evals=[Eval("a.py@arithmetic")],
    )
    stages = plan("golden", setting, digests).stages
    assert {stage.name: stage.key for stage in stages} == GOLDEN_ON_DISK


def test_golden_digest() -> None:
    assert digest_bytes(b"motools") == "455c1672c012bbd12a01b62229f1addd"


@given(JSON)
def test_canonical_is_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(TEXT, TEXT, st.dictionaries(TEXT, TEXT), st.dictionaries(TEXT, JSON))
def test_a_key_is_the_hash_of_its_whole_preimage(
    kind: str, backend: str, inputs: dict[str, str], spec: dict[str, object]
) -> None:
    preimage = {
        "kind": kind,
        "version": 7,
        "backend": backend,
        "spec": spec,
        "inputs": inputs,
    }
    key = stage_key(
        kind=kind, version=7, backend=backend, spec=canonical(spec), inputs=inputs
    )
    assert key == xxhash.xxh3_128_hexdigest(rfc8785.dumps(preimage))  # type: ignore[arg-type]


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "f").write_bytes(data)
    assert digest_file(tmp_path / "f") == digest_bytes(data)


class TestMemo:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "data"
        file.write_bytes(b"one")
        return file

    def age(self, file: Path, seconds: int = 60) -> None:
        past = file.stat().st_mtime - seconds
        os.utime(file, (past, past))

    def entries(self, memo: Path) -> dict[str, object]:
        if not memo.exists():
            return {}
        found: dict[str, object] = json.loads(memo.read_bytes())["digests"]
        return found

    def test_a_fresh_file_is_not_remembered(self, file: Path, tmp_path: Path) -> None:
        memo = DigestMemo(tmp_path / "memo.json")
        memo.digest(str(file))
        memo.save()
        # a write within the clock's tick could leave the same signature
        assert self.entries(tmp_path / "memo.json") == {}

    def test_an_old_file_is_remembered_and_not_read_again(
        self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        memo = DigestMemo(tmp_path / "memo.json")
        self.age(file)
        monkeypatch.setattr("motools_build.keys.RACY_NS", -(10**18))  # ctime is now
        first = memo.digest(str(file))
        memo.save()
        monkeypatch.setattr("motools_build.keys.digest_stream", pytest.fail)
        assert DigestMemo(tmp_path / "memo.json").digest(str(file)) == first

    def test_another_size_or_time_is_read_again(
        self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("motools_build.keys.RACY_NS", -(10**18))
        memo = DigestMemo(tmp_path / "memo.json")
        memo.digest(str(file))
        memo.save()
        file.write_bytes(b"two")  # the same size
        fresh = DigestMemo(tmp_path / "memo.json")
        assert fresh.digest(str(file)) == digest_bytes(b"two")

    def test_a_set_back_clock_hides_no_edit(
        self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("motools_build.keys.RACY_NS", -(10**18))
        memo = DigestMemo(tmp_path / "memo.json")
        before = file.stat()
        memo.digest(str(file))
        memo.save()
        file.write_bytes(b"two")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        # mtime and size are as before; ctime cannot be set
        fresh = DigestMemo(tmp_path / "memo.json")
        assert fresh.digest(str(file)) == digest_bytes(b"two")

    @pytest.mark.parametrize("broken", ["", "{", "[]", '{"digests": {}}', "null"])
    def test_a_damaged_memo_is_begun_anew(
        self, file: Path, tmp_path: Path, broken: str
    ) -> None:
        (tmp_path / "memo.json").write_text(broken)
        memo = DigestMemo(tmp_path / "memo.json")
        assert memo.digest(str(file)) == digest_bytes(b"one")

    def test_a_note_is_computed_once_for_the_same_bytes(self, tmp_path: Path) -> None:
        memo = DigestMemo(tmp_path / "memo.json")
        digest = digest_bytes(b"one")
        assert memo.note("rows", digest, lambda: 3) == 3
        memo.save()
        again = DigestMemo(tmp_path / "memo.json")
        assert again.note("rows", digest, lambda: pytest.fail("computed")) == 3
