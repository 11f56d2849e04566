#!/usr/bin/env python3
"""Compares what we compute with what llama.cpp computes, on the same file.

  perplexity  of benches/story.txt, ours over theirs: the ratio must be within 0.5 %
  greedy      20 short prompts, 64 tokens each, at temperature 0: where the ids part, the
              position, and by how much our first choice there was ahead of our second, and
              theirs ahead of ours on their side

A difference where two tokens are all but equally likely says nothing: sums are rounded in
another order. One at a wide gap is a bug. Ends with 1 if the ratio is out of bounds or a
text parts at a wide gap.

Needs nothing but Python 3. benches/peers.md tells how to build the peer.
"""

import json
import os
import re
import sys
import tempfile

from peers import Arguments, ours, run, tell, whole
from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))

EXAMPLES = """\
examples:
  benches/agreement.py --model model.gguf
  benches/agreement.py --model model.gguf --only perplexity --windows 2 --json
  benches/agreement.py --model model.gguf --peer llama.cpp/build/bin --threads 4
"""

PROMPTS = [
    "The old lighthouse keeper wound the clock, as he did every evening, and",
    "### Instruction:\nMira's Persona: Mira is a blacksmith, patient and proud.\n\n"
    "### Input:\nAna: Can you mend this sword?\n\n### Response:\nMira:",
    "\"You came back,\" she said. She did not sound surprised. \"I told them you",
    "*The dragon opens one eye and yawns.* \"Another knight? Very well. Tell me,",
    "Once upon a time, in a village at the edge of a great forest, there lived",
    "Rain hammered on the tin roof of the garage. Inside, two brothers",
    "Captain's log. Day forty-one. The engines are silent, the water is low, and",
    "He counted the coins twice, then a third time. There was no doubt:",
    "List of what was found in the pockets of the drowned man:\n1. a silver watch\n2.",
    "The recipe had been in the family for two hundred years. First,",
    "Detective Moreau: Where were you on the night of the fire?\nMrs. Lind:",
    "Dear Margaret,\n\nI am writing to you from the hospital in Turin, where",
    "A wizard, a thief and a very small goat walked into the tavern. The innkeeper",
    "In the year 2190, nobody remembered what a tree was. Nobody, except",
    "### Instruction:\nPlay the role of Ilse, a princess who owns her tower.\n\n"
    "### Input:\nGodwin: I have come to free you!\n\n### Response:\nIlse:",
    "The train stopped between two stations. After an hour, the man in the grey coat",
    "\"It is only a mask,\" he whispered. But when he tried to take it off,",
    "They had been rivals since school. Now, on the morning of the duel,",
    "She pressed her ear against the door. On the other side, someone was humming",
    "« Bonsoir, mademoiselle », said the waiter with a bow. “Table for two?” —",
]


def perplexity(args):
    """Both perplexities of the text, and ours over theirs."""
    options = ["perplexity", args.text, "--context", str(args.context)]
    if args.windows:
        options += ["--windows", str(args.windows)]
    said = ours(args, *options)
    command = [os.path.join(args.peer, "llama-perplexity"), "-m", args.model, "-f", args.text]
    command += ["-c", str(args.context), "-b", str(args.context), "-t", str(args.threads)]
    command += ["-ctk", args.kv, "-ctv", args.kv, "--chunks", str(said["windows"])]
    output = "\n".join(run(command))
    found = re.search(r"PPL = ([0-9.]+)", output)
    if not found:
        sys.exit("error: llama-perplexity told no perplexity:\n" + output[-2000:])
    theirs = float(found.group(1))
    if said["perplexity"] is None or theirs == 0:
        sys.exit(f"error: there is no ratio of perplexities: ours is {said['perplexity']}, theirs"
                 f" {theirs}; is {args.model} a model of text?")
    ratio = said["perplexity"] / theirs
    return {
        "context": args.context, "windows": said["windows"], "tokens": said["counted_tokens"],
        "ours": said["perplexity"], "theirs": theirs, "ratio": ratio,
        "agrees": abs(ratio - 1) <= args.tolerance,
    }


def greedy_of_ours(args):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "prompts.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(PROMPTS, file)
        said = ours(args, "greedy", "--prompts", path, "--tokens", str(args.tokens))
    return said["continuations"]


def greedy_of_theirs(args, server, ids):
    """Their ids, and at each the logarithms of the likeliest tokens' probabilities."""
    body = {
        "prompt": ids, "n_predict": args.tokens, "temperature": 0, "cache_prompt": False,
        "return_tokens": True, "n_probs": 16,
    }
    status, said = server.ask("POST", "/completion", body)
    if status != 200:
        server.fail(f"llama-server answered {status}: {said}")
    steps = [
        {token["id"]: token["logprob"] for token in step["top_logprobs"]}
        for step in said["completion_probabilities"]
    ]
    return said["tokens"], steps


def first_difference(a, b):
    """Where two lists part; None if they are equal."""
    for position, pair in enumerate(zip(a, b)):
        if pair[0] != pair[1]:
            return position
    return None if len(a) == len(b) else min(len(a), len(b))


