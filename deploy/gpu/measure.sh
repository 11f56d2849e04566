#!/usr/bin/env bash
# Measures a GPU in some ten minutes: what its kernels reach of its limits, how fast the
# engine is on random weights of Mistral-7B's shape, in bf16 and Q8_0, and whether a small
# model is computed as on the CPU. What fails is told, and the rest goes on.
#
#   deploy/gpu/measure.sh DRAMATIS OUT_DIR
#
# OUT_DIR/summary.txt has it all; the JSON files beside it have every sample. From outside:
#   DEVICE       which GPU: 0
#   LIMIT_S      seconds for everything: 600
#   NVRTC        the compiler of kernels, where there is no network to fetch it by
#   SMALL_MODEL  a GGUF file of some hundred MiB, for the comparison with the CPU
#   LLAMA_BENCH  llama.cpp's programs, and MODEL_DIR mistral-7b-{bf16,q8_0}.gguf, to lay beside
set -u
[ $# = 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$2" || exit 1
dramatis=$1 out=$(realpath "$2") here=$(dirname "$(realpath "$0")")
limit=${LIMIT_S:-600}
gpu=cuda:${DEVICE:-0}
settings=(--data-dir "$out/data" --set "workers.on=$gpu")
[ -z "${NVRTC:-}" ] || settings+=(--set "workers.nvrtc=$NVRTC")
: >"$out/parts.txt"

# part NAME SECONDS COMMAND…: its output goes to NAME, what it says beside that to NAME.log.
part() {
    local name=$1 most=$2 left=$((limit - SECONDS)) began=$SECONDS code=0
    shift 2
    [ "$left" -ge "$most" ] || most=$left
    if [ "$most" -lt 5 ]; then
        echo "$name: left out, as the time is over" | tee -a "$out/parts.txt"
        return
    fi
    timeout --kill-after=10 "$most" "$@" >"$out/$name" 2>"$out/$name.log" </dev/null || code=$?
    case $code in
        0) echo "$name: done in $((SECONDS - began)) s" ;;
        124 | 137) echo "$name: not done in $most s" ;;
        *) echo "$name: failed ($code): $(tail -n 1 "$out/$name.log")" ;;
    esac | tee -a "$out/parts.txt"
}
ours() { part "$1" "$2" "$dramatis" "${settings[@]}" bench "${@:3}"; }

part gpu.csv 20 nvidia-smi --format=csv \
    --query-gpu=name,memory.total,driver_version,clocks.max.sm,clocks.max.memory,power.limit
for weights in bf16 q8_0; do
    ours "kernels-$weights.json" 100 gpu --weights $weights --json
done
if [ -n "${SMALL_MODEL:-}" ]; then
    cat >"$out/prompts.json" <<'PROMPTS'
["The old lighthouse keeper wound the clock, as he did every evening, and",
 "Once upon a time, in a village at the edge of a great forest, there lived",
 "The recipe had been in the family for two hundred years. First,",
 "Rain hammered on the tin roof of the garage. Inside, two brothers"]
PROMPTS
    # Floats on the CPU, halves on the GPU: as near as the two can be.
    for place in cpu "$gpu"; do
        on=(--set "workers.on=$place" bench)
        name=${place%%:*}
        part "greedy-$name.json" 45 "$dramatis" "${settings[@]}" "${on[@]}" greedy \
            --prompts "$out/prompts.json" --model "$SMALL_MODEL" --weights f32 --tokens 48 --json
        part "perplexity-$name.json" 45 "$dramatis" "${settings[@]}" "${on[@]}" perplexity \
            "$here/../../benches/story.txt" --model "$SMALL_MODEL" --weights f32 --windows 2 --json
    done
fi
# Making the weights takes most of the time: one process for all figures of a form.
for weights in bf16 q8_0; do
    ours "engine-$weights.json" 180 engine --random mistral-7b --weights $weights \
        --prompt-tokens 512,4096 --batch 1,8,64 --depth 512 --repeats 3 --json
done
if [ -n "${LLAMA_BENCH:-}" ]; then
    for weights in bf16 q8_0; do
        model=${MODEL_DIR:-.}/mistral-7b-$weights.gguf
        part "theirs-$weights.json" 90 "$LLAMA_BENCH/llama-bench" -m "$model" -ngl 99 \
            -p 512,4096 -n 64 -r 3 -o json
        part "theirs-batched-$weights.txt" 90 "$LLAMA_BENCH/llama-batched-bench" -m "$model" \
            -ngl 99 -c 40960 -npp 512 -ntg 64 -npl 1,8,64
    done
fi
python3 "$here/summary.py" "$out" >"$out/summary.txt" || cp "$out/parts.txt" "$out/summary.txt"
cat "$out/summary.txt"
