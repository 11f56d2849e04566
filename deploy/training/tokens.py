"""Text of an export to tokens, as the service makes them of its prompts.

Tokenizers of the Llama 1 and 2 and Mistral kind put a space before every piece of text
that they are given, and with that before every segment: a space that nobody wrote, and
that no prompt of the service has. Without it a reply's first token is the same in training
as later on.
"""

import json

from tokenizers import Tokenizer


def is_prefix(normalizer):
    """Whether it puts something at the beginning of a text."""
    begins = str(normalizer.get("pattern", {}).get("Regex", "")).startswith(("^", "\\A"))
    return normalizer["type"] == "Prepend" or (normalizer["type"] == "Replace" and begins)


def without_prefix(tokenizer):
    """Takes that space away; tells whether there was one."""
    tree = json.loads(tokenizer.backend_tokenizer.to_str())
    before = json.dumps(tree)
    normalizer = tree.get("normalizer") or {}
    if normalizer.get("type") == "Sequence":
        kept = [part for part in normalizer["normalizers"] if not is_prefix(part)]
        tree["normalizer"] = {**normalizer, "normalizers": kept}
    elif normalizer.get("type") == "Prepend":
        tree["normalizer"] = None
    pre = tree.get("pre_tokenizer") or {}
    for part in [pre, *pre.get("pretokenizers", [])]:
        if part.get("type") == "Metaspace":
            part["prepend_scheme"] = "never"
    if json.dumps(tree) == before:
        return False
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(tree))
    return True


def encode(tokenizer, segments, has_prefix):
    """Ids and labels of a sample; -100 is a token that nothing is learned from."""
    text = "".join(segment["text"] for segment in segments)
    taught, at = [], 0
    for segment in segments:
        end = at + len(segment["text"])
        if segment["label"]:
            taught.append((at, end))
        at = end
    shift = 0
    bos = tokenizer.bos_token
    if has_prefix:
        # The one at the very beginning of a text stays: the service's prompts have it.
        begin = len(bos) if bos and text.startswith(bos) else 0
        text = text[:begin] + " " + text[begin:]
        shift = 1
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, labels = read["input_ids"], []
    for token, (start, end) in zip(ids, read["offset_mapping"]):
        is_taught = any(a < end - shift and start - shift < b for a, b in taught)
        labels.append(token if is_taught else -100)
    return ids, labels
