//! Names that Discord lets a webhook speak under, and other short texts.
//!
//! Discord's documentation, "Usernames and Nicknames" and "Create Webhook": 1 to
//! 80 characters, trimmed, without needless white space and without some
//! zero-width characters; not `@`, `#`, `:`, three backticks, `discord` or `clyde`
//! anywhere, in any case; not `everyone` or `here`; other rules are not told. So
//! lookalikes count as the letters they stand for, and one name more that is
//! refused in practice, `system message`, is avoided too. So are those of whom people
//! take orders: no character is called `Moderator`.
//!
//! What is refused gets a middle dot, where people see it: `Clyde` is shown as
//! `Cl·yde`, `Unit:7` as `Unit·7`. An invisible change would be a disguise.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;
use unicode_segmentation::UnicodeSegmentation;

/// The longest name of a webhook.
const MAX_WEBHOOK_NAME: usize = 80;

/// The longest name of a channel, thread or forum post.
const MAX_THREAD_NAME: usize = 100;

/// The longest name of a choice that completes an option.
const MAX_CHOICE: usize = 100;

/// Words that no name of a webhook may hold.
const FORBIDDEN_WITHIN: [&str; 2] = ["clyde", "discord"];

/// Words that no name of a webhook may be.
const FORBIDDEN_WHOLE: [&str; 9] = [
    "everyone",
    "here",
    "system message",
    "system",
    "admin",
    "administrator",
    "moderator",
    "mod",
    "staff",
];

/// What is put where a name would be refused.
const MARK: char = '·';

/// A name as a webhook can carry it; never empty.
pub(super) fn webhook_name(name: &str) -> String {
    let plain: String = visible_line(name).chars().map(without_signs).collect();
    let broken = break_forbidden(&plain);
    let says_something = |c: char| !c.is_whitespace() && c != MARK && !is_combining_mark(c);
    let name = if broken.chars().any(says_something) { broken } else { "Character".to_owned() };
    cut(&name, MAX_WEBHOOK_NAME)
}

/// A title as a thread can carry it; never empty.
pub(super) fn thread_name(text: &str) -> String {
    line(text, MAX_THREAD_NAME, "Scene")
}

/// A text for a choice that completes an option; never empty.
pub(super) fn choice(text: &str) -> String {
    line(text, MAX_CHOICE, "…")
}

/// One visible line of at most `limit` characters.
pub(super) fn line(text: &str, limit: usize, otherwise: &str) -> String {
    match visible_line(text) {
        line if line.chars().all(is_combining_mark) => otherwise.to_owned(),
        line => cut(&line, limit),
    }
}

/// How long Discord may take a text for: it counts characters, some clients count
/// units of UTF-16, which are never fewer.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text on one line: no control, bidi and zero-width characters, single
/// spaces, none at the ends.
fn visible_line(text: &str) -> String {
    let shown = |c: char| match c {
        // The blank of Braille is white space that Unicode calls a symbol.
        '\u{2800}' => Some(' '),
        c if c.is_whitespace() || c.is_control() => Some(' '),
        c if is_invisible(c) => None,
        c => Some(c),
    };
    let shown: String = text.chars().filter_map(shown).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bidi controls, and what UTS 39's skeleton drops: Default_Ignorable_Code_Point.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || (!c.is_ascii() && skeleton(c.encode_utf8(&mut [0; 4])).next().is_none())
}

/// The signs that names may not hold become marks, in all their forms.
fn without_signs(c: char) -> char {
    let is_sign = |part| matches!(part, '@' | '#' | ':');
    match c {
        '`' => '\'',
        c if std::iter::once(c).nfkd().any(is_sign) => MARK,
        c => c,
    }
}

/// Puts a mark into the middle of every forbidden word.
fn break_forbidden(name: &str) -> String {
    let mut name = name.to_owned();
    while let Some(at) = middle_of_forbidden(&name) {
        name.insert(at, MARK);
    }
    name
}

/// The byte in the middle of a word that must not be there; before a character.
fn middle_of_forbidden(name: &str) -> Option<usize> {
    [false, true].into_iter().find_map(|lower_first| {
        let folded = Folded::new(name, lower_first);
        let within = FORBIDDEN_WITHIN.into_iter().find_map(|word| {
            let word = Folded::new(word, true).text;
            folded.text.find(&word).map(|at| at..at + word.len())
        });
        let whole = FORBIDDEN_WHOLE.into_iter().find_map(|word| {
            let word = Folded::new(word, true).text;
            (folded.text == word).then_some(0..word.len())
        });
        let found = within.or(whole)?;
        Some(folded.origins[found.start + (found.end - found.start) / 2])
    })
}

/// A text as its letters look, with the byte that each byte came from.
struct Folded {
    text: String,
    origins: Vec<usize>,
}

