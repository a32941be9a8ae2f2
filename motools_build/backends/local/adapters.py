"""What is trained of a model, and how it is kept: by PEFT, or whole."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motools_build.backends.local.folders import weights_digest
from motools_build.errors import EngineError

ALL = "all-linear"

ADAPTER = "adapter_config.json"
"""The file that tells an adapter's folder from a whole model's."""

TEMPLATE = "chat_template.jinja"
"""The file with a chat template, as transformers names it."""


def prepared(base: Any, options: Mapping[str, Any], name: str) -> Any:
    """The model with an adapter of random weights by torch's generator, or with all
    weights to be trained. `name` is the base model's, for the adapter's configuration.
    Raises EngineError for layers that the model does not have."""
    base.config.use_cache = False
    if options["adapter"] == "full":
        return base.train()
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if options["adapter"] == "qlora":
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    targets = options["targets"]
    config = LoraConfig(
        r=options["rank"],
        lora_alpha=options["alpha"],
        lora_dropout=options["dropout"],
        use_rslora=options["rslora"],
        target_modules=targets if targets == ALL else targets.split(","),
        task_type="CAUSAL_LM",
    )
    try:
        model = get_peft_model(base, config).train()
    except ValueError as error:
        raise EngineError(f"training.local.targets={targets!r}: {error}") from error
    # PEFT wrote the folder's path there, which means nothing on another machine
    config.base_model_name_or_path = name
    return model


def save(model: Any, folder: Path, tokenizer: Any = None, template: str = "") -> str:
    """Write the adapter or the whole model, with the tokenizer if it is given, and with
    a chat template that replaces the tokenizer's; returns the digest of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    names = getattr(model, "peft_config", None)
    if names:
        model.save_pretrained(
            str(folder), selected_adapters=list(names), save_embedding_layers=False
        )
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    else:
        model.config.use_cache = True
        model.save_pretrained(str(folder))
        model.config.use_cache = False
    if tokenizer is not None:
        tokenizer.save_pretrained(str(folder))
    if template:
        (folder / TEMPLATE).write_text(template)
    return weights_digest(folder)


def loaded(model: Any, folder: str, name: str = "default") -> Any:
    """The model with the adapter in a folder besides those that it has. Raises
    EngineError unless the folder has weights for all layers that the adapter is for, in
    their shapes: PEFT leaves those without as the base model has them. The model cannot
    be used then, for some of its layers may be adapted."""
    from peft import PeftModel

    try:
        if isinstance(model, PeftModel):
            missing = model.load_adapter(folder, adapter_name=name).missing_keys
            if missing:
                raise ValueError(f"{len(missing)} weights are missing: {missing[0]}")
            return model
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*missing adapter keys")
            return PeftModel.from_pretrained(model, folder, adapter_name=name).eval()
    except (UserWarning, RuntimeError, ValueError) as error:
        problem = str(error)[:500]
        raise EngineError(
            f"the adapter in {folder} does not fit its base model: {problem}"
        ) from error
