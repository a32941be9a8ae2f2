"""A LoRA fine-tuning and generation engine in NumPy, for one small chat model.

The model is SmolLM2-135M-Instruct, read from a GGUF file. In reading order:

gguf       the file, as metadata and float32 arrays
tokenizer  chats to token ids, and which of them are trained
config     the model's sizes
lora       an adapter: the few numbers that training changes, and their files
layers     norm, rotation, attention and SwiGLU, each beside its backward
model      the base weights, and how the layers are wired
train      loss, gradient, Adam
generate   greedy or sampled continuations, in batches

Letters of shapes: B examples, N tokens of the longest, R = B * N rows,
D width (576), H query heads (9), K key heads (3), G = H // K, h head size (64),
F inner width of the feed-forward (1536), V vocabulary (49152), M keys attended to.
"""

import os
import sys

# Each of our own threads runs one example after the other. If BLAS also splits each
# matrix product over all cores, the whole is up to ten times slower on a busy machine.
# OpenBLAS reads this variable once, when numpy is first imported.
if "OPENBLAS_NUM_THREADS" not in os.environ:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if "numpy" in sys.modules:  # imported by an eval's task: too late for the variable
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
