"""A disk of a team that fails now and then, as a network's disk does."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import Any

from motools_build.running import effects
from motools_build.store.shared.objects import Objects
from tests.crash import client
from tests.crash.client import Act


def doit(args: tuple[str, ...], act: Act | None, cuts: float) -> int:
    """`doit ARGS`, some of whose requests to a store fail: half of them before, half
    after they were carried out. Its deaths may come at any of them."""
    once, moments = Objects._once, random.Random()

    def failing(objects: Objects, request: Callable[[], Any], passes: Any) -> Any:
        drawn = moments.random()

        def asked() -> Any:
            effects.passing("before a request")
            if drawn < cuts / 2:
                raise OSError(errno.EIO, "cut")
            found = request()
            effects.passing("after a request")
            if drawn < cuts:
                raise OSError(errno.ESTALE, "cut")
            return found

        return once(objects, asked, passes)

    Objects._once = failing  # type: ignore[method-assign]
    return client.doit(args, act)
