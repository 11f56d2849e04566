//! What leads to somebody, beside names: mentions, addresses, links and numbers become
//! words that lead nowhere.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize;

/// How often something was replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Names of people.
    pub names: usize,
    /// Mentions of people, roles and channels.
    pub mentions: usize,
    /// Links.
    pub links: usize,
    /// E-mail addresses.
    pub addresses: usize,
    /// Numbers such as those of telephones, and long ids.
    pub numbers: usize,
}

impl Replaced {
    pub(super) fn add(&mut self, other: Self) {
        self.names += other.names;
        self.mentions += other.mentions;
        self.links += other.links;
        self.addresses += other.addresses;
        self.numbers += other.numbers;
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is constant and valid")
}

/// Discord's marks: people, roles, channels, commands, emojis, times.
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"<(?:@!?(?<person>[^\s<>&!]{1,64})|(?<role>@&\d+)|(?<channel>#\d+)|(?<command>/[^<>:\n]{1,100}:\d+)|a?:(?<emoji>\w{1,64}):\d+|(?<time>t:-?\d+(?::\w)?))>",
    )
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+"));
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i)(?:[a-z][a-z0-9+.-]{1,20}://|\bwww\.\w|\bdiscord\.gg/)[^\s<>"')\]]+"#)
});
/// Digits in groups, seven at least, as people write telephone numbers; or many in a row.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\+?\(?\d(?:[ ()./-]{0,2}\d){6,}"));

/// The text with neutral words. `person` names those who are mentioned by their id.
pub(super) fn scrub<'t>(
    text: &'t str,
    person: impl Fn(&str) -> Option<String>,
    replaced: &mut Replaced,
) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    replace(&mut text, &MENTION, &mut replaced.mentions, |found| {
        if let Some(id) = found.name("person") {
            return person(id.as_str()).unwrap_or_else(|| "somebody".to_owned());
        }
        if let Some(emoji) = found.name("emoji") {
            return format!(":{}:", emoji.as_str());
        }
        let words = [("role", "everybody"), ("channel", "a channel"), ("command", "a command")];
        let word = words.iter().find(|(group, _)| found.name(group).is_some());
        word.map_or("a time", |(_, word)| word).to_owned()
    });
    replace(&mut text, &LINK, &mut replaced.links, |_| "a link".to_owned());
    replace(&mut text, &ADDRESS, &mut replaced.addresses, |_| "an address".to_owned());
    replace(&mut text, &NUMBER, &mut replaced.numbers, |_| "a number".to_owned());
    text
}

fn replace(
    text: &mut Cow<'_, str>,
    pattern: &Regex,
    count: &mut usize,
    word: impl Fn(&Captures<'_>) -> String,
) {
    let mut found = 0;
    let replaced = pattern.replace_all(text, |captures: &Captures<'_>| {
        found += 1;
        word(captures)
    });
    if let Cow::Owned(replaced) = replaced {
        *text = Cow::Owned(replaced);
    }
    *count += found;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(text: &str) -> String {
        let person = |id: &str| (id == "42").then(|| "Robin".to_owned());
        scrub(text, person, &mut Replaced::default()).into_owned()
    }

    #[test]
    fn what_leads_to_somebody_becomes_a_neutral_word() {
        for (text, wanted) in [
            ("Ask <@42> or <@!7>.", "Ask Robin or somebody."),
            ("In <#123>, <@&9> waits <t:1700000000:R>.", "In a channel, everybody waits a time."),
            ("</scene start:12> <a:fox:34>", "a command :fox:"),
            ("See https://a.example/x?y=1 and www.b.example.", "See a link and a link"),
            ("Join DISCORD.GG/abc (http://x.y)", "Join a link (a link)"),
            ("Write to ann.lee+rp@mail.example.org!", "Write to an address!"),
            ("Call +49 (0)30 123 45-67 or 555-123-4567.", "Call a number or a number."),
            ("id 123456789012345678", "id a number"),
        ] {
            assert_eq!(scrubbed(text), wanted);
        }
    }

    #[test]
    fn stories_stay_as_they_are() {
        for text in [
            "In 1914, 300 men.",
            "It cost 1,250,000 crowns.",
            "12:30, room 4711",
            "a < b > c",
            "x@y",
        ] {
            assert_eq!(scrubbed(text), text);
        }
    }

    #[test]
    fn everything_is_counted() {
        let mut replaced = Replaced::default();
        scrub("<@1> <#2> a@b.c https://d 0301234567", |_| None, &mut replaced);
        let wanted = Replaced { names: 0, mentions: 2, links: 1, addresses: 1, numbers: 1 };
        assert_eq!(replaced, wanted);
    }
}
