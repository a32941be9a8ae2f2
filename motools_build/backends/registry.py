"""What backends do, by their identity; each is imported on first use."""

from __future__ import annotations

from pkgutil import resolve_name

from motools_build.backends.base import Backend
from motools_build.backends.prices import Prices
from motools_build.errors import BackendError
from motools_build.specs.backends import facts_of

MAKERS = {
    "inspect": "motools_build.backends.inspect.backend:InspectBackend",
    "transform": "motools_build.backends.transform:TransformBackend",
    "fetch": "motools_build.backends.transform:TransformBackend",
}
"""What makes artifacts without having models of its own."""


def get(identity: str, prices: Prices | None = None) -> Backend:
    """What the backend of an identity in keys does (`dummy`, `openai@127.0.0.1:8080`).

    Raises BackendError if it is not installed, or if something that it needs is not.
    """
    where = MAKERS.get(identity) or facts_of(identity).effects
    try:
        kind = resolve_name(where)
    except (ImportError, AttributeError) as error:
        raise BackendError(
            f"what the backend {identity!r} does ({where}) cannot be imported: "
            f"{error}; install what its package says that it needs"
        ) from error
    made: Backend = kind(prices)
    return made
