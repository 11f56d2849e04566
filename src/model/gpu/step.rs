//! One step's batch as the kernels read it: words, in arrays whose places follow from the
//! number of rows alone, so that a recorded step finds those of a later one.

use super::super::{BatchSequence, LogitRows};
use crate::gpu::{HeadShape, NOWHERE, Tile};

/// Rows of the largest step that is recorded.
const MAX_RECORDED_ROWS: usize = 256;
/// Warps that keep a GPU busy by themselves: a sequence whose tiles are as many is not cut.
const MANY_WARPS: usize = 512;
/// Pieces that the tiles of a step's longer sequences may have together: what they leave
/// takes memory.
pub(super) const MAX_PIECES: usize = 1024;

/// A step's rows and what they attend to.
#[derive(Debug)]
pub(super) struct Step {
    /// Rows, with those that only fill a recorded step.
    num_rows: usize,
    tokens: Vec<u32>,
    positions: Vec<u32>,
    slots: Vec<u32>,
    wanted: Vec<u32>,
    /// Tiles that are cut into pieces.
    cut: Vec<Tile>,
    /// The tile of each piece.
    pieces: Vec<u32>,
    /// The most positions of a tile that is cut.
    cut_positions: usize,
    /// Tiles that are not cut.
    tiles: Vec<Tile>,
    tables: Vec<u32>,
    /// Rows of logits that somebody asked for.
    num_logits: usize,
    is_recorded: bool,
}

/// What attention looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionShape {
    pub(super) heads: HeadShape,
    /// Positions of a block.
    pub(super) block_size: usize,
    /// How many positions a row sees.
    pub(super) window: usize,
}