def compare(args, server, prompt, mine):
    """One prompt's ids, ours beside theirs."""
    body = {"content": prompt, "add_special": True}
    ids = server.ask("POST", "/tokenize", body)[1]["tokens"]
    theirs, their_steps = greedy_of_theirs(args, server, mine["prompt_ids"])
    position = first_difference(mine["token_ids"], theirs)
    compared = {
        "prompt": prompt, "same_prompt_ids": ids == mine["prompt_ids"],
        "tokens": len(mine["token_ids"]), "position": position,
    }
    if position is not None:
        compared |= parting(args, mine, theirs, their_steps, position)
    same_text = position is None or compared["near_tie"]
    compared["agrees"] = compared["same_prompt_ids"] and same_text
    return compared


def parting(args, mine, theirs, their_steps, position):
    """How far ahead each side's choice was where the two part."""
    if position >= min(len(mine["steps"]), len(their_steps), len(theirs)):
        return {"near_tie": False}
    step, chosen = mine["steps"][position], theirs[position]
    # Only our second is known: a third is further behind, and they tell how far.
    our_gap = step["logit"] - step["second_logit"]
    probabilities = their_steps[position]
    # None where one of the two is not among the likeliest that they tell: too far apart.
    their_gap = None
    if chosen in probabilities and step["token"] in probabilities:
        their_gap = probabilities[chosen] - probabilities[step["token"]]
    return {
        "our_gap": our_gap, "their_gap": their_gap,
        "theirs_is_our_second": chosen == step["second"],
        "near_tie": our_gap <= args.near and their_gap is not None and their_gap <= args.near,
    }


def greedy(args):
    continuations = greedy_of_ours(args)
    server = Server(args, None)
    try:
        server.start()
        pairs = zip(PROMPTS, continuations)
        return [compare(args, server, prompt, mine) for prompt, mine in pairs]
    finally:
        server.stop()


def show(report):
    if "perplexity" in report:
        said = report["perplexity"]
        print(
            f"perplexity over {said['tokens']} tokens: ours {said['ours']:.4f}, theirs"
            f" {said['theirs']:.4f}, ratio {said['ratio']:.5f}:"
            f" {'agrees' if said['agrees'] else 'TOO FAR APART'}"
        )
    if "greedy" not in report:
        return
    for number, said in enumerate(report["greedy"], 1):
        if not said["same_prompt_ids"]:
            print(f"prompt {number}: THE TOKENIZERS DIFFER")
        if said["position"] is None:
            continue
        gap = "one of them ends there"
        if "our_gap" in said:
            theirs = said["their_gap"]
            theirs = "more than they tell" if theirs is None else f"{theirs:.3f}"
            gap = f"our choice is ahead by {said['our_gap']:.3f}, theirs by {theirs}"
        verdict = "near tie" if said["near_tie"] else "NO NEAR TIE"
        print(f"prompt {number}: parts at token {said['position'] + 1} of {said['tokens']},"
              f" {gap}: {verdict}")
    same = sum(said["position"] is None for said in report["greedy"])
    ties = sum(said.get("near_tie", False) for said in report["greedy"])
    print(f"greedy: {same} of {len(report['greedy'])} texts are equal, {ties} part at a near tie")


def arguments():
    parser = Arguments(__doc__, EXAMPLES, parts=["perplexity", "greedy"],
                       tools=["llama-perplexity", "llama-server"], ours=True)
    parser.add_argument("--text", default=os.path.join(HERE, "story.txt"), metavar="FILE",
                        help="the text whose perplexity is compared (default: benches/story.txt)")
    parser.add_argument("--context", type=whole(4), default=512, metavar="N",
                        help="tokens of a window (default: %(default)s)")
    parser.add_argument("--windows", type=whole(1), metavar="N",
                        help="no more than so many windows (default: all)")
    parser.add_argument("--tolerance", type=float, default=0.005, metavar="SHARE",
                        help="how far from 1 the ratio may be (default: %(default)s)")
    parser.add_argument("--tokens", type=whole(1), default=64, metavar="N",
                        help="tokens of a continuation (default: %(default)s)")
    parser.add_argument("--near", type=float, default=0.5, metavar="GAP",
                        help="logits so close are a near tie (default: %(default)s)")
    args = parser.parse()
    if not os.path.exists(args.text):
        parser.error(f"--text: {args.text} is not there; without --text it is benches/story.txt")
    # What the server's class asks for: room for a prompt and its continuation.
    args.slots, args.slot_tokens = 1, 512 + args.tokens
    args.server_options = ["-ctk", args.kv, "-ctv", args.kv]
    return args


def main():
    args = arguments()
    report = {"model": args.model, "weights": args.weights, "peer_kv": args.kv}
    if "perplexity" in args.only:
        report["perplexity"] = perplexity(args)
    if "greedy" in args.only:
        report["greedy"] = greedy(args)
    tell(args, report, show)
    parts = [report.get("perplexity")] + report.get("greedy", [])
    return 0 if all(part["agrees"] for part in parts if part) else 1


if __name__ == "__main__":
    sys.exit(main())
