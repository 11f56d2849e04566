//! Lines in a reply that belong to somebody else: the model spoke for another
//! participant.
//!
//! Stop strings find `\nMira:` alone. Models also write `**Mira:**`, `Mira (softly):`,
//! a name in other letters, or begin with it; so lines are compared by what they look
//! like, as people's own are ([`super::neutralise`]).

use super::neutralise::looks;

/// What may stand around a name that heads a line.
const DECORATION: [char; 9] = ['*', '_', '"', '\'', '[', '(', '>', '#', '-'];

/// The longest that somebody's manner is, in bytes: `(softly)`.
const MANNER: usize = 40;

/// Whether two names cannot be told apart by whoever reads them: neither in lookalikes of
/// other scripts nor by what nobody sees.
pub fn look_alike(one: &str, other: &str) -> bool {
    let other = looks(other.trim());
    looks(one.trim()).iter().any(|form| other.contains(form))
}

/// The other participants of a scene, whose lines a reply may not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherLines {
    /// Their names as they look.
    names: Vec<String>,
}

impl OtherLines {
    /// Those of these names, in a reply by `answering`: whoever looks like that cannot be told
    /// from them.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>, answering: &str) -> Self {
        let own = looks(answering.trim());
        let names = names.into_iter().flat_map(|name| looks(name.trim()));
        let names = names.filter(|name| !name.trim().is_empty() && !own.contains(name));
        Self { names: names.collect() }
    }

    /// Where the first line of another begins in a reply, in bytes.
    pub fn find(&self, reply: &str) -> Option<usize> {
        lines(reply).find(|(_, line)| self.judge(line) == Verdict::Theirs).map(|(at, _)| at)
    }

    /// Up to where a growing reply may be shown, in bytes: its last line may still become
    /// another's.
    pub fn held_from(&self, reply: &str) -> usize {
        let last = lines(reply).last();
        let held = last.filter(|(_, line)| self.judge(line) != Verdict::Own);
        held.map_or(reply.len(), |(at, _)| at)
    }

    fn judge(&self, line: &str) -> Verdict {
        // Most lines of most replies.
        if self.names.is_empty() {
            return Verdict::Own;
        }
        let verdicts = looks(line).into_iter().flat_map(|line| {
            self.names.iter().map(move |name| judge(&line, name)).collect::<Vec<_>>()
        });
        verdicts.max().unwrap_or(Verdict::Own)
    }
}

/// Whose a line is, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Own,
    /// More of it will tell.
    Open,
    Theirs,
}

/// Whose a line is that looks like this, to somebody whose name looks like that.
fn judge(line: &str, name: &str) -> Verdict {
    let bare = |c: char| c.is_whitespace() || DECORATION.contains(&c);
    let stripped = line.trim_start_matches(bare);
    [line.trim_start(), stripped].into_iter().map(|line| headed(line, name)).max().expect("two")
}

fn headed(line: &str, name: &str) -> Verdict {
    let Some(rest) = line.strip_prefix(name) else {
        return if name.starts_with(line) { Verdict::Open } else { Verdict::Own };
    };
    let closing = |c: char| c.is_whitespace() || "*_\"'])".contains(c);
    let mut rest = rest.trim_start_matches(closing);
    // How it is said.
    if let Some(inner) = rest.strip_prefix('(') {
        match inner.find(')') {
            Some(end) if end < MANNER => rest = inner[end + 1..].trim_start_matches(closing),
            None if inner.len() < MANNER => return Verdict::Open,
            _ => return Verdict::Own,
        }
    }
    match rest.chars().next() {
        None => Verdict::Open,
        Some(':') => Verdict::Theirs,
        Some(_) => Verdict::Own,
    }
}

/// Each line with where it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n').scan(0, |at, line| {
        let from = *at;
        *at += line.len() + 1;
        Some((from, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_alike() {
        for name in ["mira", " Mira ", "M\u{200b}ira", "М\u{456}ra", "\u{2066}Mira\u{2069}"] {
            assert!(look_alike(name, "Mira"), "{name:?}");
        }
        for name in ["Mara", "Mira Holt", ""] {
            assert!(!look_alike(name, "Mira"), "{name:?}");
        }
    }

    #[test]
    fn lines_of_others_are_found_in_any_dress() {
        let others = OtherLines::of(["Mira", "Ten Penny"], "Bo");
        for line in [
            "Mira: Yes.",
            "**Mira:** Yes.",
            "*Mira*: Yes.",
            "mira : yes",
            "Mira (softly): Yes.",
            "> Mira: Yes.",
            "М\u{456}ra: Yes.",
            "[Ten Penny]: No.",
            "“Ten Penny”： No.",
        ] {
            assert_eq!(others.find(line), Some(0), "{line}");
            let reply = format!("He waits.\n\n{line}");
            assert_eq!(others.find(&reply), Some(11), "{line}");
        }
    }

    #[test]
    fn lines_about_others_are_the_characters_own() {
        let others = OtherLines::of(["Mira", "Ten Penny"], "Bo");
        for reply in [
            "Mira looks up: nothing.",
            "He said to Mira: go.",
            "Miranda: a name he had heard.",
            "*Mira's hand*",
            "Ten people: all gone.",
            "",
        ] {
            assert_eq!(others.find(reply), None, "{reply}");
            assert_eq!(others.held_from(reply), reply.len(), "{reply}");
        }
        assert_eq!(OtherLines::default().find("Mira: Yes."), None);
    }

    #[test]
    fn a_line_is_held_until_it_is_known_whose_it_is() {
        let others = OtherLines::of(["Mira", "Bo"], "Bo");
        for (reply, shown) in [
            ("He waits.\nMi", "He waits.\n"),
            ("He waits.\n**Mira", "He waits.\n"),
            ("He waits.\nMira (sof", "He waits.\n"),
            ("He waits.\nMira laughs", "He waits.\nMira laughs"),
            ("Mir", ""),
            ("He waits.\nBo", "He waits.\nBo"),
        ] {
            assert_eq!(&reply[..others.held_from(reply)], shown, "{reply}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_may_be_shown_is_never_anothers(
            begin in "[*>(\\[\" ]{0,3}(Mira|Mir|Bo|ten penny)[ *)\\]\"]{0,2}",
            end in "(\\([a-z ]{0,60}\\)?)?[: a]{0,3}",
            before in "(Yes\\.\n)?",
        ) {
            let others = OtherLines::of(["Mira", "Ten Penny"], "Bo");
            let reply = format!("{before}{begin}{end}");
            let theirs = others.find(&reply);
            for end in 0..=reply.len() {
                let shown = others.held_from(&reply[..end]);
                proptest::prop_assert!(theirs.is_none_or(|at| shown <= at), "{:?}", &reply[..end]);
                if others.find(&reply[..end]).is_some() {
                    break;
                }
            }
        }
    }
}
