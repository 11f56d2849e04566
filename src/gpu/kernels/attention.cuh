// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) over blocks of a cache,
// in parts whose softmax is joined as in Dao et al. 2022 (arXiv:2205.14135).
//
// Parts begin at multiples of `PART` positions, each is computed alone, and they are joined
// in order. A warp may do all parts of its rows, or one, to be joined by `join_parts`: a
// row's result is the same bits. Queries carry the scale, and the logarithm's base is two.

const u32 PART = 128;
const u32 PART_UNITS = PART / UNIT;
const u32 HEAD_TILES = HEAD_DIM / 8;
const u32 ATTENTION_WARPS = 4;

// Consecutive new positions of a sequence.
struct Tile {
    // Its first row of the step, and how many, whose heads of a group are 16 rows of a
    // warp at most; 0 is no tile.
    u32 row;
    u32 num_positions;
    // The first row's position.
    u32 position;
    // Where its sequence's blocks begin in `tables`.
    u32 table;
};

struct AttentionParameters {
    const u16 *queries;
    const u8 *cache;
    const u32 *tables;
    const Tile *tiles;
    // Operands of what comes after.
    u16 *outputs;
    // Of each part alone: `HEAD_DIM` sums a row, and its highest score and weight.
    float *sums;
    float *states;
    u64 block_bytes;
    u64 layer_at;
    u32 num_tiles;
    // Of each row, at most.
    u32 num_parts;
    u32 num_kv_heads;
    u32 block_size;
    // Positions that a row sees, its own included.
    u32 window;
    // Chunks of an output row.
    u32 num_chunks;
};

DEVICE u32 window_start(u32 position, u32 window) { return position < window ? 0 : position - window + 1; }

struct Part {
    float sums[HEAD_TILES][4];
    // Highest scores of rows g and g + 8, and the weights of all keys beside it.
    float highest[2];
    float weights[2];
};

// How much what was summed beside `highest` counts beside `joint`.
DEVICE float share(float highest, float joint) {
    return highest == -infinity() ? 0.0f : power_of_two(add(highest, -joint));
}
// Adds what counts `b_share` to what counts `a_share`.
DEVICE float join(float a, float a_share, float b, float b_share) { return mul_add(a, a_share, mul(b, b_share)); }

// Scores and sums of the keys from `start` on.
DEVICE void attend_part(const AttentionParameters &p, const Tile &tile, u32 kv_head, u32 start,
                        const Words (&queries)[HEAD_CHUNKS * 4], Part &part) {
    const u32 lane = thread_index() % 32, g = lane / 4, t = lane % 4;
    const u32 last = tile.position + tile.num_positions - 1;
    const u32 first = window_start(tile.position, p.window);
    const u8 *units[PART_UNITS];
    float scores[PART_UNITS * 4][4];
    UNROLL for (u32 unit = 0; unit < PART_UNITS; ++unit) {
        const u32 position = start + unit * UNIT;
        units[unit] = 0;
        UNROLL for (u32 product = 0; product < 4; ++product)
            UNROLL for (u32 i = 0; i < 4; ++i) scores[unit * 4 + product][i] = 0.0f;
        if (position > last || position + UNIT <= first) continue;
        const u32 block = p.tables[tile.table + position / p.block_size];
        const u32 number = kv_head * (p.block_size / UNIT) + position % p.block_size / UNIT;
        const u8 *keys = p.cache + block * p.block_bytes + p.layer_at + (u64)number * UNIT_BYTES;
        units[unit] = keys;
        UNROLL for (u32 product = 0; product < 4; ++product)
            UNROLL for (u32 chunk = 0; chunk < HEAD_CHUNKS; ++chunk)
                UNROLL for (u32 half = 0; half < 2; ++half) {
                    const u32 place = ((chunk * 4 + product) * 2 + half) * 32 + lane;
                    const Words columns = ((const Words *)keys)[place];
                    float(&sums)[4] = scores[unit * 4 + product];
                    multiply(sums, queries[chunk * 4 + half * 2], columns.x, columns.y);
                    multiply(sums, queries[chunk * 4 + half * 2 + 1], columns.z, columns.w);
                }
    }
    UNROLL for (u32 half = 0; half < 2; ++half) {
        const u32 row = g + 8 * half, position = tile.position + row / GROUP;
        const bool is_there = row / GROUP < tile.num_positions;
        float highest = -infinity();
        UNROLL for (u32 unit = 0; unit < PART_UNITS; ++unit)
            UNROLL for (u32 product = 0; product < 4; ++product)
                UNROLL for (u32 i = 0; i < 2; ++i) {
                    const u32 key = start + unit * UNIT + 8 * t + 2 * product + i;
                    const bool is_seen = is_there && units[unit] && key <= position &&
                                         key >= window_start(position, p.window);
                    float &score = scores[unit * 4 + product][half * 2 + i];
                    score = is_seen ? score : -infinity();
                    highest = larger(highest, score);
                }
        highest = larger(highest, exchange(highest, 1));
        highest = larger(highest, exchange(highest, 2));
        float weights = 0.0f;
        UNROLL for (u32 product = 0; product < PART_UNITS * 4; ++product)
            UNROLL for (u32 i = 0; i < 2; ++i) {
                float &score = scores[product][half * 2 + i];
                score = share(score, highest);
                weights = add(weights, score);
            }
        weights = add(weights, exchange(weights, 1));
        weights = add(weights, exchange(weights, 2));
        part.highest[half] = highest;
        part.weights[half] = weights;
    }
    UNROLL for (u32 tile_index = 0; tile_index < HEAD_TILES; ++tile_index)
        UNROLL for (u32 i = 0; i < 4; ++i) part.sums[tile_index][i] = 0.0f;
    UNROLL for (u32 unit = 0; unit < PART_UNITS; ++unit) {
        if (!units[unit]) continue;
        Words weights[2];
        UNROLL for (u32 step = 0; step < 2; ++step) {
            const float(&left)[4] = scores[unit * 4 + step * 2];
            const float(&right)[4] = scores[unit * 4 + step * 2 + 1];
            weights[step].x = operands_of(left[0], left[1]);
            weights[step].y = operands_of(left[2], left[3]);
            weights[step].z = operands_of(right[0], right[1]);
            weights[step].w = operands_of(right[2], right[3]);
        }
        const Words *values = (const Words *)(units[unit] + UNIT_KEYS);
        UNROLL for (u32 tile_index = 0; tile_index < HEAD_TILES; ++tile_index) {
            const Words columns = values[tile_index * 32 + lane];
            multiply(part.sums[tile_index], weights[0], columns.x, columns.y);
            multiply(part.sums[tile_index], weights[1], columns.z, columns.w);
        }
    }
}

