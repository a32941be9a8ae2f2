"""Ray's dashboard as a server of the tests: the part of Ray Jobs that deals with jobs,
which are processes of this machine. Its answers are those of Ray 2.60, word for word
where a client could read them.

`set` makes it misbehave:

    down       requests are cut off; with a text, answered with HTTP 503, as proxies do
    refuse     a job is refused, with this text
    lose       the next job is accepted, and the answer is lost
    slow       the next job's answer comes when this is unset
    hold       jobs wait until this is unset
    locked     only who has the token in this text may enter
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.forking.client import PYTHONPATH

ENDED = ("STOPPED", "SUCCEEDED", "FAILED")

FIELDS = {
    *("entrypoint", "submission_id", "job_id", "runtime_env", "metadata"),
    *("entrypoint_num_cpus", "entrypoint_num_gpus", "entrypoint_memory"),
    *("entrypoint_resources", "entrypoint_label_selector"),
}
"""Fields of a request for a job; Ray refuses all others."""

SECRET = re.compile("KEY|TOKEN|SECRET")


class Cut(Exception):
    """The request gets no answer."""


@dataclass
class Job:
    """A job of the cluster."""

    id: str
    request: Mapping[str, Any]
    status: str = "PENDING"
    message: str = "Job has not started yet."
    error_type: str | None = None
    process: subprocess.Popen[bytes] | None = None
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def told(self) -> dict[str, Any]:
        """What Ray tells of it."""
        at = "http://192.0.2.2:52365" if self.process else None
        return {
            "type": "SUBMISSION",
            "job_id": None,
            "submission_id": self.id,
            "driver_info": None,
            "status": self.status,
            "entrypoint": self.request["entrypoint"],
            "message": self.message,
            "error_type": self.error_type,
            "start_time": 1796030471694,
            "end_time": 1796030471694 if self.status in ENDED else None,
            "metadata": self.request.get("metadata"),
            "runtime_env": self.request.get("runtime_env"),
            "driver_agent_http_address": at,
            "driver_node_id": "0f9459323d43" if self.process else None,
            "driver_exit_code": None,
        }

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class RayServer:
    """A Ray cluster of this machine."""

    name, label = "ray", "Ray"
    done, cancelled = "SUCCEEDED", "STOPPED"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.requests: list[str] = []
        """All that reached the server: headers and bodies."""
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request."""
        self.headers: Mapping[str, str] = {}
        """Those of the last request."""
        self.lock = threading.Condition()
        self.faults: dict[str, str] = {}
        self.known: dict[str, Job] = {}
        self.all: list[Job] = []
        """The jobs that were submitted ever."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size).decode()
                server.headers = dict(self.headers)
                server.requests.append(f"{self.headers}\n{body}")
                server.asked.append((self.command, self.path))
                try:
                    status, said = server.answer(self.command, self.path, body)
                except Cut:
                    self.close_connection = True
                    return
                data = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _do

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                """Clients are killed."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    # ---- what the server answers

    def answer(self, method: str, path: str, body: str) -> tuple[int, Any]:
        if "down" in self.faults:
            if text := self.faults["down"]:
                return 503, text
            raise Cut
        if token := self.faults.get("locked"):
            given = self.headers.get("Authorization")
            if given is None:
                return 401, "Unauthorized: Missing authentication token"
            if given != f"Bearer {token}":
                return 403, "Forbidden: Invalid authentication token"
        if path == "/api/jobs/":
            if method == "POST":
                return self._submit(json.loads(body))
            return 200, [job.told for job in list(self.known.values())]
        id, _, what = path.removeprefix("/api/jobs/").partition("/")
        job = self.known.get(id)
        if job is None:
            return 404, f"Job {id} does not exist"
        if method == "DELETE":
            if job.status not in ENDED:
                return 500, nested(
                    f"RuntimeError: Attempted to delete job '{id}', but it is in a "
                    f"non-terminal state {job.status}.",
                    500,
                )
            del self.known[id]
            return 200, {"deleted": True}
        if what == "stop":
            return 200, {"stopped": self._stop(job)}
        if what == "logs":
            return 200, {"logs": self._log(job).read_text() if job.process else ""}
        return 200, job.told

    def _submit(self, request: dict[str, Any]) -> tuple[int, Any]:
        for name in request:
            if name not in FIELDS:
                return 400, traceback(
                    "TypeError: JobSubmitRequest.__init__() got an unexpected keyword "
                    f"argument '{name}'"
                )
        if text := self.faults.get("refuse"):
            return 400, traceback(text)
        id = request["submission_id"]
        with self.lock:
            if id in self.known:
                return 500, nested(
                    f"ValueError: Job with submission_id {id} already exists. Please "
                    "use a different submission_id.",
                    400,
                )
            job = self.known[id] = Job(id, request)
            self.all.append(job)
            lost = self.faults.pop("lose", None) is not None
        threading.Thread(target=self._work, args=(job,), daemon=True).start()
        if lost:
            raise Cut
        with self.lock:
            self.lock.wait_for(lambda: "slow" not in self.faults)
        return 200, {"job_id": id, "submission_id": id}

    def _work(self, job: Job) -> None:
        try:
            with self.lock:
                self.lock.wait_for(lambda: "hold" not in self.faults)
                if job.status != "PENDING":
                    return
                # the nodes' own environment, in which no secrets of a user are
                environ = {k: v for k, v in os.environ.items() if not SECRET.search(k)}
                environ.setdefault("PYTHONPATH", PYTHONPATH)
                with self._log(job).open("wb") as log:
                    job.process = subprocess.Popen(
                        ["bash", "-c", job.request["entrypoint"]],
                        env={**environ, "RAY_ADDRESS": "127.0.0.1:6379"},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                self._now(job, "RUNNING", "Job is currently running.")
            code = job.process.wait()
            with self.lock:
                if job.status == "RUNNING" and code:
                    said = self._log(job).read_text()
                    self._now(
                        job,
                        "FAILED",
                        f"Job entrypoint command failed with exit code {code}, last "
                        f"available logs (truncated to 20,000 chars):\n{said}",
                        "JOB_ENTRYPOINT_COMMAND_ERROR",
                    )
                elif job.status == "RUNNING":
                    self._now(job, "SUCCEEDED", "Job finished successfully.")
        finally:
            job.left.set()

    def _stop(self, job: Job) -> bool:
        """A job that waits is ended by Ray once it has a node."""
        with self.lock:
            if job.status in ENDED:
                return False
            if job.process:
                self._now(job, "STOPPED", "Job was intentionally stopped.")
                job.kill(signal.SIGTERM)
            return True

    def _now(
        self, job: Job, status: str, message: str, error_type: str | None = None
    ) -> None:
        job.status, job.message, job.error_type = status, message, error_type

    def _log(self, job: Job) -> Path:
        return self.folder / f"job-driver-{job.id}.log"

    # ---- what tests do with it

    @property
    def jobs(self) -> int:
        """The number of jobs that were submitted."""
        return len(self.all)

    @property
    def listings(self) -> int:
        return self.asked.count(("GET", "/api/jobs/"))

    @property
    def submissions(self) -> int:
        return self.asked.count(("POST", "/api/jobs/"))

    def id(self, number: int) -> str:
        """The cluster's ID of the job that was submitted at that place."""
        return self.all[number - 1].id

    def state(self, number: int) -> str:
        return self.all[number - 1].status if number <= self.jobs else ""

    def set(self, *names: str, text: str = "") -> None:
        with self.lock:
            self.faults |= dict.fromkeys(names, text)

    def unset(self, *names: str) -> None:
        with self.lock:
            for name in names:
                del self.faults[name]
            self.lock.notify_all()

    def until(self, number: int, state: str) -> None:
        """Wait for a job's state."""
        until(lambda: self.state(number) == state)

    def forget(self, number: int) -> None:
        """Have the cluster not know a job any more: its head was started anew. Its
        processes have ended."""
        job = self.all[number - 1]
        job.kill()
        del self.known[job.id]

    def end(self, number: int, status: str, message: str, error_type: str) -> None:
        """End a job as Ray does, for a reason of its own."""
        job = self.all[number - 1]
        with self.lock:
            self._now(job, status, message, error_type)
            job.kill()

    def start_timeout(self, number: int) -> None:
        self.end(
            number,
            "FAILED",
            "Job supervisor actor failed to start within 900.0 seconds. This timeout "
            "can be configured by setting the environment variable "
            "RAY_JOB_START_TIMEOUT_SECONDS. This may be because the job entrypoint's "
            "specified resources (entrypoint_num_cpus, entrypoint_num_gpus, "
            "entrypoint_resources, entrypoint_memory)aren't available on the cluster.",
            "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
        )

    def node_died(self, number: int) -> None:
        self.end(
            number,
            "FAILED",
            "Job supervisor actor died: The actor died because its node has died. Node "
            "Id: 0f9459323d43\n\tthe actor's node was terminated unexpectedly",
            "JOB_SUPERVISOR_ACTOR_DIED",
        )

    def again(self, number: int) -> None:
        """Run a job's command once more."""
        command = self.all[number - 1].request["entrypoint"]
        subprocess.run(["bash", "-c", command], check=False)

    def kept(self) -> list[bytes]:
        """All that the cluster was told, and what it keeps."""
        files = [path.read_bytes() for path in self.folder.iterdir()]
        return [*files, *(one.encode() for one in self.requests)]

    def close(self) -> None:
        """End whatever still runs."""
        with self.lock:
            for job in self.all:
                if job.status not in ENDED:
                    self._now(job, "STOPPED", "")
                job.kill()
            self.faults.clear()
            self.lock.notify_all()
        for job in self.all:
            job.left.wait(60)
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def traceback(error: str) -> str:
    """An error as the dashboard tells it."""
    return (
        f'Traceback (most recent call last):\n  File "job_head.py", line 1\n{error}\n'
    )


def nested(error: str, status: int) -> str:
    """An error of the agent, which the dashboard passes on as one of its own."""
    return traceback(
        f"RuntimeError: Request failed with status code {status}: {traceback(error)}."
    )


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
