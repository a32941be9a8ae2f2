"""Finds the backend of an identity; each backend is imported on first use."""

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
"""Backends without models of their own: name -> `module:class`."""


def get(identity: str, prices: Prices | None = None) -> Backend:
    """A new backend object for an identity in keys (`dummy`, `openai@127.0.0.1:8080`).

    Raises BackendError if the backend, or a package that it needs, is not installed.
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
