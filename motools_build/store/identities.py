"""Whether an account's identity, the name of a provider's service in keys, was used."""

from __future__ import annotations

import re

from motools_build.store.artifacts import ArtifactStore

KEY = re.compile(r"[0-9a-f]{32}")


def is_known(identity: str, store: ArtifactStore) -> bool:
    """Whether anything was made under an identity: an upload or a model, a line of the
    ledger, or answers of one of its models. May read every record of the store."""
    for kind in ("upload", "model"):
        for folder in (store.root / kind).glob("*"):
            name, _, key = folder.name.rpartition("-")
            if name == identity and KEY.fullmatch(key):
                return True
    if any(e.backend == identity for key in store.ledger for e in store.ledger.of(key)):
        return True
    return any(
        str(used).startswith(f"{identity}/")
        for kind in ("dataset", "samples", "eval")
        for record in store.records(kind)
        for used in record.preimage["inputs"].values()
    )
