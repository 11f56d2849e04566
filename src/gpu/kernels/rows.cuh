// What happens to rows between products.

struct NormParameters {
    const float *rows;
    const float *weights;
    u16 *outputs;
    // Which of the rows; the first ones, in their order, where it is null.
    const u32 *wanted;
    u32 num_columns;
    u32 num_chunks;
    float eps;
    u32 padding;
};

// Root-mean-square norm (Zhang and Sennrich 2019, arXiv:1910.07467), to operands. A block a
// row.
KERNEL(rms_norm, NormParameters, 256) {
    u8 *const memory = shared_memory();
    float *partial = (float *)memory;
    const u32 row = p.wanted ? p.wanted[block_x()] : block_x();
    const float *from = p.rows + (u64)row * p.num_columns;
    float sum = 0.0f;
    for (u32 k = thread_index(); k < p.num_columns; k += 256) sum = mul_add(from[k], from[k], sum);
    for (u32 mask = 16; mask > 0; mask /= 2) sum = add(sum, exchange(sum, mask));
    if (thread_index() % 32 == 0) partial[thread_index() / 32] = sum;
    sync_block();
    sum = partial[0];
    for (u32 warp = 1; warp < 8; ++warp) sum = add(sum, partial[warp]);
    const float scale = inverse_root(add(divide(sum, (float)p.num_columns), p.eps));
    for (u32 k = thread_index(); k < p.num_columns; k += 256)
        p.outputs[input_place(block_x(), k, p.num_chunks)] =
            operand_of(mul(mul(from[k], scale), p.weights[k]));
}

struct RotationParameters {
    const u32 *positions;
    // Radians a position, `HEAD_DIM / 2` of them.
    const float *frequencies;
    // Cosine and sine of each row's angles.
    float *rotations;
};

// Angles of the rotary embedding, once a step. A block a row.
KERNEL(rotations, RotationParameters, 128) {
    const float position = (float)p.positions[block_x()];
    for (u32 pair = thread_index(); pair < HEAD_DIM / 2; pair += 128) {
        float *to = p.rotations + ((u64)block_x() * (HEAD_DIM / 2) + pair) * 2;
        sine_and_cosine(mul(position, p.frequencies[pair]), to[1], to[0]);
    }
}

struct HeadParameters {
    // Queries, keys and values of each row.
    const float *heads;
    const float *rotations;
    u16 *queries;
    u8 *cache;
    // Where each row's key and value go: the position's number in the cache, or nowhere.
    const u32 *slots;
    u64 block_bytes;
    // Where the layer's units begin in a block.
    u64 layer_at;
    u32 num_heads;
    u32 num_kv_heads;
    u32 block_size;
    // What queries are multiplied with, the binary logarithm of e included.
    float scale;
};

// Rotates queries and keys (Su et al. 2021, arXiv:2104.09864), pairs half a head apart, and
// stores keys and values. A block a row and head: of queries, then keys, then values.
KERNEL(store_heads, HeadParameters, 128) {
    const u32 row = block_x(), head = block_y(), half = HEAD_DIM / 2;
    const u32 num_rotated = p.num_heads + p.num_kv_heads;
    const float *from = p.heads + ((u64)row * (num_rotated + p.num_kv_heads) + head) * HEAD_DIM;
    const float *angles = p.rotations + (u64)row * HEAD_DIM;
    const bool is_query = head < p.num_heads, is_key = !is_query && head < num_rotated;
    u16 *unit = 0;
    u32 position = 0;
    if (!is_query) {
        const u32 slot = p.slots[row];
        if (slot == NOWHERE) return;
        const u32 kv_head = (head - p.num_heads) % p.num_kv_heads, offset = slot % p.block_size;
        const u64 number = (u64)kv_head * (p.block_size / UNIT) + offset / UNIT;
        unit = (u16 *)(p.cache + slot / p.block_size * p.block_bytes + p.layer_at + number * UNIT_BYTES);
        position = offset % UNIT;
    }
    for (u32 pair = thread_index(); pair < half; pair += 128) {
        float first = from[pair], second = from[pair + half];
        if (is_query || is_key) {
            const float cosine = angles[2 * pair], sine = angles[2 * pair + 1];
            const float turned = mul_add(first, cosine, -mul(second, sine));
            second = mul_add(second, cosine, mul(first, sine));
            first = turned;
        }
        if (is_query) {
            u16 *to = p.queries + ((u64)row * p.num_heads + head) * PADDED_HEAD;
            to[pair] = operand_of(mul(first, p.scale));
            to[pair + half] = operand_of(mul(second, p.scale));
        } else if (is_key) {
            unit[key_place(position, pair)] = operand_of(first);
            unit[key_place(position, pair + half)] = operand_of(second);
        } else {
            unit[value_place(position, pair)] = operand_of(first);
            unit[value_place(position, pair + half)] = operand_of(second);
        }
    }
}
