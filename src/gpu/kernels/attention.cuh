// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) over blocks of a cache,
// in parts whose softmax is joined as in Dao et al. 2022 (arXiv:2205.14135).
//
// Parts begin at multiples of `PART` positions, each is computed alone, and they are joined
// in order. A warp does all parts of its rows, or one, to be joined by `join_pieces`: a row's
// result is the same bits. Queries carry the scale, and the logarithm's base is two.

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
    // The first of its pieces, if it is cut into such: one a part, in order.
    u32 piece;
};

struct AttentionParameters {
    const u16 *queries;
    const u8 *cache;
    const u32 *tables;
    const Tile *tiles;
    // The tile of each piece, or nowhere.
    const u32 *pieces;
    // Operands of what comes after.
    u16 *outputs;
    // Of each piece and row: `HEAD_DIM` sums, and its highest score and weight.
    float *sums;
    float *states;
    u64 block_bytes;
    u64 layer_at;
    u32 num_tiles;
    u32 num_pieces;
    // Rows that a piece has room for.
    u32 piece_rows;
    u32 num_kv_heads;
    u32 block_size;
    // Positions that a row sees, its own included.
    u32 window;
    // Chunks of an output row.
    u32 num_chunks;
    u32 padding;
};

DEVICE u32 window_start(u32 position, u32 window) { return position < window ? 0 : position - window + 1; }

// What the keys of a part weigh.
struct Part {
    // Null where no row sees any of a unit.
    const u8 *units[PART_UNITS];
    // Operands.
    Words weights[PART_UNITS][2];
    // Highest scores of rows g and g + 8, and the weights of all keys beside it.
    float highest[2];
    float total[2];
};

// How much what was summed beside `highest` counts beside `joint`.
DEVICE float share(float highest, float joint) {
    return highest == -infinity() ? 0.0f : power_of_two(add(highest, -joint));
}
// Adds what counts `b_share` to what counts `a_share`.
DEVICE float join(float a, float a_share, float b, float b_share) { return mul_add(a, a_share, mul(b, b_share)); }

// Weighs the keys from `start` on.
DEVICE void weigh(const AttentionParameters &p, const Tile &tile, u32 kv_head, u32 start,
                  const Words (&queries)[HEAD_CHUNKS * 4], Part &part) {
    const u32 lane = thread_index() % 32, g = lane / 4, t = lane % 4;
    const u32 last = tile.position + tile.num_positions - 1;
    const u32 first = window_start(tile.position, p.window);
    float scores[PART_UNITS * 4][4];
    UNROLL for (u32 unit = 0; unit < PART_UNITS; ++unit) {
        const u32 position = start + unit * UNIT;
        part.units[unit] = 0;
        UNROLL for (u32 product = 0; product < 4; ++product)
            UNROLL for (u32 i = 0; i < 4; ++i) scores[unit * 4 + product][i] = 0.0f;
        if (position > last || position + UNIT <= first) continue;
        const u32 block = p.tables[tile.table + position / p.block_size];
        const u32 number = kv_head * (p.block_size / UNIT) + position % p.block_size / UNIT;
        const u8 *keys = p.cache + block * p.block_bytes + p.layer_at + (u64)number * UNIT_BYTES;
        part.units[unit] = keys;
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
                    const bool is_seen = is_there && part.units[unit] && key <= position &&
                                         key >= window_start(position, p.window);
                    float &score = scores[unit * 4 + product][half * 2 + i];
                    score = is_seen ? score : -infinity();
                    highest = larger(highest, score);
                }
        highest = larger(highest, exchange(highest, 1));
        highest = larger(highest, exchange(highest, 2));
        float total = 0.0f;
        UNROLL for (u32 product = 0; product < PART_UNITS * 4; ++product)
            UNROLL for (u32 i = 0; i < 2; ++i) {
                float &score = scores[product][half * 2 + i];
                score = share(score, highest);
                total = add(total, score);
            }
        total = add(total, exchange(total, 1));
        part.total[half] = add(total, exchange(total, 2));
        part.highest[half] = highest;
    }
    UNROLL for (u32 unit = 0; unit < PART_UNITS; ++unit)
        UNROLL for (u32 step = 0; step < 2; ++step) {
            const float(&left)[4] = scores[unit * 4 + step * 2];
            const float(&right)[4] = scores[unit * 4 + step * 2 + 1];
            part.weights[unit][step].x = operands_of(left[0], left[1]);
            part.weights[unit][step].y = operands_of(left[2], left[3]);
            part.weights[unit][step].z = operands_of(right[0], right[1]);
            part.weights[unit][step].w = operands_of(right[2], right[3]);
        }
}

