"""Files that an eval reads: their names, which of them count, and their digests now.

An *observed input* is a file that an eval read and that is not in its key. A name is
relative to the project's root, except for files of `motools_build.evals` (see
`shipped`). The name of a listed folder ends in a slash, and its digest is that of the
names in it.
"""

from __future__ import annotations

import ast
import glob
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator

from motools_build.errors import EvalError
from motools_build.keys import Digest, digest_bytes, digest_stream, signature
from motools_build.task_code.shipped import place_of, shipped_name

ABSENT = Digest("")
"""Instead of a digest: the eval tried to open the file, and there was none."""

READ = "read.jsonl"
"""Name of the file beside an eval's logs that lists the files it read. The logs of a
killed attempt are reused only if all of these are unchanged."""

WRITTEN = "written"
"""Instead of a digest in that list: the eval wrote the file, so it is no input."""

NOT_INPUTS = frozenset(
    {
        *("__pycache__", "site-packages", "dist-packages", "node_modules"),
        *(".git", ".hg", ".svn", ".cache"),
    }
)
"""Names of folders whose files never count as inputs."""

METADATA = (".egg-info", ".dist-info")
"""Suffixes of the folders with an installed package's metadata."""

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""Where this package is installed."""


def name_of(path: str, root: str) -> str | None:
    """The name of a file or folder below the root, or of a file of
    `motools_build.evals`. None for other paths, and for files that never count as
    inputs: artifacts, bytecode, installed packages, a repository's metadata."""
    path = os.path.normpath(path)
    shipped = shipped_name(path)
    if shipped is not None:
        return None if "__pycache__" in shipped else shipped
    if _is_installed(path, root):
        return None
    if not _is_below(path, root):
        path = os.path.realpath(path)
    if not _is_below(path, root) or _is_no_input(path, root):
        return None
    return os.path.relpath(path, root)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_installed(path: str, root: str) -> bool:
    """Whether a path belongs to Python, its installed packages or this package. An
    installation whose folder contains the project does not count, since then it would
    contain the project's own files."""
    places = (OURS, sys.prefix, sys.base_prefix)
    return any(_is_below(path, i) and not _is_below(root, i) for i in places)


def _is_no_input(path: str, root: str) -> bool:
    parts = os.path.relpath(path, root).split(os.sep)
    return (
        parts[0] == "artifacts"
        or not NOT_INPUTS.isdisjoint(parts)
        or any(part.endswith(METADATA) for part in parts)
        or _is_installed(path, root)
    )


def digest_now(name: str, digest: Callable[[str], Digest]) -> Digest:
    """The present digest of a file or folder by its name, relative to the working
    directory; `digest` computes a file's. `ABSENT` if there is no regular file or
    folder. Raises OSError if it cannot be read."""
    if name.endswith("/"):
        return digest_of_names(name)
    place = place_of(name)
    try:
        regular = stat.S_ISREG(os.stat(place).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    return digest(place) if regular else ABSENT


def digest_of_names(folder: str) -> Digest:
    """The digest of the names in a folder, without hidden files and `NOT_INPUTS`;
    `ABSENT` if there is no such folder."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    shown = sorted(n for n in names if not n.startswith(".") and n not in NOT_INPUTS)
    return digest_bytes("\0".join(shown).encode(errors="surrogateescape"))


def difference(name: str, recorded: str, now: str | None) -> str | None:
    """How an observed input differs from its recorded digest, in words; None if it is
    unchanged. `now` is its present digest, or None if it cannot be read."""
    if now == recorded:
        return None
    if now is None:
        what = "cannot be read now"
    elif now == ABSENT:
        what = "is gone"
    elif recorded == ABSENT:
        what = "is there now"
    elif name.endswith("/"):
        what = "holds other files now"
    else:
        what = "changed since"
    return f"{name} {what} (observed)"


def signed(path: str) -> tuple[list[int], Digest]:
    """A file's signature, and the digest of its bytes under that signature. Raises
    OSError if it cannot be read, or keeps changing."""
    for _ in range(5):
        with open(path, "rb", buffering=0) as file:
            before = signature(os.fstat(file.fileno()))
            digest = digest_stream(file)
            if signature(os.fstat(file.fileno())) == before:
                return before, digest
    raise OSError(f"{path} keeps changing while it is read")


def declared_files(data: Iterable[str], field: str) -> Iterator[str]:
    """The files of a field such as `Eval(data=...)`: those it names, all files in its
    folders, and all that match its patterns (`**` matches any depth of folders). Each
    is one input, so adding, removing or renaming a file changes the key. In folders and
    patterns, hidden files and files that never count as inputs are left out. Raises
    EvalError for a folder or pattern without files; `field` names the field there."""
    for literal in data:
        pattern = literal
        if os.path.isdir(literal):
            pattern = os.path.join(glob.escape(literal), "**")
        elif os.path.exists(literal) or not glob.has_magic(literal):
            yield literal
            continue
        files = [
            os.path.normpath(path)
            for path in sorted(glob.glob(pattern, recursive=True))
            if os.path.isfile(path)
            and not _is_no_input(os.path.abspath(path), os.getcwd())
        ]
        if not files:
            raise EvalError(f"{field}: there is no file in {literal}")
        yield from files


def is_declared(name: str, data: tuple[str, ...]) -> bool:
    """Whether a listed folder (its name ends in a slash) is covered by
    `Eval(data=...)`, so that its files are in the key."""
    for literal in data:
        while glob.has_magic(literal):
            literal = os.path.dirname(literal)
        place = os.path.normpath(literal)
        if place == "." or f"{place}/" == name or name.startswith(f"{place}/"):
            return True
    return False


def variables_of(source: bytes) -> Iterator[str]:
    """The environment variables that a module reads by name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # the eval cannot have imported it
    for node in ast.walk(tree):
        asked: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _named(node.value) == "environ":
            asked = node.slice
        elif isinstance(node, ast.Call) and node.args:
            of = _named(getattr(node.func, "value", None))
            if _named(node.func) == "getenv" or of == "environ":
                asked = node.args[0]
        if isinstance(asked, ast.Constant) and isinstance(asked.value, str):
            yield asked.value


def _named(node: ast.AST | None) -> str | None:
    """The last word of `environ` and `os.environ`."""
    return getattr(node, "id", getattr(node, "attr", None))
