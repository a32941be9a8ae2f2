"""Packages installed for one test: a folder on PYTHONPATH, laid out as pip does."""

from __future__ import annotations

import os
from pathlib import Path

from tests.forking import client


def installed(folder: Path, package: str, source: str, **backends: str) -> str:
    """Write a package of one module into a folder, with entry points for its backends
    (`toy="BACKEND"` registers that attribute of the module as `toy`). Returns a
    PYTHONPATH with the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    )
    lines = [f"{name} = {package}:{what}" for name, what in backends.items()]
    text = "\n".join(["[motools_build.backends]", *lines])
    (info / "entry_points.txt").write_text(f"{text}\n")
    return os.pathsep.join([client.PYTHONPATH, str(folder)])
