"""Ray's own interface for jobs, by HTTP: no part of Ray runs in this process.

It is the interface of `ray job submit`, at the address of the cluster's dashboard. The
caller chooses a job's submission ID, and Ray accepts each one once.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from motools_build.errors import Ambiguous, InputError, Refused, Unreachable

SECONDS = 60.0
"""Longest time that one request may take."""

DEFAULT = "http://127.0.0.1:8265"
"""Where Ray's dashboard is unless someone says otherwise."""

THERE = "already exists"
"""Part of what Ray says of a submission ID that it has."""

NO_AGENT = "try again later"
"""Part of what Ray says if it has no process that takes jobs right now."""


def address_of(given: str | None) -> str:
    """The address of the cluster's dashboard: the configured one, or that of Ray's own
    variables. Raises InputError for one that is not HTTP, or that has a password."""
    environ = os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if environ == "auto":
        environ = None
    address = (given or environ or DEFAULT).rstrip("/")
    parts = urlsplit(address)
    where = (
        "[tool.motools_build.executor.ray] address"
        if given
        else "RAY_API_SERVER_ADDRESS or RAY_ADDRESS"
    )
    if parts.username or parts.password:
        raise InputError(
            f"{where} holds a name or a password: put a token into RAY_AUTH_TOKEN, or "
            "headers into RAY_JOB_HEADERS"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"{where} is {address!r}: jobs need the address of Ray's dashboard, such "
            f"as {DEFAULT}"
        )
    return address


class RayApi:
    """The jobs of one Ray cluster."""

    def __init__(self, address: str) -> None:
        self.address = address

    def check(self) -> None:
        """Raises InputError if the user's headers cannot be read."""
        _headers()

    def submit(self, id: str, entrypoint: str, fields: Mapping[str, Any]) -> bool:
        """Submit a job under an ID. Returns False if Ray has one of that ID already.

        Raises Refused if Ray surely has no such job; Ambiguous if that is not known.
        """
        body = {"entrypoint": entrypoint, "submission_id": id, **fields}
        try:
            status, said = self._asked("POST", "/api/jobs/", body)
        except Unreachable as error:
            raise Ambiguous(str(error)) from error
        if status < 300:
            return True
        if THERE in said:
            return False
        if status in (502, 503, 504) or NO_AGENT in said:
            raise Ambiguous(f"Ray does not answer (HTTP {status}: {_last(said)})")
        try:
            if status >= 500 and self.job(id) is not None:
                return True
        except (Unreachable, Refused) as error:
            raise Ambiguous(str(error)) from error
        raise Refused(f"Ray refused it (HTTP {status}): {_last(said)}")

    def job(self, id: str) -> dict[str, Any] | None:
        """What Ray says of a job; None if it has none of that ID."""
        status, said = self._asked("GET", f"/api/jobs/{quote(id)}")
        if status == 404:
            return None
        found: dict[str, Any] = self._read(status, said)
        return found

    def jobs(self) -> list[dict[str, Any]]:
        """What Ray says of all jobs that it remembers."""
        status, said = self._asked("GET", "/api/jobs/")
        found: list[dict[str, Any]] = self._read(status, said)
        return found

    def stop(self, id: str) -> None:
        """End a job. That there is none is no error."""
        status, said = self._asked("POST", f"/api/jobs/{quote(id)}/stop", {})
        if status != 404:
            self._read(status, said)

    def delete(self, id: str) -> None:
        """Have Ray forget a job that has ended, so that its ID is free again. Ray fails
        (HTTP 500) if it has not ended."""
        status, said = self._asked("DELETE", f"/api/jobs/{quote(id)}")
        if status != 404:
            self._read(status, said)

    def logs(self, id: str) -> str:
        """What a job printed; empty if Ray does not know any more."""
        status, said = self._asked("GET", f"/api/jobs/{quote(id)}/logs")
        return str(self._read(status, said).get("logs", "")) if status == 200 else ""

    def _read(self, status: int, said: str) -> Any:
        """The JSON of an answer. Raises Unreachable or Refused."""
        if status >= 500:
            raise Unreachable(f"Ray does not answer (HTTP {status}: {_last(said)})")
        if status >= 300:
            raise Refused(f"Ray refused it (HTTP {status}): {_last(said)}")
        try:
            return json.loads(said)
        except ValueError as error:
            raise Unreachable(
                f"{self.address} does not answer as Ray's dashboard does"
            ) from error

    def _asked(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and text of an answer. Raises Unreachable if there is none."""
        request = urllib.request.Request(
            self.address + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", **_headers()},
            method=method,
        )
        # a proxy for the network has no business with this machine
        here = urlsplit(self.address).hostname in ("127.0.0.1", "localhost", "::1")
        through = [urllib.request.ProxyHandler({})] if here else []
        try:
            with urllib.request.build_opener(*through).open(
                request, timeout=SECONDS
            ) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(
                f"Ray does not answer at {self.address} ({error})"
            ) from error


def _headers() -> dict[str, str]:
    """The headers that let this user in, as Ray's own command takes them from the
    environment: RAY_JOB_HEADERS, RAY_AUTH_TOKEN, or the file of a token."""
    found: dict[str, str] = {}
    if given := os.environ.get("RAY_JOB_HEADERS"):
        try:
            found = {str(k): str(v) for k, v in json.loads(given).items()}
        except (ValueError, AttributeError):
            raise InputError("RAY_JOB_HEADERS is no JSON object of headers") from None
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    if not token:
        path = Path(
            os.environ.get("RAY_AUTH_TOKEN_PATH")
            or os.path.expanduser("~/.ray/auth_token")
        )
        try:
            token = path.read_text().strip() if path.is_file() else ""
        except (OSError, ValueError) as error:
            raise InputError(f"Ray's token cannot be read: {error}") from error
    if token:
        found.setdefault("Authorization", f"Bearer {token}")
    return found


def _last(said: str) -> str:
    """The last line of an answer, which of a traceback is the error. Ray ends the
    tracebacks of its other processes with a line that is a dot."""
    lines = [line.strip() for line in said.splitlines() if line.strip(". ")]
    return lines[-1][:300] if lines else "no text"