impl Folded {
    fn new(text: &str, lower_first: bool) -> Self {
        let mut folded = Self { text: String::new(), origins: Vec::new() };
        for (at, c) in text.char_indices() {
            let lowered: String =
                if lower_first { c.to_lowercase().collect() } else { c.to_string() };
            let decomposed: String = lowered.nfkd().filter(|c| !is_combining_mark(*c)).collect();
            for prototype in skeleton(&decomposed).filter(|c| !is_combining_mark(*c)) {
                prototype.to_lowercase().for_each(|c| folded.push(lookalike(c), at));
            }
        }
        folded
    }

    fn push(&mut self, c: char, origin: usize) {
        self.text.push(c);
        self.origins.resize(self.text.len(), origin);
    }
}

/// ASCII has lookalikes of its own.
fn lookalike(c: char) -> char {
    match c {
        'l' | '1' | '|' => 'i',
        '0' => 'o',
        c => c,
    }
}

/// At most `limit` characters, an ellipsis included where something went; never
/// inside a grapheme.
fn cut(text: &str, limit: usize) -> String {
    if length(text) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = limit - 1;
    for grapheme in text.graphemes(true) {
        let Some(rest) = room.checked_sub(length(grapheme)) else { break };
        room = rest;
        kept.push_str(grapheme);
    }
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_names_stay() {
        for name in ["Maren Holt", "Élodie", "ドラ", "🦊 Fox", "O’Neill, Jr.", "R2-D2", "Heremod"]
        {
            assert_eq!(webhook_name(name), name);
        }
    }

    #[test]
    fn refused_names_are_changed_where_it_is_seen() {
        let cases = [
            ("Clyde", "Cl·yde"),
            ("mcCLYDEson", "mcCL·YDEson"),
            ("Сlуdе", "Сl·уdе"),
            ("CIyde", "CI·yde"),
            ("𝓒𝓵𝔂𝓭𝓮", "𝓒𝓵·𝔂𝓭𝓮"),
            ("C\u{200b}lyde", "Cl·yde"),
            ("Çlÿdé", "Çl·ÿdé"),
            ("Discord Clyde", "Dis·cord Cl·yde"),
            ("everyone", "ever·yone"),
            (" Here ", "He·re"),
            ("System  Message", "System ·Message"),
            ("M\u{200b}oderator", "Mode·rator"),
            ("АDMIN", "АD·MIN"),
            ("Staff", "St·aff"),
            ("Unit:7 @home #1", "Unit·7 ·home ·1"),
            ("＠home", "·home"),
            ("```Ada```", "'''Ada'''"),
            ("\u{202e}nibor", "nibor"),
            ("  a \n\t b  ", "a b"),
            ("@#:", "Character"),
            ("", "Character"),
            ("\u{200d}\u{2800}\u{3164}", "Character"),
        ];
        for (name, expected) in cases {
            assert_eq!(webhook_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_graphemes() {
        let flags = "🇩🇪".repeat(40);
        assert_eq!(webhook_name(&flags), format!("{}…", "🇩🇪".repeat(19)));
        assert_eq!(thread_name(&"word ".repeat(30)).chars().count(), 100);
        assert_eq!(thread_name(" \n "), "Scene");
        assert_eq!(choice("a\nb"), "a b");
        assert_eq!(choice(&"x".repeat(101)), format!("{}…", "x".repeat(99)));
    }

    fn assert_fits(text: &str, limit: usize) {
        assert!((1..=limit).contains(&length(text)), "{text:?}");
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), text);
        assert!(!text.chars().any(|c| c.is_control() || is_invisible(c)), "{text:?}");
    }

    /// Names that try: forbidden words in pieces, in disguise, among others.
    fn name() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "clyde",
            "CLYDE",
            "cl",
            "yde",
            "dis",
            "cord",
            "Discord",
            "here",
            "everyone",
            "·",
            "@",
            "`",
            ":",
            "#",
            " ",
            "\u{200b}",
            "\u{301}",
            "с",
            "Ⅼ",
            "ℓ",
            "𝓎",
            "👩‍👩‍👧",
            "1",
            "I",
            "x",
        ]);
        prop_oneof![
            proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat()),
            "\\PC{0,120}",
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn every_name_can_be_carried(name in name()) {
            let shown = webhook_name(&name);
            assert_fits(&shown, MAX_WEBHOOK_NAME);
            let lower = shown.to_lowercase();
            prop_assert!(!FORBIDDEN_WITHIN.iter().any(|word| lower.contains(word)));
            prop_assert!(!FORBIDDEN_WHOLE.contains(&lower.as_str()));
            prop_assert!(!shown.contains(['@', '#', ':', '`']));
            prop_assert_eq!(middle_of_forbidden(&shown), None);
            prop_assert_eq!(webhook_name(&shown), shown, "twice is once");
        }

        #[test]
        fn every_line_fits(text in any::<String>()) {
            assert_fits(&thread_name(&text), MAX_THREAD_NAME);
            assert_fits(&choice(&text), MAX_CHOICE);
        }
    }
}
