//! The LimaRP format, extended Alpaca, as the model card of
//! LimaRP-Mistral-7B-v0.1 gives it: headers, length tag, stops, and the way back.
//!
//! Every block but the first begins with a blank line and none ends in white
//! space, so that blocks can be tokenised one by one. The length tag stands on
//! the last, open header alone, and nothing follows its name's colon. Names and
//! texts are taken as they are: neutralise them first, and [`parse`] gives back
//! what was rendered.

use crate::domain::Length;

/// Whose turn a header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A person's: `### Input:`.
    Input,
    /// The model's: `### Response:`.
    Response,
}

/// What stands between two blocks.
const SEPARATOR: &str = "\n\n";
const HEADER: &str = "### ";
const INSTRUCTION: &str = "Instruction";

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Response => "Response",
        }
    }
}

/// The prompt's first block: the instruction header over the first paragraph.
pub(super) fn first_paragraph(text: &str) -> String {
    format!("{HEADER}{INSTRUCTION}:\n{text}").trim_end().to_owned()
}

/// A further paragraph of the instruction.
pub(super) fn paragraph(text: &str) -> String {
    format!("{SEPARATOR}{text}")
}

/// An instruction between the turns.
pub(super) fn note(text: &str) -> String {
    format!("{SEPARATOR}{HEADER}{INSTRUCTION}:\n{text}")
}

/// A turn that was played. A text that is empty leaves the name alone.
pub(super) fn turn(side: Side, name: &str, text: &str) -> String {
    let space = if text.is_empty() { "" } else { " " };
    format!("{SEPARATOR}{HEADER}{}:\n{name}:{space}{text}", side.word())
}

/// The header of the reply, with what the reply already begins with.
pub(super) fn open_reply(length: Option<Length>, name: &str, begun: &str) -> String {
    let tag = length.map(|length| format!(" (length = {length})")).unwrap_or_default();
    let space = if begun.is_empty() { "" } else { " " };
    format!("{SEPARATOR}{HEADER}{}:{tag}\n{name}:{space}{begun}", Side::Response.word())
}

/// The paragraph on a character or a person.
pub(super) fn persona(name: &str, description: &str) -> String {
    format!("{name}'s Persona: {description}")
}

/// The paragraph on what happens in the story.
pub(super) fn scenario(text: &str) -> String {
    format!("Scenario: {text}")
}

/// The paragraph on what is not to be seen: lines never happen, veils out of sight alone.
/// Empty where there are none.
pub(super) fn boundaries(lines: &[String], veils: &[String]) -> String {
    let said = |before: &str, texts: &[String], after: &str| {
        (!texts.is_empty()).then(|| format!("{before}: {}.{after}", texts.join("; ")))
    };
    let lines = said("These never happen in the story and are never mentioned", lines, "");
    let veils = said(
        "These may happen in the story, but only off-screen",
        veils,
        " Fade to black before them and go on afterwards.",
    );
    lines.into_iter().chain(veils).collect::<Vec<_>>().join(" ")
}

/// The role line. It names everyone whoever answers, so that it never changes.
pub(super) fn role_line(characters: &str, people: &str) -> String {
    format!(
        "Play the role of {characters}. You must engage in a roleplaying chat with {people} below \
         this line. Do not write dialogues and narration for {people}."
    )
}

/// Names as one reads them out: `Ana, Bo and Cy`.
pub(super) fn join_names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [firsts @ .., last] => format!("{} and {last}", firsts.join(", ")),
    }
}

/// What ends a reply: any header, with or without its colon, and a line by anyone
/// but the one who answers. Each once.
pub(super) fn stops<'a>(others: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let headers = [Side::Input.word(), Side::Response.word(), INSTRUCTION];
    let mut stops: Vec<_> = headers.map(|word| format!("\n{HEADER}{word}")).into();
    for name in others {
        let stop = format!("\n{name}:");
        if !stops.contains(&stop) {
            stops.push(stop);
        }
    }
    stops
}

/// A transcript, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// What stands under the first header, all paragraphs of it.
    pub instruction: String,
    /// What follows, in order.
    pub entries: Vec<Entry>,
}

/// What can follow the instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An instruction between the turns.
    Note(String),
    /// A turn; the last one of a prompt is open and may be empty.
    Turn {
        /// Whose it is.
        side: Side,
        /// The length asked for; only an open reply carries one.
        length: Option<Length>,
        /// Who speaks.
        name: String,
        /// What is said.
        text: String,
    },
}

/// Why a text is no LimaRP transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not begin with the instruction.
    #[error("a transcript begins with “### Instruction:”; this text does not")]
    NoInstruction,
    /// A turn's header is not followed by a name and a colon.
    #[error("line {line}: a turn begins with the speaker's name and a colon")]
    NoSpeaker {
        /// The line after the header, from 1.
        line: usize,
    },
}

