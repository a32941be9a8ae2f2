"""The settings of a project: modules of zoo/, imported one by one, on demand."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from motools_build.errors import (
    MotoolsError,
    SelectionError,
    SettingError,
    text_of,
)
from motools_build.keys import opened
from motools_build.specs import Setting
from motools_build.text.similar import known


class Zoo:
    """Name -> setting, for the modules of a folder. A module is imported at the first
    access to its setting."""

    def __init__(self, folder: Path = Path("zoo")) -> None:
        self.folder = folder
        self._settings: dict[str, Setting] = {}
        self._names: tuple[str, ...] | None = None
        self._misnamed: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all settings, sorted. Only file names are read: nothing is
        imported."""
        if self._names is None:
            there = os.listdir(self.folder) if self.folder.is_dir() else ()
            stems = (name[:-3] for name in there if name.endswith(".py"))
            found = sorted(s for s in stems if s[:1] not in ("_", ".", ""))
            self._names = tuple(name for name in found if name.isidentifier())
            self._misnamed = tuple(name for name in found if not name.isidentifier())
        return self._names

    @property
    def misnamed(self) -> dict[str, SettingError]:
        """Stem of each .py file that is no setting, because no module can have that
        name -> the error."""
        _ = self.names
        return {
            name: SettingError(
                f"{self.folder}/{name}.py: a setting is named by its module, in "
                "letters, digits and underscores; rename the file"
            )
            for name in self._misnamed
        }

    def __getitem__(self, name: str) -> Setting:
        """The setting of that name. Raises SelectionError for an unknown name,
        SettingError for a module that fails or does not declare a setting."""
        if name not in self._settings:
            if name not in self.names:
                raise SelectionError(
                    f"no setting is called {name!r}; {known(name, self.names)}"
                )
            self._settings[name] = self._load(name)
        return self._settings[name]

    def _load(self, name: str) -> Setting:
        path = self.folder / f"{name}.py"
        module = self._import(name, path)
        setting = getattr(module, "setting", None)
        if not isinstance(setting, Setting):
            raise SettingError(
                f"{path} does not assign a Setting to the name 'setting' "
                "(write: setting = Setting(...))"
            )
        return setting

    def _import(self, name: str, path: Path) -> ModuleType:
        # loaded by path, so that a package `zoo` elsewhere on sys.path cannot shadow it
        module = ModuleType(f"zoo.{name}")
        module.__file__ = str(path.absolute())
        sys.modules[module.__name__] = module
        try:
            # compiled without the bytecode cache, which misses an edit that is made
            # within a second and keeps the file's size
            with opened(path) as file:
                source = compile(file.readall(), path.absolute(), "exec")
            exec(source, module.__dict__)
        except ValidationError as error:
            raise SettingError(_explained(error, path)) from error
        except MotoolsError as error:
            where = f"{path}:{_line(error, path)}"
            raise SettingError(f"{where}: {error}") from error
        except (Exception, SystemExit) as error:
            line = _line(error, path)
            raise SettingError(
                f"{path}:{line}: {type(error).__name__}: {text_of(error)}"
            ) from error
        return module


def _explained(error: ValidationError, path: Path) -> str:
    """The message for an invalid spec: for each mistake a line with file, line, field
    and reason."""
    line = _line(error, path)
    reasons = []
    for item in error.errors(include_url=False):
        field = ".".join(str(part) for part in item["loc"])
        where = f"{error.title}.{field}" if field else error.title
        reason = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            reason = "there is no such field"
        elif item["type"] not in ("value_error", "missing"):
            reason += f", not {item['input']!r}"
        reasons.append(f"{path}:{line}: {where}: {reason}")
    return "\n".join(reasons)


def _line(error: BaseException, path: Path) -> int | str:
    """The line of the module where the error was raised or passed; `?` if unknown."""
    here = str(path.absolute())
    if isinstance(error, SyntaxError) and error.filename == here:
        return error.lineno or "?"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == here]
    return lines[-1] if lines and lines[-1] else "?"
