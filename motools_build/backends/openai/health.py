"""Whether the files, jobs and models that records name still exist at the provider."""

from __future__ import annotations

import time

from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.files import is_gone
from motools_build.backends.provider import Health, What
from motools_build.backends.shutdowns import day_of
from motools_build.errors import RateLimited, Refused, Unreachable


async def health(desk: Desk, what: What, id: str) -> tuple[Health, str]:
    """The health of a file, job or model, and a remark (a date, a status, an error). A
    network error gives "unknown", never "gone"."""
    try:
        return await _asked(desk, what, id)
    except Refused as error:
        if is_gone(error):
            return "gone", ""
        status = getattr(error.__cause__, "status_code", None)
        return ("forbidden" if status in (401, 403) else "unknown"), str(error)
    except (Unreachable, RateLimited) as error:
        return "unknown", str(error)


async def _asked(desk: Desk, what: What, id: str) -> tuple[Health, str]:
    if what == "file":
        file = await desk.ask(lambda client: client.files.retrieve(id))
        if file.expires_at:
            return "expiring", f"on {_day(file.expires_at)}"
        return "alive", ""
    if what == "job":
        job = await desk.ask(lambda client: client.fine_tuning.jobs.retrieve(id))
        return "alive", str(job.status)
    model = await desk.ask(lambda client: client.models.retrieve(id))
    if model.shutdown_date:
        return "expiring", f"shut down on {model.shutdown_date}"
    return "alive", ""


async def shutdowns(desk: Desk) -> dict[str, str]:
    """Model -> its shutdown date (ISO), for the models of which the list names one.
    Raises Unreachable if the response is not a list of models."""
    page = await desk.ask_json(lambda client: client.models.with_raw_response.list())
    models = page.get("data")
    if not isinstance(models, list):
        raise desk.no_answer()
    found = {}
    for model in models:
        day = day_of(model.get("shutdown_date")) if isinstance(model, dict) else None
        if day is not None:
            found[str(model.get("id"))] = day.isoformat()
    return found


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
