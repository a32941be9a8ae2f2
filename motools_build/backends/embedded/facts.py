"""What planning knows of the embedded engine."""

from __future__ import annotations

from pydantic import Field

from motools_build.keys import Digest
from motools_build.specs.backends import BackendFacts
from motools_build.specs.training import Options


class LoRA(Options):
    """The embedded engine's own options: LoRA on all linear layers, Adam."""

    rank: int = Field(default=8, ge=1, le=256)
    alpha: float = Field(default=16, gt=0)
    """The adapter is scaled by alpha / rank."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The peak: after a warm-up over 10 % of the steps, linear decay to 0."""
    max_length: int = Field(default=512, ge=8, le=2048)
    """Tokens a row may have; a longer row is refused, never cut. Memory grows with
    its square: four rows of 433 tokens take 3.9 GB."""


MODEL = "smollm2-135m-instruct"

WEIGHTS = Digest("1dff70ef9e211d0ab8951aa641e75aa1")
"""Of the GGUF file."""

BACKEND = BackendFacts(
    name="embedded",
    effects="motools_build.backends.embedded.backend:EmbeddedBackend",
    options=LoRA,
    bases={MODEL: WEIGHTS},
)
