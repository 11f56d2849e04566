"""What the scripts that measure us against llama.cpp share: arguments and their checks, the
running of commands, the writing of results.

Knows no script's figures; the others import it from beside them.
"""

import argparse
import json
import os
import subprocess
import sys

# So many of anything is a slip of the finger.
MOST = 1_000_000


def whole(least, most=MOST):
    """A type of argument: whole numbers between these two."""

    def read(text):
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")

    return read


def wholes(least, most=MOST):
    """A type of argument: such numbers with commas between them."""

    def read(text):
        return [whole(least, most)(number.strip()) for number in text.split(",")]

    return read


class Arguments(argparse.ArgumentParser):
    """The arguments of a script, with those that all scripts have.

    `parts` is what `--only` chooses from, `tools` are the peer's programs that are needed;
    `ours` says whether our own program runs, too, and `model` whether any of them runs one.
    """

    def __init__(self, doc, examples, parts, tools, ours, model=True):
        super().__init__(
            description=doc, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self.parts, self.tools = parts, tools
        if model:
            self.add_argument("--model", required=True, metavar="FILE",
                              help="the GGUF that both run" if ours else "the GGUF")
            self.add_argument("--threads", type=whole(1, 1024), default=os.cpu_count(),
                              metavar="N",
                              help="threads that compute (default: one for each processor)")
        self.add_argument("--peer", default="peer/build/bin", metavar="DIR",
                          help=f"where {' and '.join(tools)} are (default: %(default)s)")
        self.add_argument("--only", default=",".join(parts), metavar="PART,…",
                          help="which parts (default: %(default)s)")
        self.add_argument("--json", action="store_true", help="print JSON in place of a table")
        self.add_argument("--out", metavar="FILE", help="write the JSON to this file, too")
        if not ours:
            return
        self.add_argument("--dramatis", default="target/release/dramatis", metavar="PATH",
                          help="our program (default: %(default)s)")
        if not model:
            return
        self.add_argument("--weights", default="stored", metavar="FORM",
                          help="our --weights (default: %(default)s, as the peer has them)")
        self.add_argument("--kv", default="f16", metavar="TYPE",
                          help="the peer's type of keys and values (default: %(default)s, its own)")

    def parse(self):
        """The arguments, `only` as a list, once everything that they name is there."""
        args = self.parse_args()
        args.only = [part.strip() for part in args.only.split(",")]
        unknown = sorted(set(args.only) - set(self.parts))
        if unknown:
            self.error(f"--only: there is no {', '.join(unknown)}; there are"
                       f" {', '.join(self.parts)}")
        needed = [os.path.join(args.peer, tool) for tool in self.tools]
        needed += [getattr(args, name) for name in ("model", "dramatis") if hasattr(args, name)]
        for path in needed:
            if not os.path.exists(path):
                self.error(f"{path} is not there; benches/peers.md tells how it is made")
        # Before minutes of measuring.
        if args.out and (os.path.isdir(args.out)
                         or not os.access(os.path.dirname(args.out) or ".", os.W_OK)):
            self.error(f"--out: {args.out} cannot be written; name a file in a directory that is"
                       " there and yours")
        return args


def run(command):
    """What a command says on both outputs; it must succeed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(f"error: cannot run {command[0]}: {error.strerror}; is it a program for this"
                 " machine?")
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        sys.exit(f"error: {' '.join(command)} ended with {done.returncode}:\n{tail}")
    return done.stdout, done.stderr


def ours(args, *options):
    """The JSON of one of our benches."""
    command = [args.dramatis, "bench", *options, "--model", args.model, "--json"]
    command += ["--threads", str(args.threads), "--weights", args.weights]
    return json.loads(run(command)[0])


def tell(args, report, show):
    """Writes the report as the arguments say; `show` prints it for people."""
    # What is no number is None in a report: JSON knows no infinity.
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    if args.json:
        print(text)
    else:
        show(report)


def show_ratios(heading, name, unit, lines):
    """Prints lines that have a name, our figure and the peer's in a unit, and their ratio."""
    width = max(len(heading), *(len(line[name]) for line in lines))
    print(f"{heading:<{width}}  {'ours':>10}  {'peer':>10}  {'ratio':>7}  of single pairs")
    for line in lines:
        spread = f"{line['least_ratio_of_a_pair']:.3f} – {line['greatest_ratio_of_a_pair']:.3f}"
        print(f"{line[name]:<{width}}  {line[f'ours_{unit}']:>10.2f}  {line[f'peer_{unit}']:>10.2f}"
              f"  {line['ratio']:>7.3f}  {spread}")
