//! What policies met.

use super::{lines_within, plain};
use crate::store::RuleHits;

/// The most characters of a rule's name that are shown.
const MAX_NAME: usize = 100;

/// How often rules were met in so many days: those that were met most often first, each
/// with what followed.
pub(in crate::discord) fn rule_hits(hits: &[RuleHits], days: u32) -> String {
    let when = if days == 1 { "Today".to_owned() } else { format!("In the last {days} days") };
    if hits.is_empty() {
        return format!("{when} no rule of this server was met.");
    }
    let of_rule = hits.chunk_by(|one, other| one.rule == other.rule);
    let rows = of_rule.map(|hits| {
        let followed: Vec<String> =
            hits.iter().map(|hit| format!("{} {}", hit.texts, followed(hit))).collect();
        format!("- {}: {}", plain(&hits[0].rule, MAX_NAME), followed.join(", "))
    });
    let begin = format!("{when} these rules were met, each counted once in a text:\n");
    lines_within(&begin, rows, "")
}

/// What became of the texts.
fn followed(hit: &RuleHits) -> &'static str {
    match hit.verdict.as_str() {
        _ if hit.dry_run => "only counted",
        "redact" => "covered",
        "reroll" => "written anew",
        "hold" => "held for moderators",
        "refuse" => "refused",
        _ => "let through",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderation::Verdict;

    fn hit(rule: &str, verdict: &str, dry_run: bool, texts: u64) -> RuleHits {
        RuleHits { rule: rule.into(), verdict: verdict.into(), dry_run, texts }
    }

    #[test]
    fn hits_are_told_rule_by_rule_with_what_followed() {
        let hits = [
            hit("black salt", "refuse", false, 9),
            hit("black salt", "hold", false, 1),
            hit("*spoilers*", "refuse", true, 4),
        ];
        insta::assert_snapshot!(rule_hits(&hits, 7), @r"
        In the last 7 days these rules were met, each counted once in a text:
        - black salt: 9 refused, 1 held for moderators
        - \*spoilers\*: 4 only counted
        ");
        insta::assert_snapshot!(rule_hits(&[], 1), @"Today no rule of this server was met.");
        let many: Vec<RuleHits> =
            (0..200).map(|it| hit(&format!("rule {it}"), "hold", false, 1)).collect();
        assert!(rule_hits(&many, 7).ends_with(" more\n"));
        let words = Verdict::ALL.map(|it| followed(&hit("", it.as_str(), false, 1)));
        let expected = ["let through", "covered", "written anew", "held for moderators", "refused"];
        assert_eq!(words, expected);
    }
}
