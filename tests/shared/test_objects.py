"""The objects of a shared store, against servers that nobody here wrote."""

from __future__ import annotations

import errno
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest

from motools_build.errors import InputError, MissingExtra, StoreError, StoreUnreachable
from motools_build.store.shared import objects as module
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from tests.shared.servers import Bucket

Open = Callable[[Bucket], Objects]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setattr(module, "PAUSE", 0.001)

    def opened(bucket: Bucket) -> Objects:
        for name, value in bucket.environ.items():
            monkeypatch.setenv(name, value)
        return Objects(Address.parse(bucket.address))

    return opened


@pytest.fixture(params=["s3", "az", "path"])
def objects(request: pytest.FixtureRequest, opened: Open, tmp_path: Path) -> Objects:
    if request.param == "path":
        return Objects(Address.parse(str(tmp_path / "team")))
    return opened(request.getfixturevalue(request.param))


def test_an_object_is_created_once(objects: Objects) -> None:
    assert objects.creates_once
    first, second = secrets.token_bytes(20), secrets.token_bytes(20)
    assert objects.create("claims/a/0001", first)
    assert not objects.create("claims/a/0001", second)
    assert objects.create("claims/a/0001", first)  # its own, whose answer got lost
    assert objects.get("claims/a/0001") == first
    assert objects.get("claims/a/0002") is None


def test_put_list_fetch_delete(objects: Objects, tmp_path: Path) -> None:
    data = secrets.token_bytes(1000)
    file = tmp_path / "payload"
    file.write_bytes(data)
    objects.put("payload/x/adapter.bin", file)
    objects.put("payload/x/empty", b"")
    objects.put("other/x", b"1")
    found = {one.name: one.size for one in objects.list("payload")}
    assert found == {"payload/x/adapter.bin": 1000, "payload/x/empty": 0}
    out = tmp_path / "out"
    assert objects.fetch("payload/x/adapter.bin", out, 1000)
    assert out.read_bytes() == data
    assert objects.fetch("payload/x/empty", out, 0)
    assert out.read_bytes() == b""
    assert not objects.fetch("payload/x/gone", out, 10)
    assert not objects.fetch("payload/x/adapter.bin", out, 1001)
    if objects.address.scheme == "az":  # Azurite answers 500 to a batch of deletions
        return
    objects.delete("payload/x/empty")
    objects.delete("payload/x/empty")
    assert len(objects.list("payload")) == 1


@pytest.mark.parametrize("failures", [1, module.TRIES])
def test_an_object_in_a_folder_counts_once_it_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """With all folders that it is the first of; a disk that fails is a store that does
    not answer."""
    monkeypatch.setattr(module, "PAUSE", 0.001)
    objects = Objects(Address.parse(str(tmp_path / "team")))
    flushed: list[str] = []
    failing = [OSError(errno.EIO, "cut")] * failures

    def sync(path: Path) -> None:
        if failing:
            raise failing.pop()
        flushed.append(str(path.relative_to(tmp_path)))

    monkeypatch.setattr(module, "sync", sync)
    if failures == module.TRIES:
        with pytest.raises(StoreUnreachable, match="does not answer"):
            objects.create("claims/a/0001", b"1")
        return
    assert objects.create("claims/a/0001", b"1")
    assert flushed == ["team/claims/a/0001", "team/claims/a", "team/claims", "team"]


