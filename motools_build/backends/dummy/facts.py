"""What planning needs to know of the dummy backend."""

from __future__ import annotations

from motools_build.specs.backends import BackendFacts

BACKEND = BackendFacts(
    name="dummy",
    effects="motools_build.backends.dummy.backend:DummyBackend",
    uploads=True,
    hosted=("echo",),
    instant=True,
)