// The operands of a tile's queries, of one group of heads.
DEVICE void load_queries(const AttentionParameters &p, const Tile &tile, u32 kv_head,
                         Words (&queries)[HEAD_CHUNKS * 4]) {
    const u32 lane = thread_index() % 32, num_heads = p.num_kv_heads * GROUP;
    UNROLL for (u32 chunk = 0; chunk < HEAD_CHUNKS; ++chunk)
        UNROLL for (u32 half = 0; half < 2; ++half) {
            Words rows[2];
            UNROLL for (u32 i = 0; i < 2; ++i) {
                const u32 row = lane / 4 + 8 * i;
                rows[i] = Words{0, 0, 0, 0};
                if (row / GROUP >= tile.num_positions) continue;
                const u64 head = (u64)(tile.row + row / GROUP) * num_heads + kv_head * GROUP + row % GROUP;
                const u16 *from = p.queries + head * PADDED_HEAD + chunk * CHUNK + lane % 4 * 16;
                rows[i] = ((const Words *)from)[half];
            }
            queries[chunk * 4 + half * 2] = Words{rows[0].x, rows[1].x, rows[0].y, rows[1].y};
            queries[chunk * 4 + half * 2 + 1] = Words{rows[0].z, rows[1].z, rows[0].w, rows[1].w};
        }
}

