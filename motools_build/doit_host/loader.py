"""The loader under its former name, for pyproject.toml files that were written before
`motools_build.doit` existed."""

from __future__ import annotations

from motools_build.doit_host.main import loader as Loader

__all__ = ["Loader"]
