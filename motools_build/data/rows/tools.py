"""Tools in a row, in the format of OpenAI's API: declarations, and the assistant's
calls."""

from __future__ import annotations

import json
import re
from typing import Any

from motools_build.data.rows.chat import named
from motools_build.text.similar import known

FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Pattern of a function's name."""

CALL = frozenset({"id", "type", "function"})
CALLED = frozenset({"name", "arguments"})
TOOL = frozenset({"type", "function"})
SIGNATURE = frozenset({"name", "description", "parameters", "strict"})


def declared_problem(row: dict[str, Any], place: str) -> str | None:
    """The problem of the tools that a row declares, or None; `place` is a prefix for
    their names in the problem."""
    parallel = row.get("parallel_tool_calls", True)
    if not isinstance(parallel, bool):
        return f"{place}parallel_tool_calls is {named(parallel)}, not true or false"
    for name in ("tools", "functions"):
        tools = row.get(name, [])
        if not isinstance(tools, list):
            return f"{place}{name} is {named(tools)}, not a list"
        for index, tool in enumerate(tools):
            where = f"{place}{name}[{index}]"
            if not isinstance(tool, dict):
                return f"{where} is {named(tool)}, not an object"
            problem = _tool(tool) if name == "tools" else _signature(tool)
            if problem:
                return f"{where}{problem}"
    return None


def call_problem(call: Any, row: dict[str, Any]) -> str | None:
    """The problem of one of an assistant's `tool_calls`, or None."""
    if not isinstance(call, dict):
        return f" is {named(call)}, not an object"
    problem = unknown_key(call, CALL, "a call")
    if problem:
        return f": {problem}"
    name = call.get("id")
    if not isinstance(name, str) or not name:
        return f".id is {json.dumps(name)}; each call has an id of its own"
    if call.get("type") != "function":
        return f'.type is {json.dumps(call.get("type"))}; it is "function"'
    problem = function_problem(call.get("function"), row, "tools")
    return f".function{problem}" if problem else None


def function_problem(function: Any, row: dict[str, Any], listed: str) -> str | None:
    """The problem of a called function, or None. If the row declares functions under
    the key `listed`, the called one must be among them."""
    if not isinstance(function, dict):
        return f" is {named(function)}, not an object"
    problem = unknown_key(function, CALLED, "a called function")
    if problem:
        return f": {problem}"
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or not name:
        return f".name is {json.dumps(name)}; it is the function's name"
    if not isinstance(arguments, str):
        return f".arguments is {named(arguments)}; it is JSON, written as a string"
    if listed in row:
        names = [_named_in(tool) for tool in row[listed]]
        if name not in names:
            return f".name: {listed} has no {name!r}; {known(name, names)}"
    return None


def _tool(tool: dict[str, Any]) -> str | None:
    problem = unknown_key(tool, TOOL, "a tool")
    if problem:
        return f": {problem}"
    if tool.get("type") != "function":
        return f'.type is {json.dumps(tool.get("type"))}; it is "function"'
    function = tool.get("function")
    if not isinstance(function, dict):
        return f".function is {named(function)}, not an object"
    problem = _signature(function)
    return f".function{problem}" if problem else None


def _signature(function: dict[str, Any]) -> str | None:
    problem = unknown_key(function, SIGNATURE, "a function")
    if problem:
        return f": {problem}"
    name = function.get("name")
    if not isinstance(name, str) or not FUNCTION.fullmatch(name):
        return (
            f".name is {json.dumps(name)}; it is 1 to 64 letters, digits, "
            "underscores and dashes"
        )
    parameters = function.get("parameters", {})
    if not isinstance(parameters, dict):
        return f".parameters is {named(parameters)}; it is a JSON schema, an object"
    return None


def _named_in(tool: dict[str, Any]) -> str:
    """The function's name in an entry of `tools` or of `functions`."""
    function: dict[str, Any] = tool.get("function", tool)
    return str(function["name"])


def unknown_key(value: dict[str, Any], keys: frozenset[str], what: str) -> str | None:
    """The problem of the first key that is not one of `keys`, or None."""
    for key in value:
        if key not in keys:
            return f"{what} has {key!r}, which OpenAI does not know; {known(key, keys)}"
    return None
