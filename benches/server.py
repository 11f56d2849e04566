#!/usr/bin/env python3
"""Puts the load of `dramatis bench channels` on llama-server, on the loopback interface.

Each channel is a conversation of its own, sent whole every time as token ids, as a bot
would send it. Reported are the times to the first token, median and worst, the tokens per
second of the whole scenario, and the share of prompt tokens that the server had cached:

  cold        so many channels at once that were never there before
  returning   the same channels at once, each with a new turn behind
  in turn     the same channels again, one after another
  trimmed     the same, after the oldest third of each history was dropped
  many        more channels than slots, one after another, twice: the second visit
  restart     the server is stopped and started, and every channel comes back

Needs nothing but Python 3. benches/peers.md tells how to build the server.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from peers import Arguments, tell, whole

EXAMPLES = """\
examples:
  benches/server.py --model model.gguf
  benches/server.py --model model.gguf --channels 8 --only cold,returning --json
  benches/server.py --model model.gguf --save-slots -- --cache-reuse 64
"""

SCENARIOS = ["cold", "returning", "in turn", "trimmed", "many", "restart"]

OPENERS = ["After a while", "On the far side of the yard", "Long past midnight",
           "While the rain went on", "With both hands on the rail", "Somewhere below the stairs"]
WHO = ["the ferryman", "her youngest brother", "an old surveyor", "the clockmaker's girl",
       "a stranger in a grey coat", "the captain's widow", "nobody she knew"]
DID = ["set down", "turned over", "remembered", "counted again", "would not look at",
       "asked about", "had forgotten", "listened for"]
WHAT = ["a letter that had never been opened", "the second of the three keys",
        "the sound of the harbour bell", "four silver coins and a button",
        "what the tide had left behind", "a box of broken watches", "the name on the gate"]


def prose(rng):
    """A sentence."""
    opener, who, did, what = (rng.choice(words) for words in (OPENERS, WHO, DID, WHAT))
    return f"{opener}, for the {rng.randrange(2, 900)}th time, {who} {did} {what}. "


class Server:
    """llama-server as a child of ours, answering on a port of its own."""

    def __init__(self, args, slots_dir):
        self.args = args
        self.slots_dir = slots_dir
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None
        self.log = tempfile.TemporaryFile()

    def start(self):
        command = [
            os.path.join(self.args.peer, "llama-server"), "-m", self.args.model,
            "--host", "127.0.0.1", "--port", str(self.port),
            "-t", str(self.args.threads), "-np", str(self.args.slots),
            "-c", str(self.args.slots * self.args.slot_tokens), "--slots", "--offline",
        ]
        if self.slots_dir:
            command += ["--slot-save-path", self.slots_dir]
        command += self.args.server_options
        try:
            self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        except OSError as error:
            sys.exit(f"error: cannot run {command[0]}: {error.strerror}; is it a program for this"
                     " machine?")
        for _ in range(1200):
            if self.process.poll() is not None:
                self.fail("llama-server ended before it was ready")
            with contextlib.suppress(OSError):
                if self.ask("GET", "/health")[0] == 200:
                    return
            time.sleep(0.25)
        self.fail("llama-server is not ready after five minutes")

    def stop(self):
        """Ends it, if it was started; one that does not listen is killed."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def fail(self, what):
        self.log.seek(0)
        tail = self.log.read().decode(errors="replace").splitlines()[-15:]
        raise SystemExit("error: " + what + ":\n" + "\n".join(tail))

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=1800)

    def ask(self, method, path, body=None):
        """Status and answer of one request."""
        connection = self.connection()
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def tokenize(self, text):
        return self.ask("POST", "/tokenize", {"content": text})[1]["tokens"]

    def complete(self, ids, num_tokens):
        """A reply of exactly so many tokens: its times, its ids, what was cached."""
        body = {
            "prompt": ids, "n_predict": num_tokens, "stream": True, "cache_prompt": True,
            "ignore_eos": True, "return_tokens": True, "temperature": 0.55,
        }
        connection = self.connection()
        with contextlib.closing(connection):
            began = time.monotonic()
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/completion", json.dumps(body), headers)
            response = connection.getresponse()
            if response.status != 200:
                self.fail(f"llama-server answered {response.status}: {response.read(400)!r}")
            first, tokens, timings = None, [], {}
            for line in response:
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[len(b"data: "):])
                if event.get("tokens") and first is None:
                    first = time.monotonic() - began
                tokens += event.get("tokens") or []
                timings = event.get("timings", timings)
            whole = time.monotonic() - began
        return {
            "first_ms": 1e3 * (whole if first is None else first),
            "tokens": tokens[:num_tokens],
            "prompt_tokens": len(ids),
            "cached_tokens": timings.get("cache_n", 0),
        }


