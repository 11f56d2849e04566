//! Lines and veils.

use super::{BoundaryId, PersonId, SceneId};

/// What is not to be seen in a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// Its key.
    pub id: BoundaryId,
    /// How it binds.
    pub kind: BoundaryKind,
    /// Whose it is.
    pub of: BoundaryOf,
    /// What it is about, in somebody's words; on one line.
    pub text: String,
}

/// How a boundary binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BoundaryKind {
    /// It never happens.
    Line,
    /// It may happen, but only out of sight: the scene fades to black.
    Veil,
}

impl BoundaryKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Line, Self::Veil];

    /// The word that people use for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Veil => "veil",
        }
    }
}

/// Whose a boundary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundaryOf {
    /// A person's: it holds in every scene in which they take part and are heard.
    Person(PersonId),
    /// A scene's: it holds in it, whoever plays.
    Scene(SceneId),
}
