"""`doit report --serve`: a live page, served on this machine alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from motools_build.project.watching import Watch
from motools_build.report.page.live import FRAGMENT, fragment, page, page_policy
from motools_build.text.visible import written

ADDRESS = "127.0.0.1"

HOST = re.compile(r"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.IGNORECASE)
"""The names under which the page is asked for. Another name means a page from elsewhere
whose name was made to lead to this machine, so that its scripts may read the answer."""

SECONDS = 20.0
"""Time after which a client that does not complete its request is given up."""


class PageServer(ThreadingHTTPServer):
    """Serves the page of one watch on the loopback interface."""

    daemon_threads = True

    def __init__(self, watch: Watch, port: int) -> None:
        """A port of 0 is any that is free. Raises OSError if the port is taken."""
        self.watch = watch
        self.again = ""
        """The command that serves the page again, which the page tells at its end."""
        super().__init__((ADDRESS, port), Handler)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    @cached_property
    def policy(self) -> str:
        """The page's Content-Security-Policy."""
        return page_policy()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of an error in an answer, unless the client is only gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request. Nothing but the page and its fragment is served, and nothing
    of the file system."""

    server: PageServer
    timeout = SECONDS

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if self._is_for_us():
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = do_POST

    def _is_for_us(self) -> bool:
        """Whether the request names this machine; if not, it is refused."""
        names = self.headers.get_all("Host") or []
        if len(names) == 1 and HOST.fullmatch(names[0].strip()):
            return True
        self.send_error(HTTPStatus.FORBIDDEN, "this page is for this machine alone")
        return False

    def _answer(self) -> None:
        if not self._is_for_us():
            return
        served: dict[str, Callable[[], str]] = {
            "/": lambda: page(self.server.watch.now(), self.server.again),
            f"/{FRAGMENT}": lambda: fragment(self.server.watch.now()),
        }
        if self.path not in served:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            body = written(served[self.path]())
        except Exception:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise  # the server writes it to standard error, and goes on
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.send_header("ETag", tag)
            self.end_headers()
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", tag)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self) -> None:
        """End the headers with those that every answer has, errors included."""
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def version_string(self) -> str:
        return "motools_build"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a request every second is no news."""
