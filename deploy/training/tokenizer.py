#!/usr/bin/env python3
"""Writes the tokenizer that the Axolotl recipes name, from the base model's.

    python tokenizer.py mistralai/Mistral-7B-v0.1 ./tokenizer

tokens.py says what is different about it. Nothing is, for models whose tokenizers add no
space of their own.
"""

import sys

from transformers import AutoTokenizer

from tokens import without_prefix


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    had_prefix = without_prefix(tokenizer)
    tokenizer.save_pretrained(sys.argv[2])
    print("segments get no space of the tokenizer's own" if had_prefix else "nothing had to change")


if __name__ == "__main__":
    main()
