"""The table `[tool.motools_build.local]`: who answers, and on which GPUs. None of it
enters keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from motools_build.spec import Many, Spec
from motools_build.text.scrub import remember_url

URL = "a URL as http://127.0.0.1:8000/v1"

DEVICE = re.compile(r"[\w/-]+", re.ASCII)

OURS = (
    *("--host", "--port", "--api-key", "--served-model-name"),
    *("--model", "--tokenizer", "--chat-template", "--enable-lora", "--lora-modules"),
)
"""Arguments of `vllm serve` that are given by this package, or would make other answers
than those of the model that is named."""


class Table(Spec):
    """How this machine works for models of `local`."""

    serve: Literal["torch", "vllm"] = "torch"
    """Who answers: torch in the worker, or a server of vLLM. The default is `vllm` if
    there is a `base_url`."""
    base_url: str = ""
    """A server of vLLM that is there already; empty to start one when it is needed."""
    vllm: Annotated[tuple[str, ...], Many] = ()
    """Further arguments of `vllm serve`, for a server that a run starts."""
    devices: Annotated[tuple[str, ...], Many] = ()
    """The GPUs that trainings and evals may use, by number or by name; empty for all of
    this machine. `CUDA_VISIBLE_DEVICES` of the environment takes precedence."""

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, Any]]) -> Table:
        """The table among those of a job; the defaults if it is not there."""
        return cls(**tables.get("local", {}))

    @model_validator(mode="before")
    @classmethod
    def _a_server_is_to_answer(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("base_url"):
            return {"serve": "vllm", **fields}
        return fields

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not url:
            return url
        remember_url(url)
        try:
            parts = urlsplit(url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_url = is_url and parts.port != 0
        except ValueError:
            is_url = False
        if not is_url:
            raise ValueError(f"write {URL}")
        if parts.username or parts.password:
            raise ValueError(
                "it holds a password; the server's key comes by the environment "
                "variable VLLM_API_KEY"
            )
        return url.rstrip("/")

    @field_validator("devices", mode="before")
    @classmethod
    def _are_devices(cls, devices: Any) -> Any:
        given = devices if isinstance(devices, list | tuple) else [devices]
        for one in given:
            number = isinstance(one, int) and not isinstance(one, bool) and one >= 0
            if not number and not (isinstance(one, str) and DEVICE.fullmatch(one)):
                raise ValueError(
                    f"a GPU is a number as 0, or a name as GPU-8932f937, not {one!r}"
                )
        return [str(one) for one in given]

    @field_validator("vllm")
    @classmethod
    def _is_not_ours(cls, arguments: tuple[str, ...]) -> tuple[str, ...]:
        for argument in arguments:
            name = argument.partition("=")[0].replace("_", "-")
            if name in OURS:
                raise ValueError(f"{name} is set by motools_build; leave it out")
        return arguments

    @model_validator(mode="after")
    def _starts_what_it_describes(self) -> Self:
        if self.base_url and self.vllm:
            raise ValueError(
                "`vllm` has arguments for a server that is started, and `base_url` "
                "names one that is there; leave one of them out"
            )
        return self
