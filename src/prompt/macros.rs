//! The placeholders of the ecosystem's cards: `{{char}}`, `{{user}}` and the rest.
//!
//! Arguments may hold placeholders themselves; values never do: a name is put in
//! as it is, whatever it says. What is drawn by lot is drawn from the scene's
//! seed and the placeholder's place, so that it comes out the same in every
//! prompt. Unknown placeholders stay as they are.

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, FixedOffset};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;

/// Placeholders nested deeper than this stay as they are.
const MAX_DEPTH: usize = 16;
const MAX_DICE: u32 = 100;

/// What the placeholders of one text stand for.
#[derive(Debug, Clone, Copy)]
pub struct MacroContext<'a> {
    /// `{{char}}` and `<BOT>`.
    pub character: &'a str,
    /// `{{user}}` and `<USER>`.
    pub user: &'a str,
    /// `{{original}}`, where the text replaces one of ours.
    pub original: Option<&'a str>,
    /// What `{{time}}` and `{{date}}` say.
    pub now: DateTime<FixedOffset>,
    /// The scene's seed for `{{random}}`, `{{pick}}` and `{{roll}}`.
    pub seed: u64,
    /// Which text of the scene this is: texts draw apart from one another.
    pub place: &'a str,
}

/// Replaces the placeholders of a text, in any letter case:
///
/// | Placeholder | becomes |
/// |---|---|
/// | `{{char}}`, `<BOT>`, `<CHAR>`; `{{user}}`, `<USER>` | the names |
/// | `{{original}}` | the text that this one replaces |
/// | `{{random:a,b}}`, `{{pick:a,b}}` (also `::` between) | one of them |
/// | `{{roll:d20}}`, `{{roll:2d6+1}}`, `{{roll:20}}` | the sum of the dice |
/// | `{{time}}`, `{{date}}`, `{{weekday}}`, `{{isotime}}`, `{{isodate}}` | the time given |
/// | `{{newline}}`, `{{trim}}`, `{{reverse:abc}}` | a line break, none around it, `cba` |
/// | `{{// …}}`, `{{comment:…}}`, `{{hidden_key:…}}`, `{{noop}}` | nothing |
pub fn expand(text: &str, context: &MacroContext<'_>) -> String {
    let expander = Expander { text, pairs: pairs(text), context };
    let mut out = String::with_capacity(text.len());
    expander.expand(0..text.len(), 0, &mut out);
    out
}

