"""Replaces unpaired surrogates (half characters) by their escapes, as Inspect does
elsewhere. They have no UTF-8 form: one in a message would fail the whole eval when
Inspect writes its log."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from motools_build.text.visible import whole

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model


def whole_answers(model: Model) -> Model:
    """The model, patched so that its answers have no unpaired surrogates."""
    usual = model.api.generate

    @functools.wraps(usual)
    async def generate(*args: Any, **options: Any) -> Any:
        answer = await usual(*args, **options)
        if isinstance(answer, tuple):
            output, call = answer
            return _whole(output), call
        return _whole(answer)

    model.api.generate = generate  # type: ignore[method-assign]
    return model


def whole_samples(task: Task) -> Task:
    """The task, with unpaired surrogates in its samples replaced in place."""
    for sample in task.dataset:
        found = _whole(sample)
        if found is not sample:
            for name in type(sample).model_fields:
                setattr(sample, name, getattr(found, name))
    return task


def _whole(value: Any) -> Any:
    from pydantic import BaseModel
    from pydantic_core import PydanticSerializationError

    if not isinstance(value, BaseModel):
        return value  # an exception, which Inspect raises
    try:
        value.model_dump_json(fallback=str)
    except PydanticSerializationError:
        return type(value).model_validate(whole(value.model_dump()))
    return value
