"""OpenAI's rules for the rows and files of a fine-tuning dataset."""

from __future__ import annotations

import re

from motools_build.data.rows.checks import Rules
from motools_build.data.rows.tool_chats import (
    tool_chat_problem,
    tool_preference_problem,
)

SPECIAL = re.compile(
    r"<\|(?:endoftext|endofprompt|im_start|im_end|im_sep|"
    r"fim_prefix|fim_middle|fim_suffix)\|>"
)
"""Special tokens of OpenAI's chat format; rows that contain them as text are
refused."""

LARGEST = 512 * 1024 * 1024
"""Largest file that the API accepts, in bytes."""

RULES = Rules(
    "openai",
    {"sft": tool_chat_problem, "dpo": tool_preference_problem},
    whose="OpenAI",
    minimum=10,
    largest=LARGEST,
    special=SPECIAL,
)
