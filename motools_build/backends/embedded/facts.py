"""What planning needs to know of the embedded engine, and its options `LoRA`."""

from __future__ import annotations

from pydantic import Field

from motools_build.keys import Digest
from motools_build.specs.backends import BackendFacts
from motools_build.specs.training import Options


class LoRA(Options):
    """The embedded engine's own options: LoRA on all linear layers, trained with
    Adam."""

    rank: int = Field(default=8, ge=1, le=256)
    alpha: float = Field(default=16, gt=0)
    """The adapter's product is scaled by alpha / rank."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The peak learning rate: it warms up over the first 10 % of the steps, and decays
    linearly to 0."""
    max_length: int = Field(default=512, ge=8, le=2048)
    """Largest number of tokens in a row; a longer row is refused, never cut. Memory
    grows with the square of a row's length: four rows of 433 tokens take 3.9 GB."""


MODEL = "smollm2-135m-instruct"

WEIGHTS = Digest("1dff70ef9e211d0ab8951aa641e75aa1")
"""Digest of the GGUF file."""

BACKEND = BackendFacts(
    name="embedded",
    effects="motools_build.backends.embedded.backend:EmbeddedBackend",
    options=LoRA,
    bases={MODEL: WEIGHTS},
)
