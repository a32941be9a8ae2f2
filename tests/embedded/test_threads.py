"""One thread a product, whoever imported NumPy first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CODE = """
{first}
import motools_build.backends.embedded.engine.model
from threadpoolctl import threadpool_info
blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
print({{pool["num_threads"] for pool in blas}})
"""


@pytest.mark.parametrize("first", ["", "import numpy"])
def test_a_product_has_one_thread(first: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(first=first)],
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "{1}"
