"""`doit accept`: holds an earlier result and the present code equivalent."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps

from motools_build.doit_host.queries import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.accepting import Act, accept
from motools_build.project.revoking import revoke
from motools_build.stages import setting_of
from motools_build.store.accepted import Acceptance
from motools_build.text import hints

FEW = 3
"""Most stages that the command which revokes names; otherwise it names settings."""


class Accept(Query):
    """`doit accept STAGE... --why TEXT`: keeps results over a cosmetic edit."""

    name = "accept"
    doc_purpose = "keep a result though a comment or the like was edited"
    doc_usage = (
        "STAGE|KEY|PATTERN|SETTING... [--why TEXT [--of KEY] | --revoke | --list]"
    )
    doc_description = (
        "Writes down that a person holds the stage equivalent to its nearest earlier "
        "artifact. Refused if more than comments and formatting of Python files "
        "differs, unless --of names that artifact. An accepted stage is never made, "
        "and its results say so wherever they are shown, until --revoke."
    )
    cmd_options = (
        OPT_JSON,
        {
            "name": "why",
            "long": "why",
            "type": str,
            "default": "",
            "help": "why the earlier result still holds",
        },
        {
            "name": "of",
            "long": "of",
            "type": str,
            "default": "",
            "help": "the key of the artifact to keep, whatever differs",
        },
        {
            "name": "revoked",
            "long": "revoke",
            "type": bool,
            "default": False,
            "help": "end what was accepted: the stages are stale again",
        },
        {
            "name": "listed",
            "long": "list",
            "type": bool,
            "default": False,
            "help": "show what is accepted",
        },
    )

    def _execute(
        self,
        json: bool,
        why: str,
        of: str,
        revoked: bool,
        listed: bool,
        pos_args: list[str],
    ) -> int:
        if listed or revoked:
            if why or of or (listed and revoked):
                raise InvalidCommand(
                    "--list and --revoke stand alone: leave out the other options"
                )
            return self._list(json) if listed else self._revoke(json, pos_args)
        if not pos_args:
            raise InvalidCommand(
                "`doit accept` takes the stages to accept; `doit plan` tells for which "
                "only comments or formatting differ"
            )
        act = accept(current().project, pos_args, why, of)
        if json:
            body = {"accepted": _json(act.accepted), "left": act.left}
            self._say(dumps(body, ensure_ascii=False))
            return 0
        self._tell(act)
        return 0

    def _tell(self, act: Act) -> None:
        for line in act.told:
            self._say(line)
        for one in act.accepted:
            self._say(f"accepted {one.stage}  {one.key[:8]} as {one.of[:8]}")
        for name, reason in act.left.items():
            said = reason if name in reason else f"{name}: {reason}"
            self._say(f"left     {said}")
        names = [one.stage for one in act.accepted if not one.root]
        if len(names) > FEW:
            names = [setting_of(name) for name in names]
        back = hints.command("accept", "--revoke", *dict.fromkeys(names))
        self._say(f"never made while that stands; to take it back: {back}")

    def _revoke(self, json: bool, words: list[str]) -> int:
        if not words:
            raise InvalidCommand(
                "--revoke takes the accepted stages or keys; `doit accept --list` has "
                "them"
            )
        gone = revoke(current().project, words)
        if json:
            self._say(dumps({"revoked": _json(gone)}, ensure_ascii=False))
            return 0
        for one in gone:
            self._say(f"revoked {one.stage}  {one.key[:8]} as {one.of[:8]}")
        self._say("they are stale again; no artifact was touched")
        return 0

    def _list(self, json: bool) -> int:
        found = [*current().project.store.accepted]
        if json:
            self._say(dumps({"accepted": _json(found)}, ensure_ascii=False))
            return 0
        for one in found:
            said = one.said.removeprefix(": ").strip()
            self._say(f"{one.stage}  {one.key[:8]} as {one.of[:8]}\n   {said}")
        if not found:
            self._say("nothing is accepted")
        return 0


def _json(found: list[Acceptance]) -> list[dict[str, object]]:
    return [asdict(one) for one in found]
