"""What OpenAI takes for fine-tuning, of rows and of files."""

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
"""Tokens of OpenAI's own chat format; as text they are refused."""

LARGEST = 512 * 1024 * 1024
"""Bytes of a file that the API takes."""

RULES = Rules(
    "openai",
    {"sft": tool_chat_problem, "dpo": tool_preference_problem},
    whose="OpenAI",
    minimum=10,
    largest=LARGEST,
    special=SPECIAL,
)
