"""Requests that are answered with an error, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motools_build.errors import MotoolsError


class Refused(MotoolsError):
    """A request is answered with this status and this error."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {
            "error": {"message": message, "type": kind, "param": param, "code": code}
        }


def missing(what: str, name: str, param: str | None = "id") -> Refused:
    """`missing("File", "file-1")`: there is none of that ID, or no longer."""
    return Refused(404, f"No such {what} object: {name}", "not_found", param)


def no_model(name: str) -> Refused:
    """There is no such model, or no longer."""
    return Refused(
        404,
        f"The model `{name}` does not exist or you do not have access to it.",
        "model_not_found",
        "model",
    )


def bad(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A request that is wrong in itself."""
    return Refused(400, message, code, param)
