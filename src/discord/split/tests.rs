//! What every text keeps when it is cut, and a few texts to look at.

use std::collections::BTreeSet;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::markdown::Kind;
use super::*;

fn without_space(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Every visible letter with what is done to it; marks are left out.
fn styled(text: &str) -> Vec<(char, BTreeSet<Kind>, String)> {
    let markdown = markdown::parse(text);
    let marks: Vec<Range<usize>> = markdown
        .spans
        .iter()
        .flat_map(|span| [span.opener.clone(), span.closer.clone()])
        .chain(markdown.lines.iter().cloned())
        .collect();
    let style = |(at, c): (usize, char)| {
        let is_mark = marks.iter().any(|mark| mark.contains(&at));
        let kinds =
            markdown.spans.iter().filter(|span| (span.opener.end..span.closer.start).contains(&at));
        let line = markdown.line_at(text, at);
        let shown = !c.is_whitespace() && !is_mark;
        shown.then(|| (c, kinds.map(|span| span.kind).collect(), line))
    };
    text.char_indices().filter_map(style).collect()
}

/// The letters whose look changes when the text is cut.
fn assert_looks_alike(text: &str, limit: usize) {
    let parts = split(text, limit);
    let together: Vec<_> = parts.iter().flat_map(|part| styled(part)).collect();
    let whole = styled(text);
    let same = together.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    let (shown, meant) = (together.get(same), whole.get(same));
    assert_eq!(shown, meant, "letter {same}, {text:?} in {parts:?}");
}

/// Prose with formatting that is closed where it should be.
fn prose() -> impl Strategy<Value = String> {
    let word = "[a-z]{1,9}[,.!?]?";
    let words = proptest::collection::vec(word, 1..12).prop_map(|words| words.join(" "));
    let run = (words, 0..12usize).prop_map(|(words, style)| match style {
        0 => format!("*{words}*"),
        1 => format!("**{words}**"),
        2 => format!("_{words}_"),
        3 => format!("__{words}__"),
        4 => format!("~~{words}~~"),
        5 => format!("||{words}||"),
        6 => format!("***{words}***"),
        7 => format!("**{words} *{words}* {words}**"),
        8 => format!("`{words}`"),
        _ => words,
    });
    let line = proptest::collection::vec(run, 1..5).prop_map(|runs| runs.join(" "));
    let block = (line, 0..9usize).prop_map(|(line, block)| match block {
        0 => format!("> {line}"),
        1 => format!("# {line}"),
        2 => format!("-# {line}"),
        3 => format!("```rust\n{}\n```", line.replace(' ', "\n  ")),
        4 => format!("> {line}\n> {line}"),
        _ => line,
    });
    proptest::collection::vec(block, 1..7).prop_map(|blocks| blocks.join("\n\n"))
}

/// Anything, with much that could be taken for formatting.
fn anything() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "*",
        "**",
        "***",
        "_",
        "__",
        "~~",
        "||",
        "`",
        "``",
        "```",
        "```rs\n",
        "> ",
        ">>> ",
        "# ",
        "-# ",
        "\\",
        "\n",
        "\n\n",
        " ",
        "word",
        "Long. ",
        "don’t",
        "https://a.b/c_d_e ",
        "👩‍👩‍👧",
        "🇩🇪",
        "e\u{301}",
        "\u{301}",
        "漢字かな。",
        "สวัสดี",
        "\u{200b}",
        "\t",
        "1. ",
        "- ",
        "…",
    ]);
    prop_oneof![
        3 => proptest::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        1 => prose(),
    ]
}

fn assert_holds(text: &str, limit: usize) {
    let parts = split(text, limit);
    assert_eq!(parts, split(text, limit), "the same again");
    for part in &parts {
        assert!(length(part) <= limit, "{} of {limit}: {part:?}", length(part));
        assert!(!part.trim().is_empty() && part.trim() == part, "{part:?}");
    }
    let pieces = pieces(text, limit);
    let kept: String = pieces
        .iter()
        .flat_map(|piece| [piece.own_line.clone(), piece.body.clone()])
        .map(|range| &text[range])
        .collect();
    assert_eq!(without_space(&kept), without_space(text));
}

proptest! {
    #[test]
    fn every_text_fits_and_nothing_is_lost(text in anything(), limit in 16usize..300) {
        assert_holds(&text, limit);
    }

    #[test]
    fn graphemes_stay_whole(text in anything(), limit in 64usize..300) {
        let borders: BTreeSet<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
        for piece in pieces(&text, limit).iter().skip(1) {
            let at = piece.own_line.start;
            let between = text[..at].ends_with(char::is_whitespace);
            prop_assert!(between || borders.contains(&at), "{:?}", &text[at..]);
        }
    }

    #[test]
    fn words_stay_whole(text in prose(), limit in 60usize..300) {
        for piece in pieces(&text, limit).iter().skip(1) {
            let before = &text[..piece.own_line.start];
            prop_assert!(before.ends_with(char::is_whitespace), "{before:?}");
        }
    }

    #[test]
    fn prose_looks_as_it_did(text in prose(), limit in 120usize..400) {
        assert_looks_alike(&text, limit);
    }

    #[test]
    fn previews_fit(text in anything(), limit in 16usize..300) {
        let shown = preview(&text, limit);
        prop_assert!(length(&shown) <= limit && shown.ends_with('…'));
    }
}

