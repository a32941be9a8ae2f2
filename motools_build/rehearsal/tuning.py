"""The routes of fine-tuning jobs, models and chat completions."""

from __future__ import annotations

import re
import time
from typing import Any

from aiohttp import web

from motools_build.rehearsal.chat import Request, chunks, completion, speak
from motools_build.rehearsal.faults import Faults
from motools_build.rehearsal.fine_tuning import FINAL, FineTuningJob
from motools_build.rehearsal.http import (
    answer,
    body,
    object_body,
    page,
    plain_page,
    scope,
)
from motools_build.rehearsal.objects import BASES, Model
from motools_build.rehearsal.orders import order
from motools_build.rehearsal.refused import bad
from motools_build.rehearsal.state import State

JOBS = "/v1/fine_tuning/jobs"


class Tuning:
    """Fine-tuning jobs, the models that they make, and chat completions."""

    def __init__(self, state: State, faults: Faults) -> None:
        self.state = state
        self.faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(JOBS, self.create),
            web.get(JOBS, self.list),
            web.get(f"{JOBS}/{{id}}", self.get),
            web.post(f"{JOBS}/{{id}}/cancel", self.cancel),
            web.post(f"{JOBS}/{{id}}/pause", self.pause),
            web.post(f"{JOBS}/{{id}}/resume", self.resume),
            web.get(f"{JOBS}/{{id}}/events", self.events),
            web.get(f"{JOBS}/{{id}}/checkpoints", self.checkpoints),
            web.get("/v1/models", self.models),
            web.get("/v1/models/{id}", self.model),
            web.delete("/v1/models/{id}", self.delete_model),
            web.post("/v1/chat/completions", self.chat),
        ]

    async def create(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        now, asked = time.time(), order(await body(request))
        job = space.prepare(asked, now)
        call, texts = f"POST {JOBS}", asked.texts(job.seed)
        job.moderated = any(self.faults.striking(("moderation",), call, texts))
        space.start(job)
        return answer(job.to_json(now))

    async def list(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        now = time.time()
        wanted = {
            match[1]: value
            for name, value in request.query.items()
            if (match := re.fullmatch(r"metadata\[(.*)\]", name))
        }
        untagged = request.query.get("metadata") == "null"

        def chosen(job: FineTuningJob) -> bool:
            tags = job.order.metadata
            if untagged:
                return tags is None
            return not wanted or wanted.items() <= (tags or {}).items()

        newest = space.listed(reversed(space.jobs.values()), now)
        found = (job for job in newest if chosen(job))
        return page(found, request, 20, 100, lambda job: job.to_json(now))

    async def get(self, request: web.Request) -> web.Response:
        return answer(self._job(request).to_json(time.time()))

    async def cancel(self, request: web.Request) -> web.Response:
        job, now = self._job(request), time.time()
        self._unfinished(job, now, "cancelled")
        job.cancelled = now
        return answer(job.to_json(now))

    async def pause(self, request: web.Request) -> web.Response:
        job, now = self._job(request), time.time()
        self._unfinished(job, now, "paused")
        if job.paused is not None:
            raise bad(f"Job {job.id} is paused already.")
        job.paused = now
        return answer(job.to_json(now))

    async def resume(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        job, now = self._job(request), time.time()
        if job.status(now) != "paused":
            raise bad(f"Job {job.id} is not paused.")
        space.resume(job, now)
        return answer(job.to_json(now))

    async def events(self, request: web.Request) -> web.Response:
        return plain_page(self._job(request).events(time.time()), request, 20, 100)

    async def checkpoints(self, request: web.Request) -> web.Response:
        found = self._job(request).checkpoints(time.time())
        return plain_page(found, request, 10, 100)

    def _job(self, request: web.Request) -> FineTuningJob:
        space = scope(request, self.state)
        return space.job(request.match_info["id"])

    def _unfinished(self, job: FineTuningJob, now: float, what: str) -> None:
        status = job.status(now)
        if status in FINAL:
            raise bad(
                f"Job {job.id} has already {_ended(status)}; it cannot be {what}."
            )

    async def models(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        made = space.listed(space.models.values(), time.time())
        known = [Model(name, born, name) for name, born in BASES.items()]
        data = [self._shown(model) for model in (*known, *made)]
        return answer({"object": "list", "data": data})

    async def model(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        found = space.model(request.match_info["id"], time.time())
        return answer(self._shown(found))

    def _shown(self, model: Model) -> dict[str, Any]:
        ends = self.state.settings.shutdown
        day = time.strftime("%Y-%m-%d", time.gmtime(ends))
        return {**model.to_json(), **({"shutdown_date": day} if ends else {})}

    async def delete_model(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        name = request.match_info["id"]
        space.delete_model(name, time.time())
        return answer({"id": name, "object": "model", "deleted": True})

    async def chat(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        now, asked = time.time(), await object_body(request)
        if not isinstance(asked.get("model"), str):
            raise bad("you must provide a model parameter", "model")
        model = space.model(asked["model"], now)
        read = Request.of(asked)
        spoken, name = speak(model, read), self.state.new_id("chatcmpl")
        if not read.stream:
            return answer(completion(model, read, spoken, name, now))
        return web.Response(
            body=b"".join(chunks(model, read, spoken, name, now)),
            content_type="text/event-stream",
        )


def _ended(status: str) -> str:
    return "been cancelled" if status == "cancelled" else status
