//! Completes command names and their first arguments. Pure.

use crate::domain::Length;

use super::commands::{COMMANDS, Completes};

/// Names that change while playing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Every character of the library.
    pub(crate) library: Vec<String>,
    /// Those in the scene.
    pub(crate) cast: Vec<String>,
    /// The sampling presets.
    pub(crate) presets: Vec<String>,
}

/// Where the completed word begins in `line` (a byte index), and what it may become.
pub(crate) fn complete(line: &str, names: &Names) -> (usize, Vec<String>) {
    let Some(rest) = line.strip_prefix('/') else { return (line.len(), Vec::new()) };
    let Some((command, argument)) = rest.split_once(' ') else {
        let found = starting_with(rest, COMMANDS.iter().map(|spec| spec.name));
        return (1, found.into_iter().map(|name| format!("{name} ")).collect());
    };
    let begin = line.len() - argument.len();
    let Some(spec) = COMMANDS.iter().find(|spec| spec.name == command) else {
        return (begin, Vec::new());
    };
    if command == "cast"
        && let Some((verb, name)) = argument.split_once(' ')
    {
        let from = if verb == "remove" { &names.cast } else { &names.library };
        return (line.len() - name.len(), starting_with(name, from.iter().map(String::as_str)));
    }
    let found = match spec.completes {
        Completes::Nothing => Vec::new(),
        Completes::Words(words) => starting_with(argument, words.iter().copied()),
        Completes::Lengths => {
            let tags = Length::ALL.iter().map(|length| length.as_str());
            starting_with(argument, tags.chain(["auto"]))
        }
        Completes::Presets => starting_with(argument, names.presets.iter().map(String::as_str)),
        Completes::Cast => starting_with(argument, names.cast.iter().map(String::as_str)),
        Completes::Commands => starting_with(argument, COMMANDS.iter().map(|spec| spec.name)),
    };
    (begin, found)
}

fn starting_with<'a>(begin: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let begin = begin.to_lowercase();
    words.filter(|word| word.to_lowercase().starts_with(&begin)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            library: vec!["Maren Holt".into(), "Tamsin".into()],
            cast: vec!["Maren Holt".into()],
            presets: vec!["limarp".into(), "creative".into()],
        }
    }

    #[test]
    fn commands_lengths_presets_and_names_complete() {
        let complete = |line| complete(line, &names());
        assert_eq!(complete("/le"), (1, vec!["length ".into()]));
        assert_eq!(
            complete("/length m"),
            (8, vec!["micro".into(), "medium".into(), "massive".into()])
        );
        assert_eq!(complete("/preset li"), (8, vec!["limarp".into()]));
        assert_eq!(complete("/cast add t"), (10, vec!["Tamsin".into()]));
        assert_eq!(complete("/cast remove "), (13, vec!["Maren Holt".into()]));
        assert_eq!(complete("/reply mar"), (7, vec!["Maren Holt".into()]));
        assert_eq!(complete("Hello /le").1, Vec::<String>::new());
        assert_eq!(complete("/nonsense x").1, Vec::<String>::new());
    }
}
