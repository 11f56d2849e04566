//! A scene as a page of its own: nothing is loaded from anywhere, and it prints well.
//!
//! People's text becomes text: whatever looks like markup in it is escaped, and only
//! paragraphs, emphasis and quotation are read, as chats write them.

use std::fmt::Write;

/// What a page shows.
pub(super) struct Page<'a> {
    /// What people call the scene.
    pub(super) title: &'a str,
    /// Where it begins; may be empty.
    pub(super) scenario: &'a str,
    /// Who plays.
    pub(super) cast: Vec<&'a str>,
    /// The turns of the line, oldest first.
    pub(super) turns: Vec<PageTurn<'a>>,
}

/// A turn of it.
pub(super) struct PageTurn<'a> {
    /// Who speaks.
    pub(super) name: &'a str,
    /// Whether it is one of the cast.
    pub(super) is_character: bool,
    /// What is said.
    pub(super) text: &'a str,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#222;--dim:#666;--paper:#fdfcf9;--rule:#d8d3c8;--name:#7a3b1e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e2da;--dim:#a09a8e;--paper:#1b1a18;--rule:#45413a;\
--name:#e0a27c}}\
body{margin:0;background:var(--paper);color:var(--ink);font:1.05rem/1.6 Georgia,'Times New Roman',serif}\
main{max-width:38rem;margin:0 auto;padding:3rem 1.25rem 6rem}\
h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}\
.about{color:var(--dim);border-bottom:1px solid var(--rule);padding-bottom:1.25rem;margin-bottom:2rem}\
article{margin:0 0 1.4rem}\
h2{font:600 .85rem/1.4 system-ui,sans-serif;letter-spacing:.04em;margin:0 0 .2rem;color:var(--dim);\
break-after:avoid}\
.character h2{color:var(--name)}\
p{margin:0 0 .6rem;orphans:2;widows:2;overflow-wrap:anywhere}\
blockquote{margin:0 0 .6rem;padding-left:.9rem;border-left:3px solid var(--rule)}\
@page{margin:2cm}\
@media print{:root{--ink:#000;--dim:#555;--paper:#fff;--rule:#bbb;--name:#333}\
main{max-width:none;padding:0}body{font-size:11pt}}";

/// The page as HTML.
pub(super) fn page(page: &Page<'_>) -> String {
    let title = escaped(page.title);
    let mut out = format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         <div class=\"about\">\n"
    );
    if !page.cast.is_empty() {
        let _ = writeln!(out, "<p>With {}</p>", escaped(&page.cast.join(", ")));
    }
    out.push_str(&paragraphs(page.scenario));
    out.push_str("</div>\n");
    for turn in &page.turns {
        let class = if turn.is_character { " class=\"character\"" } else { "" };
        let _ = write!(
            out,
            "<article{class}>\n<h2>{}</h2>\n{}</article>\n",
            escaped(turn.name),
            paragraphs(turn.text)
        );
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Lines as chats have them: blank ones part paragraphs, `>` begins a quotation.
fn paragraphs(text: &str) -> String {
    let mut out = String::new();
    for block in text.trim().split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let quoted = block.lines().all(|line| line.trim_start().starts_with('>'));
        let lines: Vec<String> = block
            .lines()
            .map(|line| match quoted {
                true => inline(line.trim_start().trim_start_matches('>').trim_start()),
                false => inline(line),
            })
            .collect();
        let (open, close) =
            if quoted { ("<blockquote>", "</blockquote>") } else { ("<p>", "</p>") };
        let _ = writeln!(out, "{open}{}{close}", lines.join("<br>\n"));
    }
    out
}

/// `**strong**`, `*emphasis*` and `_emphasis_`; a mark that finds no partner on its line
/// stays what it is.
fn inline(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['*', '_']) {
        let (before, marked) = rest.split_at(at);
        out.push_str(&escaped(before));
        let mark = ["**", "*", "_"].into_iter().find(|mark| marked.starts_with(mark));
        let mark = mark.expect("it begins with one of them");
        let inner = marked[mark.len()..].split_once(mark).filter(|(inner, _)| {
            // A mark inside a word is part of it, and one before a space opens nothing.
            let inside_word = mark == "_" && before.ends_with(char::is_alphanumeric);
            !inside_word && !inner.is_empty() && !inner.starts_with(' ') && !inner.ends_with(' ')
        });
        match inner {
            Some((inner, after)) => {
                let tag = if mark == "**" { "strong" } else { "em" };
                let inner = if mark == "**" { inline(inner) } else { escaped(inner) };
                let _ = write!(out, "<{tag}>{inner}</{tag}>");
                rest = after;
            }
            None => {
                out.push_str(mark);
                rest = &marked[mark.len()..];
            }
        }
    }
    out + &escaped(rest)
}

/// Text that stays text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emphasis_is_read_and_lone_marks_stay() {
        assert_eq!(inline("*waves* and **runs**"), "<em>waves</em> and <strong>runs</strong>");
        assert_eq!(inline("**a *b* c**"), "<strong>a <em>b</em> c</strong>");
        assert_eq!(inline("2 * 3 * 4, a_b_c, *open"), "2 * 3 * 4, a_b_c, *open");
        assert_eq!(inline("_so_"), "<em>so</em>");
    }

    #[test]
    fn paragraphs_lines_and_quotations() {
        assert_eq!(
            paragraphs("a\nb\n\n\n> c\n> d"),
            "<p>a<br>\nb</p>\n<blockquote>c<br>\nd</blockquote>\n"
        );
        assert_eq!(paragraphs(" \n "), "");
    }

    #[test]
    fn nothing_that_people_write_becomes_markup() {
        let hostile = "<script>alert(1)</script>\n\n<img src=x onerror='y'> *<b>* & \"z\"";
        let shown = page(&Page {
            title: "</title><script>",
            scenario: hostile,
            cast: vec!["<i>"],
            turns: vec![PageTurn { name: "<u>", is_character: true, text: hostile }],
        });
        for tag in ["<script", "<img", "<b>", "<i>", "<u>"] {
            assert!(!shown.contains(tag), "{tag}");
        }
        assert_eq!(shown.matches("</title>").count(), 1);
        assert!(shown.contains("<em>&lt;b&gt;</em> &amp; &quot;z&quot;"));
        assert!(!shown.contains("http://") && !shown.contains("https://"), "loads nothing");
    }
}
