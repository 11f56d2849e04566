#!/usr/bin/env python3
"""Holds the recipes beside this file against Axolotl's own schema and the model card.

    python check_recipe.py [RECIPE ...]

Needs Axolotl's package and PyYAML, no GPU and no model. Axolotl's schema lets unknown
keys pass in silence, so every key is looked up in it as well.
"""

import sys
from pathlib import Path

import yaml
from axolotl.utils.schemas.config import AxolotlInputConfig
from axolotl.utils.schemas.datasets import SFTDataset
from axolotl.utils.schemas.enums import CustomSupportedOptimizers
from transformers.training_args import OptimizerNames, SchedulerType

# "Training hyperparameters" of LimaRP-Mistral-7B-v0.1; `lr_scheduler_type` is Axolotl's
# `lr_scheduler`.
CARD = {
    "learning_rate": 0.0005,
    "lr_scheduler": "cosine",
    "num_epochs": 2,
    "sequence_len": 9000,
    "lora_r": 256,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "lora_target_linear": True,
    "bf16": True,
    "fp16": False,
    "tf32": True,
    "load_in_8bit": True,
    "adapter": "lora",
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 32,
    "warmup_steps": 2,
    "optimizer": "adamw_torch",
}


def known_keys(model):
    """The keys that a pydantic model reads."""
    keys = set(model.model_fields)
    for field in model.model_fields.values():
        keys.update(alias for alias in (field.alias, field.validation_alias) if isinstance(alias, str))
    return keys


def problems(path):
    """What is wrong with a recipe, a line each."""
    recipe = yaml.safe_load(path.read_text())
    found = [f"`{key}` is no key of Axolotl's" for key in recipe.keys() - known_keys(AxolotlInputConfig)]
    for dataset in recipe["datasets"]:
        found += [f"`datasets.{key}` is no key of Axolotl's" for key in dataset.keys() - known_keys(SFTDataset)]
    try:
        read = AxolotlInputConfig(**recipe).model_dump()
    except ValueError as error:
        return found + [str(error)]
    for key, value in recipe.items():
        if key not in ("datasets", "special_tokens") and read.get(key) != value:
            found.append(f"`{key}` is {value!r} here, and Axolotl reads {read.get(key)!r}")
    for key, value in CARD.items():
        if read.get(key) != value or isinstance(read.get(key), bool) != isinstance(value, bool):
            found.append(f"`{key}` is {read.get(key)!r}, and the card has {value!r}")
    optimizers = {name.value for name in OptimizerNames} | {name.value for name in CustomSupportedOptimizers}
    if read["optimizer"] not in optimizers:
        found.append(f"there is no optimizer {read['optimizer']!r}")
    if read["lr_scheduler"] not in {kind.value for kind in SchedulerType}:
        found.append(f"there is no scheduler {read['lr_scheduler']!r}")
    return found


def main():
    here = Path(__file__).parent
    paths = [Path(name) for name in sys.argv[1:]] or sorted(here.glob("axolotl-*.yaml"))
    is_good = True
    for path in paths:
        found = problems(path)
        is_good &= not found
        print(f"{path.name}: " + ("as Axolotl and the card want it" if not found else ""))
        for problem in found:
            print(f"  {problem}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
