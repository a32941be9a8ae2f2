"""Files that an eval reads: how they are named, what counts, and what they are now.

An *observed input* is one that an eval read, and that its key does not hold. A name is
relative to the project's root (`shipped` has the one exception); of a folder that was
listed it ends in a slash, and its digest is that of the names in it.
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
"""Instead of a digest: an attempt to open it found nothing."""

READ = "read.jsonl"
"""Beside the logs of evals: what they read. Those of an attempt that was killed are
taken up only while all of it is what it was."""

WRITTEN = "written"
"""Instead of a digest there: the eval writes it itself, so that it is no input."""

NOT_INPUTS = frozenset(
    {
        *("__pycache__", "site-packages", "dist-packages", "node_modules"),
        *(".git", ".hg", ".svn", ".cache"),
    }
)
"""Folders whose files are nobody's inputs, wherever they lie."""

METADATA = (".egg-info", ".dist-info")
"""How folders of an installed package's metadata end."""

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""Where this package is installed."""


def name_of(path: str, root: str) -> str | None:
    """The name of a file or folder below the root, or of a file of
    `motools_build.evals`; None if it is elsewhere, or no input: an artifact, bytecode,
    an installed package, a repository's own files."""
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
    """Whether it is of Python, an installed package or this one; such a folder may be
    above the project."""
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
    """What the name stands for now, relative to the working folder; `ABSENT` where
    there is no such file. Raises OSError if it cannot be read."""
    if name.endswith("/"):
        return digest_of_names(name)
    place = place_of(name)
    try:
        regular = stat.S_ISREG(os.stat(place).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    return digest(place) if regular else ABSENT


def digest_of_names(folder: str) -> Digest:
    """The digest of the names in a folder: of neither hidden files nor bytecode."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    shown = sorted(n for n in names if not n.startswith(".") and n not in NOT_INPUTS)
    return digest_bytes("\0".join(shown).encode(errors="surrogateescape"))


def difference(name: str, recorded: str, now: str | None) -> str | None:
    """What is other than recorded, in words; `now` is None if it cannot be read."""
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
    """A file's signature, and the digest of the bytes that it is of. Raises OSError."""
    for _ in range(5):
        with open(path, "rb", buffering=0) as file:
            before = signature(os.fstat(file.fileno()))
            digest = digest_stream(file)
            if signature(os.fstat(file.fileno())) == before:
                return before, digest
    raise OSError(f"{path} keeps changing while it is read")


def declared_files(data: Iterable[str], name: str) -> Iterator[str]:
    """The files that `Eval(data=...)` stands for: those that it names; all that are in
    a folder; those that a pattern fits (`**` goes through folders). Each is one input,
    so that one more or less, or another name, makes another key. Hidden files are left
    out, and what is no input. Raises EvalError for a folder or a pattern without any;
    `name` is the eval's."""
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
            raise EvalError(f"eval {name}: data: there is no file in {literal}")
        yield from files


def is_declared(name: str, data: tuple[str, ...]) -> bool:
    """Whether a folder that was listed is one whose files `Eval(data=...)` lists."""
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
        return  # not read as Python, then
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
