// Products of a matrix with the rows of a step.
//
// A sum over columns is cut into segments, by the matrix's shape alone; each is summed in
// order, and then their sums are. However many tokens there are, whichever kernel serves
// them, and whatever stands beside them, a token's product is therefore the same bits.

struct LinearParameters {
    const u8 *tiles;
    const u8 *scales;
    // Operands of all tokens.
    const u8 *inputs;
    // Floats, `stride` a token, or operands of `stride` chunks.
    void *outputs;
    // Of the matrix; gates are rows 0 to 7 of each tile, what they gate rows 8 to 15.
    u32 num_rows;
    u32 num_chunks;
    u32 num_segments;
    u32 num_tokens;
    u32 stride;
    // Where the first row's product goes.
    u32 column;
    u32 finish;
    u32 padding;
};

// What becomes of a product, which is stored else.
const u32 ADD = 1, GATE = 2;

DEVICE u32 segment_start(const LinearParameters &p, u32 segment) {
    return (u32)((u64)p.num_chunks * segment / p.num_segments);
}

// Hands on the sums of a tile of rows and a tile of tokens.
DEVICE void finish(const LinearParameters &p, u32 row_tile, u32 token_tile, u32 lane,
                   const float (&sums)[4]) {
    UNROLL for (u32 i = 0; i < 2; ++i) {
        const u32 token = token_tile * TILE_TOKENS + lane % 4 * 2 + i;
        if (token >= p.num_tokens) continue;
        if (p.finish == GATE) {
            const u32 index = row_tile * 8 + lane / 4;
            if (index >= p.num_rows / 2) continue;
            const float gate = sums[i], log2_e = 1.44269504f;
            const float silu = divide(gate, add(1.0f, power_of_two(mul(-gate, log2_e))));
            const u64 place = input_place(token, index, p.stride);
            ((u16 *)p.outputs)[place] = operand_of(mul(silu, sums[i + 2]));
            continue;
        }
        UNROLL for (u32 half = 0; half < 2; ++half) {
            const u32 row = row_tile * TILE_ROWS + lane / 4 + 8 * half;
            if (row >= p.num_rows) continue;
            float *out = (float *)p.outputs + (u64)token * p.stride + p.column + row;
            *out = p.finish == ADD ? add(*out, sums[i + 2 * half]) : sums[i + 2 * half];
        }
    }
}

const u32 NARROW_WARPS = 8;

