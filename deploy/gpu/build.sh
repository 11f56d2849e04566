#!/usr/bin/env bash
# Builds `dramatis` with CUDA on a machine that has neither CUDA nor a GPU: NVIDIA's
# compiler and libraries come as Python packages. For CUDA 13.0 (driver 580 or newer).
#
#   deploy/gpu/build.sh [COMPUTE_CAPABILITY]     90 is H100 and H200, 89 is Ada, 86 is Ampere
#
# Where a toolkit is installed, `cargo build --release --features cuda` alone does it.
set -euo pipefail
cd "$(dirname "$0")/../.."

capability=${1:-90}
into=$PWD/target/cuda-toolkit

if [ ! -x "$into/bin/python" ]; then
    python3 -m venv "$into"
    "$into/bin/pip" install --quiet --disable-pip-version-check \
        nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
        nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-curand==10.4.0.35 \
        nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.0.2.14
fi
home=$(echo "$into"/lib/python3*/site-packages/nvidia/cu13)

# The packages have `lib` and versioned names where linkers look for `lib64` and plain ones.
ln -sfn lib "$home/lib64"
for file in "$home"/lib/*.so.*; do
    plain=${file%%.so.*}.so
    [ -e "$plain" ] || ln -s "$(basename "$file")" "$plain"
done

# The driver comes with the GPU; what is linked against here only has its names.
mkdir -p "$home/lib/stubs"
stub=$home/lib/stubs/libcuda.so
if [ ! -e "$stub" ]; then
    sources=$(cargo metadata --format-version 1 --locked --features cuda \
        | python3 -c 'import json,os,sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "cudarc":
        print(os.path.dirname(package["manifest_path"]))')
    grep -rhoE '\bcu[A-Z][A-Za-z0-9_]*' "$sources/src/driver/sys/mod.rs" | sort -u \
        | sed 's/.*/void &(void) {}/' >"$home/stub.c"
    cc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$stub" "$home/stub.c"
    ln -sf libcuda.so "$home/lib/stubs/libcuda.so.1"
fi

export CUDA_HOME=$home CUDA_PATH=$home CUDA_ROOT=$home PATH=$home/bin:$PATH
export CUDA_COMPUTE_CAP=$capability NVCC_CCBIN=${NVCC_CCBIN:-$(command -v g++)}
export LIBRARY_PATH=$home/lib:$home/lib/stubs
export RUSTFLAGS="-L native=$home/lib -L native=$home/lib/stubs ${RUSTFLAGS:-}"
cargo build --release --locked --features cuda --target-dir target/cuda
echo "built target/cuda/release/dramatis for compute capability $capability"
