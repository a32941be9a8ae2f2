"""The name of the loader in a pyproject.toml from before `motools_build.doit`."""

from __future__ import annotations

from motools_build.doit_host.main import loader as Loader

__all__ = ["Loader"]
