//! Files that people attach, and files that they are handed.

use super::super::api::{File, MAX_FILE_BYTES};
use super::super::call::{Answer, Call, Refusal};
use super::super::interaction::Options;
use crate::chat::FileOut;

/// The largest file that is taken from people.
const MAX_IN: usize = 20 << 20;
/// How many remarks on a file are shown.
const MAX_FINDINGS: usize = 5;

/// What is in the file that was attached as `file`.
pub(super) async fn attached(call: &Call, options: &Options) -> Result<Vec<u8>, Refusal> {
    let file = options.attachment("file").ok_or_else(|| Refusal::plain("attach a file"))?;
    if usize::try_from(file.size).unwrap_or(usize::MAX) > MAX_IN {
        return Err(Refusal::plain(format!(
            "{} is larger than the {} MiB that are taken",
            file.name,
            MAX_IN >> 20
        )));
    }
    let bytes = call.bot.api.download(&file, MAX_IN).await;
    bytes.map_err(|error| Refusal::plain(error.to_string()))
}

/// The name of the file that was attached as `file`, without its ending; may be empty.
pub(super) fn attached_stem(options: &Options) -> String {
    let name = options.attachment("file").map(|file| file.name).unwrap_or_default();
    name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).to_owned()
}

/// A file handed to whoever asked.
pub(super) fn hand_out(text: impl Into<String>, file: FileOut) -> Result<Answer, Refusal> {
    if file.bytes.len() > MAX_FILE_BYTES {
        return Err(Refusal::plain(format!(
            "{} is larger than the {} MiB that Discord takes; ask the operator for it",
            file.name,
            MAX_FILE_BYTES >> 20
        )));
    }
    let file = File { name: file.name, bytes: file.bytes };
    Ok(Answer { text: text.into(), files: vec![file], ..Answer::default() })
}

/// Remarks on a file, a line each, the first of them.
pub(super) fn remarks(findings: &[String]) -> String {
    let mut text: String =
        findings.iter().take(MAX_FINDINGS).map(|finding| format!("\n• {finding}")).collect();
    if findings.len() > MAX_FINDINGS {
        text.push_str(&format!("\n… and {} more", findings.len() - MAX_FINDINGS));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_remarks_are_shown_and_the_rest_is_counted() {
        assert_eq!(remarks(&[]), "");
        let many: Vec<String> = (0..7).map(|n| format!("remark {n}")).collect();
        let text = remarks(&many);
        assert!(text.contains("• remark 4") && !text.contains("remark 5"), "{text}");
        assert!(text.ends_with("and 2 more"), "{text}");
    }

    #[test]
    fn what_is_too_large_is_not_handed_out() {
        let file = |len| FileOut { name: "a.json".into(), bytes: vec![0; len] };
        assert_eq!(hand_out("Here.", file(3)).expect("small").files.len(), 1);
        assert!(hand_out("Here.", file(MAX_FILE_BYTES + 1)).is_err());
    }
}
