//! Lines and veils, as people are told of them.

use super::{lines_within, plain};
use crate::domain::{Boundary, BoundaryOf};
use crate::moderation::LONGEST_TERM;

/// Those that are their own, a scene's, and somebody's: nobody learns whose those are, nor
/// from their order.
pub(in crate::discord) fn boundaries(shown: &[Boundary], own: BoundaryOf) -> String {
    if shown.is_empty() {
        return "There are no lines or veils here. /lines add draws one.".to_owned();
    }
    let row = |it: &Boundary| format!("{}: {}", it.kind.as_str(), plain(&it.text, LONGEST_TERM));
    let numbered = |it: &Boundary| format!("`{}` {}", it.id, row(it));
    let is_somebodys = |it: &&Boundary| it.of != own && matches!(it.of, BoundaryOf::Person(_));
    let is_scenes = |it: &&Boundary| matches!(it.of, BoundaryOf::Scene(_));
    let mut somebodys: Vec<String> = shown.iter().filter(is_somebodys).map(row).collect();
    somebodys.sort_unstable();
    somebodys.dedup();
    let groups = [
        (
            "Yours, wherever you take part:",
            shown.iter().filter(|it| it.of == own).map(numbered).collect(),
        ),
        ("This scene's:", shown.iter().filter(is_scenes).map(numbered).collect()),
        ("Someone's:", somebodys),
    ];
    let filled = groups.into_iter().filter(|(_, rows): &(_, Vec<String>)| !rows.is_empty());
    let rows = filled.flat_map(|(title, rows)| std::iter::once(title.to_owned()).chain(rows));
    lines_within("**Lines and veils**\n", rows, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BoundaryId, BoundaryKind, PersonId, SceneId};

    #[test]
    fn others_are_nobodys_and_no_text_is_formatting() {
        let boundary = |id, kind, of, text: &str| Boundary {
            id: BoundaryId(id),
            kind,
            of,
            text: text.to_owned(),
        };
        let (me, other) = (BoundaryOf::Person(PersonId(1)), BoundaryOf::Person(PersonId(2)));
        let shown = [
            boundary(4, BoundaryKind::Line, me, "**spiders**"),
            boundary(5, BoundaryKind::Veil, other, "surgery"),
            boundary(6, BoundaryKind::Line, other, "needles"),
            boundary(7, BoundaryKind::Veil, BoundaryOf::Scene(SceneId(9)), "sexual"),
        ];
        insta::assert_snapshot!(boundaries(&shown, me), @r"
        **Lines and veils**
        Yours, wherever you take part:
        `4` line: \*\*spiders\*\*
        This scene's:
        `7` veil: sexual
        Someone's:
        line: needles
        veil: surgery
        ");
        assert!(boundaries(&[], me).contains("/lines add"));
    }
}
