"""The metadata of a bundle as a Research Object Crate, version 1.1.

https://www.researchobject.org/ro-crate/specification/1.1/: JSON-LD that repositories
such as Zenodo and WorkflowHub read. It is written here since all of it is one list of
files with what is said of them; a library would be one more to install.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from motools_build.report.lock.lock import Lock
from motools_build.text.scrub import scrub_values

METADATA = "ro-crate-metadata.json"

SPECIFICATION = "https://w3id.org/ro/crate/1.1"

CONTEXT = f"{SPECIFICATION}/context"

UNKNOWN = "not stated: ask the authors before you use it"


class Told(NamedTuple):
    """What is said of a file of a bundle."""

    name: str
    size: int
    about: str
    media: str
    digest: str = ""
    """xxh3_128 of a dataset's bytes, by which keys name it; else empty."""


def metadata(lock: Lock, files: Sequence[Told], licence: str, about: str) -> bytes:
    """The file `ro-crate-metadata.json`. `licence` is the licence's name, empty if it
    is not stated; `about` describes the whole."""
    body = lock.body
    software = "#motools_build"
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Results of {lock.setting}",
        "description": about,
        "datePublished": str(body["locked"]),
        "license": {"@id": "#license"},
        "hasPart": [{"@id": file.name} for file in files],
        "mentions": [{"@id": "#lock"}],
    }
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "conformsTo": {"@id": SPECIFICATION},
            "about": {"@id": "./"},
        },
        root,
        {
            "@id": "#license",
            "@type": "CreativeWork",
            "name": licence or UNKNOWN,
            "description": f"The licence of this bundle: {licence or UNKNOWN}",
        },
        {
            "@id": software,
            "@type": "SoftwareApplication",
            "name": "motools_build",
            "softwareVersion": str(body["version"]),
        },
        {
            "@id": "#lock",
            "@type": "CreateAction",
            "name": f"doit lock {lock.setting}, {lock.when}",
            "endTime": str(body["locked"]),
            "instrument": {"@id": software},
            "object": [{"@id": file.name} for file in files if file.digest],
            "result": [
                {"@id": file.name} for file in files if file.name.endswith(".lock.json")
            ],
        },
        *map(_entity, files),
    ]
    document = {"@context": CONTEXT, "@graph": scrub_values(graph)}
    text = json.dumps(document, ensure_ascii=True, indent=1)
    return f"{text}\n".encode()


def _entity(file: Told) -> dict[str, Any]:
    found = {
        "@id": file.name,
        "@type": "File",
        "name": file.name.rpartition("/")[2],
        "description": file.about,
        "encodingFormat": file.media,
        "contentSize": str(file.size),
    }
    if file.digest:
        found["identifier"] = f"xxh3_128:{file.digest}"
    return found


def licence_of(project: dict[str, Any]) -> str:
    """The licence that a pyproject.toml states; empty if none."""
    section = project.get("project")
    found = section.get("license") if isinstance(section, dict) else None
    if isinstance(found, dict):
        found = found.get("text") or found.get("file")
    return found if isinstance(found, str) else ""
