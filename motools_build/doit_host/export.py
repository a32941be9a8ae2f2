"""`doit export MODEL --to DIR`: a model as a folder for other programs."""

from __future__ import annotations

from pathlib import Path

from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.exporting import export


class Export(Query):
    """`doit export MODEL`: writes a fine-tune with its model card."""

    name = "export"
    doc_purpose = "write a model, with a model card, for transformers and PEFT"
    doc_usage = "MODEL --to DIR [--merge] [--push-to-hub REPOSITORY]"
    doc_description = (
        "MODEL is a stage's name, a pattern, or eight or more digits of a key: of one "
        "model. An adapter is written with its tokenizer; with --merge, the "
        "base model with the adapter in its weights. The card has the training's "
        "options, the digests of data and base model, and the results."
    )
    cmd_options = (
        {
            "name": "to",
            "long": "to",
            "type": str,
            "default": "",
            "help": "the folder to write; it must not be there yet",
        },
        {
            "name": "merge",
            "long": "merge",
            "type": bool,
            "default": False,
            "help": "write whole weights, not an adapter",
        },
        {
            "name": "repository",
            "long": "push-to-hub",
            "type": str,
            "default": "",
            "help": "then upload the folder to this repository of the Hugging Face "
            "hub, private if it is new, with the login of `hf auth login`",
        },
    )

    def _execute(
        self, to: str, merge: bool, repository: str, pos_args: list[str]
    ) -> int:
        if len(pos_args) != 1 or not to:
            raise InvalidCommand("write doit export MODEL --to DIR")
        stage = export(current().project, pos_args[0], Path(to), merge)
        self._say(f"{to}  {stage.name}")
        if repository:
            from motools_build.project.hub import push

            self._say(push(Path(to), repository))
        return 0
