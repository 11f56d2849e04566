//! One step's batch as the kernels read it: words, in arrays whose places follow from the
//! number of rows alone, so that a recorded step finds those of a later one.

use super::super::{BatchSequence, LogitRows};
use crate::gpu::{NOWHERE, Tile};

/// Rows of the largest step that is recorded.
const MAX_RECORDED_ROWS: usize = 256;

/// A step's rows and what they attend to.
#[derive(Debug)]
pub(super) struct Step {
    /// Rows, with those that only fill a recorded step.
    num_rows: usize,
    tokens: Vec<u32>,
    positions: Vec<u32>,
    slots: Vec<u32>,
    wanted: Vec<u32>,
    /// Tiles of the sequences that have one new token.
    singles: Vec<Tile>,
    /// Tiles of the others.
    tiles: Vec<Tile>,
    tables: Vec<u32>,
    num_parts: usize,
    /// Rows of logits that somebody asked for.
    num_logits: usize,
    is_recorded: bool,
}

impl Step {
    pub(super) fn new(
        batch: &[BatchSequence<'_>],
        block_size: usize,
        tile_positions: usize,
        window: usize,
    ) -> Self {
        let mut step = Self {
            num_rows: 0,
            tokens: Vec::new(),
            positions: Vec::new(),
            slots: Vec::new(),
            wanted: Vec::new(),
            singles: Vec::new(),
            tiles: Vec::new(),
            tables: Vec::new(),
            num_parts: 0,
            num_logits: 0,
            is_recorded: false,
        };
        for sequence in batch {
            step.add(sequence, block_size, tile_positions);
        }
        step.num_rows = step.tokens.len();
        step.num_logits = step.wanted.len();
        let parts = step.singles.iter().map(|tile| tile.num_parts(window)).max();
        step.num_parts = parts.unwrap_or(0);
        // Every row decodes, and asks for its logits.
        if step.singles.len() == step.num_rows
            && step.num_logits == step.num_rows
            && step.num_rows <= MAX_RECORDED_ROWS
        {
            step.fill();
        }
        step
    }

    fn add(&mut self, sequence: &BatchSequence<'_>, block_size: usize, tile_positions: usize) {
        let BatchSequence { tokens, position, block_table, logits } = *sequence;
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
        let tiles = (0..tokens.len()).step_by(tile_positions).map(|first| Tile {
            row: word(row + first),
            num_positions: word(tile_positions.min(tokens.len() - first)),
            position: word(position + first),
            table,
        });
        match tokens.len() {
            1 => self.singles.extend(tiles),
            _ => self.tiles.extend(tiles),
        }
    }

    /// Fills the step up to its bucket with rows that are kept nowhere and see nothing.
    fn fill(&mut self) {
        self.is_recorded = true;
        self.num_rows = bucket(self.num_rows);
        self.num_parts = self.num_parts.next_power_of_two();
        self.tokens.resize(self.num_rows, 0);
        self.positions.resize(self.num_rows, 0);
        self.slots.resize(self.num_rows, NOWHERE);
        self.singles.resize(self.num_rows, Tile::default());
        self.wanted = (0..self.num_rows).map(word).collect();
    }

    /// What a recorded step of this size is found by; `None` where it is not recorded.
    pub(super) fn recording_key(&self) -> Option<(usize, usize)> {
        self.is_recorded.then_some((self.num_rows, self.num_parts))
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

    pub(super) fn num_singles(&self) -> usize {
        self.singles.len()
    }

    pub(super) fn num_tiles(&self) -> usize {
        self.tiles.len()
    }

    pub(super) fn num_parts(&self) -> usize {
        self.num_parts
    }

    // Where the arrays begin, in words: each has room for every row.

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

    pub(super) fn singles_at(&self) -> usize {
        4 * self.num_rows
    }

    pub(super) fn tiles_at(&self) -> usize {
        8 * self.num_rows
    }

    pub(super) fn tables_at(&self) -> usize {
        12 * self.num_rows
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
            (self.singles_at(), &tiles(&self.singles)),
            (self.tiles_at(), &tiles(&self.tiles)),
            (self.tables_at(), &self.tables),
        ] {
            words[at..at + array.len()].copy_from_slice(array);
        }
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// Rows of the recorded step that serves so many: few sizes, and little waste.
fn bucket(num_rows: usize) -> usize {
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

    fn sequence<'a>(
        tokens: &'a [u32],
        position: usize,
        block_table: &'a [u32],
        logits: LogitRows,
    ) -> BatchSequence<'a> {
        BatchSequence { tokens, position, block_table, logits }
    }

    #[test]
    fn a_step_that_decodes_is_filled_and_one_that_does_not_is_as_it_is() {
        let table = [7, 3, 9];
        let decodes = |position| sequence(&[5], position, &table, LogitRows::Last);
        let batch = [decodes(1), decodes(40), decodes(70)];
        let step = Step::new(&batch, 32, 4, usize::MAX);
        assert_eq!(step.recording_key(), Some((4, 1)));
        assert_eq!((step.num_logits(), step.num_wanted()), (3, 4));
        assert_eq!(step.slots, [7 * 32 + 1, 3 * 32 + 8, 9 * 32 + 6, NOWHERE]);
        assert_eq!(step.tables, [7, 7, 3, 7, 3, 9]);
        assert_eq!(step.singles[2], Tile { row: 2, num_positions: 1, position: 70, table: 3 });
        assert_eq!(step.singles[3].num_positions, 0);

        let prefills = sequence(&[1, 2, 3, 4, 5, 6], 30, &table, LogitRows::None);
        let step = Step::new(&[decodes(1), prefills], 32, 4, usize::MAX);
        assert_eq!((step.recording_key(), step.num_rows()), (None, 7));
        assert_eq!((step.num_singles(), step.num_tiles(), step.num_logits()), (1, 2, 1));
        assert_eq!(step.tiles[1], Tile { row: 5, num_positions: 2, position: 34, table: 1 });
    }

    #[test]
    fn arrays_lie_where_the_number_of_rows_says() {
        let (table, tokens) = ([4, 2], [9, 8, 7]);
        let step = Step::new(&[sequence(&tokens, 31, &table, LogitRows::All)], 32, 2, usize::MAX);
        let words: Vec<u32> =
            step.bytes().as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect();
        assert_eq!(words.len(), step.num_words());
        assert_eq!(words[step.tokens_at()..][..3], tokens);
        assert_eq!(words[step.positions_at()..][..3], [31, 32, 33]);
        assert_eq!(words[step.slots_at()..][..3], [4 * 32 + 31, 2 * 32, 2 * 32 + 1]);
        assert_eq!(words[step.wanted_at()..][..3], [0, 1, 2]);
        assert_eq!(words[step.tiles_at()..][..8], [0, 2, 31, 0, 2, 1, 33, 0]);
        assert_eq!(words[step.tables_at()..], table);
    }

    #[test]
    fn a_window_bounds_the_parts_that_a_row_sees() {
        let tile = |position| Tile { row: 0, num_positions: 1, position, table: 0 };
        assert_eq!(tile(0).num_parts(usize::MAX), 1);
        assert_eq!(tile(128).num_parts(usize::MAX), 2);
        assert_eq!(tile(1000).num_parts(200), 2);
        assert_eq!(tile(1000).num_parts(1), 1);
        // Positions 767 to 1022, of which the first is the last of its part.
        assert_eq!(tile(1022).num_parts(256), 3);
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
