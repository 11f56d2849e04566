//! The part of Handlebars' language that story strings are written in: `{{name}}`,
//! `{{#if}}`, `{{#unless}}`, `{{else}}`, comments, and `~` for white space.
//!
//! One pass without recursion, so that no template costs more than its length. Values
//! come from the caller and are never read as language again.

/// Blocks nested deeper than this are no story string.
const MAX_DEPTH: usize = 64;

/// Why a text is no story string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoryStringError {
    /// A tag's braces are open at the end.
    #[error("line {line}: a tag is not closed by `}}}}`")]
    OpenTag {
        /// The line it begins in, from 1.
        line: usize,
    },
    /// A block is open at the end.
    #[error("line {line}: `{{{{#{name}}}}}` is not closed")]
    OpenBlock {
        /// The line it begins in, from 1.
        line: usize,
        /// Its name.
        name: String,
    },
    /// An `else` or an end without its beginning.
    #[error("line {line}: `{{{{{tag}}}}}` closes nothing")]
    NothingOpen {
        /// The line, from 1.
        line: usize,
        /// What it says.
        tag: String,
    },
    /// A block of another name.
    #[error("line {line}: `{{{{#{name}}}}}` is unknown; known are `if` and `unless`")]
    UnknownBlock {
        /// The line, from 1.
        line: usize,
        /// Its name.
        name: String,
    },
    /// Blocks within blocks within blocks.
    #[error("line {line}: blocks are nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// The line, from 1.
        line: usize,
    },
}