/// Where each `{{` finds its `}}`, both as byte offsets.
fn pairs(text: &str) -> HashMap<usize, usize> {
    let bytes = text.as_bytes();
    let (mut open, mut pairs, mut at) = (Vec::new(), HashMap::new(), 0);
    while at < bytes.len() {
        match &bytes[at..] {
            // Of an odd run the last two open, so that `{{{char}}}` is a name in braces.
            [b'{', b'{', ..] => {
                let run = bytes[at..].iter().take_while(|byte| **byte == b'{').count();
                open.extend((at + run % 2..at + run).step_by(2));
                at += run;
            }
            [b'}', b'}', ..] => {
                if let Some(start) = open.pop() {
                    pairs.insert(start, at);
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
    pairs
}

/// Where the name in a placeholder's body ends: at its colon, its space in
/// `roll d20`, or at its end. `None` if no name is that long.
fn name_end(body: &str) -> Option<usize> {
    const LONGEST: usize = "hidden_key".len();
    let bytes = body.as_bytes();
    if bytes.len() > 4 && bytes[..5].eq_ignore_ascii_case(b"roll ") {
        return Some(4);
    }
    let colon = bytes.iter().take(LONGEST + 1).position(|byte| *byte == b':');
    colon.or_else(|| (bytes.len() <= LONGEST).then_some(bytes.len()))
}

struct Expander<'a> {
    text: &'a str,
    pairs: HashMap<usize, usize>,
    context: &'a MacroContext<'a>,
}

/// What a placeholder came to.
enum Outcome {
    /// It is none of ours.
    Unknown,
    /// Its value was appended.
    Replaced,
    /// It wants the line breaks around it gone.
    Trim,
}

impl Expander<'_> {
    /// Appends the expansion of a part of the text.
    fn expand(&self, part: Range<usize>, depth: usize, out: &mut String) {
        let (mut at, mut copied) = (part.start, part.start);
        while let Some(found) = self.text[at..part.end].find(['{', '<']) {
            at += found;
            let Some((body, end)) = self.placeholder(at, part.end) else {
                at += 1;
                continue;
            };
            out.push_str(&self.text[copied..at]);
            copied = at;
            match self.replace(body, depth, out) {
                Outcome::Unknown => {
                    at += 1;
                    continue;
                }
                Outcome::Replaced => at = end,
                Outcome::Trim => {
                    out.truncate(out.trim_end_matches(['\n', '\r']).len());
                    let after = &self.text[end..part.end];
                    at = part.end - after.trim_start_matches(['\n', '\r']).len();
                }
            }
            copied = at;
        }
        out.push_str(&self.text[copied..part.end]);
    }

    /// The placeholder that may begin here: its body, and where it ends.
    fn placeholder(&self, at: usize, end: usize) -> Option<(Range<usize>, usize)> {
        if let Some(&close) = self.pairs.get(&at) {
            return Some((at + 2..close, close + 2));
        }
        let rest = &self.text.as_bytes()[at..end];
        let len = rest.iter().take("<USER>".len()).position(|byte| *byte == b'>')? + 1;
        rest.starts_with(b"<").then_some((at..at + len, at + len))
    }

    /// Appends what one placeholder stands for; `body` is what its braces hold.
    fn replace(&self, body: Range<usize>, depth: usize, out: &mut String) -> Outcome {
        let text = &self.text[body.clone()];
        if text.trim_start().starts_with("//") {
            return Outcome::Replaced;
        }
        let Some(name_end) = name_end(text) else { return Outcome::Unknown };
        let name = text[..name_end].to_ascii_lowercase();
        let arguments = (body.start + name_end + 1).min(body.end)..body.end;
        let now = self.context.now;
        match name.as_str() {
            "char" | "<bot>" | "<char>" => out.push_str(self.context.character),
            "user" | "<user>" => out.push_str(self.context.user),
            "original" => match self.context.original {
                Some(original) => out.push_str(original),
                None => return Outcome::Unknown,
            },
            "time" => out.push_str(&now.format("%-I:%M %p").to_string()),
            "date" => out.push_str(&now.format("%B %-d, %Y").to_string()),
            "weekday" => out.push_str(&now.format("%A").to_string()),
            "isotime" => out.push_str(&now.format("%H:%M").to_string()),
            "isodate" => out.push_str(&now.format("%Y-%m-%d").to_string()),
            "newline" => out.push('\n'),
            "noop" | "comment" | "hidden_key" => {}
            "trim" => return Outcome::Trim,
            _ if depth >= MAX_DEPTH || arguments.is_empty() => return Outcome::Unknown,
            "random" | "pick" => self.pick(arguments, depth, out),
            "reverse" => {
                let mut inner = String::new();
                self.expand(arguments, depth + 1, &mut inner);
                out.extend(inner.graphemes(true).rev());
            }
            "roll" => match self.roll(&self.text[arguments.clone()], arguments.start) {
                Some(sum) => out.push_str(&sum.to_string()),
                None => return Outcome::Unknown,
            },
            _ => return Outcome::Unknown,
        }
        Outcome::Replaced
    }

    /// Appends one of the alternatives, which may hold placeholders.
    fn pick(&self, arguments: Range<usize>, depth: usize, out: &mut String) {
        let choices = self.alternatives(arguments.clone());
        let index = self.rng(arguments.start).random_range(0..choices.len());
        let choice = choices[index].clone();
        if self.text[choice.clone()].contains("\\,") {
            let mut inner = String::new();
            self.expand(choice, depth + 1, &mut inner);
            out.push_str(&inner.replace("\\,", ","));
        } else {
            self.expand(choice, depth + 1, out);
        }
    }

    /// The alternatives between commas, or between `::` where they begin with a
    /// colon; those of inner placeholders, and `\,`, do not count.
    fn alternatives(&self, arguments: Range<usize>) -> Vec<Range<usize>> {
        let text = &self.text[..arguments.end];
        let (mut start, separator) = match text[arguments.start..].strip_prefix(':') {
            Some(_) => (arguments.start + 1, "::"),
            None => (arguments.start, ","),
        };
        let (mut choices, mut at) = (Vec::new(), start);
        while at < arguments.end {
            let rest = &text.as_bytes()[at..];
            if let Some(close) = self.pairs.get(&at) {
                at = close + 2;
            } else if rest.starts_with(b"\\,") {
                at += 2;
            } else if rest.starts_with(separator.as_bytes()) {
                choices.push(self.trimmed(start..at));
                at += separator.len();
                start = at;
            } else {
                at += 1;
            }
        }
        choices.push(self.trimmed(start..arguments.end));
        choices
    }

    fn trimmed(&self, part: Range<usize>) -> Range<usize> {
        let text = &self.text[part.clone()];
        let start = part.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }

    /// The sum of `d20`, `20`, `2d6` or `2d6+1`.
    fn roll(&self, dice: &str, place: usize) -> Option<i64> {
        let dice = dice.trim().to_ascii_lowercase();
        let (dice, bonus) = match dice.find(['+', '-']) {
            Some(at) => (dice[..at].to_owned(), dice[at..].parse::<i32>().ok()?),
            None => (dice, 0),
        };
        let (count, sides) = dice.split_once('d').unwrap_or(("", &dice));
        let count = if count.is_empty() { 1 } else { count.parse().ok()? };
        let sides: u32 = sides.parse().ok()?;
        if count > MAX_DICE || sides == 0 {
            return None;
        }
        let mut rng = self.rng(place);
        let sum: i64 = (0..count).map(|_| i64::from(rng.random_range(1..=sides))).sum();
        Some(sum + i64::from(bonus))
    }

    /// The lots of one placeholder: the same in every prompt of the scene.
    fn rng(&self, at: usize) -> ChaCha8Rng {
        let lot = Sha256::new()
            .chain_update(self.context.seed.to_le_bytes())
            .chain_update((at as u64).to_le_bytes())
            .chain_update(self.context.place);
        ChaCha8Rng::from_seed(lot.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(seed: u64) -> MacroContext<'static> {
        let now = DateTime::parse_from_rfc3339("2026-11-23T16:05:00+01:00").unwrap();
        MacroContext { character: "Mira", user: "Ana", original: None, now, seed, place: "test" }
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
        assert_eq!(
            expanded("{{{char}}} {char} <b>bot</b> <BOTH>"),
            "{Mira} {char} <b>bot</b> <BOTH>"
        );
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
            (0..50)
                .map(|seed| expand(text, &context(seed)))
                .collect::<std::collections::BTreeSet<_>>()
        };
        let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        assert_eq!(drawn(r"{{random: {{pick:x,y}}, b\,c }}"), set(&["x", "y", "b,c"]));
        assert_eq!(drawn("{{random::a, b::{{char}}}}"), set(&["a, b", "Mira"]));
        assert_eq!(drawn("{{random:a,}}"), set(&["a", ""]));
    }

    #[test]
    fn time_and_the_small_ones() {
        assert_eq!(
            expanded("{{time}}, {{date}}, {{weekday}}"),
            "4:05 PM, November 23, 2026, Monday"
        );
        assert_eq!(expanded("{{isodate}} {{isotime}}"), "2026-11-23 16:05");
        assert_eq!(
            expanded("a{{newline}}b{{// a {{char}} note }}c{{comment: x}}{{noop}}"),
            "a\nbc"
        );
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
}
