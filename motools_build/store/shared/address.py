"""The address of a shared store, and the client for it.

`s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or the path of a
folder on a disk that all machines mount. Credentials come from the cloud's own chain:
the environment, profiles, the machine's role. An address never has any.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from motools_build.errors import InputError, MissingExtra

CLOUDS = ("s3", "gs", "az")

SECONDS = 30
"""Longest time that one request may take, in seconds: payloads move in parts."""


@dataclass(frozen=True)
class Address:
    """Where a shared store is."""

    scheme: str
    """`s3`, `gs`, `az` or `file`."""
    bucket: str
    """The bucket or container; for `file`, the absolute path of the folder."""
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address in a configuration. Raises InputError, which never repeats the
        text, since a wrong address may hold a credential."""
        scheme, found, rest = text.partition("://")
        if not found:
            if not text or "?" in text or "\0" in text:
                raise InputError(_wrong("it is no path"))
            return cls("file", os.path.abspath(os.path.expanduser(text)))
        if scheme not in CLOUDS:
            raise InputError(_wrong("it begins with none of s3://, gs://, az://"))
        if re.search(r"[@?#%:\s]", rest):
            raise InputError(
                _wrong(
                    "it holds one of @?#%: or a space; credentials come from the "
                    "cloud's own chain, never from an address"
                )
            )
        bucket, _, prefix = rest.strip("/").partition("/")
        if not bucket or ".." in prefix.split("/"):
            raise InputError(_wrong("it names no bucket"))
        return cls(scheme, bucket, prefix.strip("/"))

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.bucket
        return f"{self.scheme}://{self.bucket}" + f"/{self.prefix}" * bool(self.prefix)

    @property
    def folder(self) -> Path | None:
        """The folder of a store on a disk, else None."""
        return Path(self.bucket) if self.scheme == "file" else None

    def client(self) -> Any:
        """The client of obstore. Raises MissingExtra if obstore is not installed, and
        InputError if it refuses the environment's settings. It must never be printed:
        the text of one for Azure may hold a key."""
        try:
            from obstore import store
        except ImportError as error:
            raise MissingExtra(
                "the shared store needs obstore: pip install 'motools_build[store]'"
            ) from error
        try:
            if self.scheme == "file":
                return store.LocalStore(self.bucket, mkdir=True)
            options: dict[str, Any] = {
                "client_options": {
                    "timeout": timedelta(seconds=SECONDS),
                    "connect_timeout": timedelta(seconds=5),
                    "allow_http": _plain(self.scheme),
                },
                "retry_config": {  # this package tries again itself, and says so
                    "max_retries": 2,
                    "retry_timeout": timedelta(seconds=10),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=50),
                        "max_backoff": timedelta(seconds=1),
                        "base": 2,
                    },
                },
            }
            if self.prefix:
                options["prefix"] = self.prefix
            if self.scheme == "s3":
                return store.S3Store(self.bucket, **options, **_of_boto3())
            kind = {"gs": store.GCSStore, "az": store.AzureStore}[self.scheme]
            return kind(self.bucket, **options)
        except Exception as error:  # noqa: BLE001 - of boto3's many, too
            if self.scheme == "file":
                raise InputError(
                    f"the shared store {self} cannot be opened ({error}): mount its "
                    "disk, or mend the address in pyproject.toml"
                ) from None
            raise InputError(
                f"the shared store {self} cannot be opened ({type(error).__name__}): "
                "look at the cloud's variables in the environment, its region and "
                "credentials"
            ) from None  # the error's own text may hold a credential


def _wrong(why: str) -> str:
    return (
        f"pyproject.toml: [tool.motools_build] store is not an address: {why}; write "
        "s3://bucket/prefix, gs://..., az://..., or the path of a shared folder"
    )


def _plain(scheme: str) -> bool:
    """Whether the environment names an endpoint without TLS, as a server on this
    machine has."""
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "AZURITE_BLOB_STORAGE_URL"),
    }
    return any(
        os.environ.get(name, "").startswith("http://") for name in names.get(scheme, ())
    )


def _of_boto3() -> dict[str, Any]:
    """A provider of credentials that knows profiles and single sign-on, which obstore
    alone does not; nothing if the environment has a key, or without boto3."""
    if os.environ.get("AWS_ACCESS_KEY_ID") or not importlib.util.find_spec("boto3"):
        return {}
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.session.Session()
    if session.get_credentials() is None:
        return {}
    found: dict[str, Any] = {"credential_provider": Boto3CredentialProvider(session)}
    if session.region_name:
        found["region"] = session.region_name
    return found