/// What a story string is made of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prompt) enum Node<'t> {
    /// Its own words.
    Text(&'t str),
    /// A name in braces, without them and trimmed.
    Value(&'t str),
    /// What follows stands only if the value says something (or only if not).
    If { name: &'t str, negated: bool },
    /// What follows stands only if nothing of its block did, and on the same terms.
    ElseIf { name: &'t str, negated: bool },
    /// What follows stands only if nothing of its block did.
    Else,
    /// The end of a block.
    End,
}

/// Takes a story string apart; its blocks are balanced.
pub(in crate::prompt) fn parse(template: &str) -> Result<Vec<Node<'_>>, StoryStringError> {
    let mut parser = Parser { template, at: 0, nodes: Vec::new(), open: Vec::new() };
    while parser.step()? {}
    match parser.open.pop() {
        Some((name, at)) => {
            Err(StoryStringError::OpenBlock { line: parser.line(at), name: name.to_owned() })
        }
        None => Ok(parser.nodes),
    }
}

struct Parser<'t> {
    template: &'t str,
    at: usize,
    nodes: Vec<Node<'t>>,
    /// The blocks that are open: the name, and where it began.
    open: Vec<(&'t str, usize)>,
}

/// A tag's body, and where white space around it goes.
struct Tag<'t> {
    body: &'t str,
    end: usize,
    eats_before: bool,
    eats_after: bool,
}

impl<'t> Parser<'t> {
    fn line(&self, at: usize) -> usize {
        1 + self.template[..at].matches('\n').count()
    }

    /// Reads the next text with the tag after it; false at the end.
    fn step(&mut self) -> Result<bool, StoryStringError> {
        let rest = &self.template[self.at..];
        let Some(start) = rest.find("{{").map(|found| self.at + found) else {
            self.push_text(rest);
            return Ok(false);
        };
        let text = &self.template[self.at..start];
        let tag = self.tag(start)?;
        let after = &self.template[tag.end..];
        let node = self.node(tag.body, start)?;
        // A block's tag that has a line to itself takes the line along.
        let indent = text.len() - text.trim_end_matches([' ', '\t']).len();
        let begins_line = if indent < text.len() {
            text[..text.len() - indent].ends_with('\n')
        } else {
            self.at == 0 || self.template[..self.at].ends_with('\n')
        };
        let rest_of_line = after.len() - after.trim_start_matches([' ', '\t']).len();
        let line_end = ["\r\n", "\n"].iter().find(|end| after[rest_of_line..].starts_with(**end));
        let ends_line = line_end.is_some() || after[rest_of_line..].is_empty();
        let is_alone = !matches!(node, Some(Node::Value(_))) && begins_line && ends_line;
        self.push_text(match () {
            () if tag.eats_before => text.trim_end(),
            () if is_alone => &text[..text.len() - indent],
            () => text,
        });
        self.nodes.extend(node);
        self.at = match () {
            () if tag.eats_after => self.template.len() - after.trim_start().len(),
            () if is_alone => tag.end + rest_of_line + line_end.map_or(0, |end| end.len()),
            () => tag.end,
        };
        Ok(true)
    }

    fn push_text(&mut self, text: &'t str) {
        if !text.is_empty() {
            self.nodes.push(Node::Text(text));
        }
    }

    /// The tag that begins here.
    fn tag(&self, start: usize) -> Result<Tag<'t>, StoryStringError> {
        let open = StoryStringError::OpenTag { line: self.line(start) };
        let rest = &self.template[start..];
        let (opening, closing) = match rest {
            _ if rest.starts_with("{{!--") || rest.starts_with("{{~!--") => ("{{", "--}}"),
            _ if rest.starts_with("{{{") => ("{{{", "}}}"),
            _ => ("{{", "}}"),
        };
        let close = rest[opening.len()..].find(closing).ok_or(open)?;
        let body = &rest[opening.len()..opening.len() + close];
        let end = start + opening.len() + close + closing.len();
        let (body, eats_before) = body.strip_prefix('~').map_or((body, false), |body| (body, true));
        let (body, eats_after) = body.strip_suffix('~').map_or((body, false), |body| (body, true));
        Ok(Tag { body: body.trim(), end, eats_before, eats_after })
    }

    /// What a tag means; `None` for a comment.
    fn node(&mut self, body: &'t str, start: usize) -> Result<Option<Node<'t>>, StoryStringError> {
        if body.starts_with('!') {
            return Ok(None);
        }
        let (word, argument) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        if let Some(block) = body.strip_prefix('#') {
            return self.open_block(block.trim_start(), start).map(Some);
        }
        if word.starts_with('/') {
            return match self.open.pop() {
                Some((name, _)) if body[1..].trim() == name => Ok(Some(Node::End)),
                _ => Err(self.nothing_open(body, start)),
            };
        }
        if body == "else" || body == "^" || word == "else" {
            if self.open.is_empty() {
                return Err(self.nothing_open(body, start));
            }
            return match condition(argument.trim_start()) {
                _ if word.len() == body.len() => Ok(Some(Node::Else)),
                Some((name, negated)) => Ok(Some(Node::ElseIf { name, negated })),
                None => Err(self.unknown_block(argument, start)),
            };
        }
        Ok(Some(Node::Value(body)))
    }

    fn open_block(&mut self, block: &'t str, start: usize) -> Result<Node<'t>, StoryStringError> {
        let (name, negated) = condition(block).ok_or_else(|| self.unknown_block(block, start))?;
        if self.open.len() >= MAX_DEPTH {
            return Err(StoryStringError::TooDeep { line: self.line(start) });
        }
        self.open.push((if negated { "unless" } else { "if" }, start));
        Ok(Node::If { name, negated })
    }

    fn nothing_open(&self, tag: &str, start: usize) -> StoryStringError {
        StoryStringError::NothingOpen { line: self.line(start), tag: tag.to_owned() }
    }

    fn unknown_block(&self, block: &str, start: usize) -> StoryStringError {
        let name = block.split_whitespace().next().unwrap_or_default().to_owned();
        StoryStringError::UnknownBlock { line: self.line(start), name }
    }
}

/// What `if name` and `unless name` ask for, and whether in the negative.
fn condition(block: &str) -> Option<(&str, bool)> {
    let (word, name) = block.split_once(char::is_whitespace)?;
    match word {
        "if" => Some((name.trim(), false)),
        "unless" => Some((name.trim(), true)),
        _ => None,
    }
}

/// The texts and values that stand, given what says something.
pub(super) fn standing<'t, 'n>(
    nodes: &'n [Node<'t>],
    says_something: impl Fn(&str) -> bool,
) -> Vec<&'n Node<'t>> {
    /// A block that is open.
    struct Open {
        /// Whether what stands here stands.
        is_on: bool,
        /// Whether a branch of it stood, or none may.
        is_settled: bool,
    }
    let (mut standing, mut open) = (Vec::new(), Vec::<Open>::new());
    for node in nodes {
        let is_on = open.last().is_none_or(|block| block.is_on);
        match node {
            Node::Text(_) | Node::Value(_) if is_on => standing.push(node),
            Node::Text(_) | Node::Value(_) => {}
            Node::If { name, negated } => {
                let is_met = is_on && says_something(name) != *negated;
                open.push(Open { is_on: is_met, is_settled: is_met || !is_on });
            }
            Node::Else | Node::ElseIf { .. } => {
                let Some(block) = open.last_mut() else { continue };
                let is_met = match node {
                    Node::ElseIf { name, negated } => says_something(name) != *negated,
                    _ => true,
                };
                block.is_on = is_met && !block.is_settled;
                block.is_settled |= block.is_on;
            }
            Node::End => drop(open.pop()),
        }
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renders with values that are their own names in capitals, of those given.
    fn rendered(template: &str, given: &[&str]) -> Result<String, StoryStringError> {
        let nodes = parse(template)?;
        let standing = standing(&nodes, |name| given.contains(&name));
        let text = standing.iter().map(|node| match node {
            Node::Text(text) => (*text).to_owned(),
            Node::Value(name) if given.contains(name) => name.to_uppercase(),
            _ => String::new(),
        });
        Ok(text.collect())
    }

    #[test]
    fn branches_and_values() {
        let template = "{{#if a}}{{a}}!{{else if b}}{{{ b }}}?{{else}}none{{/if}}{{#unless c}}, no c{{/unless}}.";
        assert_eq!(rendered(template, &["a", "b"]).unwrap(), "A!, no c.");
        assert_eq!(rendered(template, &["b", "c"]).unwrap(), "B?.");
        assert_eq!(rendered(template, &["c"]).unwrap(), "none.");
        let nested = "{{#if a}}1{{#if b}}2{{else}}3{{/if}}{{else}}4{{#if b}}5{{/if}}{{/if}}";
        for (given, expected) in
            [(&["a", "b"][..], "12"), (&["a"], "13"), (&["b"], "45"), (&[], "4")]
        {
            assert_eq!(rendered(nested, given).unwrap(), expected);
        }
    }

    #[test]
    fn a_block_that_has_a_line_to_itself_takes_it_along() {
        let template = "x\n{{#if a}}\n{{a}}\n  {{/if}}  \n{{! a comment }}\n{{!-- with }} in it --}}\ny{{~ a ~}} \n z";
        assert_eq!(rendered(template, &["a"]).unwrap(), "x\nA\nyAz");
        assert_eq!(rendered(template, &[]).unwrap(), "x\nyz");
        assert_eq!(rendered("{{a}}\n{{a}}\n", &["a"]).unwrap(), "A\nA\n", "values keep theirs");
    }

    #[test]
    fn what_is_out_of_balance_is_refused_by_line() {
        let error = |template| rendered(template, &[]).unwrap_err().to_string();
        assert_eq!(error("a\n{{b"), "line 2: a tag is not closed by `}}`");
        assert_eq!(error("{{#if a}}\n"), "line 1: `{{#if}}` is not closed");
        assert_eq!(error("{{/if}}"), "line 1: `{{/if}}` closes nothing");
        assert_eq!(error("{{else}}"), "line 1: `{{else}}` closes nothing");
        assert_eq!(error("{{#if a}}{{/unless}}"), "line 1: `{{/unless}}` closes nothing");
        assert_eq!(
            error("{{#each a}}{{/each}}"),
            "line 1: `{{#each}}` is unknown; known are `if` and `unless`"
        );
        assert!(error(&"{{#if a}}".repeat(100_000)).contains("nested deeper"));
    }
}
