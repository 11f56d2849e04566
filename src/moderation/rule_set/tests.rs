use super::super::rules::{LONGEST_TERM, MOST_PATTERNS, MOST_TERMS};
use super::*;

fn words(terms: &[&str], allow: &[&str]) -> RuleSet {
    let own = |list: &[&str]| list.iter().map(|term| (*term).to_owned()).collect();
    let rule = WordRule {
        terms: own(terms),
        allow: own(allow),
        verdict: Verdict::Refuse,
        ..WordRule::default()
    };
    RuleSet::compile(&[Rule::Words(rule)]).unwrap()
}

fn found<'a>(set: &RuleSet, text: &'a str) -> Vec<&'a str> {
    set.find(text).into_iter().map(|finding| &text[finding.span]).collect()
}

#[test]
fn words_end_where_words_end() {
    let set = words(&["ass", "tit", "rape", "anal"], &[]);
    for text in [
        "class",
        "assassin",
        "he passes",
        "title",
        "grape",
        "analysis",
        "c l a s s",
        "p.a.s.s",
        "g r a p e",
        "d'anal",
        "as soon",
        "He's as sly",
        "drape",
        "455",
    ] {
        assert_eq!(found(&set, text), [""; 0], "{text}");
    }
    for text in ["ass", "Ass!", "an ass.", "\"ass\"", "*ass*", "_ass_", "ass's", "ass69", "a s s"] {
        assert_eq!(found(&set, text).len(), 1, "{text}");
    }
    assert_eq!(found(&set, "you a.s.s you"), ["a.s.s"]);
}

#[test]
fn stars_let_words_go_on() {
    let set = words(&["cyclop*", "*gull", "*kraken*"], &["archkraken"]);
    assert_eq!(found(&set, "cyclops seagull subkrakens encyclopedia gulls archkraken").len(), 3);
}

#[test]
fn phrases_may_have_anything_between_their_words() {
    let set = words(&["sea witch"], &["the sea witch inn"]);
    for text in ["sea witch", "Sea-Witch", "seawitch", "sea\nwitch", "sea  w i t c h"] {
        assert_eq!(found(&set, text), [text], "{text}");
    }
    assert_eq!(found(&set, "seas witch"), [""; 0]);
    assert_eq!(found(&set, "at the Sea Witch Inn"), [""; 0]);
    assert_eq!(found(&set, "at the sea witch"), ["sea witch"]);
}

#[test]
fn repeats_count_only_where_they_are_drawn_out() {
    let set = words(&["kraken", "ass", "raped"], &[]);
    for text in ["kraaaken", "kkkraken", "krakennn", "assss", "aass"] {
        assert_eq!(found(&set, text), [text]);
    }
    for text in ["as", "aaas", "rapped"] {
        assert_eq!(found(&set, text), [""; 0], "{text}");
    }
}

#[test]
fn a_pattern_reads_both_forms() {
    let pattern = |pattern: &str| {
        Rule::Pattern(PatternRule { pattern: pattern.into(), ..PatternRule::default() })
    };
    let set = RuleSet::compile(&[pattern(r"\bsea\s+gulls?\b")]).unwrap();
    assert_eq!(found(&set, "The SEA gull, the ѕеа gulls"), ["SEA gull", "ѕеа gulls"]);
    let many = vec![pattern("a"); MOST_PATTERNS + 1];
    assert!(matches!(RuleSet::compile(&many), Err(RuleError::TooManyPatterns(101))));
    assert!(matches!(
        RuleSet::compile(&[pattern(&"a".repeat(261))]),
        Err(RuleError::LongPattern(..))
    ));
}

#[test]
fn limits_are_told_in_plain_words() {
    let of = |terms: Vec<String>| {
        RuleSet::compile(&[Rule::Words(WordRule { terms, ..WordRule::default() })])
            .unwrap_err()
            .to_string()
    };
    assert!(of(vec!["x".into()]).contains("fewer than two letters"));
    assert!(of(vec!["a*b".into()]).contains("remove it"));
    assert!(of(vec![]).contains("no terms"));
    assert!(of(vec!["ab".repeat(LONGEST_TERM)]).contains("shorten it"));
    assert!(of(vec!["ab".into(); MOST_TERMS + 3]).contains("remove 3"));
}
