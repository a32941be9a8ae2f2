"""Switches off Inspect's cache where it would give another model's answer, or a copy.

The cache identifies an answer by the model's name and the epoch. But a model that is
trained again keeps its name, and the epochs of each block are counted from 1.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from motools_build.errors import EngineError

if TYPE_CHECKING:
    from inspect_ai.model import ModelAPI

LOGGER = logging.getLogger("motools_build")


@dataclass
class _Uncached:
    models: WeakSet[ModelAPI] = field(default_factory=WeakSet)
    everything: bool = False
    told: WeakSet[ModelAPI] = field(default_factory=WeakSet)


_uncached = _Uncached()


def never_cached(api: ModelAPI) -> None:
    """Never use the cache for this model, even if the task, the solver or the
    environment asks for it."""
    _wrap()
    _uncached.models.add(api)


@contextmanager
def nothing_cached() -> Iterator[None]:
    """Use the cache for no model, judges included, within the context."""
    _wrap()
    before, _uncached.everything = _uncached.everything, True
    try:
        yield
    finally:
        _uncached.everything = before


@functools.cache
def _wrap() -> None:
    """Patch `Model.generate`, through which all requests go, once per process. Inspect
    gives a provider no other way to decline the cache (docs/decisions/0008). Raises
    EngineError if this version of Inspect has no `cache` argument there."""
    from inspect_ai.model import CachePolicy, Model

    asks = Model.generate
    signature = inspect.signature(asks)
    if "cache" not in signature.parameters:
        raise EngineError(
            "this version of inspect_ai takes no `cache` in Model.generate, so its "
            "cache cannot be switched off; install another version"
        )

    @functools.wraps(asks)
    async def generate(self: Model, *args: Any, **kwargs: Any) -> Any:
        if not _uncached.everything and self.api not in _uncached.models:
            return await asks(self, *args, **kwargs)
        bound = signature.bind(self, *args, **kwargs)
        wanted = bound.arguments.get("cache")
        if not isinstance(wanted, bool | CachePolicy):
            wanted = self._resolve_config(bound.arguments.get("config")).cache
        if wanted and self.api not in _uncached.told:
            _uncached.told.add(self.api)
            LOGGER.warning(
                "%s is asked, though a cache was wanted: Inspect's goes by the model's "
                "name and the epoch, and would give the answers of other weights or of "
                "another block of epochs",
                self,
            )
        bound.arguments["cache"] = False
        return await asks(*bound.args, **bound.kwargs)

    Model.generate = generate  # type: ignore[method-assign]
