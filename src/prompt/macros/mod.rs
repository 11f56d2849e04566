//! The placeholders of the ecosystem's cards: `{{char}}`, `{{user}}` and the rest.
//!
//! Arguments may hold placeholders themselves; values never do: a name is put in
//! as it is, whatever it says. What is drawn by lot is drawn from the scene's
//! seed and the placeholder's place, so that it comes out the same in every
//! prompt. Unknown placeholders stay as they are.

mod clock;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, FixedOffset, TimeDelta};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::Dice;

/// Placeholders nested deeper than this stay as they are.
const MAX_DEPTH: usize = 16;
/// What the story's texts may add to one text; what would be more stays as it is.
const MAX_STORY_BYTES: usize = 256 * 1024;

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
    /// What of the story can be put in.
    pub story: StoryMacros<'a>,
}

/// What of a story its texts can quote; a placeholder for what is absent stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoryMacros<'a> {
    /// `{{group}}` and `{{charIfNotGroup}}`: everyone in the cast.
    pub group: Option<&'a str>,
    /// `{{description}}`.
    pub description: Option<&'a str>,
    /// `{{personality}}`.
    pub personality: Option<&'a str>,
    /// `{{scenario}}`.
    pub scenario: Option<&'a str>,
    /// `{{persona}}`.
    pub persona: Option<&'a str>,
    /// `{{mesExamples}}`.
    pub examples: Option<&'a str>,
    /// `{{lastMessage}}`.
    pub last_message: Option<&'a str>,
    /// `{{lastUserMessage}}`, and `{{input}}`, since nothing is being typed here.
    pub last_user_message: Option<&'a str>,
    /// `{{lastCharMessage}}`.
    pub last_character_message: Option<&'a str>,
    /// `{{idle_duration}}`: since a person spoke last.
    pub idle: Option<TimeDelta>,
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
/// | `{{time_UTC+2}}`, `{{datetimeformat DD.MM.YYYY HH:mm}}` | the same elsewhere, or in other words |
/// | `{{idle_duration}}` | how long nobody has spoken, in words |
/// | `{{group}}`, `{{charIfNotGroup}}`, `<GROUP>`, `<CHARIFNOTGROUP>` | everyone in the cast |
/// | `{{description}}`, `{{personality}}`, `{{scenario}}`, `{{persona}}`, `{{mesExamples}}` | those texts |
/// | `{{lastMessage}}`, `{{lastUserMessage}}`, `{{input}}`, `{{lastCharMessage}}` | what was said |
/// | `{{newline}}`, `{{trim}}`, `{{reverse:abc}}` | a line break, none around it, `cba` |
/// | `{{// …}}`, `{{comment:…}}`, `{{hidden_key:…}}`, `{{banned "…"}}`, `{{noop}}` | nothing |
pub fn expand(text: &str, context: &MacroContext<'_>) -> String {
    let story_bytes = Cell::new(MAX_STORY_BYTES);
    let expander = Expander { text, pairs: pairs(text), context, story_bytes };
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

/// Where the name in a placeholder's body ends: at its colon, its space in `roll d20`,
/// or at its end. `None` if no name is that long.
fn name_end(body: &str) -> Option<usize> {
    const LONGEST: usize = "lastUserMessage".len();
    const SPACED: [&str; 3] = ["roll ", "datetimeformat ", "banned "];
    let bytes = body.as_bytes();
    let begins = |word: &&str| {
        let begun = bytes.get(..word.len());
        begun.is_some_and(|begun| begun.eq_ignore_ascii_case(word.as_bytes()))
    };
    if let Some(word) = SPACED.iter().find(|word| begins(word)) {
        return Some(word.len() - 1);
    }
    let colon = bytes.iter().take(LONGEST + 2).position(|byte| *byte == b':');
    colon.or_else(|| (bytes.len() <= LONGEST).then_some(bytes.len()))
}

struct Expander<'a> {
    text: &'a str,
    pairs: HashMap<usize, usize>,
    context: &'a MacroContext<'a>,
    /// What the story's texts may still add.
    story_bytes: Cell<usize>,
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
        let len = rest.iter().take("<CHARIFNOTGROUP>".len()).position(|byte| *byte == b'>')? + 1;
        rest.starts_with(b"<").then_some((at..at + len, at + len))
    }

    /// Appends what one placeholder stands for; `body` is what its braces hold.
    fn replace(&self, body: Range<usize>, depth: usize, out: &mut String) -> Outcome {
        let text = &self.text[body.clone()];
        if text.trim_start().starts_with("//") {
            return Outcome::Replaced;
        }
        let Some(name_end) = name_end(text) else { return Outcome::Unknown };
        let name = text[..name_end].trim_end().to_ascii_lowercase();
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
            "noop" | "comment" | "hidden_key" | "banned" => {}
            "trim" => return Outcome::Trim,
            "idle_duration" => match self.context.story.idle {
                Some(idle) => out.push_str(&clock::in_words(idle)),
                None => return Outcome::Unknown,
            },
            name if name.starts_with("time_utc") => {
                match clock::offset(&name["time_utc".len()..]) {
                    Some(offset) => {
                        let there = now.with_timezone(&offset);
                        out.push_str(&there.format("%-I:%M %p").to_string());
                    }
                    None => return Outcome::Unknown,
                }
            }
            name if let Some(text) = self.story(name) => match self.spend(text.len()) {
                true => out.push_str(text),
                false => return Outcome::Unknown,
            },
            _ if depth >= MAX_DEPTH || arguments.is_empty() => return Outcome::Unknown,
            "datetimeformat" => clock::format(now, &self.text[arguments], out),
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

    /// What of the story a name stands for.
    fn story(&self, name: &str) -> Option<&str> {
        let story = &self.context.story;
        match name {
            "group" | "<group>" | "charifnotgroup" | "<charifnotgroup>" => story.group,
            "description" => story.description,
            "personality" => story.personality,
            "scenario" => story.scenario,
            "persona" => story.persona,
            "mesexamples" => story.examples,
            "lastmessage" => story.last_message,
            "lastusermessage" | "input" => story.last_user_message,
            "lastcharmessage" => story.last_character_message,
            _ => None,
        }
    }

    /// Whether so much of the story may still be put in; then it counts as put in.
    fn spend(&self, num_bytes: usize) -> bool {
        let left = self.story_bytes.get().checked_sub(num_bytes);
        left.map(|left| self.story_bytes.set(left)).is_some()
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

    /// What dice come to, in the writing of [`Dice`].
    fn roll(&self, dice: &str, place: usize) -> Option<i64> {
        let dice: Dice = dice.parse().ok()?;
        Some(dice.roll(&mut self.rng(place)).total())
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
