"""The routes of files and uploads."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from motools_build.rehearsal.http import answer, form, object_body, page, scope
from motools_build.rehearsal.objects import PURPOSES, File, Upload
from motools_build.rehearsal.refused import bad
from motools_build.rehearsal.state import Space, State

PART_LIMIT = 64 * 1024 * 1024
UPLOAD_LIMIT = 8 * 1024**3


class Files:
    """Files, sent in one request or as the parts of an upload."""

    def __init__(self, state: State) -> None:
        self.state = state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/files", self.create),
            web.get("/v1/files", self.list),
            web.get("/v1/files/{id}", self.get),
            web.delete("/v1/files/{id}", self.delete),
            web.get("/v1/files/{id}/content", self.content),
            web.post("/v1/uploads", self.begin),
            web.post("/v1/uploads/{id}/parts", self.add),
            web.post("/v1/uploads/{id}/complete", self.complete),
            web.post("/v1/uploads/{id}/cancel", self.cancel),
        ]

    async def create(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        sent = await form(request, "file", self.state.settings.file_limit)
        if "purpose" not in sent.fields:
            raise bad("Missing required parameter: 'purpose'.", "purpose")
        after = sent.fields.get("expires_after[seconds]")
        if after is not None and not after.isdecimal():
            raise bad("Invalid 'expires_after'.", "expires_after")
        file = space.add_file(
            sent.filename,
            sent.fields["purpose"],
            sent.data,
            time.time(),
            int(after) if after else None,
        )
        return self._file(space, file)

    async def list(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        now, order = time.time(), request.query.get("order", "desc")
        purpose = request.query.get("purpose")
        if order not in ("asc", "desc"):
            raise bad(f"Invalid 'order': {order}.", "order")
        # Sorted, because the dictionary is not in order of birth: a results file is
        # added when the next request notices that its job has ended.
        files = sorted(
            (
                file
                for file in space.listed(space.files.values(), now)
                if purpose in (None, file.purpose)
            ),
            key=lambda file: (file.born, file.id),
            reverse=order == "desc",
        )

        def render(file: File) -> dict[str, Any]:
            return file.to_json(space.processed(file, now))

        return page(files, request, 10_000, 10_000, render)

    async def get(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        return self._file(space, space.file(request.match_info["id"]))

    async def delete(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        file = space.file(request.match_info["id"])
        del space.files[file.id]
        return answer({"id": file.id, "object": "file", "deleted": True})

    async def content(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        file = space.file(request.match_info["id"])
        return web.Response(body=file.data, content_type="application/octet-stream")

    def _file(self, space: Space, file: File) -> web.Response:
        return answer(file.to_json(space.processed(file, time.time())))

    async def begin(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        asked = await object_body(request)
        kinds: dict[str, type] = {
            "bytes": int,
            "filename": str,
            "mime_type": str,
            "purpose": str,
        }
        for name, kind in kinds.items():
            if not isinstance(asked.get(name), kind):
                raise bad(f"Missing or invalid parameter: '{name}'.", name)
        if asked["purpose"] not in PURPOSES:
            raise bad(f"'{asked['purpose']}' is not a purpose of files.", "purpose")
        if not 0 < asked["bytes"] <= UPLOAD_LIMIT:
            raise bad("Invalid 'bytes': an upload has at most 8 GB.", "bytes")
        upload = Upload(
            self.state.new_id("upload"),
            time.time(),
            asked["filename"],
            asked["purpose"],
            asked["bytes"],
        )
        space.uploads[upload.id] = upload
        return answer(upload.to_json())

    async def add(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        upload = space.upload(request.match_info["id"])
        sent = await form(request, "data", PART_LIMIT)
        name = self.state.new_id("part")
        upload.parts[name] = sent.data
        return answer(
            {
                "id": name,
                "object": "upload.part",
                "created_at": int(time.time()),
                "upload_id": upload.id,
            }
        )

    async def complete(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        upload = space.upload(request.match_info["id"])
        asked = await object_body(request)
        parts = asked.get("part_ids")
        if not isinstance(parts, list) or not all(isinstance(p, str) for p in parts):
            raise bad("Missing required parameter: 'part_ids'.", "part_ids")
        space.complete(upload, parts, asked.get("md5"), time.time())
        return answer(upload.to_json())

    async def cancel(self, request: web.Request) -> web.Response:
        space = scope(request, self.state)
        upload = space.upload(request.match_info["id"])
        upload.status, upload.parts = "cancelled", {}
        return answer(upload.to_json())
