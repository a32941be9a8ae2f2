"""The embedded backend: a small real model, fine-tuned on the CPU."""
