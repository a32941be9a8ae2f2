"""The project's file `.env`, with keys that are in no tracked file."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from motools_build.errors import InputError
from motools_build.keys import opened
from motools_build.text.scrub import learn


def read_dotenv() -> None:
    """Add the variables of the project's .env to the environment, where workers inherit
    them; a variable that the environment has already keeps its value. Values that look
    like keys are hidden from output from then on. Raises InputError."""
    path = Path(".env")
    if path.exists():
        from dotenv import dotenv_values, load_dotenv

        try:
            with opened(path) as file:
                text = file.readall().decode("utf-8-sig")
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 ({error}); save it anew") from error
        if "\0" in text:
            raise InputError(f"{path} holds a NUL, as no text does; save it anew")
        learn(dotenv_values(stream=StringIO(text)))
        load_dotenv(stream=StringIO(text), override=False)
    learn(os.environ)
