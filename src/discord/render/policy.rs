//! What policies met, and would have met.

use super::{count, lines_within, plain};
use crate::chat::PolicyTrial;
use crate::store::RuleHits;

/// The most characters of a rule's name that are shown.
const MAX_NAME: usize = 100;

/// What a policy would have met in what was said, and what its limits would have stopped.
pub(in crate::discord) fn policy_trial(trial: &PolicyTrial) -> String {
    let begin = format!(
        "In {} of the {} here something is met.\n",
        trial.num_met,
        count(trial.num_turns, "turn")
    );
    let hits = trial.hits.iter();
    let hits = hits.map(|(rule, times)| format!("- {}: {times}", plain(rule, MAX_NAME)));
    lines_within(&begin, hits, &stopped(trial))
}

/// The limits that would have stopped something, each with how much of it.
fn stopped(trial: &PolicyTrial) -> String {
    let (limits, stopped) = (&trial.limits, &trial.stopped);
    let not_taken = |number| format!("{} would not have been taken", count(number, "message"));
    let not_written = |number| {
        let replies = if number == 1 { "reply" } else { "replies" };
        format!("{number} {replies} would not have been written")
    };
    let of_each = [
        (
            limits.turns_per_person_per_hour,
            "messages of one person an hour",
            stopped.turns_per_person,
            not_taken(stopped.turns_per_person),
        ),
        (
            limits.replies_per_person_per_hour,
            "replies for one person an hour",
            stopped.replies_per_person,
            not_written(stopped.replies_per_person),
        ),
        (
            limits.replies_per_guild_per_hour,
            "replies an hour on this server",
            stopped.replies_per_guild,
            not_written(stopped.replies_per_guild),
        ),
        (
            limits.scenes_per_person,
            "open scenes of one person",
            stopped.scenes_per_person,
            "this one would not have begun".to_owned(),
        ),
        (
            limits.replies_in_a_row,
            "replies in a row",
            stopped.replies_in_a_row,
            not_written(stopped.replies_in_a_row),
        ),
    ];
    if of_each.iter().all(|(most, ..)| most.is_none()) {
        return String::new();
    }
    let over = of_each.into_iter().filter(|(_, _, number, _)| *number > 0);
    let over = over.filter_map(|(most, of_what, _, so)| {
        Some(format!("- {of_what}, at most {}: {so}\n", most?))
    });
    let over: String = over.collect();
    match over.is_empty() {
        true => "Its limits would have stopped nothing.".to_owned(),
        false => format!("Its limits would have stopped something:\n{over}"),
    }
}

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
    use std::collections::BTreeMap;

    use super::*;
    use crate::chat::Stopped;
    use crate::moderation::{Limits, Verdict};

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

    #[test]
    fn a_trial_tells_of_rules_and_of_limits() {
        let hits = BTreeMap::from([("black salt".to_owned(), 3)]);
        let trial = PolicyTrial { num_turns: 9, num_met: 2, hits, ..PolicyTrial::default() };
        insta::assert_snapshot!(policy_trial(&trial), @r"
        In 2 of the 9 turns here something is met.
        - black salt: 3
        ");
        let limits = Limits {
            turns_per_person_per_hour: Some(60),
            replies_per_guild_per_hour: Some(600),
            scenes_per_person: Some(1),
            replies_in_a_row: Some(4),
            ..Limits::default()
        };
        let trial = PolicyTrial { limits, ..trial };
        assert!(policy_trial(&trial).ends_with("Its limits would have stopped nothing."));
        let stopped = Stopped {
            turns_per_person: 1,
            scenes_per_person: 1,
            replies_in_a_row: 2,
            ..Stopped::default()
        };
        insta::assert_snapshot!(policy_trial(&PolicyTrial { stopped, ..trial }), @r"
        In 2 of the 9 turns here something is met.
        - black salt: 3
        Its limits would have stopped something:
        - messages of one person an hour, at most 60: 1 message would not have been taken
        - open scenes of one person, at most 1: this one would not have begun
        - replies in a row, at most 4: 2 replies would not have been written
        ");
    }
}
