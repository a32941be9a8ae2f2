"""The web application: authentication, counts of requests, faults, and control."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter, deque
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from motools_build.errors import InputError
from motools_build.rehearsal.faults import (
    AFTERWARDS,
    BEFORE,
    REFUSALS,
    SPOILS,
    Faults,
    Rule,
    refusal,
    spoilt,
)
from motools_build.rehearsal.http import answer, body, too_large
from motools_build.rehearsal.refused import Refused, bad
from motools_build.rehearsal.state import State
from motools_build.rehearsal.tuning import Tuning
from motools_build.rehearsal.uploading import PART_LIMIT, Files

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Host names that requests may give; the server listens on the loopback interface
only."""

LOG = 10_000
"""Number of latest requests that the log keeps."""


def application(
    state: State, faults: Faults, key: str | None = None
) -> web.Application:
    """The web application; `key` is the one API key that it accepts, None for any."""
    gate = Gate(state, faults, key)
    app = web.Application(middlewares=[gate.pass_on], client_max_size=PART_LIMIT)
    app.add_routes(Files(state).routes())
    app.add_routes(Tuning(state, faults).routes())
    app.add_routes(Control(state, faults, gate).routes())
    return app


class Gate:
    """The middleware that every request and response passes: it checks the host and the
    API key, counts and logs requests, and applies faults."""

    def __init__(self, state: State, faults: Faults, key: str | None) -> None:
        self.state = state
        self.faults = faults
        self.key = key
        self.under_way = 0
        self.reset()

    def reset(self) -> None:
        self.most = self.under_way
        self.counts: Counter[str] = Counter()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG)

    @web.middleware
    async def pass_on(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        if _host(request) not in HOSTS:
            # DNS rebinding: a page whose name resolves to this machine sends that name
            return _refused(bad(f"This server has no name but {', '.join(HOSTS)}."))
        if not request.path.startswith("/v1/"):
            return await self._answer(request, handler)
        resource = request.match_info.route.resource
        pattern = resource.canonical if resource else request.path
        self.counts[f"{request.method} {pattern}"] += 1
        entry: dict[str, Any] = {
            "time": time.time(),
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
            "status": None,
        }
        self.log.append(entry)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            response = await self._faulty(request, handler)
        finally:
            self.under_way -= 1
        if response is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        entry["status"] = response.status
        return response

    async def _faulty(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse | None:
        """The response, after faults have changed it; None if a fault loses it."""
        call = f"{request.method} {request.path}"
        try:
            self._authorize(request)
            for rule in self.faults.striking(REFUSALS, call):
                raise refusal(rule, request)
        except Refused as refused:
            return _refused(refused)
        paged = "after" in request.query
        if paged and any(self.faults.striking(BEFORE, call)):
            url = request.rel_url.without_query_params("after")
            request = request.clone(rel_url=url)
        response = await self._answer(request, handler)
        strikes = list(self.faults.striking(AFTERWARDS, call))
        for rule in strikes:
            if rule.fault == "slow":
                await asyncio.sleep(1.0 if rule.value is None else rule.value)
        struck = {rule.fault for rule in strikes}
        if "lost" in struck:
            return None
        if "error" in struck:
            return _refused(
                Refused(
                    500,
                    "The server had an error while processing your request. Sorry "
                    "about that!",
                    kind="server_error",
                )
            )
        body = response.body if isinstance(response, web.Response) else None
        if struck & SPOILS and isinstance(body, bytes):
            return web.Response(
                body=spoilt(body, struck),
                status=response.status,
                content_type=response.content_type,
            )
        return response

    async def _answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """The handler's response; its errors become error responses."""
        try:
            response = await handler(request)
        except Refused as refused:
            return _refused(refused)
        except InputError as error:
            return _refused(bad(str(error)))
        except web.HTTPRequestEntityTooLarge:
            return _refused(too_large(PART_LIMIT))
        except web.HTTPException as error:
            if error.status not in (404, 405):
                raise
            text = f"Invalid URL ({request.method} {request.path})"
            return _refused(Refused(error.status, text, "unknown_url"))
        response.headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
        return response

    def _authorize(self, request: web.Request) -> None:
        """Raises Refused without the right API key."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refused(
                401,
                "You didn't provide an API key. Provide it in an Authorization header "
                "using Bearer auth (Authorization: Bearer YOUR_KEY).",
            )
        if self.key is not None and key.strip() != self.key:
            raise Refused(401, "Incorrect API key provided.", "invalid_api_key")


def _host(request: web.Request) -> str:
    """The request's host name in lower case, without port; ours if it gives none."""
    host = request.headers.get("Host", HOSTS[0])
    return re.sub(r":\d+$", "", host).lower()


def _refused(refused: Refused) -> web.Response:
    headers = {**refused.headers, "x-request-id": f"req_{uuid.uuid4().hex}"}
    return answer(refused.body, refused.status, headers)


class Control:
    """Routes below /rehearsal, by which tests and users read and set the server's
    state."""

    def __init__(self, state: State, faults: Faults, gate: Gate) -> None:
        self.state = state
        self.faults = faults
        self.gate = gate

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/rehearsal/requests", self.requests),
            web.delete("/rehearsal/requests", self.reset),
            web.get("/rehearsal/faults", self.show_faults),
            web.put("/rehearsal/faults", self.put_faults),
            web.get("/rehearsal/settings", self.settings),
            web.put("/rehearsal/settings", self.put_settings),
            web.get("/rehearsal/state", self.everything),
        ]

    async def requests(self, request: web.Request) -> web.Response:
        return answer(
            {
                "counts": dict(self.gate.counts),
                "faults": dict(self.faults.struck),
                "most": self.gate.most,  # under way at once
                "log": list(self.gate.log),
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        self.gate.reset()
        self.faults.struck.clear()
        return answer({"deleted": True})

    async def show_faults(self, request: web.Request) -> web.Response:
        return answer(self.faults.to_json())

    async def put_faults(self, request: web.Request) -> web.Response:
        given = await body(request)
        if not isinstance(given, list):
            raise bad("the faults are a list of rules")
        self.faults.replace([Rule.of(rule) for rule in given])
        return answer(self.faults.to_json())

    async def settings(self, request: web.Request) -> web.Response:
        return answer(vars(self.state.settings))

    async def put_settings(self, request: web.Request) -> web.Response:
        self.state.change(await body(request), time.time())
        return answer(vars(self.state.settings))

    async def everything(self, request: web.Request) -> web.Response:
        return answer(self.state.to_json(time.time()))