// A text for each of its beginnings: fewer of them.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn growing_leaves_earlier_parts_where_they_are(text in anything(), limit in 16usize..200) {
        let all = cut::ranges(&text, limit, budget(limit));
        for (at, _) in text.char_indices() {
            let so_far = cut::ranges(&text[..at], limit, budget(limit));
            let settled = so_far.len().saturating_sub(1);
            prop_assert_eq!(&so_far[..settled], &all[..settled], "{:?}", &text[..at]);
        }
    }

    #[test]
    fn prose_grows_without_a_change_of_earlier_parts(text in prose(), limit in 120usize..300) {
        let all = split(&text, limit);
        for (at, _) in text.char_indices() {
            let so_far = split(&text[..at], limit);
            let markdown = markdown::parse_unfinished(&text[..at]);
            // A pair whose end is still to come is not known to be one.
            let is_open = |span: &Span| span.closer.is_empty();
            let is_half = text[..at].ends_with(cut::is_mark);
            if !is_half && !markdown.spans.iter().any(is_open) {
                let settled = so_far.len().saturating_sub(1);
                prop_assert_eq!(&so_far[..settled], &all[..settled], "{:?}", &text[..at]);
            }
        }
    }

    #[test]
    fn previews_of_prose_show_no_marks(text in prose(), limit in 120usize..300) {
        for (at, _) in text.char_indices() {
            let shown = preview(&text[..at], limit);
            let code = BTreeSet::from([Kind::Code, Kind::DoubleCode, Kind::Fence]);
            let is_stray = |(c, kinds, _): &(char, BTreeSet<Kind>, String)| {
                cut::is_mark(*c) && kinds.is_disjoint(&code)
            };
            let stray: Vec<_> = styled(&shown).into_iter().filter(is_stray).collect();
            prop_assert!(stray.is_empty(), "{shown:?}");
        }
    }
}

fn parts(text: &str, limit: usize) -> String {
    split(text, limit).join("\n-----\n")
}

#[test]
fn a_text_that_fits_is_one_part() {
    assert_eq!(split("  Hello *there*\n", MAX_MESSAGE), ["Hello *there*"]);
    assert_eq!(split(" \n ", MAX_MESSAGE), Vec::<String>::new());
    assert_eq!(split(&"x".repeat(2_000), MAX_MESSAGE).len(), 1);
    assert_eq!(split(&"🦊".repeat(1_001), MAX_MESSAGE).len(), 2, "two units each");
}

#[test]
fn parts_end_where_something_ends() {
    let text = "The rain had not stopped for days. Nobody minded.\n\n\
                “Come in,” she said. “You are late, and the soup is getting cold in here.”";
    insta::assert_snapshot!(parts(text, 80), @r"
    The rain had not stopped for days. Nobody minded.
    -----
    “Come in,” she said.
    -----
    “You are late, and the soup is getting cold in here.”
    ");
    let text = "One sentence that is long enough. Another one that goes on and on without an end";
    insta::assert_snapshot!(parts(text, 70), @r"
    One sentence that is long enough.
    -----
    Another one that goes on and on without an end
    ");
    let text = "a ".repeat(10) + &"x".repeat(100);
    insta::assert_snapshot!(parts(&text, 60), @r"
    a a a a a a a a a a
    -----
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    -----
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    -----
    xxxxxxxxxxxx
    ");
}

#[test]
fn formatting_is_closed_and_opened_again() {
    let text =
        "*He walks **slowly and quietly** through the wide and empty hall, and stops.* Then.";
    insta::assert_snapshot!(parts(text, 60), @r"
    *He walks **slowly and quietly** through*
    -----
    *the wide and empty hall, and stops.* Then.
    ");
    let text = "> A quote with ||a spoiler that is long|| and goes on for longer than one message.";
    insta::assert_snapshot!(parts(text, 60), @r"
    > A quote with ||a spoiler that is long||
    -----
    > and goes on for longer than one message.
    ");
    let text = "```rust\nfn main() {\n    announce(\"one\");\n    announce(\"two\");\n}\n```";
    insta::assert_snapshot!(parts(text, 60), @r#"
    ```rust
    fn main() {
    ```
    -----
    ```rust
        announce("one");
        announce("two");
    ```
    -----
    ```rust
    }
    ```
    "#);
    let text =
        ">>> All that follows is a quote.\n\nEven the second paragraph, which is long.\nYes.";
    insta::assert_snapshot!(parts(text, 60), @r"
    >>> All that follows is a quote.
    -----
    >>> Even the second paragraph, which is long.
    -----
    >>> Yes.
    ");
}

#[test]
fn lonely_marks_are_letters() {
    let text = "5 * 3 is fifteen, and *this never closes though it goes on for quite a while, no.";
    insta::assert_snapshot!(parts(text, 60), @r"
    5 * 3 is fifteen, and *this never closes
    -----
    though it goes on for quite a while, no.
    ");
    let text =
        "*oh no it is alone *but this one is not, and it is long enough to be cut in two* so";
    insta::assert_snapshot!(parts(text, 60), @r"
    *oh no it is alone *but this one is not,*
    -----
    *and it is long enough to be cut in two* so
    ");
}

#[test]
fn previews_close_what_is_open() {
    let show = |text| preview(text, MAX_MESSAGE);
    assert_eq!(show(""), "…");
    assert_eq!(show("*He walks"), "*He walks* …");
    assert_eq!(show("*He walks **fast*"), "*He walks **fast*** …");
    assert_eq!(show("He walks *"), "He walks …");
    assert_eq!(show("**He** walks"), "**He** walks …");
    assert_eq!(show("**He*"), "**He** …");
    assert_eq!(show("It is `code"), "It is `code` …");
    assert_eq!(show("```rust\nfn main"), "```rust\nfn main\n``` …");
    assert_eq!(show("so\\"), "so …");
    let long = "word ".repeat(500);
    assert_eq!(preview(&long, MAX_MESSAGE), format!("{} …", split(&long, MAX_MESSAGE)[0]));
}