def test_a_folder_tells_what_the_system_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of obstore are of one type; to write is denied, or the disk is full."""
    monkeypatch.setattr(module, "PAUSE", 0.001)
    objects = Objects(Address.parse(str(tmp_path / "team")))
    for number, error, said in (
        (errno.EROFS, StoreError, r"team refuses it \(Read-only file system\)"),
        (errno.ENOSPC, StoreUnreachable, r"does not work \(No space left on device\)"),
    ):

        def put(*_: object, number: int = number, **__: object) -> None:
            raise obstore.exceptions.GenericError(f"Unable (os error {number})")

        monkeypatch.setattr(obstore, "put", put)
        with pytest.raises(error, match=said) as raised:
            objects.put("records/x", b"1")
        assert type(raised.value) is error


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    objects = Objects(Address.parse(str(tmp_path / "file/team")))
    with pytest.raises(StoreError, match=r"file/team cannot be opened .*: mount its"):
        objects.list("records")


def test_a_store_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    objects = Objects(Address.parse(str(tmp_path / "team")))
    for ask in (objects.list, objects.get, objects.delete):
        with pytest.raises(MissingExtra, match=r"pip install 'motools_build\[store\]'"):
            ask("records")


def test_what_a_killed_writer_leaves_in_a_folder_is_no_object(tmp_path: Path) -> None:
    """A new file is written under a name with `#` and a number, and then linked."""
    objects = Objects(Address.parse(str(tmp_path / "team")))
    objects.put("claims/a/0000", b"")
    left = tmp_path / "team/claims/a/0001#1"
    left.write_bytes(b"half")
    assert objects.get("claims/a/0001") is None
    assert objects.create("claims/a/0001", b"1")
    assert objects.get("claims/a/0001") == b"1"
    assert [one.name for one in objects.list("claims")] == [
        "claims/a/0000",
        "claims/a/0001",
    ]


@pytest.mark.parametrize("kind", ["s3", "az"])
def test_a_server_that_ignores_conditions_is_found(
    kind: str, request: pytest.FixtureRequest, opened: Open
) -> None:
    bucket: Bucket = request.getfixturevalue(kind)
    bucket.proxy.ignores_conditions = True
    assert not opened(bucket).creates_once
    bucket.proxy.ignores_conditions = False
    assert opened(bucket).creates_once


@pytest.mark.parametrize("kind", ["s3", "az"])
def test_a_lost_answer_is_known_by_its_bytes(
    kind: str, request: pytest.FixtureRequest, opened: Open
) -> None:
    bucket: Bucket = request.getfixturevalue(kind)
    mine, theirs = opened(bucket), opened(bucket)
    bucket.proxy.cuts = 0.5
    for n in range(20):
        outcomes = []
        for objects in (mine, theirs):
            try:
                outcomes.append(
                    objects.create(f"claims/k/{n:04d}", b"%d" % id(objects))
                )
            except StoreUnreachable:
                outcomes.append(None)
        assert outcomes.count(True) <= 1


@pytest.mark.parametrize("kind", ["s3", "az"])
def test_errors_name_the_store_and_no_secret(
    kind: str, request: pytest.FixtureRequest, opened: Open
) -> None:
    bucket: Bucket = request.getfixturevalue(kind)
    objects = opened(bucket)
    bucket.proxy.is_down = True
    with pytest.raises(StoreUnreachable) as caught:
        objects.get("claims/x/0001")
    text = repr(caught.value) + repr(caught.value.__context__.__class__)
    assert bucket.address in text
    for secret in ("sig=", "secret-of-aws", "sv=", bucket.proxy.url):
        assert secret not in text
    assert caught.value.__suppress_context__


def test_a_bucket_that_is_not_there(s3: Bucket, opened: Open) -> None:
    with pytest.raises(StoreError, match="is not there"):
        opened(Bucket("s3://nobody-made-it/x", s3.proxy, s3.environ)).list("records")


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:secret@bucket/prefix",
        "az://container?sv=2022&sig=secret",
        "https://secret.blob.core.windows.net/x",
        "s3://",
        "",
        "s3://bucket/../secret",
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Address.parse(text)
    assert "secret" not in str(caught.value)


def test_addresses(tmp_path: Path) -> None:
    assert str(Address.parse("s3://bucket/a/b/")) == "s3://bucket/a/b"
    assert str(Address.parse("gs://bucket")) == "gs://bucket"
    assert Address.parse(str(tmp_path)).folder == tmp_path


def test_a_profile_of_the_cloud_is_found(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[lab]\naws_access_key_id = AKIDOFTHEPROFILE\naws_secret_access_key = s\n"
    )
    for name, value in s3.environ.items():
        if "KEY" in name:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    objects = Objects(Address.parse(s3.address))
    assert objects.create("claims/x/0001", b"1")
    assert any("AKIDOFTHEPROFILE" in one for one in s3.proxy.signed)
