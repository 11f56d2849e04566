//! Files that go out: what they are called, and what is in them.

/// A file to hand to somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct FileOut {
    /// Its name, with the ending.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for FileOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileOut({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// The most characters of a name without its ending.
const MAX_NAME_CHARS: usize = 60;

/// A title as every file system can carry it: words of letters and digits, joined by
/// hyphens.
pub fn file_name(title: &str, extension: &str) -> String {
    let title: String = title.chars().take(MAX_NAME_CHARS).collect();
    let words: Vec<String> = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let name = if words.is_empty() { "untitled".to_owned() } else { words.join("-") };
    format!("{name}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_plainly() {
        assert_eq!(file_name("Maren Holt: the storm / 2", "md"), "maren-holt-the-storm-2.md");
        assert_eq!(file_name("../../etc", "md"), "etc.md");
        assert_eq!(file_name("🦊", "md"), "untitled.md");
        assert_eq!(file_name("Élodie", "json"), "élodie.json");
    }
}
