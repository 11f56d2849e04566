#!/usr/bin/env python3
"""Compares `dramatis bench engine` with llama.cpp's own benches on the same file.

Both are run in pairs, now ours first and now theirs, so that whatever else the machine
does hits both alike. Each line's figure is the median over the pairs, in tokens per
second; the ratio is ours over theirs, so that above 1 is faster than the peer.

Needs nothing but Python 3. benches/peers.md tells how to build the peer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

EXAMPLES = """\
examples:
  benches/compare.py --model model.gguf --threads 2
  benches/compare.py --model model.gguf --pairs 9 --depth 3584 --out compare.json
  benches/compare.py --model mistral-4l.gguf --only prefill,decode
"""


def run(command):
    """Standard output of a command, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        sys.exit(f"error: {' '.join(command)} ended with {done.returncode}:\n{tail}")
    return done.stdout


class Ours:
    """`dramatis bench engine`, one repeat at a time."""

    def __init__(self, args):
        self.args = args

    def engine(self, *options):
        command = [self.args.dramatis, "bench", "engine", "--model", self.args.model, "--json"]
        command += ["--threads", str(self.args.threads), "--repeats", "1", *options]
        if self.args.weights:
            command += ["--weights", self.args.weights]
        return json.loads(run(command))

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
        batches = [int(size) for size in self.args.batch.split(",")]
        said = self.engine(
            "--prompt-tokens", "1", "--decode-tokens", "32", "--depth", "64",
            "--batch", self.args.batch,
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
        tests = json.loads(run(command))
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
        largest = max(int(size) for size in self.args.batch.split(","))
        command = [self.tool("llama-batched-bench"), *self.common, "-c", str(largest * 96 + 64)]
        command += ["-npp", "64", "-ntg", "32", "-npl", self.args.batch]
        command += ["--output-format", "jsonl"]
        lines = [line for line in run(command).splitlines() if line[:1] == "{"]
        said = [json.loads(line) for line in lines]
        return {f"decode, batch {line['pl']}": line["speed_tg"] for line in said}


def measure(args):
    """Samples of every line, ours and theirs, in the order in which they were taken."""
    ours, peer = Ours(args), Peer(args)
    wanted = args.only.split(",")
    parts = []
    if "prefill" in wanted or "decode" in wanted:
        parts.append("prefill_and_decode")
    if "deep" in wanted and args.depth > 0:
        parts.append("deep")
    if "batched" in wanted:
        parts.append("batched")
    samples = {}
    for pair in range(args.pairs):
        for part in parts:
            order = [("ours", ours), ("peer", peer)]
            # Whoever goes second finds a warmer machine: each does so half of the time.
            for who, bench in order if pair % 2 == 0 else reversed(order):
                for line, rate in getattr(bench, part)().items():
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


def show(lines):
    """The table, in tokens per second."""
    width = max(len(line["line"]) for line in lines)
    print(f"{'tokens per second':<{width}}  {'ours':>10}  {'peer':>10}  {'ratio':>7}  of single pairs")
    for line in lines:
        spread = f"{line['least_ratio_of_a_pair']:.3f} – {line['greatest_ratio_of_a_pair']:.3f}"
        print(
            f"{line['line']:<{width}}  {line['ours_tokens_per_s']:>10.2f}"
            f"  {line['peer_tokens_per_s']:>10.2f}  {line['ratio']:>7.3f}  {spread}"
        )


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="FILE", help="the GGUF that both run")
    parser.add_argument(
        "--dramatis", default="target/release/dramatis", metavar="PATH",
        help="the program (default: %(default)s)",
    )
    parser.add_argument(
        "--peer", default="peer/build/bin", metavar="DIR",
        help="where llama-bench and llama-batched-bench are (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N",
                        help="threads of both (default: one for each processor)")
    parser.add_argument("--pairs", type=int, default=5, metavar="N",
                        help="how often each is run, at least 5 (default: %(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=512, metavar="N",
                        help="tokens of the prompt (default: %(default)s)")
    parser.add_argument("--decode-tokens", type=int, default=64, metavar="N",
                        help="tokens that are written (default: %(default)s)")
    parser.add_argument("--depth", type=int, default=0, metavar="N",
                        help="also write at this depth, such as 3584; slow (default: not)")
    parser.add_argument("--batch", default="1,2,4,8,16", metavar="N,…",
                        help="batch sizes (default: %(default)s)")
    parser.add_argument("--weights", metavar="FORM", help="our --weights, such as stored or q8_0")
    parser.add_argument("--kv", default="f16", metavar="TYPE",
                        help="the peer's type of keys and values (default: %(default)s, its own)")
    parser.add_argument("--only", default="prefill,decode,deep,batched", metavar="PART,…",
                        help="which lines (default: all of %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--out", metavar="FILE", help="write the JSON to this file, too")
    args = parser.parse_args()
    if args.pairs < 5:
        parser.error("--pairs: fewer than 5 pairs say little; give 5 or more")
    for path in (args.model, args.dramatis, os.path.join(args.peer, "llama-bench")):
        if not os.path.exists(path):
            parser.error(f"{path} is not there; benches/peers.md tells how it is made")
    unknown = set(args.only.split(",")) - {"prefill", "decode", "deep", "batched"}
    if unknown:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    return args


def main():
    args = arguments()
    lines = summarise(measure(args))
    report = {
        "model": args.model, "threads": args.threads, "pairs": args.pairs,
        "weights": args.weights, "peer_kv": args.kv, "lines": lines,
    }
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(lines)


if __name__ == "__main__":
    main()
