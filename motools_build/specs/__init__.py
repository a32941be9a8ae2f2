"""Specs: frozen declarations of an experiment. They say what to make, and contain no
code that makes it."""

from motools_build.specs.arm import Arm
from motools_build.specs.contrast import Contrast
from motools_build.specs.dataset import Dataset
from motools_build.specs.eval import Eval
from motools_build.specs.model_name import ModelName
from motools_build.specs.sampled import Teacher
from motools_build.specs.setting import Setting
from motools_build.specs.training import Training

__all__ = [
    "Arm",
    "Contrast",
    "Dataset",
    "Eval",
    "ModelName",
    "Setting",
    "Teacher",
    "Training",
]
