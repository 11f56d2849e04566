//! Drafts by looking back: what followed the last tokens when they were last there.
//!
//! Nothing is sampled here. A reply that was written without drafts tells which of
//! them would have been accepted: those equal to the tokens that came. A sampler that
//! draws first and compares afterwards draws the same tokens with drafts as without.

/// The most tokens of a draft.
pub(super) const MAX_DRAFT: usize = 4;

/// One reply with what stood before it.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// Prompt and reply.
    pub(super) tokens: Vec<u32>,
    pub(super) num_prompt_tokens: usize,
}

/// How drafts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// How many of the last tokens must have been there before.
    pub(super) matched: usize,
    /// The most tokens of a draft.
    pub(super) drafted: usize,
}

impl Method {
    /// All that are measured.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let drafts = |matched| (1..=MAX_DRAFT).map(move |drafted| Self { matched, drafted });
        (2..=4).flat_map(drafts)
    }

    /// What followed the last tokens at their latest earlier place.
    fn draft(self, tokens: &[u32]) -> &[u32] {
        let Some(key) = tokens.len().checked_sub(self.matched) else { return &[] };
        // One token less than all, so that the last tokens do not find themselves.
        let mut earlier = tokens[..tokens.len() - 1].windows(self.matched);
        let Some(place) = earlier.rposition(|window| *window == tokens[key..]) else { return &[] };
        let start = place + self.matched;
        &tokens[start..tokens.len().min(start + self.drafted)]
    }
}

/// What a method would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Steps by the rows they compute, from one row, which has no draft.
    pub(super) steps_by_rows: [usize; MAX_DRAFT + 1],
    /// Tokens that were drafted.
    pub(super) drafted: usize,
    /// Of these, the ones that came.
    pub(super) accepted: usize,
    /// Tokens written in these steps.
    pub(super) tokens: usize,
}

impl Tally {
    /// Writes a reply again, in the steps that it would take. Its first token is the
    /// prompt's own and takes none.
    pub(super) fn add(&mut self, reply: &Reply, method: Method) {
        let tokens = &reply.tokens;
        let mut written = reply.num_prompt_tokens + 1;
        while written < tokens.len() {
            let draft = method.draft(&tokens[..written]);
            let to_come = &tokens[written..];
            let accepted = draft.iter().zip(to_come).take_while(|(a, b)| a == b).count();
            // The row of the last accepted token gives one more, unless that was the end.
            let advance = (accepted + 1).min(to_come.len());
            self.steps_by_rows[draft.len()] += 1;
            self.drafted += draft.len();
            self.accepted += accepted;
            self.tokens += advance;
            written += advance;
        }
    }

    pub(super) fn steps(&self) -> usize {
        self.steps_by_rows.iter().sum()
    }

    pub(super) fn tokens_per_step(&self) -> f64 {
        self.tokens as f64 / self.steps() as f64
    }

    /// The share of the drafted tokens that came.
    pub(super) fn accepted_share(&self) -> f64 {
        self.accepted as f64 / self.drafted.max(1) as f64
    }

    /// Time without drafts over time with them; `step_s` is what a step takes by its
    /// rows, `sample_s` what the sampler takes for each token that is written.
    pub(super) fn speed_up(&self, step_s: &[f64; MAX_DRAFT + 1], sample_s: f64) -> f64 {
        let sampling = self.tokens as f64 * sample_s;
        let plain = self.tokens as f64 * step_s[0] + sampling;
        let steps = self.steps_by_rows.iter().zip(step_s);
        let drafted: f64 = steps.map(|(&count, seconds)| count as f64 * seconds).sum();
        plain / (drafted + sampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_what_followed_the_latest_place() {
        let method = Method { matched: 2, drafted: 3 };
        assert_eq!(method.draft(&[1, 2, 7, 1, 2, 8, 9, 1, 2]), [8, 9, 1]);
        assert_eq!(method.draft(&[5, 5, 5]), [5]);
        assert!(method.draft(&[1, 2, 3, 4]).is_empty());
        assert!(method.draft(&[1]).is_empty() && method.draft(&[1, 2]).is_empty());
    }

    #[test]
    fn steps_are_counted_as_a_verifier_would_take_them() {
        let reply = Reply { tokens: vec![1, 2, 3, 4, 9, 1, 2, 3, 5, 6], num_prompt_tokens: 5 };
        let mut tally = Tally::default();
        tally.add(&reply, Method { matched: 1, drafted: 2 });
        // After 1 come 2 and 3, and 5 beside them; after 5 nothing is known.
        let steps_by_rows = [1, 0, 1, 0, 0];
        assert_eq!(tally, Tally { steps_by_rows, drafted: 2, accepted: 2, tokens: 4 });
        assert_eq!((tally.tokens_per_step(), tally.accepted_share()), (2.0, 1.0));
        assert_eq!(tally.speed_up(&[1.0, 9.0, 1.5, 9.0, 9.0], 0.0), 4.0 / 2.5);
        // The end is no token more.
        let mut short = Tally::default();
        let tokens = reply.tokens[..8].to_vec();
        short.add(&Reply { tokens, ..reply }, Method { matched: 1, drafted: 2 });
        assert_eq!((short.steps(), short.tokens, short.accepted), (1, 2, 2));
    }
}
