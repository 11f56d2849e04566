#!/usr/bin/env python3
"""Writes a GGUF of Mistral-7B's shape with random weights, F16, and the real vocabulary.

For benches only: it says nothing sensible. Fewer layers than the 32 of the real one make a
file that a small machine can hold and whose time per layer is the same.

Needs gguf, numpy and sentencepiece: pip install gguf numpy sentencepiece
"""

import argparse

import gguf
import numpy as np
from sentencepiece import SentencePieceProcessor

HIDDEN, INNER, HEADS, KV_HEADS, HEAD = 4096, 14336, 32, 8, 128
CONTEXT, ROPE_BASE, EPSILON = 32768, 10000.0, 1e-5


def add_vocabulary(writer, path):
    """The pieces of a sentencepiece model, with their scores and kinds."""
    model = SentencePieceProcessor(model_file=path)
    kinds = [
        (model.is_unknown, gguf.TokenType.UNKNOWN), (model.is_control, gguf.TokenType.CONTROL),
        (model.is_unused, gguf.TokenType.UNUSED), (model.is_byte, gguf.TokenType.BYTE),
    ]
    ids = range(model.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([model.id_to_piece(id).encode() for id in ids])
    writer.add_token_scores([model.get_score(id) for id in ids])
    writer.add_token_types([
        next((kind for is_kind, kind in kinds if is_kind(id)), gguf.TokenType.NORMAL)
        for id in ids
    ])
    writer.add_bos_token_id(model.bos_id())
    writer.add_eos_token_id(model.eos_id())
    writer.add_unk_token_id(model.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    return model.vocab_size()


def add_shape(writer, layers, vocab_size):
    """The numbers of the decoder."""
    writer.add_name(f"random Mistral-7B, {layers} layers")
    writer.add_block_count(layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def add_weights(writer, layers, vocab_size, seed):
    """Every tensor, one after another: only one is in memory as f32."""
    rng = np.random.default_rng(seed)

    def matrix(name, rows, columns):
        values = rng.standard_normal((rows, columns), dtype=np.float32)
        writer.add_tensor(f"{name}.weight", (values * columns**-0.5).astype(np.float16))

    def norm(name):
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, dtype=np.float32))

    matrix("token_embd", vocab_size, HIDDEN)
    for layer in range(layers):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm")
        matrix(f"{block}.attn_q", HEADS * HEAD, HIDDEN)
        matrix(f"{block}.attn_k", KV_HEADS * HEAD, HIDDEN)
        matrix(f"{block}.attn_v", KV_HEADS * HEAD, HIDDEN)
        matrix(f"{block}.attn_output", HIDDEN, HEADS * HEAD)
        norm(f"{block}.ffn_norm")
        matrix(f"{block}.ffn_gate", INNER, HIDDEN)
        matrix(f"{block}.ffn_up", INNER, HIDDEN)
        matrix(f"{block}.ffn_down", HIDDEN, INNER)
    norm("output_norm")
    matrix("output", vocab_size, HIDDEN)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT.gguf")
    parser.add_argument("--vocabulary", required=True, metavar="FILE",
                        help="Mistral-7B-v0.1's tokenizer.model")
    parser.add_argument("--layers", type=int, default=4, metavar="N",
                        help="layers, 32 in the real one (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    args = parser.parse_args()
    writer = gguf.GGUFWriter(args.out, "llama")
    vocab_size = add_vocabulary(writer, args.vocabulary)
    add_shape(writer, args.layers, vocab_size)
    add_weights(writer, args.layers, vocab_size, args.seed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
