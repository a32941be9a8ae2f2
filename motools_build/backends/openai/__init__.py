"""The OpenAI fine-tuning API, and servers that speak it."""
