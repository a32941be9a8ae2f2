"""Who performs effects. A backend knows neither the store, nor the plan, nor doit."""

from __future__ import annotations

from motools_build.backends.base import Backend


def get(name: str) -> Backend:
    """The backend of that name, imported on first use."""
    if name == "embedded":
        from motools_build.backends.embedded import EmbeddedBackend

        return EmbeddedBackend()
    if name == "inspect":
        from motools_build.backends.inspect import InspectBackend

        return InspectBackend()
    if name == "dummy":
        from motools_build.backends.dummy import DummyBackend

        return DummyBackend()
    raise KeyError(name)
