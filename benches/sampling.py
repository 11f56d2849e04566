#!/usr/bin/env python3
"""Compares `dramatis bench sampling` with llama.cpp's samplers on the same rows of logits.

Rows are made: the token at rank r has the logit -1.4 ln r and some noise, in shuffled places.
Both choose from each, in pairs, now ours first and now theirs, on one thread. A figure is the
median over the pairs of the microseconds that one token takes; the ratio is theirs over ours,
so that above 1 is faster than the peer.

Ours has the reading of the row in it, theirs has not: its list of tokens is filled before the
clock runs. Where samplers differ in what they are, so do the texts; TFS and DRY are left out,
as llama.cpp has no TFS, and its DRY asks for a model.

Needs nothing but Python 3. benches/peers.md tells how to build the peer.
"""

import array
import ctypes
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time

from peers import Arguments, run, show_ratios, tell, whole

EXAMPLES = """\
examples:
  benches/sampling.py
  benches/sampling.py --vocabulary 131072 --pairs 9 --out sampling.json
"""

NUM_ROWS = 32
SEEN = 400
SEED = 7

# Each sampler by the name that ours has for it, and the peer's stages of the same.
SAMPLERS = {
    "neutral": [("dist", SEED)],
    "greedy": [("greedy",)],
    "top-k": [("top_k", 40), ("top_p", 0.9), ("temp", 0.8), ("dist", SEED)],
    "top-p": [("top_p", 0.9), ("dist", SEED)],
    "min-p": [("penalties", 512, 1.1), ("min_p", 0.05), ("dist", SEED)],
    "typical": [("typical", 0.9), ("dist", SEED)],
    "mirostat": [("mirostat_v2", SEED, 5.0, 0.1)],
}


class TokenData(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("logit", ctypes.c_float), ("p", ctypes.c_float)]


class TokenDataArray(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(TokenData)), ("size", ctypes.c_size_t),
                ("selected", ctypes.c_int64), ("sorted", ctypes.c_bool)]


class ChainParams(ctypes.Structure):
    _fields_ = [("no_perf", ctypes.c_bool)]


class Peer:
    """llama.cpp's samplers, by its library."""

    def __init__(self, directory, rows, history):
        self.library = ctypes.CDLL(os.path.abspath(os.path.join(directory, "libllama.so")))
        self.library.llama_sampler_chain_init.restype = ctypes.c_void_p
        self.rows = [(TokenData * len(row))(*((i, x, 0.0) for i, x in enumerate(row)))
                     for row in rows]
        self.size, self.history = len(rows[0]), history
        self.room = (TokenData * self.size)()

    def stage(self, name, *values):
        init = getattr(self.library, f"llama_sampler_init_{name}")
        init.restype = ctypes.c_void_p
        if name == "penalties":
            last_n, repeat = values
            return init(ctypes.c_int32(self.size), ctypes.c_int32(last_n), ctypes.c_float(repeat),
                        ctypes.c_float(0), ctypes.c_float(0))
        typed = [ctypes.c_int32(x) if isinstance(x, int) else ctypes.c_float(x) for x in values]
        # The least that these keep.
        typed += [ctypes.c_size_t(1)] if name in ("top_p", "min_p", "typical") else []
        return init(*typed)

    def microseconds(self, stages):
        """What a token takes."""
        chain = ctypes.c_void_p(self.library.llama_sampler_chain_init(ChainParams(True)))
        for stage in stages:
            made = ctypes.c_void_p(self.stage(*stage))
            self.library.llama_sampler_chain_add(chain, made)
        for token in self.history:
            self.library.llama_sampler_accept(chain, ctypes.c_int32(token))
        apply, taken = self.library.llama_sampler_apply, 0
        for row in self.rows:
            ctypes.memmove(self.room, row, ctypes.sizeof(row))
            tokens = TokenDataArray(self.room, self.size, -1, False)
            begun = time.perf_counter_ns()
            apply(chain, ctypes.byref(tokens))
            taken += time.perf_counter_ns() - begun
            if not 0 <= tokens.selected < tokens.size:
                sys.exit(f"error: llama.cpp chose nothing with {stages}")
        self.library.llama_sampler_free(chain)
        return taken / 1e3 / len(self.rows)


def made_rows(vocabulary):
    chance = random.Random(SEED)
    rows = []
    for _ in range(NUM_ROWS):
        row = [-1.4 * math.log(r) + chance.random() - 0.5 for r in range(1, vocabulary + 1)]
        chance.shuffle(row)
        rows.append(array.array("f", row))
    return rows, [chance.randrange(min(SEEN, vocabulary)) for _ in range(2048)]


def measure(args):
    rows, history = made_rows(args.vocabulary)
    peer = Peer(args.peer, rows, history)
    figures = {name: ([], []) for name in args.only}
    with tempfile.NamedTemporaryFile(suffix=".f32") as file:
        for row in rows:
            if sys.byteorder != "little":
                row.byteswap()
            file.write(row.tobytes())
        file.flush()
        command = [args.dramatis, "bench", "sampling", "--logits", file.name, "--json",
                   "--vocabulary", str(args.vocabulary), "--tokens", str(NUM_ROWS), "--rounds", "1"]

        def ours():
            said = json.loads(run(command)[0])["token_us"]
            for name, (mine, _) in figures.items():
                mine += said[name]

        def theirs():
            for name, (_, other) in figures.items():
                other.append(peer.microseconds(SAMPLERS[name]))

        for pair in range(args.pairs):
            for side in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
                side()
    return figures


def summarise(figures):
    lines = []
    for name, (mine, other) in figures.items():
        ratios = [theirs / ours for ours, theirs in zip(mine, other)]
        lines.append({
            "sampler": name,
            "ours_us": statistics.median(mine), "peer_us": statistics.median(other),
            "ratio": statistics.median(other) / statistics.median(mine),
            "least_ratio_of_a_pair": min(ratios), "greatest_ratio_of_a_pair": max(ratios),
        })
    return lines


def show(report):
    """The table, in microseconds a token."""
    show_ratios("µs a token", "sampler", "us", report["lines"])


def main():
    parser = Arguments(__doc__, EXAMPLES, parts=list(SAMPLERS), tools=["libllama.so"], ours=True,
                       model=False)
    parser.add_argument("--vocabulary", type=whole(64), default=32_000, metavar="N",
                        help="tokens of a row (default: %(default)s)")
    parser.add_argument("--pairs", type=whole(5), default=5, metavar="N",
                        help="how often each is run: fewer than 5 say little (default: %(default)s)")
    args = parser.parse()
    report = {"vocabulary": args.vocabulary, "pairs": args.pairs,
              "lines": summarise(measure(args))}
    tell(args, report, show)


if __name__ == "__main__":
    main()
