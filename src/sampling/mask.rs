//! Tokens that must not be drawn.

/// Masks these token ids for one step: their logits become −∞. Ids beyond the
/// row are passed over.
///
/// For rules that hold at one step only, such as a reply that may not end yet or
/// a string that was just taken back; lasting bans stand in
/// [`SamplerParams::banned_tokens`](super::SamplerParams::banned_tokens).
pub fn mask(logits: &mut [f32], ids: &[u32]) {
    for &id in ids {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_ids_are_masked() {
        let mut logits = [1.0, f32::NAN, 3.0];
        mask(&mut logits, &[1, 2, 3, u32::MAX]);
        assert_eq!(logits, [1.0, f32::NEG_INFINITY, f32::NEG_INFINITY]);
    }
}
