//! How often rules are met, counted in memory: no door waits for a count. Whoever writes it
//! down takes it out every few seconds; what a crash loses are the counts of these.
//!
//! Invariant: names of rules and numbers alone; neither what was said nor by whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use crate::domain::GuildId;
use crate::moderation::{Finding, Verdict};
use crate::store::RuleHits;

/// The most rules of a guild that are counted at once: more than a policy can hold.
const MAX_RULES: usize = 4_000;

/// The most characters of a rule's name that are written down.
const MAX_RULE_CHARS: usize = 200;

/// A rule, by its name, what it asked for, and whether it only counts.
pub(in crate::chat) type Met = (String, Verdict, bool);

/// What was met since it was last taken out.
#[derive(Debug, Default)]
pub(in crate::chat) struct Tally {
    guilds: Mutex<HashMap<GuildId, BTreeMap<Met, u64>>>,
}

impl Tally {
    /// Counts what one text met: each rule once, however often it was met there.
    pub(super) fn add(&self, guild: GuildId, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        let met: BTreeSet<(&str, Verdict, bool)> =
            findings.iter().map(|it| (it.rule.as_str(), it.verdict, it.dry_run)).collect();
        let met = met.into_iter().map(|(rule, verdict, dry)| ((rule.to_owned(), verdict, dry), 1));
        self.merge(guild, met);
    }

    /// All that was counted, by guild; counting begins anew.
    pub(in crate::chat) fn take(&self) -> HashMap<GuildId, BTreeMap<Met, u64>> {
        std::mem::take(&mut *self.guilds.lock().expect("nothing panics here"))
    }

    /// The same of one guild.
    pub(in crate::chat) fn take_of(&self, guild: GuildId) -> Option<BTreeMap<Met, u64>> {
        self.guilds.lock().expect("nothing panics here").remove(&guild)
    }

    /// Puts back what could not be written down.
    pub(in crate::chat) fn merge(
        &self,
        guild: GuildId,
        counts: impl IntoIterator<Item = (Met, u64)>,
    ) {
        let mut guilds = self.guilds.lock().expect("nothing panics here");
        let known = guilds.entry(guild).or_default();
        for (met, texts) in counts {
            if known.len() < MAX_RULES || known.contains_key(&met) {
                *known.entry(met).or_default() += texts;
            }
        }
    }
}

/// The same as it is written down.
pub(in crate::chat) fn hits(counts: &BTreeMap<Met, u64>) -> Vec<RuleHits> {
    let hit = |((rule, verdict, dry_run), texts): (&Met, &u64)| RuleHits {
        // An index holds it.
        rule: rule.chars().take(MAX_RULE_CHARS).collect(),
        verdict: verdict.as_str().to_owned(),
        dry_run: *dry_run,
        texts: *texts,
    };
    counts.iter().map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, verdict: Verdict) -> Finding {
        Finding { rule: rule.into(), theme: None, verdict, span: 0..1, dry_run: false }
    }

    #[test]
    fn a_text_counts_once_for_each_rule_and_what_was_taken_out_is_not_there_twice() {
        let tally = Tally::default();
        let guild = GuildId(7);
        tally.add(guild, &[]);
        assert!(tally.take().is_empty(), "nothing was met");
        let salt = finding("salt", Verdict::Hold);
        let dry = Finding { dry_run: true, ..salt.clone() };
        tally.add(guild, &[salt.clone(), salt.clone(), dry, finding("ash", Verdict::Refuse)]);
        tally.add(guild, &[salt]);
        tally.add(GuildId(8), &[finding("ash", Verdict::Refuse)]);
        let mut taken = tally.take();
        let counts = taken.remove(&guild).expect("it was counted");
        let texts: Vec<_> =
            hits(&counts).into_iter().map(|it| (it.rule, it.dry_run, it.texts)).collect();
        let expected = [("ash", false, 1), ("salt", false, 2), ("salt", true, 1)];
        assert_eq!(texts, expected.map(|(rule, dry, texts)| (rule.to_owned(), dry, texts)));
        assert_eq!(taken.len(), 1, "each guild has its own");
        assert!(tally.take().is_empty());
        tally.merge(guild, counts.clone());
        tally.merge(guild, counts);
        assert_eq!(hits(&tally.take()[&guild])[1].texts, 4);
    }

    #[test]
    fn it_grows_no_further_than_policies_can() {
        let tally = Tally::default();
        for number in 0..MAX_RULES + 10 {
            tally.add(GuildId(1), &[finding(&number.to_string(), Verdict::Hold)]);
        }
        assert_eq!(tally.take()[&GuildId(1)].len(), MAX_RULES);
    }
}
