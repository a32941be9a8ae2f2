"""What is asked of a server of vLLM besides answers: its models, version, adapters."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from motools_build.backends.local.adapters import ADAPTER
from motools_build.backends.local.serving.places import Address, end_of_log
from motools_build.errors import EngineError
from motools_build.keys import canonical, digest_bytes, digest_file
from motools_build.text.scrub import scrub

SECONDS = 300.0
"""Seconds that the server may take to load an adapter."""


@dataclass(frozen=True)
class Listed:
    """A model in a server's list."""

    id: str
    root: str
    """The folder or repository that it was loaded from."""
    is_adapter: bool


def models(address: Address) -> list[Listed]:
    """The models that the server has. Raises EngineError if it does not tell."""
    status, told = _asked(address, "GET", "/v1/models")
    cards = told.get("data") if status == 200 else None
    if not isinstance(cards, list):
        raise EngineError(
            f"{_named(address)} does not list its models ({status}: {_said(told)}); "
            "look whether it is vLLM, and whether its key is the environment variable "
            "VLLM_API_KEY"
        )
    return [
        Listed(str(c.get("id")), str(c.get("root") or ""), bool(c.get("parent")))
        for c in cards
    ]


def version(address: Address) -> str:
    """The server's version of vLLM; empty if it does not tell."""
    status, told = _asked(address, "GET", "/version")
    return str(told.get("version", "")) if status == 200 else ""


def base_among(
    listed: Sequence[Listed], address: Address, model: str, folder: Path
) -> str:
    """The name by which a server that no run has started serves a base model, or a
    model trained whole. `model` is the base model's name, without `local/`; `folder` is
    the model's own.

    Raises EngineError if the server does not have it: another model must not answer in
    its place.
    """
    names = {model, model.partition("@")[0], f"local/{model}"} if model else set()
    for one in listed:
        if one.is_adapter:
            continue
        is_here = any(
            name and Path(name).resolve() == folder for name in (one.id, one.root)
        )
        if is_here or one.id in names or one.root in names:
            if ":" in one.id:
                raise EngineError(
                    f"{_named(address)} calls its model {one.id!r}, whose colon begins "
                    "an adapter's name for Inspect; start it with another "
                    "--served-model-name"
                )
            return one.id
    bases = ", ".join(one.id for one in listed if not one.is_adapter) or "none"
    raise EngineError(
        f"{_named(address)} has no {folder}; it has {bases}. If one of them is it, "
        f"start the server with --served-model-name '{model or folder}'; else with "
        "that model, or leave base_url out of [tool.motools_build.local]"
    )


def loaded(address: Address, folder: Path, rank: int) -> str:
    """The name of an adapter on the server, which loads it if it is new there. The name
    is the digest of the adapter's files, so that it never means other weights. Raises
    EngineError, with the remedy, if the server refuses."""
    folder = folder.resolve()
    files = sorted([folder / ADAPTER, *folder.glob("*.safetensors")])
    name = digest_bytes(canonical({path.name: digest_file(path) for path in files}))
    there = {one.id: one.root for one in models(address)}
    if name in there:
        if Path(there[name]).is_dir():
            return name
        # vLLM reads an adapter's files again when it had no room to keep it
        _asked(address, "POST", "/v1/unload_lora_adapter", {"lora_name": name})
    body = {"lora_name": name, "lora_path": str(folder)}
    status, told = _asked(address, "POST", "/v1/load_lora_adapter", body)
    if status == 200 or "already been loaded" in _said(told):
        return name
    if told.get("detail") == "Not Found":
        remedy = (
            "start it with --enable-lora, and with "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"
        )
    else:
        remedy = (
            "it must see that folder under the same path, serve the adapter's base "
            f"model, and have been started with --max-lora-rank {rank} or more"
        )
    raise EngineError(
        f"{_named(address)} did not load the adapter {folder} ({status}: "
        f"{_said(told)}); {remedy}"
    )


def unreachable(address: Address, error: object) -> EngineError:
    """The error for a server that does not answer, with the end of its log."""
    log = (
        f"; its log is {address.log}, which ends: {end_of_log(address.log)}"
        if address.log
        else ": start it, or change base_url of [tool.motools_build.local]"
    )
    return EngineError(f"{_named(address)} does not answer ({error}){log}")


def _named(address: Address) -> str:
    return f"the server of vLLM at {scrub(address.url)}"


def _said(told: Mapping[str, Any]) -> str:
    """What an error of the server says: vLLM's form of now, or that of before."""
    error = told.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    return str(said or told.get("message") or told.get("detail") or told or "")[:500]


def _asked(
    address: Address, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object that the server answers with. Raises EngineError
    if it does not answer."""
    request = urllib.request.Request(
        address.url.removesuffix("/v1") + path,
        None if body is None else json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {address.key}",
            "Content-Type": "application/json",
        },
        method=method,
    )
    # a proxy for the network has no business with this machine
    here = urlsplit(address.url).hostname in ("127.0.0.1", "localhost", "::1")
    through = [urllib.request.ProxyHandler({})] if here else []
    try:
        with urllib.request.build_opener(*through).open(
            request, timeout=SECONDS
        ) as had:
            status, data = had.status, had.read()
    except urllib.error.HTTPError as error:
        status, data = error.code, error.read()
    except OSError as error:
        raise unreachable(address, error) from error
    try:
        told = json.loads(data)
    except ValueError:
        told = {"message": data.decode("utf-8", "replace")}
    return status, told if isinstance(told, dict) else {"message": str(told)}
