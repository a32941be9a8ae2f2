"""A server that answers whatever it is told, for what a validator must catch."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Upstream:
    """`answer` is the body of the next answers, `status` their status."""

    url: str = ""
    answer: Any = None
    status: int = 200


@contextmanager
def upstream() -> Iterator[Upstream]:
    """A running Upstream."""
    orders = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.dumps(orders.answer).encode()
            self.send_response(orders.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    orders.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield orders
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
