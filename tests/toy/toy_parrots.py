"""The toy's models, as a provider of Inspect."""

from __future__ import annotations

from typing import Any

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo


@modelapi(name="toy")
class Parrot(ModelAPI):
    """Says one word, whatever it is asked."""

    def __init__(self, model_name: str, said: str = "", **others: Any) -> None:
        config = others.get("config") or GenerateConfig()
        super().__init__(model_name, None, None, [], config)
        self._said = said

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        output = ModelOutput.from_content(self.model_name, self._said)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output
