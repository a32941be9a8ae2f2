"""Backends by their identity, each imported on first use."""

from __future__ import annotations

from motools_build.backends.base import Backend
from motools_build.backends.prices import Prices


def get(name: str, prices: Prices | None = None) -> Backend:
    """The backend of an identity (`dummy`, `openai@127.0.0.1:8080`), imported on
    first use."""
    name = name.partition("@")[0]
    if name == "openai":
        from motools_build.backends.openai.backend import OpenAIBackend

        return OpenAIBackend(prices or Prices())
    if name == "embedded":
        from motools_build.backends.embedded.backend import EmbeddedBackend

        return EmbeddedBackend()
    if name == "inspect":
        from motools_build.backends.inspect.backend import InspectBackend

        return InspectBackend()
    if name in ("transform", "fetch"):
        from motools_build.backends.transform import TransformBackend

        return TransformBackend()
    if name == "dummy":
        from motools_build.backends.dummy.backend import DummyBackend

        return DummyBackend()
    raise KeyError(name)