// Few tokens, up to `TOKEN_TILES` × 8 a block: bound by the memory that the matrix comes
// from. Each warp has a segment of a tile of rows and a ring of chunks on their way.
template <class Weights, u32 TOKEN_TILES> DEVICE void linear_narrow(const LinearParameters &p) {
    const u32 STAGES = Weights::STAGES;
    u8 *const memory = shared_memory();
    const u32 warp = thread_index() / 32, lane = thread_index() % 32;
    const u32 segment = warp % p.num_segments, num_groups = NARROW_WARPS / p.num_segments;
    const u32 row_tile = block_x() * num_groups + warp / p.num_segments;
    const bool is_idle = row_tile * TILE_ROWS >= p.num_rows;
    const u32 start = segment_start(p, segment);
    const u32 end = is_idle ? start : segment_start(p, segment + 1);
    u8 *ring = memory + warp * STAGES * Weights::BYTES;

    auto fetch = [&](u32 chunk) {
        if (chunk < end) {
            const u8 *from = tile_of<Weights>(p.tiles, row_tile, chunk, p.num_chunks);
            u8 *to = ring + (chunk - start) % STAGES * Weights::BYTES;
            for (u32 at = lane * 16; at < Weights::BYTES; at += 32 * 16) copy_async(to + at, from + at);
        }
        commit_copies();
    };
    Words next[TOKEN_TILES][2];
    typename Weights::Units next_units;
    auto look_up = [&](u32 chunk) {
        next_units =
            Weights::units(scales_of<Weights>(p.scales, row_tile, chunk, p.num_chunks), lane);
        UNROLL for (u32 tile = 0; tile < TOKEN_TILES; ++tile) {
            const u32 token_tile = block_y() * TOKEN_TILES + tile;
            const bool is_there = token_tile * TILE_TOKENS + lane / 4 < p.num_tokens;
            const u8 *from = p.inputs + ((u64)token_tile * p.num_chunks + chunk) * INPUT_TILE;
            UNROLL for (u32 half = 0; half < 2; ++half) {
                next[tile][half] = Words{0, 0, 0, 0};
                if (is_there) next[tile][half] = ((const Words *)from)[half * 32 + lane];
            }
        }
    };

    float sums[TOKEN_TILES][4] = {};
    for (u32 stage = 0; stage + 1 < STAGES; ++stage) fetch(start + stage);
    if (start < end) look_up(start);
    for (u32 chunk = start; chunk < end; ++chunk) {
        wait_copies<STAGES - 2>();
        // Whoever was slowest has read what is overwritten now.
        sync_warp();
        fetch(chunk + STAGES - 1);
        const typename Weights::Units units = next_units;
        Words inputs[TOKEN_TILES][2];
        UNROLL for (u32 tile = 0; tile < TOKEN_TILES; ++tile) {
            inputs[tile][0] = next[tile][0];
            inputs[tile][1] = next[tile][1];
        }
        if (chunk + 1 < end) look_up(chunk + 1);
        Words rows[4];
        Weights::rows(ring + (chunk - start) % STAGES * Weights::BYTES, units, lane, rows);
        UNROLL for (u32 tile = 0; tile < TOKEN_TILES; ++tile) {
            multiply(sums[tile], rows[0], inputs[tile][0].x, inputs[tile][0].y);
            multiply(sums[tile], rows[1], inputs[tile][0].z, inputs[tile][0].w);
            multiply(sums[tile], rows[2], inputs[tile][1].x, inputs[tile][1].y);
            multiply(sums[tile], rows[3], inputs[tile][1].z, inputs[tile][1].w);
        }
    }
    if (p.num_segments > 1) {
        float *partial = (float *)memory;
        sync_block();
        UNROLL for (u32 tile = 0; tile < TOKEN_TILES; ++tile)
            UNROLL for (u32 i = 0; i < 4; ++i)
                partial[((warp * TOKEN_TILES + tile) * 4 + i) * 32 + lane] = sums[tile][i];
        sync_block();
        if (segment > 0) return;
        for (u32 other = 1; other < p.num_segments; ++other)
            UNROLL for (u32 tile = 0; tile < TOKEN_TILES; ++tile)
                UNROLL for (u32 i = 0; i < 4; ++i) {
                    const u32 place = (((warp + other) * TOKEN_TILES + tile) * 4 + i) * 32 + lane;
                    sums[tile][i] = add(sums[tile][i], partial[place]);
                }
    }
    if (is_idle) return;
    UNROLL for (u32 tile = 0; tile < TOKEN_TILES; ++tile)
        finish(p, row_tile, block_y() * TOKEN_TILES + tile, lane, sums[tile]);
}

// Many tokens: bound by arithmetic. A block has 8 tiles of rows and 16 of tokens, and each
// of its 8 warps 2 times 8 of them.
const u32 WIDE_ROW_TILES = 8, WIDE_TOKEN_TILES = 16, WIDE_STAGES = 3;

