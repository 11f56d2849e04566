// The hardware that kernels ask for (`prelude.cuh`), on a CPU: for tests. A block's threads
// are fibers that take turns; whoever waits for the others of a warp or a block lets them
// run. Copies to shared memory are done when they are waited for, and not before, which is
// as late as hardware may be. Fibers run in either order, as no kernel may depend on it.

#include <csetjmp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ucontext.h>
#include <utility>
#include <vector>
#include <cmath>

typedef int8_t i8;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

struct alignas(16) Words {
    u32 x, y, z, w;
};

namespace emulator {

struct Launch {
    u32 grid[3];
    u32 threads;
    u32 shared_bytes;
    u32 backwards;
};

struct Copy {
    u8 *to;
    const u8 *from;
    u32 group;
};

struct Fiber {
    jmp_buf at;
    ucontext_t start;
    std::vector<u8> stack;
    bool has_begun, is_done;
    std::vector<Copy> copies;
    u32 num_groups;
};

// What the lanes of a warp bring to something that they do together, and take from it.
struct Warp {
    u32 num_arrived, generation;
    u32 brought[32][10];
    float taken[32][4];
};

struct Block {
    const Launch *launch;
    u32 x, y, z, current, num_done, num_arrived, generation;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Warp> warps;
    Words *memory;
    void (*body)(const void *);
    const void *parameter;
    jmp_buf end;
};

static thread_local Block *block;

static void go_on() {
    const u32 count = block->launch->threads, step = block->launch->backwards ? count - 1 : 1;
    Fiber &from = *block->fibers[block->current];
    if (!from.is_done && _setjmp(from.at)) return;
    if (block->num_done == count) _longjmp(block->end, 1);
    do block->current = (block->current + step) % count;
    while (block->fibers[block->current]->is_done);
    Fiber &to = *block->fibers[block->current];
    if (to.has_begun) _longjmp(to.at, 1);
    to.has_begun = true;
    setcontext(&to.start);
}

static void begin() {
    block->body(block->parameter);
    block->fibers[block->current]->is_done = true;
    ++block->num_done;
    go_on();
}

static void run(const Launch &launch, void (*body)(const void *), const void *parameter) {
    static thread_local Block own;
    block = &own;
    own.launch = &launch;
    own.body = body;
    own.parameter = parameter;
    while (own.fibers.size() < launch.threads) {
        own.fibers.push_back(std::make_unique<Fiber>());
        own.fibers.back()->stack.resize(1 << 17);
    }
    std::vector<Words> memory(launch.shared_bytes / 16 + 1);
    own.memory = memory.data();
    for (own.z = 0; own.z < launch.grid[2]; ++own.z)
        for (own.y = 0; own.y < launch.grid[1]; ++own.y)
            for (own.x = 0; own.x < launch.grid[0]; ++own.x) {
                own.num_done = own.num_arrived = own.generation = 0;
                own.warps.assign((launch.threads + 31) / 32, Warp());
                // What a block finds there is anything.
                std::memset((void *)memory.data(), 0xee, memory.size() * 16);
                for (u32 thread = 0; thread < launch.threads; ++thread) {
                    Fiber &fiber = *own.fibers[thread];
                    fiber.has_begun = fiber.is_done = false;
                    fiber.copies.clear();
                    fiber.num_groups = 0;
                    getcontext(&fiber.start);
                    fiber.start.uc_stack.ss_sp = fiber.stack.data();
                    fiber.start.uc_stack.ss_size = fiber.stack.size();
                    fiber.start.uc_link = 0;
                    makecontext(&fiber.start, begin, 0);
                }
                own.current = launch.backwards ? launch.threads - 1 : 0;
                if (!_setjmp(own.end)) {
                    own.fibers[own.current]->has_begun = true;
                    setcontext(&own.fibers[own.current]->start);
                }
            }
}

template <class All> static void together(All all) {
    Warp &warp = block->warps[block->current / 32];
    const u32 generation = warp.generation;
    if (++warp.num_arrived == 32) {
        warp.num_arrived = 0;
        all(warp);
        ++warp.generation;
    } else {
        while (warp.generation == generation) go_on();
    }
}

static float float_of_bits(u32 bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
static u32 bits_of(float x) {
    u32 bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}

static float widen_half(u16 half) {
    const u32 sign = (u32)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) {
        const float x = std::ldexp((float)fraction, -24);
        return sign ? -x : x;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

// To the nearest, of two as near to the even one.
static u16 narrow_half(double x) {
    const u16 sign = std::signbit(x) ? 0x8000 : 0;
    x = std::fabs(x);
    if (std::isnan(x)) return sign | 0x7e00;
    if (x >= 65520.0) return sign | 0x7c00;
    int exponent;
    std::frexp(x, &exponent);
    const int unit = x == 0.0 || exponent - 11 < -24 ? -24 : exponent - 11;
    const double fraction = std::nearbyint(std::ldexp(x, -unit));
    // A fraction of 2048 carries into the exponent by itself.
    if (unit == -24) return sign | (u16)fraction;
    return sign | (u16)(((u32)(unit + 25) << 10) + (u32)fraction - 1024);
}

static u16 narrow_bfloat(float x) {
    const u32 bits = bits_of(x);
    if (std::isnan(x)) return 0x7fff;
    return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static const std::vector<float> &halves() {
    static const std::vector<float> table = [] {
        std::vector<float> table(65536);
        for (u32 bits = 0; bits < 65536; ++bits) table[bits] = widen_half((u16)bits);
        return table;
    }();
    return table;
}

static float operand(u16 bits) {
#if BFLOATS
    return float_of_bits((u32)bits << 16);
#else
    static const float *const table = halves().data();
    return table[bits];
#endif
}

static void multiply_tiles(Warp &warp) {
    float rows[16][16], columns[8][16];
    for (u32 lane = 0; lane < 32; ++lane) {
        const u32 g = lane / 4, t = lane % 4;
        for (u32 word = 0; word < 6; ++word)
            for (u32 i = 0; i < 2; ++i) {
                const float x = operand((u16)(warp.brought[lane][word] >> 16 * i));
                if (word < 4) rows[g + word % 2 * 8][2 * t + word / 2 * 8 + i] = x;
                else columns[g][2 * t + (word - 4) * 8 + i] = x;
            }
    }
    for (u32 lane = 0; lane < 32; ++lane)
        for (u32 i = 0; i < 4; ++i) {
            const float *row = rows[lane / 4 + i / 2 * 8], *column = columns[lane % 4 * 2 + i % 2];
            double sum = 0.0;
            for (u32 k = 0; k < 16; ++k) sum += (double)row[k] * column[k];
            warp.taken[lane][i] = (float)(float_of_bits(warp.brought[lane][6 + i]) + sum);
        }
}

} // namespace emulator

#define UNROLL
#define DEVICE inline
#define KERNEL(name, Parameters, most_threads)                                                     \
    static void name##_body(const Parameters &p);                                                  \
    extern "C" int name(const emulator::Launch *launch, const void *parameter, u64 num_bytes) {    \
        if (launch->threads > most_threads || num_bytes != sizeof(Parameters)) return 1;           \
        emulator::run(                                                                             \
            *launch, [](const void *p) { name##_body(*(const Parameters *)p); }, parameter);       \
        return 0;                                                                                  \
    }                                                                                              \
    static void name##_body(const Parameters &p)

namespace kernels {

DEVICE u8 *shared_memory() { return (u8 *)emulator::block->memory; }
DEVICE u32 thread_index() { return emulator::block->current; }
DEVICE u32 block_x() { return emulator::block->x; }
DEVICE u32 block_y() { return emulator::block->y; }
DEVICE void sync_warp() {
    emulator::together([](emulator::Warp &) {});
}
DEVICE void sync_block() {
    emulator::Block &block = *emulator::block;
    const u32 generation = block.generation;
    if (++block.num_arrived == block.launch->threads - block.num_done) {
        block.num_arrived = 0;
        ++block.generation;
    } else {
        while (block.generation == generation) emulator::go_on();
    }
}
DEVICE float exchange(float value, u32 mask) {
    const u32 lane = thread_index() % 32;
    emulator::Warp &warp = emulator::block->warps[thread_index() / 32];
    warp.brought[lane][0] = emulator::bits_of(value);
    warp.brought[lane][1] = mask;
    emulator::together([](emulator::Warp &warp) {
        for (u32 lane = 0; lane < 32; ++lane)
            warp.taken[lane][0] =
                emulator::float_of_bits(warp.brought[lane ^ warp.brought[lane][1]][0]);
    });
    return warp.taken[lane][0];
}

DEVICE float add(float a, float b) { return a + b; }
DEVICE float mul(float a, float b) { return a * b; }
DEVICE float mul_add(float a, float b, float c) { return std::fma(a, b, c); }
DEVICE float divide(float a, float b) { return a / b; }
DEVICE float infinity() { return INFINITY; }
DEVICE float larger(float a, float b) { return std::fmax(a, b); }
DEVICE float smaller(float a, float b) { return std::fmin(a, b); }
DEVICE float power_of_two(float x) { return std::exp2(x); }
DEVICE float inverse_root(float x) { return 1.0f / std::sqrt(x); }
DEVICE void sine_and_cosine(float x, float &sine, float &cosine) {
    sine = std::sin(x);
    cosine = std::cos(x);
}
DEVICE float float_of_bits(u32 bits) { return emulator::float_of_bits(bits); }
DEVICE float float_of_half(u16 bits) { return emulator::halves()[bits]; }
DEVICE u32 halves_of(float low, float high) {
    return emulator::narrow_half(low) | (u32)emulator::narrow_half(high) << 16;
}
DEVICE u32 bfloats_of(float low, float high) {
    return emulator::narrow_bfloat(low) | (u32)emulator::narrow_bfloat(high) << 16;
}
template <class Function> DEVICE u32 by_halves(u32 a, u32 b, u32 c, Function function) {
    u32 word = 0;
    for (u32 i = 0; i < 2; ++i) {
        const double x = float_of_half((u16)(a >> 16 * i)), y = float_of_half((u16)(b >> 16 * i));
        const double z = float_of_half((u16)(c >> 16 * i));
        word |= (u32)emulator::narrow_half(function(x, y, z)) << 16 * i;
    }
    return word;
}
DEVICE u32 sub_halves(u32 a, u32 b) {
    return by_halves(a, b, 0, [](double x, double y, double) { return x - y; });
}
DEVICE u32 mul_halves(u32 a, u32 b) {
    return by_halves(a, b, 0, [](double x, double y, double) { return x * y; });
}
DEVICE u32 fma_halves(u32 a, u32 b, u32 c) {
    return by_halves(a, b, c, [](double x, double y, double z) { return x * y + z; });
}
DEVICE u32 choose_bytes(u32 a, u32 b, u32 selector) {
    const u64 bytes = (u64)b << 32 | a;
    u32 word = 0;
    for (u32 i = 0; i < 4; ++i)
        word |= (u32)(bytes >> (selector >> 4 * i & 7) * 8 & 255) << 8 * i;
    return word;
}

DEVICE void multiply(float (&sums)[4], const Words &rows, u32 column0, u32 column1) {
    const u32 lane = thread_index() % 32;
    emulator::Warp &warp = emulator::block->warps[thread_index() / 32];
    const u32 words[6] = {rows.x, rows.y, rows.z, rows.w, column0, column1};
    std::memcpy(warp.brought[lane], words, sizeof words);
    std::memcpy(&warp.brought[lane][6], sums, sizeof sums);
    emulator::together(emulator::multiply_tiles);
    std::memcpy(sums, warp.taken[lane], sizeof sums);
}

DEVICE void copy_async(u8 *shared, const u8 *global) {
    emulator::Fiber &fiber = *emulator::block->fibers[thread_index()];
    fiber.copies.push_back({shared, global, fiber.num_groups});
}
DEVICE void commit_copies() { ++emulator::block->fibers[thread_index()]->num_groups; }
template <int N> DEVICE void wait_copies() {
    emulator::Fiber &fiber = *emulator::block->fibers[thread_index()];
    std::vector<emulator::Copy> later;
    for (const emulator::Copy &copy : fiber.copies) {
        if (copy.group + N < fiber.num_groups) std::memcpy(copy.to, copy.from, 16);
        else later.push_back(copy);
    }
    std::swap(fiber.copies, later);
}