// All parts of tiles of many positions. A warp a tile and key-value head; neighbours share
// the keys that they read.
KERNEL(attend_tiles, AttentionParameters, 128) {
    const u32 item = block_x() * ATTENTION_WARPS + thread_index() / 32;
    if (item >= p.num_tiles * p.num_kv_heads) return;
    const Tile tile = p.tiles[item % p.num_tiles];
    const u32 kv_head = item / p.num_tiles, lane = thread_index() % 32;
    Words queries[HEAD_CHUNKS * 4];
    load_queries(p, tile, kv_head, queries);
    Part total;
    UNROLL for (u32 half = 0; half < 2; ++half) {
        total.highest[half] = -infinity();
        total.weights[half] = 0.0f;
    }
    UNROLL for (u32 tile_index = 0; tile_index < HEAD_TILES; ++tile_index)
        UNROLL for (u32 i = 0; i < 4; ++i) total.sums[tile_index][i] = 0.0f;
    const u32 last = (tile.position + tile.num_positions - 1) / PART;
    for (u32 number = window_start(tile.position, p.window) / PART; number <= last; ++number) {
        Part part;
        attend_part(p, tile, kv_head, number * PART, queries, part);
        UNROLL for (u32 half = 0; half < 2; ++half) {
            const float joint = larger(total.highest[half], part.highest[half]);
            const float old_share = share(total.highest[half], joint);
            const float new_share = share(part.highest[half], joint);
            total.highest[half] = joint;
            total.weights[half] = join(total.weights[half], old_share, part.weights[half], new_share);
            UNROLL for (u32 tile_index = 0; tile_index < HEAD_TILES; ++tile_index)
                UNROLL for (u32 i = 0; i < 2; ++i) {
                    float &sum = total.sums[tile_index][half * 2 + i];
                    sum = join(sum, old_share, part.sums[tile_index][half * 2 + i], new_share);
                }
        }
    }
    UNROLL for (u32 half = 0; half < 2; ++half) {
        const u32 row = lane / 4 + 8 * half;
        if (row / GROUP >= tile.num_positions) continue;
        const u32 head = kv_head * GROUP + row % GROUP;
        UNROLL for (u32 tile_index = 0; tile_index < HEAD_TILES; ++tile_index)
            UNROLL for (u32 i = 0; i < 2; ++i) {
                const u32 d = tile_index * 8 + lane % 4 * 2 + i;
                const u64 place = input_place(tile.row + row / GROUP, head * HEAD_DIM + d, p.num_chunks);
                const float sum = total.sums[tile_index][half * 2 + i];
                p.outputs[place] = operand_of(divide(sum, total.weights[half]));
            }
    }
}

// One part of tiles of one position each. A warp a tile, key-value head and part.
KERNEL(attend_parts, AttentionParameters, 128) {
    const u32 item = block_x() * ATTENTION_WARPS + thread_index() / 32;
    if (item >= p.num_tiles * p.num_kv_heads * p.num_parts) return;
    const u32 number = item % p.num_parts, kv_head = item / p.num_parts % p.num_kv_heads;
    const u32 lane = thread_index() % 32;
    const Tile tile = p.tiles[item / p.num_parts / p.num_kv_heads];
    const u32 start = (window_start(tile.position, p.window) / PART + number) * PART;
    if (tile.num_positions == 0 || start > tile.position) return;
    Words queries[HEAD_CHUNKS * 4];
    load_queries(p, tile, kv_head, queries);
    Part part;
    attend_part(p, tile, kv_head, start, queries, part);
    UNROLL for (u32 half = 0; half < 2; ++half) {
        const u32 row = lane / 4 + 8 * half;
        if (row >= GROUP) continue;
        const u64 place = (u64)item * GROUP + row;
        if (lane % 4 == 0) {
            p.states[place * 2] = part.highest[half];
            p.states[place * 2 + 1] = part.weights[half];
        }
        UNROLL for (u32 tile_index = 0; tile_index < HEAD_TILES; ++tile_index)
            UNROLL for (u32 i = 0; i < 2; ++i)
                p.sums[place * HEAD_DIM + tile_index * 8 + lane % 4 * 2 + i] =
                    part.sums[tile_index][half * 2 + i];
    }
}

// Joins the parts of tiles of one position each. A block a tile and head.
KERNEL(join_parts, AttentionParameters, 128) {
    const Tile tile = p.tiles[block_x()];
    if (tile.num_positions == 0) return;
    const u32 head = block_y(), kv_head = head / GROUP;
    const u32 first = window_start(tile.position, p.window) / PART;
    const u32 num_parts = tile.position / PART - first + 1;
    for (u32 d = thread_index(); d < HEAD_DIM; d += 128) {
        float highest = -infinity(), weights = 0.0f, sum = 0.0f;
        for (u32 number = 0; number < num_parts; ++number) {
            const u64 item = ((u64)block_x() * p.num_kv_heads + kv_head) * p.num_parts + number;
            const u64 place = item * GROUP + head % GROUP;
            const float other = p.states[place * 2], joint = larger(highest, other);
            const float old_share = share(highest, joint), new_share = share(other, joint);
            highest = joint;
            weights = join(weights, old_share, p.states[place * 2 + 1], new_share);
            sum = join(sum, old_share, p.sums[place * HEAD_DIM + d], new_share);
        }
        p.outputs[input_place(tile.row, head * HEAD_DIM + d, p.num_chunks)] =
            operand_of(divide(sum, weights));
    }
}
