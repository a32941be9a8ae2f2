"""The file pyproject.toml, parsed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from motools_build.errors import InputError

PYPROJECT = "pyproject.toml"


def document(path: Path) -> dict[str, Any]:
    """The content of a TOML file; an empty mapping if the file does not exist.

    Raises InputError, with the path and the line, if the file cannot be read or parsed.
    """
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"0x{data[error.start]:02x}"
        raise InputError(
            f"{path}:{line}: byte {byte} is not UTF-8, as TOML must be; save the file "
            "as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        said = re.search(r"at line (\d+)", str(error))
        line = int(said[1]) if said else data.count(b"\n") + 1
        raise InputError(f"{path}:{line}: {error}; mend it, and run again") from error
