"""What a training needs to go on after its death: weights, optimizer, random state and
step, in one file that is replaced atomically."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import torch

FILE = "state.pt"


def trained(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Name -> weight of each that is trained."""
    return {n: w for n, w in model.named_parameters() if w.requires_grad}


def save(
    folder: Path,
    key: str,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Replace the checkpoint. `progress` is plain data and tensors."""
    folder.mkdir(exist_ok=True)
    state = {
        "key": key,
        "weights": trained(model),
        "optimizer": optimizer.state_dict(),
        "random": random_state(),
        "progress": progress,
    }
    temporary = folder / f"{FILE}.tmp"
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)


def load(
    folder: Path,
    key: str,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> dict[str, Any] | None:
    """Continue from the checkpoint; returns its `progress`. None if there is none for
    this key, or if it is damaged: then the training starts anew."""
    try:
        state = torch.load(folder / FILE, map_location="cpu", weights_only=True)
        if state["key"] != key:
            return None
        weights, own = state["weights"], trained(model)
        if weights.keys() != own.keys():
            return None
    except Exception:  # noqa: BLE001 - a damaged file fails in many ways
        return None
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(weights[name])
    optimizer.load_state_dict(state["optimizer"])
    set_random_state(state["random"])
    progress: dict[str, Any] = state["progress"]
    return progress


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def random_state() -> dict[str, Any]:
    """The state of torch's random generators."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def seed(number: int) -> None:
    """Seed every generator that a training uses."""
    random.seed(number)
    torch.manual_seed(number)
