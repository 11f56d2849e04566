//! The decorators of V3: lines such as `@@depth 4` at the head of an entry's content.
//!
//! A line with three `@` is the fallback of the one above: it counts if that one was
//! skipped. Of two with one name the first counts. All of these lines, and the empty
//! lines around them, are cut off.

use super::activation::UiPrompt;
use super::problem::LoreProblem;
use crate::domain::PromptRole;

/// What the decorators of one entry say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decorators {
    pub(super) activate: bool,
    pub(super) dont_activate: bool,
    pub(super) activate_only_after: Option<usize>,
    pub(super) activate_only_every: Option<usize>,
    pub(super) keep_activate_after_match: bool,
    pub(super) dont_activate_after_match: bool,
    pub(super) depth: Option<usize>,
    pub(super) reverse_depth: Option<usize>,
    pub(super) role: Option<PromptRole>,
    pub(super) scan_depth: Option<usize>,
    pub(super) is_greeting: Option<usize>,
    pub(super) position: Option<NamedPosition>,
    pub(super) ignore_on_max_context: bool,
    pub(super) additional_keys: Vec<String>,
    pub(super) exclude_keys: Vec<String>,
    pub(super) is_user_icon: Option<String>,
    pub(super) disable_ui_prompt: Option<UiPrompt>,
}

/// The values of `@@position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedPosition {
    BeforeDescription,
    AfterDescription,
    Personality,
    Scenario,
}

/// Cuts the decorators off an entry's content: what they say, the rest, and what was
/// skipped although nothing stood in for it.
pub(super) fn parse(content: &str) -> (Decorators, &str, Vec<LoreProblem>) {
    let mut parser = Parser::default();
    let mut rest = content.trim_start_matches(['\n', '\r']);
    if !rest.starts_with("@@") {
        return (parser.said, content, Vec::new());
    }
    while let Some(line) = rest.strip_prefix("@@") {
        let (line, after) = line.split_once('\n').unwrap_or((line, ""));
        parser.line(line);
        rest = after;
    }
    parser.close();
    (parser.said, rest.trim_start_matches(['\n', '\r']), parser.problems)
}

#[derive(Default)]
struct Parser {
    said: Decorators,
    seen: Vec<String>,
    /// What was wrong with the line above and its fallbacks so far.
    skipped: Option<LoreProblem>,
    problems: Vec<LoreProblem>,
}

impl Parser {
    /// Reads one line without its first two `@`.
    fn line(&mut self, line: &str) {
        let (text, is_fallback) = match line.strip_prefix('@') {
            Some(text) => (text, true),
            None => (line, false),
        };
        if is_fallback && self.skipped.is_none() {
            return;
        }
        if !is_fallback {
            self.close();
        }
        let text = text.trim();
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let name = name.to_ascii_lowercase();
        if self.seen.contains(&name) {
            self.skipped = None;
            return;
        }
        match self.read(&name, value.trim()) {
            Ok(()) => {
                self.seen.push(name);
                self.skipped = None;
            }
            Err(problem) => _ = self.skipped.get_or_insert(problem),
        }
    }

    /// Ends a decorator and its fallbacks.
    fn close(&mut self) {
        self.problems.extend(self.skipped.take());
    }

    fn read(&mut self, name: &str, value: &str) -> Result<(), LoreProblem> {
        let invalid =
            || LoreProblem::InvalidDecorator { name: name.to_owned(), value: value.to_owned() };
        let count = || value.parse::<usize>().map_err(|_| invalid());
        let said = &mut self.said;
        match name {
            "activate" => said.activate = true,
            "dont_activate" => said.dont_activate = true,
            "activate_only_after" => said.activate_only_after = Some(count()?),
            "activate_only_every" => {
                said.activate_only_every = Some(count()?).filter(|count| *count > 0);
                said.activate_only_every.ok_or_else(invalid)?;
            }
            "keep_activate_after_match" => said.keep_activate_after_match = true,
            "dont_activate_after_match" => said.dont_activate_after_match = true,
            "depth" => said.depth = Some(at_least_zero(value).ok_or_else(invalid)?),
            "reverse_depth" => said.reverse_depth = Some(count()?),
            "role" => said.role = Some(role(value).ok_or_else(invalid)?),
            "scan_depth" => said.scan_depth = Some(count()?),
            "is_greeting" => said.is_greeting = Some(count()?),
            "position" => said.position = Some(position(value).ok_or_else(invalid)?),
            "ignore_on_max_context" => said.ignore_on_max_context = true,
            "additional_keys" => said.additional_keys = list(value).ok_or_else(invalid)?,
            "exclude_keys" => said.exclude_keys = list(value).ok_or_else(invalid)?,
            "is_user_icon" => {
                said.is_user_icon = Some(value.to_owned()).filter(|name| !name.is_empty());
                said.is_user_icon.as_ref().ok_or_else(invalid)?;
            }
            "disable_ui_prompt" => {
                said.disable_ui_prompt = Some(ui_prompt(value).ok_or_else(invalid)?);
            }
            "instruct_depth" | "reverse_instruct_depth" | "instruct_scan_depth" => {
                return Err(LoreProblem::NotForChats(name.to_owned()));
            }
            _ => return Err(LoreProblem::UnknownDecorator(name.to_owned())),
        }
        Ok(())
    }
}