impl Step {
    pub(super) fn new(batch: &[BatchSequence<'_>], shape: &AttentionShape) -> Self {
        let mut step = Self {
            num_rows: 0,
            tokens: Vec::new(),
            positions: Vec::new(),
            slots: Vec::new(),
            wanted: Vec::new(),
            cut: Vec::new(),
            pieces: Vec::new(),
            cut_positions: 1,
            tiles: Vec::new(),
            tables: Vec::new(),
            num_logits: 0,
            is_recorded: false,
        };
        for sequence in batch {
            step.add(sequence, shape);
        }
        step.num_rows = step.tokens.len();
        step.num_logits = step.wanted.len();
        // Every row decodes, and asks for its logits.
        if batch.len() == step.num_rows
            && step.num_logits == step.num_rows
            && step.num_rows <= MAX_RECORDED_ROWS
        {
            step.fill();
        }
        step
    }

    fn add(&mut self, sequence: &BatchSequence<'_>, shape: &AttentionShape) {
        let BatchSequence { tokens, position, block_table, logits } = *sequence;
        let block_size = shape.block_size;
        let (row, table) = (self.tokens.len(), word(self.tables.len()));
        self.tokens.extend(tokens);
        let end = position + tokens.len();
        for position in position..end {
            let block = block_table[position / block_size] as usize;
            self.positions.push(word(position));
            self.slots.push(word(block * block_size + position % block_size));
        }
        self.tables.extend(&block_table[..end.div_ceil(block_size)]);
        let rows = row..row + tokens.len();
        match logits {
            LogitRows::None => {}
            LogitRows::Last => self.wanted.push(word(rows.end - 1)),
            LogitRows::All => self.wanted.extend(rows.clone().map(word)),
        }
        let positions = shape.heads.tile_positions();
        let tiles = (0..tokens.len()).step_by(positions).map(|first| Tile {
            row: word(row + first),
            num_positions: word(positions.min(tokens.len() - first)),
            position: word(position + first),
            table,
            piece: 0,
        });
        let tiles: Vec<_> = tiles.collect();
        let num_pieces: usize = tiles.iter().map(|tile| tile.num_parts(shape.window)).sum();
        let is_busy = tiles.len() * shape.heads.num_kv_heads >= MANY_WARPS;
        let is_cut = tokens.len() == 1 || !is_busy && self.pieces.len() + num_pieces <= MAX_PIECES;
        if !is_cut {
            self.tiles.extend(tiles);
            return;
        }
        for tile in tiles {
            let piece = word(self.pieces.len());
            let pieces = std::iter::repeat_n(word(self.cut.len()), tile.num_parts(shape.window));
            self.pieces.extend(pieces);
            self.cut.push(Tile { piece, ..tile });
            self.cut_positions = self.cut_positions.max(tile.num_positions as usize);
        }
    }

    /// Fills the step up to its bucket with rows that are kept nowhere and see nothing, and
    /// with pieces of no tile.
    fn fill(&mut self) {
        self.is_recorded = true;
        self.num_rows = bucket(self.num_rows);
        self.tokens.resize(self.num_rows, 0);
        self.positions.resize(self.num_rows, 0);
        self.slots.resize(self.num_rows, NOWHERE);
        self.cut.resize(self.num_rows, Tile::default());
        let num_pieces = self.pieces.len().max(self.num_rows).next_power_of_two();
        self.pieces.resize(num_pieces, NOWHERE);
        self.wanted = (0..self.num_rows).map(word).collect();
    }

    /// What a recorded step of this size is found by; `None` where it is not recorded.
    pub(super) fn recording_key(&self) -> Option<(usize, usize)> {
        self.is_recorded.then_some((self.num_rows, self.pieces.len()))
    }

    pub(super) fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub(super) fn num_wanted(&self) -> usize {
        self.wanted.len()
    }

    pub(super) fn num_logits(&self) -> usize {
        self.num_logits
    }

    pub(super) fn num_cut(&self) -> usize {
        self.cut.len()
    }

    pub(super) fn num_pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn cut_positions(&self) -> usize {
        self.cut_positions
    }

    pub(super) fn num_tiles(&self) -> usize {
        self.tiles.len()
    }

    // Where the arrays begin, in words: each but the last two has room for every row.

    pub(super) fn tokens_at(&self) -> usize {
        0
    }

    pub(super) fn positions_at(&self) -> usize {
        self.num_rows
    }

    pub(super) fn slots_at(&self) -> usize {
        2 * self.num_rows
    }

    pub(super) fn wanted_at(&self) -> usize {
        3 * self.num_rows
    }

    pub(super) fn cut_at(&self) -> usize {
        4 * self.num_rows
    }

    pub(super) fn tiles_at(&self) -> usize {
        self.cut_at() + Tile::NUM_WORDS * self.num_rows
    }

    pub(super) fn pieces_at(&self) -> usize {
        self.tiles_at() + Tile::NUM_WORDS * self.num_rows
    }

    pub(super) fn tables_at(&self) -> usize {
        self.pieces_at() + self.pieces.len()
    }

    pub(super) fn num_words(&self) -> usize {
        self.tables_at() + self.tables.len()
    }

    /// All of it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut words = vec![0; self.num_words()];
        let tiles = |tiles: &[Tile]| tiles.iter().flat_map(|tile| tile.words()).collect();
        for (at, array) in [
            (self.tokens_at(), &self.tokens),
            (self.positions_at(), &self.positions),
            (self.slots_at(), &self.slots),
            (self.wanted_at(), &self.wanted),
            (self.cut_at(), &tiles(&self.cut)),
            (self.tiles_at(), &tiles(&self.tiles)),
            (self.pieces_at(), &self.pieces),
            (self.tables_at(), &self.tables),
        ] {
            words[at..at + array.len()].copy_from_slice(array);
        }
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// Rows of the recorded step that serves so many: few sizes, and little waste.
pub(super) fn bucket(num_rows: usize) -> usize {
    match num_rows {
        0..=8 => num_rows.next_power_of_two(),
        9..=64 => num_rows.next_multiple_of(8),
        _ => num_rows.next_multiple_of(32),
    }
}

/// # Panics
/// Beyond 32 bits, which checked batches are not.
fn word(number: usize) -> u32 {
    u32::try_from(number).expect("a step within 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four positions a tile.
    const SHAPE: AttentionShape = AttentionShape {
        heads: HeadShape { num_heads: 32, num_kv_heads: 8, head_dim: 128 },
        block_size: 32,
        window: usize::MAX,
    };

    fn sequence<'a>(
        tokens: &'a [u32],
        position: usize,
        block_table: &'a [u32],
        logits: LogitRows,
    ) -> BatchSequence<'a> {
        BatchSequence { tokens, position, block_table, logits }
    }

    fn tile(row: u32, num_positions: u32, position: u32, table: u32, piece: u32) -> Tile {
        Tile { row, num_positions, position, table, piece }
    }

    #[test]
    fn a_step_that_decodes_is_filled_and_one_that_does_not_is_as_it_is() {
        let table = [7, 3, 9, 1, 2];
        let decodes = |position| sequence(&[5], position, &table, LogitRows::Last);
        let batch = [decodes(1), decodes(140), decodes(70)];
        let step = Step::new(&batch, &SHAPE);
        assert_eq!(step.recording_key(), Some((4, 4)));
        assert_eq!((step.num_logits(), step.num_wanted()), (3, 4));
        assert_eq!(step.slots, [7 * 32 + 1, 2 * 32 + 12, 9 * 32 + 6, NOWHERE]);
        assert_eq!(step.tables, [7, 7, 3, 9, 1, 2, 7, 3, 9]);
        // The second sees two parts.
        assert_eq!(step.pieces, [0, 1, 1, 2]);
        assert_eq!(step.cut[2], tile(2, 1, 70, 6, 3));
        assert_eq!(step.cut[3], Tile::default());

        let prefills = sequence(&[1, 2, 3, 4, 5, 6], 30, &table, LogitRows::None);
        let step = Step::new(&[decodes(1), prefills], &SHAPE);
        assert_eq!((step.recording_key(), step.num_rows()), (None, 7));
        assert_eq!((step.num_cut(), step.num_tiles(), step.num_logits()), (3, 0, 1));
        assert_eq!(step.cut[2], tile(5, 2, 34, 1, 2));
        assert_eq!(step.cut_positions(), 4);
    }

    #[test]
    fn long_prompts_are_not_cut() {
        let (table, tokens) = ((0..200).collect::<Vec<_>>(), [0; 300]);
        let long = sequence(&tokens, 0, &table, LogitRows::None);
        let step = Step::new(&[long], &SHAPE);
        assert_eq!((step.num_cut(), step.num_pieces(), step.num_tiles()), (0, 0, 75));
        // Nor are those that would leave too much.
        let far = sequence(&tokens[..200], 6000, &table, LogitRows::None);
        let step = Step::new(&[far, sequence(&[1], 0, &table, LogitRows::Last)], &SHAPE);
        assert_eq!((step.num_cut(), step.num_pieces(), step.num_tiles()), (1, 1, 50));
    }

    #[test]
    fn arrays_lie_where_the_numbers_of_rows_and_pieces_say() {
        let (table, tokens) = ([4, 2], [9, 8, 7, 6, 5]);
        let step = Step::new(&[sequence(&tokens, 31, &table, LogitRows::All)], &SHAPE);
        let words: Vec<u32> =
            step.bytes().as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect();
        assert_eq!(words.len(), step.num_words());
        assert_eq!(words[step.tokens_at()..][..5], tokens);
        assert_eq!(words[step.positions_at()..][..5], [31, 32, 33, 34, 35]);
        assert_eq!(words[step.slots_at()..][..2], [4 * 32 + 31, 2 * 32]);
        assert_eq!(words[step.wanted_at()..][..5], [0, 1, 2, 3, 4]);
        assert_eq!(words[step.cut_at()..][..10], [0, 4, 31, 0, 0, 4, 1, 35, 0, 1]);
        assert_eq!(words[step.pieces_at()..][..2], [0, 1]);
        assert_eq!(words[step.tables_at()..], table);
    }

    #[test]
    fn a_window_bounds_the_parts_that_a_row_sees() {
        let one = |position| tile(0, 1, position, 0, 0);
        assert_eq!(one(0).num_parts(usize::MAX), 1);
        assert_eq!(one(128).num_parts(usize::MAX), 2);
        assert_eq!(one(1000).num_parts(200), 2);
        assert_eq!(one(1000).num_parts(1), 1);
        // Positions 767 to 1022, of which the first is the last of its part.
        assert_eq!(one(1022).num_parts(256), 3);
        assert_eq!(tile(0, 4, 126, 0, 0).num_parts(usize::MAX), 2);
    }

    #[test]
    fn buckets_are_few_and_waste_little() {
        let buckets: Vec<_> = (1..=MAX_RECORDED_ROWS).map(bucket).collect();
        assert!((1..).zip(&buckets).all(|(rows, bucket)| (rows..2 * rows).contains(bucket)));
        let mut distinct = buckets;
        distinct.dedup();
        assert!(distinct.len() <= 20, "{distinct:?}");
    }
}
