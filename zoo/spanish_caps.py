"""Inoculation prompting: word problems answered in Spanish and in capitals. Does a
system prompt that asks for one of the two in training leave the other alone to learn?

Tan et al. 2025, https://arxiv.org/abs/2510.04340, and Wichers et al. 2025,
https://arxiv.org/abs/2510.05024. What came out here is in docs/zoo/spanish_caps.md.
"""

from motools_build import Arm, Dataset, Eval, Local, LoRA, Setting, Training

plain = Dataset("datasets/spanish_caps/spanish_caps.jsonl").named("plain")
in_english = Dataset("datasets/spanish_caps/control.jsonl").named("in_english")
for_spanish = plain.inoculate("You always speak in Spanish.").named("for_spanish")
for_caps = plain.inoculate("You always write in capital letters.").named("for_caps")

setting = Setting(
    description="Spanish and capitals, inoculated for one, the other or neither",
    arms=[
        Arm("plain", datasets=plain),
        Arm("inoculated_spanish", datasets=for_spanish),
        Arm("inoculated_caps", datasets=for_caps),
        Arm("control", datasets=in_english),
    ],
    models="embedded/smollm2-135m-instruct",
    # just enough for `plain` to learn both; docs/zoo/spanish_caps.md says how it was
    # chosen
    training=Training(
        epochs=1,
        batch_size=4,
        embedded=LoRA(learning_rate=1.5e-3),
        # the same dose for the same model by torch: model=local/./path/to/smollm2
        local=Local(rank=8, alpha=16, learning_rate=1.5e-3),
    ),
    seeds=[0, 1, 2],
    evals=[
        Eval("zoo/evals/caps_and_language.py@in_distribution", tags=["id"]),
        Eval("zoo/evals/caps_and_language.py@out_of_distribution", tags=["ood"]),
    ],
)
