"""Servers of objects that nobody here wrote, and a proxy that cuts their lines."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientError, ClientSession, web

INSTALLED = Path(__file__).parent / "node_modules/.bin"

AZURITE = os.environ.get("MOTOOLS_AZURITE") or shutil.which(
    "azurite-blob", path=os.pathsep.join([str(INSTALLED), os.environ.get("PATH", "")])
)
"""The program of the npm package azurite, which .ci/full installs beside this file;
None if it is not installed."""

ACCOUNT = "devstoreaccount1"
AZURE_KEY = (  # Azurite's own, which its documentation gives
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Proxy:
    """Stands before a server, counts its requests, and cuts some of them."""

    target: str
    url: str = ""
    cuts: float = 0.0
    """Probability that a request is cut: half of them before it arrives, half after it
    was carried out, so that its answer is lost."""
    ignores_conditions: bool = False
    """Whether If-None-Match and If-Match are taken out, as an old server ignores
    them."""
    is_down: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    """Method -> requests that came."""
    log: list[str] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)
    """The header Authorization of each."""
    random: random.Random = field(default_factory=lambda: random.Random(1))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.counts[request.method] += 1
        self.log.append(f"{request.method} {request.rel_url}")
        self.signed.append(request.headers.get("Authorization", ""))
        body = await request.read()
        drawn = self.random.random()
        if self.is_down or drawn < self.cuts / 2:
            return self._cut(request)
        headers = {
            name: value
            for name, value in request.headers.items()
            if not (self.ignores_conditions and name.lower().startswith("if-"))
        }
        try:
            async with self.session.request(
                request.method,
                f"{self.target}{request.raw_path}",
                headers=headers,
                data=body,
                allow_redirects=False,
            ) as answer:
                data = await answer.read()
                told = answer.headers.copy()
                status = answer.status
        except ClientError:
            return self._cut(request)
        if drawn < self.cuts:
            return self._cut(request)
        if request.method != "HEAD":
            for name in ("Transfer-Encoding", "Content-Length", "Content-Encoding"):
                told.popall(name, None)
        return web.Response(status=status, headers=told, body=data)

    def _cut(self, request: web.Request) -> web.Response:
        if request.transport:
            request.transport.abort()
        return web.Response(status=500)

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve in a thread."""
        loop, began = asyncio.new_event_loop(), threading.Event()

        async def begin() -> web.AppRunner:
            self.session = ClientSession(auto_decompress=False)
            app = web.Application(client_max_size=1 << 30)
            app.router.add_route("*", "/{path:.*}", self.handle)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            self.url = f"http://127.0.0.1:{port}"
            return runner

        async def end(runner: web.AppRunner) -> None:
            await self.session.close()
            await runner.cleanup()

        def serve() -> None:
            runner = loop.run_until_complete(begin())
            began.set()
            loop.run_forever()
            loop.run_until_complete(end(runner))
            loop.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        began.wait(30)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)


@dataclass(frozen=True)
class Bucket:
    """A place for a shared store, behind a proxy."""

    address: str
    proxy: Proxy
    environ: dict[str, str]

    @property
    def is_folder(self) -> bool:
        """Whether it is on a disk; of its proxy then only `cuts` is meant."""
        return "://" not in self.address


@contextmanager
def moto(prefix: str = "team") -> Iterator[Bucket]:
    """A bucket of moto's server, which emulates S3."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _process(command, url), Proxy(url).running() as proxy:
        request = urllib.request.Request(f"{url}/bucket", method="PUT")
        request.add_header(
            "Authorization", "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4"
        )
        urllib.request.urlopen(request, timeout=30).close()
        yield Bucket(
            f"s3://bucket/{prefix}",
            proxy,
            {
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": proxy.url,
            },
        )


@contextmanager
def azurite(folder: Path, prefix: str = "team") -> Iterator[Bucket]:
    """A container of Azurite, which emulates Azure's blobs; by a signature that leaves
    headers out, so that a proxy may change them."""
    assert AZURITE
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(folder), "--silent", "--skipApiVersionCheck"]
    with _process(command, url), Proxy(url).running() as proxy:
        token = _signature()
        made = urllib.request.Request(
            f"{url}/{ACCOUNT}/bucket?restype=container&{token}", method="PUT"
        )
        made.add_header("x-ms-version", "2022-11-02")
        urllib.request.urlopen(made, timeout=30).close()
        yield Bucket(
            f"az://bucket/{prefix}",
            proxy,
            {
                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                "AZURE_STORAGE_SAS_TOKEN": token,
                "AZURE_STORAGE_ENDPOINT": f"{proxy.url}/{ACCOUNT}",
            },
        )


def _signature() -> str:
    """A signature for the whole account, for an hour and more."""
    import base64
    import hashlib
    import hmac
    from urllib.parse import quote, urlencode

    version, ends = "2022-11-02", "2099-01-01T00:00:00Z"
    fields = [ACCOUNT, "rwdlacup", "b", "sco", "", ends, "", "https,http", version, ""]
    text = "\n".join([*fields, ""])
    key = base64.b64decode(AZURE_KEY)
    signed = hmac.new(key, text.encode(), hashlib.sha256).digest()
    told = {
        "sv": version,
        "ss": "b",
        "srt": "sco",
        "sp": "rwdlacup",
        "se": ends,
        "spr": "https,http",
        "sig": base64.b64encode(signed).decode(),
    }
    return urlencode(told, quote_via=quote)


@contextmanager
def _process(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _answers(url, process)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers anything at all."""
    import urllib.error

    while True:
        assert process.poll() is None, f"the server of {url} ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