// Sums eight elements of the values of a part, each by its weight.
DEVICE void sum_values(const Part &part, u32 head_tile, float (&sums)[4]) {
    const u32 lane = thread_index() % 32;
    UNROLL for (u32 i = 0; i < 4; ++i) sums[i] = 0.0f;
    UNROLL for (u32 unit = 0; unit < PART_UNITS; ++unit) {
        if (!part.units[unit]) continue;
        const Words columns = ((const Words *)(part.units[unit] + UNIT_KEYS))[head_tile * 32 + lane];
        multiply(sums, part.weights[unit][0], columns.x, columns.y);
        multiply(sums, part.weights[unit][1], columns.z, columns.w);
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

// All parts of tiles. A warp a tile and key-value head; those that have most to do begin.
KERNEL(attend_tiles, AttentionParameters, 128) {
    const u32 item = block_x() * ATTENTION_WARPS + thread_index() / 32;
    if (item >= p.num_tiles * p.num_kv_heads) return;
    const Tile tile = p.tiles[p.num_tiles - 1 - item % p.num_tiles];
    const u32 kv_head = item / p.num_tiles, lane = thread_index() % 32;
    Words queries[HEAD_CHUNKS * 4];
    load_queries(p, tile, kv_head, queries);
    float sums[HEAD_TILES][4], highest[2], totals[2];
    UNROLL for (u32 half = 0; half < 2; ++half) {
        highest[half] = -infinity();
        totals[half] = 0.0f;
    }
    UNROLL for (u32 head_tile = 0; head_tile < HEAD_TILES; ++head_tile)
        UNROLL for (u32 i = 0; i < 4; ++i) sums[head_tile][i] = 0.0f;
    const u32 last = (tile.position + tile.num_positions - 1) / PART;
    for (u32 number = window_start(tile.position, p.window) / PART; number <= last; ++number) {
        Part part;
        weigh(p, tile, kv_head, number * PART, queries, part);
        float old_share[2], new_share[2];
        UNROLL for (u32 half = 0; half < 2; ++half) {
            const float joint = larger(highest[half], part.highest[half]);
            old_share[half] = share(highest[half], joint);
            new_share[half] = share(part.highest[half], joint);
            highest[half] = joint;
            totals[half] = join(totals[half], old_share[half], part.total[half], new_share[half]);
        }
        UNROLL for (u32 head_tile = 0; head_tile < HEAD_TILES; ++head_tile) {
            float more[4];
            sum_values(part, head_tile, more);
            UNROLL for (u32 i = 0; i < 4; ++i) {
                float &sum = sums[head_tile][i];
                sum = join(sum, old_share[i / 2], more[i], new_share[i / 2]);
            }
        }
    }
    UNROLL for (u32 half = 0; half < 2; ++half) {
        const u32 row = lane / 4 + 8 * half;
        if (row / GROUP >= tile.num_positions) continue;
        const u32 head = kv_head * GROUP + row % GROUP;
        UNROLL for (u32 head_tile = 0; head_tile < HEAD_TILES; ++head_tile)
            UNROLL for (u32 i = 0; i < 2; ++i) {
                const u32 d = head_tile * 8 + lane % 4 * 2 + i;
                const u64 place = input_place(tile.row + row / GROUP, head * HEAD_DIM + d, p.num_chunks);
                p.outputs[place] = operand_of(divide(sums[head_tile][half * 2 + i], totals[half]));
            }
    }
}

// One part of a tile: where there are few tiles, or they have much to see. A warp a piece
// and key-value head.
KERNEL(attend_pieces, AttentionParameters, 128) {
    const u32 item = block_x() * ATTENTION_WARPS + thread_index() / 32;
    if (item >= p.num_pieces * p.num_kv_heads) return;
    const u32 piece = item / p.num_kv_heads, kv_head = item % p.num_kv_heads;
    if (p.pieces[piece] == NOWHERE) return;
    const u32 lane = thread_index() % 32;
    const Tile tile = p.tiles[p.pieces[piece]];
    const u32 number = window_start(tile.position, p.window) / PART + piece - tile.piece;
    Words queries[HEAD_CHUNKS * 4];
    load_queries(p, tile, kv_head, queries);
    Part part;
    weigh(p, tile, kv_head, number * PART, queries, part);
    UNROLL for (u32 head_tile = 0; head_tile < HEAD_TILES; ++head_tile) {
        float sums[4];
        sum_values(part, head_tile, sums);
        UNROLL for (u32 i = 0; i < 4; ++i) {
            const u32 row = lane / 4 + i / 2 * 8;
            if (row / GROUP >= tile.num_positions) continue;
            const u64 place = (u64)item * p.piece_rows + row;
            p.sums[place * HEAD_DIM + head_tile * 8 + lane % 4 * 2 + i % 2] = sums[i];
        }
    }
    UNROLL for (u32 half = 0; half < 2; ++half) {
        const u32 row = lane / 4 + 8 * half;
        if (lane % 4 > 0 || row / GROUP >= tile.num_positions) continue;
        const u64 place = (u64)item * p.piece_rows + row;
        p.states[place * 2] = part.highest[half];
        p.states[place * 2 + 1] = part.total[half];
    }
}

// Joins the pieces of tiles. A block a head and position of a tile.
KERNEL(join_pieces, AttentionParameters, 128) {
    const u32 most_positions = p.piece_rows / GROUP;
    const Tile tile = p.tiles[block_x() / most_positions];
    const u32 index = block_x() % most_positions, head = block_y();
    if (index >= tile.num_positions) return;
    const u32 position = tile.position + index;
    const u32 first_of_tile = window_start(tile.position, p.window) / PART;
    const u32 first = window_start(position, p.window) / PART - first_of_tile + tile.piece;
    const u32 end = position / PART - first_of_tile + tile.piece + 1;
    for (u32 d = thread_index(); d < HEAD_DIM; d += 128) {
        float highest = -infinity(), total = 0.0f, sum = 0.0f;
        for (u32 piece = first; piece < end; ++piece) {
            const u64 item = (u64)piece * p.num_kv_heads + head / GROUP;
            const u64 place = item * p.piece_rows + index * GROUP + head % GROUP;
            const float other = p.states[place * 2], joint = larger(highest, other);
            const float old_share = share(highest, joint), new_share = share(other, joint);
            highest = joint;
            total = join(total, old_share, p.states[place * 2 + 1], new_share);
            sum = join(sum, old_share, p.sums[place * HEAD_DIM + d], new_share);
        }
        p.outputs[input_place(tile.row + index, head * HEAD_DIM + d, p.num_chunks)] =
            operand_of(divide(sum, total));
    }
}
