#!/usr/bin/env bash
# Measures a GPU: random weights of Mistral-7B's shape, made on the spot, in bf16 and Q8_0;
# one, eight and sixty-four streams, prompts of 512 and 4,096 tokens. Beside llama.cpp where
# LLAMA_BENCH names its programs' directory and MODEL_DIR holds mistral-7b-{bf16,q8_0}.gguf.
#
#   deploy/gpu/measure.sh DRAMATIS OUT_DIR
set -euo pipefail
dramatis=$1 out=$2
mkdir -p "$out"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv >"$out/gpu.csv"

for weights in bf16 q8_0; do
    for tokens in 512 4096; do
        "$dramatis" --set workers.on=cuda:0 --set engine.kv_cache_mib=32768 \
            --set model.weights=$weights --set engine.max_batch_sequences=64 \
            --set engine.max_batch_tokens=4096 bench engine --random mistral-7b \
            --prompt-tokens $tokens --batch 1,8,64 --json >"$out/ours-$weights-$tokens.json"
    done
done
if [ -n "${LLAMA_BENCH:-}" ]; then
    for weights in bf16 q8_0; do
        model=$MODEL_DIR/mistral-7b-$weights.gguf
        "$LLAMA_BENCH/llama-bench" -m "$model" -ngl 99 -p 512,4096 -n 64 -r 5 -o json \
            >"$out/theirs-$weights.json"
        "$LLAMA_BENCH/llama-batched-bench" -m "$model" -ngl 99 -npp 128 -ntg 64 -npl 1,8,64 \
            >"$out/theirs-batched-$weights.txt"
    done
fi