template <class Weights> DEVICE void linear_wide(const LinearParameters &p) {
    const u32 STAGE = WIDE_ROW_TILES * Weights::BYTES + WIDE_TOKEN_TILES * INPUT_TILE;
    const u32 ROWS = 2, TOKENS = 8;
    u8 *const memory = shared_memory();
    const u32 warp = thread_index() / 32, lane = thread_index() % 32;
    const u32 first_row = block_x() * WIDE_ROW_TILES, first_token = block_y() * WIDE_TOKEN_TILES;
    const u32 warp_row = warp % 4 * ROWS, warp_token = warp / 4 * TOKENS;

    auto fetch = [&](u32 chunk) {
        u8 *stage = memory + chunk % WIDE_STAGES * STAGE;
        if (chunk < p.num_chunks) {
            for (u32 at = thread_index() * 16; at < WIDE_ROW_TILES * Weights::BYTES; at += 256 * 16) {
                const u32 tile = first_row + at / Weights::BYTES;
                if (tile * TILE_ROWS < p.num_rows)
                    copy_async(stage + at, tile_of<Weights>(p.tiles, tile, chunk, p.num_chunks) +
                                               at % Weights::BYTES);
            }
            u8 *inputs = stage + WIDE_ROW_TILES * Weights::BYTES;
            for (u32 at = thread_index() * 16; at < WIDE_TOKEN_TILES * INPUT_TILE; at += 256 * 16) {
                const u32 tile = first_token + at / INPUT_TILE;
                if (tile * TILE_TOKENS < p.num_tokens)
                    copy_async(inputs + at, p.inputs +
                                                ((u64)tile * p.num_chunks + chunk) * INPUT_TILE +
                                                at % INPUT_TILE);
            }
        }
        commit_copies();
    };

    float totals[ROWS][TOKENS][4] = {};
    for (u32 stage = 0; stage + 1 < WIDE_STAGES; ++stage) fetch(stage);
    for (u32 segment = 0; segment < p.num_segments; ++segment) {
        float sums[ROWS][TOKENS][4] = {};
        const u32 end = segment_start(p, segment + 1);
        for (u32 chunk = segment_start(p, segment); chunk < end; ++chunk) {
            wait_copies<WIDE_STAGES - 2>();
            sync_block();
            fetch(chunk + WIDE_STAGES - 1);
            const u8 *stage = memory + chunk % WIDE_STAGES * STAGE;
            Words rows[ROWS][4];
            UNROLL for (u32 row = 0; row < ROWS; ++row) {
                // Rows beyond the last have no scales.
                const u32 tile = first_row + warp_row + row;
                const u32 scaled = tile * TILE_ROWS < p.num_rows ? tile : 0;
                const u8 *scales = scales_of<Weights>(p.scales, scaled, chunk, p.num_chunks);
                Weights::rows(stage + (warp_row + row) * Weights::BYTES,
                              Weights::units(scales, lane), lane, rows[row]);
            }
            const Words *inputs = (const Words *)(stage + WIDE_ROW_TILES * Weights::BYTES);
            UNROLL for (u32 token = 0; token < TOKENS; ++token) {
                const Words first = inputs[((warp_token + token) * 2) * 32 + lane];
                const Words second = inputs[((warp_token + token) * 2 + 1) * 32 + lane];
                UNROLL for (u32 row = 0; row < ROWS; ++row) {
                    multiply(sums[row][token], rows[row][0], first.x, first.y);
                    multiply(sums[row][token], rows[row][1], first.z, first.w);
                    multiply(sums[row][token], rows[row][2], second.x, second.y);
                    multiply(sums[row][token], rows[row][3], second.z, second.w);
                }
            }
        }
        UNROLL for (u32 row = 0; row < ROWS; ++row)
            UNROLL for (u32 token = 0; token < TOKENS; ++token)
                UNROLL for (u32 i = 0; i < 4; ++i) {
                    float &total = totals[row][token][i];
                    total = segment == 0 ? sums[row][token][i] : add(total, sums[row][token][i]);
                }
    }
    UNROLL for (u32 row = 0; row < ROWS; ++row) {
        const u32 row_tile = first_row + warp_row + row;
        if (row_tile * TILE_ROWS >= p.num_rows) continue;
        UNROLL for (u32 token = 0; token < TOKENS; ++token)
            finish(p, row_tile, first_token + warp_token + token, lane, totals[row][token]);
    }
}

struct EmbedParameters {
    const u8 *tiles;
    const u8 *scales;
    const u32 *tokens;
    float *rows;
    u32 num_columns;
    u32 num_chunks;
};

// A row of the matrix for each token, as floats.
template <class Weights> DEVICE void embed(const EmbedParameters &p) {
    const u32 row = p.tokens[block_x()], tile = row / TILE_ROWS;
    for (u32 k = thread_index(); k < p.num_columns; k += 256) {
        const u32 chunk = k / CHUNK;
        p.rows[(u64)block_x() * p.num_columns + k] = Weights::element(
            tile_of<Weights>(p.tiles, tile, chunk, p.num_chunks),
            scales_of<Weights>(p.scales, tile, chunk, p.num_chunks), row % TILE_ROWS, k % CHUNK);
    }
}

#define KERNELS_OF(Weights)                                                                        \
    KERNEL(narrow_1_##Weights, LinearParameters, 256) { linear_narrow<Weights, 1>(p); }            \
    KERNEL(narrow_2_##Weights, LinearParameters, 256) { linear_narrow<Weights, 2>(p); }            \
    KERNEL(narrow_4_##Weights, LinearParameters, 256) { linear_narrow<Weights, 4>(p); }            \
    KERNEL(narrow_8_##Weights, LinearParameters, 256) { linear_narrow<Weights, 8>(p); }            \
    KERNEL(wide_##Weights, LinearParameters, 256) { linear_wide<Weights>(p); }                     \
    KERNEL(embed_##Weights, EmbedParameters, 256) { embed<Weights>(p); }

#if WITH_PLAIN
KERNELS_OF(Plain)
#endif
#if WITH_Q8_0
KERNELS_OF(Q8_0)
#endif
#if WITH_Q4_K
KERNELS_OF(Q4_K)
#endif
#if WITH_Q6_K
KERNELS_OF(Q6_K)
#endif
