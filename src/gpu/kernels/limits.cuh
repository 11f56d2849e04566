// What a device can do at most: kernels that only read, and only multiply. What other
// kernels reach is laid beside them.

const u32 LIMIT_THREADS = 256;

struct ReadParameters {
    const Words *from;
    // Of each thread, so that no load can be left out.
    u32 *folds;
};

// A block reads its stretch of memory in rounds, with many loads on their way at once.
const u32 READ_ROUNDS = 8, READ_LOADS = 8;

KERNEL(read_memory, ReadParameters, 256) {
    const u64 stretch = (u64)block_x() * (READ_ROUNDS * READ_LOADS * LIMIT_THREADS);
    const Words *from = p.from + stretch + thread_index();
    u32 fold = 0;
    for (u32 round = 0; round < READ_ROUNDS; ++round) {
        Words words[READ_LOADS];
        UNROLL for (u32 i = 0; i < READ_LOADS; ++i)
            words[i] = from[(round * READ_LOADS + i) * LIMIT_THREADS];
        UNROLL for (u32 i = 0; i < READ_LOADS; ++i)
            fold ^= words[i].x ^ words[i].y ^ words[i].z ^ words[i].w;
    }
    p.folds[(u64)block_x() * LIMIT_THREADS + thread_index()] = fold;
}

struct MultiplyParameters {
    const Words *operands;
    // Of each thread, as above.
    float *sums;
    u32 num_rounds;
    u32 padding;
};

// A round has sixteen products that do not wait for each other, as those of `linear_wide`
// do not; the operands stay in registers.
KERNEL(multiply_registers, MultiplyParameters, 256) {
    const u32 lane = thread_index() % 32;
    Words rows[2], columns[4];
    UNROLL for (u32 i = 0; i < 2; ++i) rows[i] = p.operands[i * 32 + lane];
    UNROLL for (u32 i = 0; i < 4; ++i) columns[i] = p.operands[(2 + i) * 32 + lane];
    float sums[2][8][4] = {};
    for (u32 round = 0; round < p.num_rounds; ++round)
        UNROLL for (u32 i = 0; i < 4; ++i)
            UNROLL for (u32 row = 0; row < 2; ++row) {
                multiply(sums[row][2 * i], rows[row], columns[i].x, columns[i].y);
                multiply(sums[row][2 * i + 1], rows[row], columns[i].z, columns[i].w);
            }
    float total = 0.0f;
    UNROLL for (u32 row = 0; row < 2; ++row)
        UNROLL for (u32 column = 0; column < 8; ++column)
            UNROLL for (u32 i = 0; i < 4; ++i) total = add(total, sums[row][column][i]);
    p.sums[(u64)block_x() * LIMIT_THREADS + thread_index()] = total;
}
