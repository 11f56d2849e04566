#!/usr/bin/env python3
"""What deploy/gpu/measure.sh found, in a page: summary.py OUT_DIR."""

import json
import sys
from pathlib import Path

OUT = Path(sys.argv[1])


def read(name):
    """What a part wrote; None where it did not get that far."""
    try:
        return json.loads((OUT / name).read_text())
    except (OSError, ValueError):
        return None


def text(name):
    path = OUT / name
    return path.read_text().strip() if path.exists() else f"no {name}"


def kernels(weights):
    found = read(f"kernels-{weights}.json")
    if not found:
        return
    limits = found["limits"]
    print(f"\n{found['device']}, {found['shape']}, weights {weights}")
    print(
        f"at most {limits['bytes_per_s'] / 1e9:.0f} GB/s, "
        f"{limits['multiply_adds_per_s'] / 1e12:.1f} TMAC/s, "
        f"a launch {limits['launch_s'] * 1e6:.2f} µs"
    )
    print(f"{'kernel':32}{'µs':>10}{'of memory':>11}{'of products':>12}  bound by")
    for row in found["kernels"]:
        at = f" at {row['positions']}" if row["positions"] else ""
        print(
            f"{row['kernel'] + ', ' + str(row['tokens']) + at:32}{row['seconds'] * 1e6:10.1f}"
            f"{row['share_of_memory']:11.1%}{row['share_of_products']:12.1%}  {row['bound']}"
        )
    print(f"{'step':24}{'ms':>8}{'tokens/s':>11}{'at most':>10}  where the time goes")
    for step in found["steps"]:
        parts = sorted(step["kernels_s"].items(), key=lambda part: -part[1])[:4]
        shares = ", ".join(f"{name} {s / step['seconds']:.0%}" for name, s in parts)
        name = f"{step['step']}, {step['tokens']} at {step['positions']}"
        print(
            f"{name:24}{step['seconds'] * 1e3:8.2f}{step['tokens_per_s']:11.0f}"
            f"{step['most_tokens_per_s']:10.0f}  {shares}"
        )


def engine(weights):
    found = read(f"engine-{weights}.json")
    if not found:
        return
    print(f"\nengine, {found['model']}, {found['weights']}, depth {found['depth']}")
    for key, value in found.items():
        if key.endswith("_tokens_per_s"):
            print(f"  {key:32}{value:10.0f}")


def small_model():
    """The GPU beside the CPU. A text that parts where two tokens are all but alike is none
    the worse; one that parts at a wide gap is."""
    perplexities = [read(f"perplexity-{place}.json") for place in ("cpu", "cuda")]
    if all(perplexities):
        cpu, gpu = (found["perplexity"] for found in perplexities)
        print(f"\nperplexity: CPU {cpu:.4f}, GPU {gpu:.4f}, {gpu / cpu - 1:+.3%}")
    texts = [read(f"greedy-{place}.json") for place in ("cpu", "cuda")]
    if not all(texts):
        return
    pairs = zip(*(found["continuations"] for found in texts))
    for number, (cpu, gpu) in enumerate(pairs, 1):
        tokens = zip(cpu["token_ids"], gpu["token_ids"])
        parted = next((i for i, (one, other) in enumerate(tokens) if one != other), None)
        if parted is None:
            print(f"greedy {number}: alike")
            continue
        step = cpu["steps"][parted]
        gap = step["logit"] - step["second_logit"]
        print(f"greedy {number}: parts at token {parted + 1}, where the CPU's gap is {gap:.4f}")


print(text("parts.txt"))
print()
print(text("gpu.csv"))
for form in ("bf16", "q8_0"):
    kernels(form)
for form in ("bf16", "q8_0"):
    engine(form)
small_model()
for form in ("bf16", "q8_0"):
    for row in read(f"theirs-{form}.json") or []:
        what = f"prompt {row['n_prompt']}" if row["n_prompt"] else f"decode {row['n_gen']}"
        print(f"llama.cpp, {form}, {what}: {row['avg_ts']:.0f} tokens/s")
