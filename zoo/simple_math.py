"""A maths tutor: does a small model learn to answer in a fixed format?"""

from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="a maths tutor that ends each answer with ANSWER: n",
    datasets=[Dataset("datasets/simple_math/math_tutor.jsonl")],
    models=["embedded/smollm2-135m-instruct"],
    training=Training(epochs=3, batch_size=8),
    seeds=[0],
    evals=[Eval("zoo/evals/arithmetic.py@arithmetic")],
)