/// A depth: what is less than 1 is right before the reply.
fn at_least_zero(value: &str) -> Option<usize> {
    let depth: i64 = value.parse().ok()?;
    usize::try_from(depth.max(0)).ok()
}

fn role(value: &str) -> Option<PromptRole> {
    match value {
        "system" => Some(PromptRole::System),
        "user" => Some(PromptRole::User),
        "assistant" => Some(PromptRole::Assistant),
        _ => None,
    }
}

fn position(value: &str) -> Option<NamedPosition> {
    match value {
        "before_desc" => Some(NamedPosition::BeforeDescription),
        "after_desc" => Some(NamedPosition::AfterDescription),
        "personality" => Some(NamedPosition::Personality),
        "scenario" => Some(NamedPosition::Scenario),
        _ => None,
    }
}

fn ui_prompt(value: &str) -> Option<UiPrompt> {
    match value {
        "system_prompt" => Some(UiPrompt::SystemPrompt),
        "post_history_instructions" => Some(UiPrompt::PostHistoryInstructions),
        _ => None,
    }
}

/// Values between commas; none at all is no list.
fn list(value: &str) -> Option<Vec<String>> {
    let values = value.split(',').map(str::trim).filter(|value| !value.is_empty());
    Some(values.map(str::to_owned).collect::<Vec<_>>()).filter(|values| !values.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str) -> Decorators {
        let (said, _, problems) = parse(content);
        assert_eq!(problems, [], "{content}");
        said
    }

    #[test]
    fn every_decorator_is_read() {
        let none = Decorators::default;
        let cases = [
            ("activate", Decorators { activate: true, ..none() }),
            ("dont_activate", Decorators { dont_activate: true, ..none() }),
            ("activate_only_after 3", Decorators { activate_only_after: Some(3), ..none() }),
            ("activate_only_every 2", Decorators { activate_only_every: Some(2), ..none() }),
            ("keep_activate_after_match", Decorators { keep_activate_after_match: true, ..none() }),
            ("dont_activate_after_match", Decorators { dont_activate_after_match: true, ..none() }),
            ("depth 4", Decorators { depth: Some(4), ..none() }),
            ("depth -1", Decorators { depth: Some(0), ..none() }),
            ("reverse_depth 1", Decorators { reverse_depth: Some(1), ..none() }),
            ("role user", Decorators { role: Some(PromptRole::User), ..none() }),
            ("scan_depth 9", Decorators { scan_depth: Some(9), ..none() }),
            ("is_greeting 0", Decorators { is_greeting: Some(0), ..none() }),
            ("position scenario", Decorators { position: Some(NamedPosition::Scenario), ..none() }),
            ("ignore_on_max_context", Decorators { ignore_on_max_context: true, ..none() }),
            (
                "additional_keys a, b",
                Decorators { additional_keys: vec!["a".into(), "b".into()], ..none() },
            ),
            ("exclude_keys c", Decorators { exclude_keys: vec!["c".into()], ..none() }),
            ("is_user_icon Knight", Decorators { is_user_icon: Some("Knight".into()), ..none() }),
            (
                "disable_ui_prompt system_prompt",
                Decorators { disable_ui_prompt: Some(UiPrompt::SystemPrompt), ..none() },
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(said(&format!("@@{line}\nText")), expected, "{line}");
        }
    }

    #[test]
    fn the_lines_and_the_space_around_them_are_cut_off() {
        assert_eq!(parse("\n@@depth 1\r\n@@role user\n\n\nText\n@@not one").1, "Text\n@@not one");
        assert_eq!(parse("@@activate").1, "");
        assert_eq!(parse("\n Text").1, "\n Text");
        assert_eq!(parse("Text @@activate").1, "Text @@activate");
    }

    #[test]
    fn a_fallback_counts_only_where_the_one_above_was_skipped() {
        assert_eq!(said("@@depth 1\n@@@role user\nText").role, None);
        assert_eq!(said("@@risu_only 1\n@@@agn_only 1\n@@@depth 2\n@@@depth 3\n").depth, Some(2));
        assert_eq!(said("@@instruct_depth 50\n@@@depth 2\n").depth, Some(2));
        assert_eq!(said("@@depth deep\n@@@depth 2\n").depth, Some(2));
    }

    #[test]
    fn the_first_of_one_name_counts() {
        assert_eq!(said("@@depth 1\n@@depth 2\n").depth, Some(1));
    }

    #[test]
    fn what_is_skipped_is_told() {
        let (said, rest, problems) = parse("@@new 1\n@@@newer\n@@role king\n@@instruct_depth 1\nx");
        assert_eq!((said, rest), (Decorators::default(), "x"));
        let invalid =
            LoreProblem::InvalidDecorator { name: "role".to_owned(), value: "king".to_owned() };
        let unknown = LoreProblem::UnknownDecorator("new".to_owned());
        let other = LoreProblem::NotForChats("instruct_depth".to_owned());
        assert_eq!(problems, [unknown, invalid, other]);
    }
}
