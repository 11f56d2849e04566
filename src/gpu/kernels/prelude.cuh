// What a kernel needs of the hardware, under names of our own: instructions of Ampere and
// later, in PTX. Tests have the same names in C++ (`emulator.hpp`), so that every kernel
// runs on a machine without a GPU as it is.

typedef signed char i8;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct __align__(16) Words {
    u32 x, y, z, w;
};

// Before loops over registers, which have no addresses.
#define UNROLL _Pragma("unroll")
#define DEVICE __device__ __forceinline__
#define KERNEL(name, Parameters, threads) \
    extern "C" __global__ void __launch_bounds__(threads) name(const Parameters p)

extern __shared__ __align__(16) u8 block_memory[];
// The memory that a block shares, as large as it was launched with.
DEVICE u8 *shared_memory() { return block_memory; }

DEVICE u32 thread_index() { return threadIdx.x; }
DEVICE u32 block_x() { return blockIdx.x; }
DEVICE u32 block_y() { return blockIdx.y; }
DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp() { __syncwarp(); }

// The value of the lane whose number differs in the bits of `mask`.
DEVICE float exchange(float value, u32 mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

// Rounded once each and never fused, so that the same sum has the same bits in every kernel.
DEVICE float add(float a, float b) { return __fadd_rn(a, b); }
DEVICE float mul(float a, float b) { return __fmul_rn(a, b); }
DEVICE float mul_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE float divide(float a, float b) { return __fdiv_rn(a, b); }
DEVICE float infinity() { return __int_as_float(0x7f800000); }
DEVICE float larger(float a, float b) { return fmaxf(a, b); }
DEVICE float smaller(float a, float b) { return fminf(a, b); }
DEVICE float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
DEVICE float inverse_root(float x) { return divide(1.0f, __fsqrt_rn(x)); }
DEVICE void sine_and_cosine(float x, float &sine, float &cosine) { sincosf(x, &sine, &cosine); }

DEVICE float float_of_bits(u32 bits) { return __uint_as_float(bits); }
DEVICE float float_of_half(u16 bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
// Two halves in a word, the first in its low bits.
DEVICE u32 halves_of(float low, float high) {
    u32 word;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
DEVICE u32 bfloats_of(float low, float high) {
    u32 word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
DEVICE u32 sub_halves(u32 a, u32 b) {
    u32 word;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
    return word;
}
DEVICE u32 mul_halves(u32 a, u32 b) {
    u32 word;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(word) : "r"(a), "r"(b));
    return word;
}
DEVICE u32 fma_halves(u32 a, u32 b, u32 c) {
    u32 word;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(word) : "r"(a), "r"(b), "r"(c));
    return word;
}
// Four of the eight bytes of `a` and `b`, chosen by the digits of `selector`.
DEVICE u32 choose_bytes(u32 a, u32 b, u32 selector) { return __byte_perm(a, b, selector); }

// 16 rows times 8 columns, over 16 elements (PTX: mma.m16n8k16): lane 4g + t holds of the
// rows (g: x and z, g + 8: y and w), of the columns g, and of the sums those of rows g and
// g + 8 in columns 2t and 2t + 1.
DEVICE void multiply(float (&sums)[4], const Words &rows, u32 column0, u32 column1) {
    asm(
#if BFLOATS
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#else
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#endif
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(rows.x), "r"(rows.y), "r"(rows.z), "r"(rows.w), "r"(column0), "r"(column1));
}

// Sixteen bytes on their way to shared memory, past the nearest cache.
DEVICE void copy_async(u8 *shared, const u8 *global) {
    const u32 to = (u32)__cvta_generic_to_shared(shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global) : "memory");
}
DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until no more than `N` of the groups of copies are on their way.
template <int N> DEVICE void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
