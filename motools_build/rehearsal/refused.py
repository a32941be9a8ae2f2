"""Error responses, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motools_build.errors import MotoolsError


class Refused(MotoolsError):
    """Raised to answer a request with an error: HTTP status, headers and JSON body."""

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
    """404 for an object that does not exist or was deleted: `missing("File", ID)`."""
    return Refused(404, f"No such {what} object: {name}", "not_found", param)


def no_model(name: str) -> Refused:
    """404 for a model that does not exist or was deleted."""
    return Refused(
        404,
        f"The model `{name}` does not exist or you do not have access to it.",
        "model_not_found",
        "model",
    )


def bad(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """400 for a request that is wrong in itself."""
    return Refused(400, message, code, param)
