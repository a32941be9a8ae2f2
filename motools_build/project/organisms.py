"""The organisms of the zoo, for `doit new NAME --from ORGANISM`.

A wheel has them in a folder of the package, `organisms`; a checkout has them in its
root, `zoo/` and `datasets/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from motools_build.errors import InputError
from motools_build.task_code.scan import scanned
from motools_build.text.similar import known

PACKAGE = Path(__file__).parents[1]

FOLDERS = ("zoo", "datasets")


def of_organism(organism: str, name: str) -> dict[str, str]:
    """Path -> text, for the files of a setting that begins as a copy of an organism.
    Only its module gets the setting's name: rows and evals keep their paths, which the
    module and the generator name.

    Raises InputError for an organism that does not exist.
    """
    root = _root().resolve()
    names = [path.stem for path in sorted((root / "zoo").glob("[!_]*.py"))]
    if organism not in names:
        raise InputError(
            f"--from {organism}: no such organism; {known(organism, names)}"
        )
    module = root / "zoo" / f"{organism}.py"
    files = {f"zoo/{name}.py": module}
    for path in sorted(_used_by(root, module, organism)):
        files[path.relative_to(root).as_posix()] = path
    return {path: file.read_text(encoding="utf-8") for path, file in files.items()}


def _root() -> Path:
    """The folder with zoo/ and datasets/. Raises InputError if the installation has
    none."""
    for root in (PACKAGE / "organisms", PACKAGE.parent):
        if all((root / name).is_dir() for name in FOLDERS):
            return root
    raise InputError(
        "--from: this installation has no organisms; install motools_build from its "
        "wheel or a checkout"
    )


def _used_by(root: Path, module: Path, organism: str) -> set[Path]:
    """The files that an organism is made of beside its module: those that the module
    names, directly or through other modules, and the folders of its own name."""
    found: set[Path] = set()
    own = (root / "datasets" / organism, root / "zoo/evals" / organism)
    waiting = [module, *(file for folder in own for file in _files(folder))]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".py":
            waiting += _named_in(file, root)
    return found - {module}


def _named_in(file: Path, root: Path) -> Iterator[Path]:
    """The files of the zoo that a module imports or names in a text. Of datasets, the
    whole folder: the script that wrote them is there."""
    found = scanned(file.read_bytes(), str(file))
    names = [text.partition("@")[0] for text in found["literals"]]
    names += [f"{name.lstrip('.').replace('.', '/')}.py" for name in found["imports"]]
    for name in filter(None, names):
        yield from _at(name, file.parent, root)


def _at(name: str, folder: Path, root: Path) -> Iterator[Path]:
    """The files of the zoo that a name means, from the root or from a folder."""
    for path in {(root / name).resolve(), (folder / name).resolve()}:
        if not any(path.is_relative_to(root / one) for one in FOLDERS):
            continue
        parts = path.relative_to(root).parts
        if parts[0] == "datasets" and len(parts) > 1:
            yield from _files(root.joinpath(*parts[:2])) if path.exists() else ()
        elif path.is_file():
            yield path
        elif parts[:2] == ("zoo", "evals") and len(parts) > 2:
            yield from _files(path)


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder, without what Python or an editor leaves there."""
    for path in folder.rglob("*"):
        hidden = any(
            part.startswith((".", "__")) for part in path.relative_to(folder).parts
        )
        if path.is_file() and not hidden:
            yield path
