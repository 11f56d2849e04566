use super::*;

fn context(seed: u64) -> MacroContext<'static> {
    let now = DateTime::parse_from_rfc3339("2026-11-23T16:05:00+01:00").unwrap();
    let story = StoryMacros {
        group: Some("Mira and Bo"),
        description: Some("{{char}} is a smith."),
        last_user_message: Some("Hi."),
        idle: Some(TimeDelta::minutes(5)),
        ..StoryMacros::default()
    };
    MacroContext { character: "Mira", user: "Ana", original: None, now, seed, place: "test", story }
}

fn expanded(text: &str) -> String {
    expand(text, &context(7))
}

#[test]
fn names_in_any_case_and_both_spellings() {
    assert_eq!(
        expanded("{{char}} {{Char}} <BOT> <bot> {{USER}} <User>"),
        "Mira Mira Mira Mira Ana Ana"
    );
    assert_eq!(expanded("{{{char}}} {char} <b>bot</b> <BOTH>"), "{Mira} {char} <b>bot</b> <BOTH>");
}

#[test]
fn values_are_never_expanded_again() {
    let sly = MacroContext { character: "{{user}}", user: "{{char}},<BOT>", ..context(7) };
    assert_eq!(expand("{{char}} and {{user}}", &sly), "{{user}} and {{char}},<BOT>");
    assert_eq!(expand("{{random:{{user}}}}", &sly), "{{char}},<BOT>");
}

#[test]
fn the_unknown_and_the_unclosed_stay() {
    for text in [
        "{{unknown}}",
        "{{unknown:{{}}",
        "{{char",
        "}}{{",
        "{{original}}",
        "{{roll:x}}",
        "{{}}",
        "<",
        "a < b > c",
        "{{random}}",
    ] {
        assert_eq!(expanded(text), text);
    }
    assert_eq!(expanded("{{unknown:{{char}}}}"), "{{unknown:Mira}}");
}

#[test]
fn original_stands_where_there_is_one() {
    let with = MacroContext { original: Some("Ours."), ..context(7) };
    assert_eq!(expand("{{original}} Theirs.", &with), "Ours. Theirs.");
}

#[test]
fn lots_are_stable_within_a_scene_and_differ_between_scenes() {
    let text = "{{random:a,b,c,d}}{{pick::a::b::c::d}}{{roll:d1000}} {{roll:3d6+2}}";
    assert_eq!(expand(text, &context(1)), expand(text, &context(1)));
    let all: std::collections::BTreeSet<_> =
        (0..20).map(|seed| expand(text, &context(seed))).collect();
    assert!(all.len() > 15, "{all:?}");
    for seed in 0..100 {
        let sum: i64 = expand("{{roll:3d6+2}}", &context(seed)).parse().unwrap();
        assert!((5..=20).contains(&sum), "{sum}");
    }
    let elsewhere = MacroContext { place: "elsewhere", ..context(1) };
    assert_ne!(expand(text, &context(1)), expand(text, &elsewhere));
}

#[test]
fn alternatives_keep_inner_placeholders_and_escaped_commas_whole() {
    let drawn = |text: &str| {
        (0..50).map(|seed| expand(text, &context(seed))).collect::<std::collections::BTreeSet<_>>()
    };
    let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    assert_eq!(drawn(r"{{random: {{pick:x,y}}, b\,c }}"), set(&["x", "y", "b,c"]));
    assert_eq!(drawn("{{random::a, b::{{char}}}}"), set(&["a, b", "Mira"]));
    assert_eq!(drawn("{{random:a,}}"), set(&["a", ""]));
}

#[test]
fn time_and_the_small_ones() {
    assert_eq!(expanded("{{time}}, {{date}}, {{weekday}}"), "4:05 PM, November 23, 2026, Monday");
    assert_eq!(expanded("{{isodate}} {{isotime}}"), "2026-11-23 16:05");
    assert_eq!(expanded("a{{newline}}b{{// a {{char}} note }}c{{comment: x}}{{noop}}"), "a\nbc");
    assert_eq!(expanded("a\n\n{{trim}}\n\nb"), "ab");
    assert_eq!(expanded("{{reverse:{{char}}!}}"), "!ariM");
}

#[test]
fn hostile_nesting_takes_linear_time() {
    let deep = format!("{}{}", "{{random:".repeat(20_000), "}}".repeat(20_000));
    assert!(expanded(&deep).len() <= deep.len());
    let open = "{{".repeat(100_000) + &"<".repeat(100_000);
    assert_eq!(expanded(&open), open);
}

#[test]
fn the_story_can_be_quoted() {
    assert_eq!(
        expanded(
            "{{group}}|{{charIfNotGroup}}|<GROUP>|{{Description}}|{{input}}|{{idle_duration}}"
        ),
        "Mira and Bo|Mira and Bo|Mira and Bo|{{char}} is a smith.|Hi.|5 minutes"
    );
    for absent in ["{{persona}}", "{{lastMessage}}", "{{time_UTC}}", "{{time_UTC+99}}"] {
        assert_eq!(expanded(absent), absent);
    }
    assert_eq!(expanded("{{time_UTC-5}} {{datetimeformat HH:mm}}"), "10:05 AM 16:05");
    assert_eq!(expanded("a{{banned \"very\"}}b{{random :x}}"), "abx");
}

#[test]
fn a_text_that_quotes_without_end_is_bounded() {
    let description = "x".repeat(100_000);
    let story = StoryMacros { description: Some(&description), ..StoryMacros::default() };
    let text = "{{description}}".repeat(1_000);
    let expanded = expand(&text, &MacroContext { story, ..context(7) });
    assert!(expanded.len() <= text.len() + MAX_STORY_BYTES, "{}", expanded.len());
    assert!(expanded.ends_with("{{description}}"));
}
