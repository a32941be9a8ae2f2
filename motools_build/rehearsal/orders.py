"""The body of a request that creates a fine-tuning job, checked as OpenAI checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motools_build.rehearsal.refused import Refused, bad
from motools_build.rehearsal.training import DPO, SUPERVISED

FIELDS = (
    "model",
    "training_file",
    "validation_file",
    "method",
    "hyperparameters",
    "seed",
    "suffix",
    "metadata",
    "integrations",
)
RANGES: dict[str, tuple[float, float, bool]] = {
    "n_epochs": (1, 50, True),
    "batch_size": (1, 256, True),
    "learning_rate_multiplier": (0, 100, False),
    "beta": (0, 2, False),
}
"""Hyperparameter -> least value, greatest value, whether it must be an integer."""


@dataclass(frozen=True)
class Order:
    """A fine-tuning job as it was requested; None where the request gave no value."""

    model: str
    training_file: str
    validation_file: str | None
    method: str
    hyperparameters: dict[str, Any]
    seed: int | None
    suffix: str | None
    metadata: dict[str, str] | None
    integrations: list[Any]

    def texts(self, seed: int) -> list[str]:
        """The texts in which a fault rule looks for its `match`."""
        return [self.suffix or "", str(seed), *(self.metadata or {}).values()]


def order(body: Any) -> Order:
    """Check a body. Raises Refused."""
    if not isinstance(body, dict):
        raise bad("We could not parse the JSON body of your request.")
    for name in body:
        if name not in FIELDS:
            raise bad(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    for name in ("model", "training_file"):
        if body.get(name) is None:
            raise bad(
                f"Missing required parameter: '{name}'.",
                name,
                "missing_required_parameter",
            )
    for name in ("model", "training_file", "validation_file", "suffix"):
        if not isinstance(body.get(name), str | None):
            raise _type(name, "a string")
    method, hyperparameters = _method(body)
    suffix = body.get("suffix") or None
    if suffix is not None and len(suffix) > 64:
        raise bad(
            f"Invalid 'suffix': string too long. Expected a string with maximum "
            f"length 64, but got a string with length {len(suffix)} instead.",
            "suffix",
            "string_above_max_length",
        )
    seed = body.get("seed")
    if seed is not None:
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise _type("seed", "an integer")
        if not 0 <= seed < 2**31:
            raise bad(f"Invalid 'seed': {seed} is out of range.", "seed")
    integrations = body.get("integrations") or []
    if not isinstance(integrations, list) or not all(map(_wandb, integrations)):
        raise _type("integrations", "a list of wandb integrations")
    return Order(
        model=body["model"],
        training_file=body["training_file"],
        validation_file=body.get("validation_file"),
        method=method,
        hyperparameters=hyperparameters,
        seed=seed,
        suffix=suffix,
        metadata=_metadata(body.get("metadata")),
        integrations=integrations,
    )


def _method(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The training method and its hyperparameters. Raises Refused."""
    old, method = body.get("hyperparameters"), body.get("method")
    if method is None:
        return SUPERVISED, _hyperparameters(old, "hyperparameters", SUPERVISED)
    if old is not None:
        raise bad("Specify either 'method' or 'hyperparameters', not both.", "method")
    if not isinstance(method, dict):
        raise _type("method", "an object")
    kind = method.get("type")
    if kind not in (SUPERVISED, DPO):
        raise bad(
            f"Invalid value: {kind!r}. This rehearsal knows 'supervised' and 'dpo'.",
            "method.type",
            "invalid_value",
        )
    for name in method:
        if name not in ("type", kind):
            raise bad(
                f"Unknown parameter: 'method.{name}'.",
                f"method.{name}",
                "unknown_parameter",
            )
    inner = method.get(kind) or {}
    if not isinstance(inner, dict):
        raise _type(f"method.{kind}", "an object")
    where = f"method.{kind}.hyperparameters"
    return kind, _hyperparameters(inner.get("hyperparameters"), where, kind)


def _hyperparameters(given: Any, where: str, method: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _type(where, "an object")
    for name, value in given.items():
        param = f"{where}.{name}"
        if name not in RANGES or (name == "beta" and method != DPO):
            raise bad(f"Unknown parameter: '{param}'.", param, "unknown_parameter")
        if value == "auto":
            continue
        least, most, whole = RANGES[name]
        kinds = (int,) if whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise _type(param, "an integer" if whole else "a number")
        if not least <= value <= most or value == 0:
            raise bad(f"Invalid '{param}': {value} is out of range.", param)
    return {name: value for name, value in given.items() if value is not None}


def _wandb(given: Any) -> bool:
    if not isinstance(given, dict) or given.get("type") != "wandb":
        return False
    project = given.get("wandb")
    return isinstance(project, dict) and isinstance(project.get("project"), str)


def _metadata(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _type("metadata", "an object")
    if len(given) > 16:
        raise bad(
            f"Invalid 'metadata': too many properties. Expected at most 16, got "
            f"{len(given)}.",
            "metadata",
            "object_above_max_properties",
        )
    for key, value in given.items():
        if not isinstance(value, str):
            raise _type(f"metadata.{key}", "a string")
        for what, text, most in (("key", key, 64), ("value", value, 512)):
            if len(text) > most:
                raise bad(
                    f"Invalid 'metadata': {what} of '{key[:64]}' is longer than "
                    f"{most} characters.",
                    f"metadata.{key[:64]}",
                    "string_above_max_length",
                )
    return given


def _type(param: str, wanted: str) -> Refused:
    return bad(f"Invalid type for '{param}': expected {wanted}.", param, "invalid_type")
