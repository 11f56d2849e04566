#!/usr/bin/env python3
"""Compares `dramatis bench engine` with llama.cpp's own benches on the same file.

Both are run in pairs, now ours first and now theirs, so that whatever else the machine
does hits both alike. Each line's figure is the median over the pairs, in tokens per
second; the ratio is ours over theirs, so that above 1 is faster than the peer.

Needs nothing but Python 3. benches/peers.md tells how to build the peer.
"""

import json
import os
import statistics
import sys

from peers import Arguments, ours, run, show_ratios, tell, whole, wholes

EXAMPLES = """\
examples:
  benches/compare.py --model model.gguf --threads 2
  benches/compare.py --model model.gguf --pairs 9 --depth 3584 --out compare.json
  benches/compare.py --model mistral-4l.gguf --only prefill,decode
"""


class Ours:
    """`dramatis bench engine`, one repeat at a time."""

    def __init__(self, args):
        self.args = args

    def engine(self, *options):
        return ours(self.args, "engine", "--repeats", "1", *options)

    def prefill_and_decode(self):
        n_prompt, n_decode = self.args.prompt_tokens, self.args.decode_tokens
        said = self.engine(
            "--prompt-tokens", str(n_prompt), "--decode-tokens", str(n_decode), "--batch", "1"
        )
        return {
            f"prefill {n_prompt}": said[f"prefill_{n_prompt}_tokens_per_s"],
            f"decode {n_decode}": said["decode_1_tokens_per_s"],
        }

    def deep(self):
        n_decode, depth = self.args.decode_tokens, self.args.depth
        said = self.engine(
            "--prompt-tokens", "1", "--decode-tokens", str(n_decode), "--batch", "1",
            "--depth", str(depth),
        )
        return {f"decode {n_decode} at depth {depth}": said["decode_1_tokens_per_s"]}

    def batched(self):
        batches = self.args.batch
        said = self.engine(
            "--prompt-tokens", "1", "--decode-tokens", "32", "--depth", "64",
            "--batch", ",".join(map(str, batches)),
        )
        return {f"decode, batch {n}": said[f"decode_{n}_tokens_per_s"] for n in batches}


class Peer:
    """llama-bench and llama-batched-bench, one repetition at a time."""

    def __init__(self, args):
        self.args = args
        self.common = ["-m", args.model, "-t", str(args.threads)]
        self.common += ["-ctk", args.kv, "-ctv", args.kv]

    def tool(self, name):
        return os.path.join(self.args.peer, name)

    def bench(self, *options):
        command = [self.tool("llama-bench"), *self.common, "-r", "1", "-o", "json", *options]
        tests = json.loads(run(command)[0])
        return {(test["n_prompt"], test["n_gen"]): test["avg_ts"] for test in tests}

    def prefill_and_decode(self):
        n_prompt, n_decode = self.args.prompt_tokens, self.args.decode_tokens
        # Two tests of one run: `-p` and `-n` are measured apart.
        said = self.bench("-p", str(n_prompt), "-n", str(n_decode))
        return {
            f"prefill {n_prompt}": said[(n_prompt, 0)],
            f"decode {n_decode}": said[(0, n_decode)],
        }

    def deep(self):
        n_decode, depth = self.args.decode_tokens, self.args.depth
        said = self.bench("-p", "0", "-n", str(n_decode), "-d", str(depth))
        return {f"decode {n_decode} at depth {depth}": said[(0, n_decode)]}

    def batched(self):
        batches = self.args.batch
        command = [self.tool("llama-batched-bench"), *self.common]
        command += ["-c", str(max(batches) * 96 + 64), "-npp", "64", "-ntg", "32"]
        command += ["-npl", ",".join(map(str, batches)), "--output-format", "jsonl"]
        lines = [line for line in run(command)[0].splitlines() if line[:1] == "{"]
        said = [json.loads(line) for line in lines]
        return {f"decode, batch {line['pl']}": line["speed_tg"] for line in said}


def measure(args):
    """Samples of every line, ours and theirs, in the order in which they were taken."""
    sides = [("ours", Ours(args)), ("peer", Peer(args))]
    parts = []
    if "prefill" in args.only or "decode" in args.only:
        parts.append("prefill_and_decode")
    if "deep" in args.only and args.depth > 0:
        parts.append("deep")
    if "batched" in args.only:
        parts.append("batched")
    samples = {}
    for pair in range(args.pairs):
        for part in parts:
            # Whoever goes second finds a warmer machine: each does so half of the time.
            for who, bench in sides if pair % 2 == 0 else reversed(sides):
                for line, rate in getattr(bench, part)().items():
                    # Prefill and decode are one run, of which one may not be wanted.
                    if part == "prefill_and_decode" and line.split()[0] not in args.only:
                        continue
                    samples.setdefault(line, {"ours": [], "peer": []})[who].append(rate)
        print(f"pair {pair + 1} of {args.pairs} is done", file=sys.stderr)
    return samples


def summarise(samples):
    """Medians, spreads and the ratio of medians, line by line."""
    lines = []
    for name, sides in samples.items():
        ours, peer = (statistics.median(sides[who]) for who in ("ours", "peer"))
        ratios = sorted(a / b for a, b in zip(sides["ours"], sides["peer"]))
        lines.append({
            "line": name,
            "ours_tokens_per_s": ours,
            "peer_tokens_per_s": peer,
            "ratio": ours / peer,
            "least_ratio_of_a_pair": ratios[0],
            "greatest_ratio_of_a_pair": ratios[-1],
            "samples": sides,
        })
    return lines


def show(report):
    """The table, in tokens per second."""
    show_ratios("tokens per second", "line", "tokens_per_s", report["lines"])


def arguments():
    parser = Arguments(__doc__, EXAMPLES, parts=["prefill", "decode", "deep", "batched"],
                       tools=["llama-bench", "llama-batched-bench"], ours=True)
    parser.add_argument("--pairs", type=whole(5), default=5, metavar="N",
                        help="how often each is run: fewer than 5 say little (default: %(default)s)")
    parser.add_argument("--prompt-tokens", type=whole(1), default=512, metavar="N",
                        help="tokens of the prompt (default: %(default)s)")
    parser.add_argument("--decode-tokens", type=whole(1), default=64, metavar="N",
                        help="tokens that are written (default: %(default)s)")
    parser.add_argument("--depth", type=whole(0), default=0, metavar="N",
                        help="also write at this depth, such as 3584; slow (default: not)")
    parser.add_argument("--batch", type=wholes(1, 4096), default="1,2,4,8,16", metavar="N,…",
                        help="batch sizes (default: %(default)s)")
    args = parser.parse()
    if args.only == ["deep"] and args.depth == 0:
        parser.error("--only deep: at which depth? give --depth, such as 3584")
    return args


def main():
    args = arguments()
    report = {
        "model": args.model, "threads": args.threads, "pairs": args.pairs,
        "weights": args.weights, "peer_kv": args.kv, "lines": summarise(measure(args)),
    }
    tell(args, report, show)


if __name__ == "__main__":
    main()
