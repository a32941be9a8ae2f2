"""Revoking what was accepted, and who does such a thing."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

from motools_build.errors import MotoolsError, SelectionError
from motools_build.project.project import Project
from motools_build.project.selection import is_pattern
from motools_build.running.revision import git
from motools_build.store.accepted import Acceptance

PATIENCE = 2.0
"""Seconds that git may take to say who the user is."""


def revoke(project: Project, words: Sequence[str]) -> list[Acceptance]:
    """Revoke the acceptances of the stages that the words mean, by name or by either of
    the two keys; those that were accepted along with them are revoked, too. Returns all
    of them. Raises SelectionError for a word that means no accepted stage."""
    keys: set[str] = set()
    for word in words:
        found = _standing(project, word)
        if not found:
            raise SelectionError(
                f"{word!r} means no accepted stage; `doit accept --list` has them"
            )
        keys |= found
    return project.store.accepted.revoke(keys, who())


def _standing(project: Project, word: str) -> set[str]:
    """The keys of the standing acceptances that a word means."""
    every = [*project.store.accepted]
    named = {one.key for one in every if word == one.stage}
    if len(word) >= 8:  # the beginning of a key
        named |= {one.key for one in every if one.key.startswith(word)}
        named = named or {one.key for one in every if one.of.startswith(word)}
    if word in project.zoo.names or ":" in word or is_pattern(word):
        try:
            present = {one.key for one in project.selection.chosen([word]).values()}
        except MotoolsError:  # its setting is broken or gone: the name must do
            present = set()
        here = {one.key for one in every if one.key in present}
        named = here or named
    return named


def who() -> str:
    """The user's name as git knows it, else the login name."""
    found = git("config", "user.name", patience=PATIENCE) or b""
    name = found.decode(errors="replace").strip()
    try:
        return name or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name
        return "somebody"