/// Takes a transcript apart: the inverse of rendering, for neutralised texts.
///
/// Reads the spelling that the card slips into once, a header without its colon,
/// as well.
///
/// # Errors
///
/// The text does not begin with the instruction, or a header has no speaker.
pub fn parse(text: &str) -> Result<Transcript, ParseError> {
    let mut blocks = blocks(text);
    if blocks.first().is_none_or(|block| block.header != Header::Instruction) {
        return Err(ParseError::NoInstruction);
    }
    let instruction = blocks.remove(0).body;
    let entries = blocks.into_iter().map(Block::into_entry).collect::<Result<_, _>>()?;
    Ok(Transcript { instruction, entries })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Instruction,
    Turn { side: Side, length: Option<Length> },
}

/// A header and all lines up to the next.
struct Block {
    header: Header,
    body: String,
    /// The number of the body's first line, from 1.
    line: usize,
}

impl Block {
    fn into_entry(self) -> Result<Entry, ParseError> {
        let Header::Turn { side, length } = self.header else {
            return Ok(Entry::Note(self.body));
        };
        match self.body.split_once(':') {
            Some((name, text)) if !name.contains('\n') => Ok(Entry::Turn {
                side,
                length,
                name: name.to_owned(),
                text: text.strip_prefix(' ').unwrap_or(text).to_owned(),
            }),
            _ => Err(ParseError::NoSpeaker { line: self.line }),
        }
    }
}

/// The blocks of a text; none if it does not begin with a header.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        if let Some(header) = header(line) {
            blocks.push(Block { header, body: String::new(), line: i + 2 });
        } else if let Some(block) = blocks.last_mut() {
            block.body.push_str(line);
            block.body.push('\n');
        } else {
            return blocks;
        }
    }
    for block in &mut blocks {
        block.body.truncate(block.body.trim_end_matches('\n').len());
    }
    blocks
}

fn header(line: &str) -> Option<Header> {
    let line = line.strip_prefix(HEADER)?;
    let (word, tag) = match line.split_once(':') {
        Some((word, tag)) => (word, tag),
        None => (line, ""),
    };
    let side = match word {
        INSTRUCTION if tag.is_empty() => return Some(Header::Instruction),
        "Input" => Side::Input,
        "Response" => Side::Response,
        _ => return None,
    };
    let length = match tag {
        "" => None,
        _ => Some(tag.strip_prefix(" (length = ")?.strip_suffix(')')?.parse().ok()?),
    };
    Some(Header::Turn { side, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cards_own_example_reads_back() {
        let transcript = parse(
            "### Instruction:\nMira's Persona: a smith\n\nScenario: rain\n\n### Input:\nAna: Hi.\n\n\
             ### Response:\nMira: Come in.\nSit.\n\n### Input\nAna: Thanks: really.\n\n\
             ### Response: (length = medium)\nMira:",
        )
        .unwrap();
        assert_eq!(transcript.instruction, "Mira's Persona: a smith\n\nScenario: rain");
        let turn = |side, length, name: &str, text: &str| Entry::Turn {
            side,
            length,
            name: name.into(),
            text: text.into(),
        };
        assert_eq!(
            transcript.entries,
            [
                turn(Side::Input, None, "Ana", "Hi."),
                turn(Side::Response, None, "Mira", "Come in.\nSit."),
                turn(Side::Input, None, "Ana", "Thanks: really."),
                turn(Side::Response, Some(Length::Medium), "Mira", ""),
            ]
        );
    }

    #[test]
    fn what_is_no_transcript_is_refused() {
        assert_eq!(parse("Hello."), Err(ParseError::NoInstruction));
        assert_eq!(parse("### Input:\nAna: Hi."), Err(ParseError::NoInstruction));
        let nameless = "### Instruction:\nPlay.\n\n### Input:\nno name here";
        assert_eq!(parse(nameless), Err(ParseError::NoSpeaker { line: 5 }));
    }

    #[test]
    fn a_heading_of_ones_own_is_text() {
        let text =
            "### Instruction:\nPlay.\n\n### Input:\nAna: Look:\n### Responses\n### Response x";
        let Entry::Turn { text, .. } = &parse(text).unwrap().entries[0] else {
            panic!("a turn was expected");
        };
        assert_eq!(text, "Look:\n### Responses\n### Response x");
    }

    #[test]
    fn stops_are_named_once() {
        let stops = stops(["Ana", "Bo", "Ana"]);
        assert_eq!(
            stops,
            ["\n### Input", "\n### Response", "\n### Instruction", "\nAna:", "\nBo:"]
        );
    }
}