class Channel:
    """One conversation: everything that was said, as ids."""

    def __init__(self, server, number, args):
        self.rng = random.Random(1831 + number)
        self.server = server
        self.args = args
        self.ids = self.words(args.history_tokens)

    def words(self, num_tokens):
        text = "".join(prose(self.rng) for _ in range(num_tokens // 12 + 2))
        return self.server.tokenize(text)[:num_tokens]

    def trim(self):
        """Drops the oldest third behind the beginning, which stays, as a bot's persona."""
        head, rest = self.ids[:64], self.ids[64:]
        self.ids = head + rest[len(rest) // 3:]

    def turn(self, new_tokens=None):
        """Says something and waits for the reply."""
        self.ids += self.words(self.args.turn_tokens if new_tokens is None else new_tokens)
        said = self.server.complete(self.ids, self.args.reply_tokens)
        self.ids += said["tokens"]
        return said


def together(channels):
    """A turn in each channel at once."""
    with concurrent.futures.ThreadPoolExecutor(len(channels)) as pool:
        return list(pool.map(Channel.turn, channels))


def one_by_one(channels):
    """A turn in each channel, each after the reply to the last."""
    return [channel.turn() for channel in channels]


def timed(play, channels):
    """The figures of one scenario."""
    began = time.monotonic()
    replies = play(channels)
    took = time.monotonic() - began
    firsts = [reply["first_ms"] for reply in replies]
    num_prompt = sum(reply["prompt_tokens"] for reply in replies)
    return {
        "channels": len(channels),
        "time_to_first_token_ms": {
            "median": statistics.median(firsts), "worst": max(firsts), "samples": firsts,
        },
        "tokens_per_s": sum(len(reply["tokens"]) for reply in replies) / took,
        "cached_share": sum(reply["cached_tokens"] for reply in replies) / max(num_prompt, 1),
        "prompt_tokens": num_prompt,
        "took_s": took,
    }


def slots(server, num_slots, action):
    """Saves or restores what each slot has cached."""
    for slot in range(num_slots):
        # A slot that was never used has nothing to save.
        server.ask("POST", f"/slots/{slot}?action={action}", {"filename": f"{slot}.bin"})


def play(server, args):
    """All scenarios in their order; each finds what the earlier ones have left."""
    results = {}

    def record(name, how, channels):
        print(f"{name} …", file=sys.stderr)
        figures = timed(how, channels)
        if name in args.only:
            results[name] = figures

    channels = [Channel(server, number, args) for number in range(args.channels)]
    # The first request of a server is slow in ways that no channel is to pay for.
    server.complete(channels[0].words(16), 4)
    record("cold", together, channels)
    record("returning", together, channels)
    if {"in turn", "trimmed", "restart", "many"} & set(args.only):
        record("in turn", one_by_one, channels)
    if {"trimmed", "many", "restart"} & set(args.only):
        for channel in channels:
            channel.trim()
        record("trimmed", one_by_one, channels)
    if "many" in args.only:
        crowd = [Channel(server, 1000 + number, args) for number in range(args.many)]
        one_by_one(crowd)
        record("many", one_by_one, crowd)
        # The first channels come back to slots that others have used.
        one_by_one(channels)
    if "restart" in args.only:
        if args.save_slots:
            slots(server, args.slots, "save")
        server.stop()
        server.start()
        if args.save_slots:
            slots(server, args.slots, "restore")
        record("restart", one_by_one, channels)
    return results


def show(report):
    print(f"{'':<10}  {'channels':>8}  {'first token':>12}  {'worst':>12}  {'tokens/s':>9}  cached")
    for name, figures in report["scenarios"].items():
        times = figures["time_to_first_token_ms"]
        print(
            f"{name:<10}  {figures['channels']:>8}  {times['median']:>9.1f} ms"
            f"  {times['worst']:>9.1f} ms  {figures['tokens_per_s']:>9.2f}"
            f"  {figures['cached_share']:>6.1%}"
        )


def arguments():
    parser = Arguments(__doc__, EXAMPLES, SCENARIOS, tools=["llama-server"], ours=False)
    number = dict(type=whole(1), metavar="N")
    parser.add_argument("--channels", default=8, help="channels (default: %(default)s)", **number)
    parser.add_argument("--slots", default=8, help="slots of the server (default: %(default)s)",
                        **number)
    parser.add_argument("--slot-tokens", default=2048,
                        help="tokens that a slot holds (default: %(default)s)", **number)
    parser.add_argument("--many", default=24,
                        help="channels of the scenario `many` (default: %(default)s)", **number)
    parser.add_argument("--history-tokens", default=768,
                        help="tokens said before (default: %(default)s)", **number)
    parser.add_argument("--turn-tokens", default=48,
                        help="tokens of a new turn (default: %(default)s)", **number)
    parser.add_argument("--reply-tokens", default=32,
                        help="tokens of a reply (default: %(default)s)", **number)
    parser.add_argument("--save-slots", action="store_true",
                        help="save the slots before the restart and restore them after it")
    parser.add_argument("server_options", nargs="*", metavar="-- OPTION…",
                        help="further options of llama-server, after --")
    args = parser.parse()
    longest = args.history_tokens + 5 * (args.turn_tokens + args.reply_tokens)
    if longest > args.slot_tokens:
        parser.error(f"a channel grows to {longest} tokens: give --slot-tokens as many or more")
    return args


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(args, directory if args.save_slots else None)
        try:
            server.start()
            results = play(server, args)
        finally:
            server.stop()
    report = {
        name: getattr(args, name)
        for name in ("model", "threads", "channels", "slots", "history_tokens", "turn_tokens",
                     "reply_tokens", "save_slots", "server_options")
    }
    report["scenarios"] = results
    tell(args, report, show)


if __name__ == "__main__":
    main()
