// How operands lie in memory: in the order in which the lanes of a warp want them, so that
// every load is a whole and contiguous one.
//
// A chunk is 64 elements of a sum. Of each chunk, lane 4g + t takes elements 16t to 16t + 15
// in four steps: a sum has no order that anybody prefers, as long as it is always the same.

const u32 CHUNK = 64;
// No place, among numbers of places.
const u32 NOWHERE = 0xffffffffu;
// Rows of weights that a warp multiplies at once, and tokens.
const u32 TILE_ROWS = 16;
const u32 TILE_TOKENS = 8;
// Bytes of eight tokens' chunk.
const u32 INPUT_TILE = TILE_TOKENS * CHUNK * 2;

// Within what operands can be: what is beyond would be infinite, and spoil every sum that it
// is in, also those of others that find it in a block of the cache later.
DEVICE u32 operands_of(float low, float high) {
#if BFLOATS
    const float most = 3.38953139e38f;
#else
    const float most = 65504.0f;
#endif
    low = smaller(larger(low, -most), most);
    high = smaller(larger(high, -most), most);
#if BFLOATS
    return bfloats_of(low, high);
#else
    return halves_of(low, high);
#endif
}
DEVICE u16 operand_of(float x) { return (u16)operands_of(x, 0.0f); }

// The place, in elements, of a token's element `k`.
DEVICE u64 input_place(u32 token, u32 k, u32 num_chunks) {
    const u64 tile = (u64)(token / TILE_TOKENS) * num_chunks + k / CHUNK;
    const u32 lane = token % TILE_TOKENS * 4 + k % CHUNK / 16;
    return tile * (INPUT_TILE / 2) + (k % 16 / 8 * 32 + lane) * 8 + k % 8;
}

// Keys and values in units of 32 positions: first the keys, then the values.
//
// A product of queries with eight keys gives lane 4g + t the scores of two. The keys are
// dealt out so that after four such products they are neighbours, 8t to 8t + 7, which is
// how the values, with positions innermost, are loaded.
const u32 UNIT = 32;
const u32 HEAD_CHUNKS = (HEAD_DIM + CHUNK - 1) / CHUNK;
const u32 PADDED_HEAD = HEAD_CHUNKS * CHUNK;
const u32 UNIT_KEYS = UNIT * PADDED_HEAD * 2;
const u32 UNIT_VALUES = UNIT * HEAD_DIM * 2;
const u32 UNIT_BYTES = UNIT_KEYS + UNIT_VALUES;

// The place, in elements, of a key's or value's element within its unit.
DEVICE u32 key_place(u32 position, u32 d) {
    const u32 product = position % 8 / 2, column = position / 8 * 2 + position % 2;
    const u32 lane = column * 4 + d % CHUNK / 16;
    return ((d / CHUNK * 4 + product) * 2 + d % 16 / 8) * 256 + lane * 8 + d % 8;
}
DEVICE u32 value_place(u32 position, u32 d) {
    const u32 lane = d % 8 * 4 + position / 8;
    return UNIT_KEYS / 2 + d / 8 * 256 + lane * 8 + position % 8;
}
