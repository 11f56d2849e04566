#!/usr/bin/env python3
"""Trains a small LoRA adapter on an export of `dramatis dataset export`, without Axolotl.

    python train.py --model MODEL --data export/train.jsonl --out adapter

MODEL is a directory in transformers' format, a name on the Hub, or a GGUF file, which is
read in full precision. The loss falls on the segments with `label` alone. The adapter is
PEFT's: adapter_config.json and adapter_model.safetensors.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tokens import encode, without_prefix


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="a directory, a name on the Hub, or a GGUF file")
    parser.add_argument("--data", required=True, type=Path, help="train.jsonl of an export")
    parser.add_argument("--out", required=True, type=Path, help="where the adapter goes; must not be there")
    parser.add_argument("--resume", type=Path, help="go on with this adapter, as the card's second pass")
    parser.add_argument("--rank", type=int, default=16, help="the card has 256")
    parser.add_argument("--alpha", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--learning-rate", type=float, default=0.0005)
    parser.add_argument("--warmup-steps", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, help="so many, however many epochs that makes")
    parser.add_argument("--batch", type=int, default=1, help="samples a step")
    parser.add_argument("--max-tokens", type=int, default=9000, help="longer samples are left out")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--show", type=int, default=0, metavar="TOKENS",
                        help="say a reply of so many tokens, without and with the adapter")
    return parser.parse_args()


def load(model, device):
    """The model and its tokenizer."""
    path = Path(model)
    where, more = model, {}
    if path.suffix == ".gguf":
        where, more = str(path.parent), {"gguf_file": path.name}
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    tokenizer = AutoTokenizer.from_pretrained(where, **more)
    model = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, **more)
    model.config.use_cache = False
    return model.to(device), tokenizer


def read(path, tokenizer, max_tokens):
    """The samples as ids and labels, and how many were too long."""
    has_prefix = without_prefix(tokenizer)
    lines = path.read_text(encoding="utf-8").splitlines()
    samples = [encode(tokenizer, json.loads(line)["segments"], has_prefix) for line in lines]
    kept = [sample for sample in samples if len(sample[0]) <= max_tokens]
    return kept, len(samples) - len(kept)


def loss_of(model, batch, num_taught, device):
    """The mean loss of all taught tokens of the batch, backwards sample by sample."""
    total = 0.0
    for ids, labels in batch:
        ids, labels = (torch.tensor([part], device=device) for part in (ids, labels))
        logits = model(input_ids=ids).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
        )
        (loss / num_taught).backward()
        total += loss.item()
    return total / num_taught


def batches(samples, size, seed):
    """Samples in another order in each epoch, for ever."""
    order = random.Random(seed)
    while True:
        epoch = samples[:]
        order.shuffle(epoch)
        for at in range(0, len(epoch), size):
            yield epoch[at:at + size]


def say(model, tokenizer, sample, num_tokens, device):
    """The most likely reply to the first prompt of a sample."""
    ids, labels = sample
    begin = next(at for at, label in enumerate(labels) if label != -100)
    prompt = torch.tensor([ids[:begin]], device=device)
    said = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                          max_new_tokens=num_tokens, pad_token_id=tokenizer.eos_token_id, use_cache=True)
    return tokenizer.decode(said[0, begin:])


def main():
    wanted = arguments()
    if wanted.out.exists():
        raise SystemExit(f"{wanted.out} is there already")
    random.seed(wanted.seed)
    torch.manual_seed(wanted.seed)
    model, tokenizer = load(wanted.model, wanted.device)
    samples, num_left_out = read(wanted.data, tokenizer, wanted.max_tokens)
    if not samples:
        raise SystemExit("no sample is short enough; --max-tokens says how long they may be")
    if wanted.resume:
        model = PeftModel.from_pretrained(model, wanted.resume, is_trainable=True)
    else:
        model = get_peft_model(model, LoraConfig(
            task_type="CAUSAL_LM", r=wanted.rank, lora_alpha=wanted.alpha,
            lora_dropout=wanted.dropout, target_modules="all-linear",
        ))
    num_taught = sum(label != -100 for _, labels in samples for label in labels)
    print(f"{len(samples)} samples ({num_left_out} too long), {sum(len(ids) for ids, _ in samples)} "
          f"tokens, {num_taught} of them taught", flush=True)
    model.print_trainable_parameters()

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=wanted.learning_rate, weight_decay=0.0)
    num_steps = wanted.steps or wanted.epochs * math.ceil(len(samples) / wanted.batch)

    def rate(step):
        if step < wanted.warmup_steps:
            return (step + 1) / (wanted.warmup_steps + 1)
        through = (step - wanted.warmup_steps) / max(1, num_steps - wanted.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * through))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    losses, began = [], time.monotonic()
    for step, batch in zip(range(num_steps), batches(samples, wanted.batch, wanted.seed)):
        taught = sum(label != -100 for _, labels in batch for label in labels)
        losses.append(loss_of(model, batch, taught, wanted.device))
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        took = time.monotonic() - began
        left = took / (step + 1) * (num_steps - step - 1)
        print(f"step {step + 1} of {num_steps}: loss {losses[-1]:.4f}, {left:.0f} s left", flush=True)
    model.eval()
    if wanted.show:
        with torch.no_grad():
            with model.disable_adapter():
                print("without:", say(model, tokenizer, samples[0], wanted.show, wanted.device))
            print("with:   ", say(model, tokenizer, samples[0], wanted.show, wanted.device))
    model.save_pretrained(wanted.out, safe_serialization=True)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(wanted).items()}
    record = {"settings": settings, "samples": len(samples), "left_out": num_left_out, "losses": losses}
    (wanted.out / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"the adapter is in {wanted.out}")


if __name__ == "__main__":
    main()
