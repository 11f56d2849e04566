// Matrices as they are stored: tiles of 16 rows and one chunk, each the rows' part of the
// products of one warp. Rows of quantised matrices become halves in registers.
//
// `rows` gives the four steps of a tile; `element` one number of it, for lookups. Where the
// format has scales of 256 columns, `units` are a lane's of them, to be loaded ahead.

DEVICE u32 twice(u16 half) { return half | (u32)half << 16; }

// Halves or bfloats, whichever the operands are.
struct Plain {
    static const u32 BYTES = 2048, SCALES = 0, STAGES = 3;
    struct Units {};

    DEVICE static Units units(const u8 *, u32) { return Units(); }
    DEVICE static void rows(const u8 *tile, Units, u32 lane, Words (&steps)[4]) {
        UNROLL for (u32 step = 0; step < 4; ++step) steps[step] = ((const Words *)tile)[step * 32 + lane];
    }
    DEVICE static float element(const u8 *tile, const u8 *, u32 row, u32 k) {
        const u32 lane = row % 8 * 4 + k / 16, word = k % 4 / 2 * 2 + row / 8;
        const u16 bits = ((const u16 *)tile)[((k % 16 / 4 * 32 + lane) * 4 + word) * 2 + k % 2];
#if BFLOATS
        return float_of_bits((u32)bits << 16);
#else
        return float_of_half(bits);
#endif
    }
};

// Q8_0: bytes, 128 added, and a half for each row and 32 columns.
struct Q8_0 {
    static const u32 BYTES = 1024 + 64, SCALES = 0, STAGES = 5;
    struct Units {};

    DEVICE static Units units(const u8 *, u32) { return Units(); }
    DEVICE static void rows(const u8 *tile, Units, u32 lane, Words (&steps)[4]) {
        const u32 g = lane / 4, t = lane % 4;
        const u16 *scales = (const u16 *)(tile + 1024) + t / 2 * 16;
        const u32 upper = twice(scales[g]), lower = twice(scales[g + 8]);
        UNROLL for (u32 half = 0; half < 2; ++half) {
            const Words words = ((const Words *)tile)[half * 32 + lane];
            steps[2 * half] = halves(words.x, words.y, upper, lower);
            steps[2 * half + 1] = halves(words.z, words.w, upper, lower);
        }
    }
    DEVICE static Words halves(u32 row, u32 row8, u32 scale, u32 scale8) {
        Words words;
        words.x = mul_halves(sub_halves(choose_bytes(row, 0x64646464, 0x4140), 0x64806480), scale);
        words.y = mul_halves(sub_halves(choose_bytes(row8, 0x64646464, 0x4140), 0x64806480), scale8);
        words.z = mul_halves(sub_halves(choose_bytes(row, 0x64646464, 0x4342), 0x64806480), scale);
        words.w = mul_halves(sub_halves(choose_bytes(row8, 0x64646464, 0x4342), 0x64806480), scale8);
        return words;
    }
    DEVICE static float element(const u8 *tile, const u8 *, u32 row, u32 k) {
        const u32 lane = row % 8 * 4 + k / 16, word = k % 8 / 4 * 2 + row / 8;
        const u8 byte = tile[((k % 16 / 8 * 32 + lane) * 4 + word) * 4 + k % 4];
        const u16 scale = ((const u16 *)(tile + 1024))[k / 32 * 16 + row];
        return ((int)byte - 128) * float_of_half(scale);
    }
};

// Four bits of eight numbers, as they lie in a word: of each half of the word, pair after
// pair.
DEVICE u32 nibbles(u32 word, u32 pair) { return word >> 4 * pair & 0x000f000f; }
DEVICE u32 nibble(const u8 *tile, u32 row, u32 k) {
    const u32 lane = row % 8 * 4 + k / 16, pair = k % 4 / 2 * 2 + row / 8;
    const u32 word = ((const u32 *)tile)[lane * 4 + k % 16 / 4];
    return nibbles(word, pair) >> k % 2 * 16 & 15;
}

// Q4_K: four bits; for each row and 32 columns a scale and an offset of a byte each, and
// for each row and 256 columns what these are multiples of.
struct Q4_K {
    static const u32 BYTES = 512 + 64, SCALES = 64, STAGES = 8;
    // Of rows g and g + 8.
    struct Units {
        u32 upper, lower;
    };

    DEVICE static Units units(const u8 *scales, u32 lane) {
        return Units{((const u32 *)scales)[lane / 4], ((const u32 *)scales)[lane / 4 + 8]};
    }
    DEVICE static void rows(const u8 *tile, Units units, u32 lane, Words (&steps)[4]) {
        const u32 g = lane / 4, block = lane % 4 / 2;
        u32 scale, offset, scale8, offset8;
        line(tile, units.upper, g, block, scale, offset);
        line(tile, units.lower, g + 8, block, scale8, offset8);
        const Words words = ((const Words *)tile)[lane];
        const u32 quants[4] = {words.x, words.y, words.z, words.w};
        UNROLL for (u32 step = 0; step < 4; ++step) {
            steps[step].x = fma_halves(number(quants[step], 0), scale, offset);
            steps[step].y = fma_halves(number(quants[step], 1), scale8, offset8);
            steps[step].z = fma_halves(number(quants[step], 2), scale, offset);
            steps[step].w = fma_halves(number(quants[step], 3), scale8, offset8);
        }
    }
    DEVICE static u32 number(u32 word, u32 pair) {
        return sub_halves(nibbles(word, pair) | 0x64006400, 0x64006400);
    }
    DEVICE static void line(const u8 *tile, u32 units, u32 row, u32 block, u32 &scale,
                            u32 &offset) {
        const u32 bytes = ((const u16 *)(tile + 512))[block * 16 + row];
        const float times = mul(float_of_half((u16)units), (float)(bytes & 255));
        const float less = mul(float_of_half((u16)(units >> 16)), (float)(bytes >> 8));
        scale = halves_of(times, times);
        offset = halves_of(-less, -less);
    }
    DEVICE static float element(const u8 *tile, const u8 *scales, u32 row, u32 k) {
        const u32 bytes = ((const u16 *)(tile + 512))[k / 32 * 16 + row];
        const u32 units = ((const u32 *)scales)[row];
        const float times = mul(float_of_half((u16)units), (float)(bytes & 255));
        const float less = mul(float_of_half((u16)(units >> 16)), (float)(bytes >> 8));
        return mul_add((float)nibble(tile, row, k), times, -less);
    }
};

// Q6_K: six bits, four of them apart from the other two; for each row and 16 columns a
// scale of a byte, and for each row and 256 columns what that is a multiple of.
struct Q6_K {
    static const u32 BYTES = 512 + 256 + 64, SCALES = 32, STAGES = 6;
    // Of rows g and g + 8.
    struct Units {
        u16 upper, lower;
    };

    DEVICE static Units units(const u8 *scales, u32 lane) {
        return Units{((const u16 *)scales)[lane / 4], ((const u16 *)scales)[lane / 4 + 8]};
    }
    DEVICE static void rows(const u8 *tile, Units units, u32 lane, Words (&steps)[4]) {
        const u32 g = lane / 4, t = lane % 4;
        const float upper = scale(tile, units.upper, g, t), lower = scale(tile, units.lower, g + 8, t);
        const u32 scale0 = halves_of(upper, upper), scale8 = halves_of(lower, lower);
        const Words words = ((const Words *)tile)[lane];
        const u32 quants[4] = {words.x, words.y, words.z, words.w};
        UNROLL for (u32 step = 0; step < 4; ++step) {
            const u32 high = ((const u32 *)(tile + 512))[lane * 2 + step / 2] >> step % 2 * 8;
            steps[step].x = mul_halves(number(quants[step], high, 0), scale0);
            steps[step].y = mul_halves(number(quants[step], high, 1), scale8);
            steps[step].z = mul_halves(number(quants[step], high, 2), scale0);
            steps[step].w = mul_halves(number(quants[step], high, 3), scale8);
        }
    }
    DEVICE static u32 number(u32 low, u32 high, u32 pair) {
        const u32 six = nibbles(low, pair) | (high >> 2 * pair & 0x00030003) << 4;
        return sub_halves(six | 0x64006400, 0x64206420);
    }
    DEVICE static float scale(const u8 *tile, u16 unit, u32 row, u32 sixteenth) {
        const i8 times = ((const i8 *)(tile + 768))[sixteenth * 16 + row];
        return mul(float_of_half(unit), (float)times);
    }
    DEVICE static float element(const u8 *tile, const u8 *scales, u32 row, u32 k) {
        const u32 lane = row % 8 * 4 + k / 16, step = k % 16 / 4, pair = k % 4 / 2 * 2 + row / 8;
        const u32 word = ((const u32 *)(tile + 512))[lane * 2 + step / 2] >> step % 2 * 8;
        const u32 high = word >> 2 * pair >> k % 2 * 16 & 3;
        const int six = (int)(nibble(tile, row, k) | high << 4) - 32;
        return mul((float)six, scale(tile, ((const u16 *)scales)[row], row, k / 16));
    }
};

// Where a tile and its scales lie.
template <class Weights> DEVICE const u8 *tile_of(const u8 *tiles, u32 tile, u32 chunk, u32 num_chunks) {
    return tiles + ((u64)tile * num_chunks + chunk) * Weights::BYTES;
}
template <class Weights> DEVICE const u8 *scales_of(const u8 *scales, u32 tile, u32 chunk, u32 num_chunks) {
    return scales + ((u64)tile * (num_chunks / 4) + chunk / 4) * Weights::SCALES;
}
