//! Where an entry's fields stand, in SillyTavern's world info and in a card's book.
//!
//! The names, and what SillyTavern assumes where a field is missing, follow its
//! conversions between the two.

use super::super::fields::Object;

/// How entries are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As in the book of a card, with SillyTavern's own fields in `extensions`.
    Book,
    /// As in SillyTavern's world info.
    World,
}

/// One field of an entry.
pub(super) struct Place {
    /// Its name in world info, by which it is known here too.
    pub(super) world: &'static str,
    /// Its name in a card's book.
    pub(super) book: &'static str,
    /// Whether it stands in `extensions` there.
    pub(super) is_extension: bool,
    /// What a new entry says in it, in JSON; `None` leaves it out.
    pub(super) default: Option<&'static str>,
}

const fn plain(world: &'static str, book: &'static str, default: &'static str) -> Place {
    Place { world, book, is_extension: false, default: Some(default) }
}

const fn extension(world: &'static str, book: &'static str, default: &'static str) -> Place {
    Place { world, book, is_extension: true, default: Some(default) }
}

const fn newer(world: &'static str, book: &'static str) -> Place {
    Place { world, book, is_extension: true, default: None }
}

/// All fields that both spellings have; `enabled`, `id` and `use_regex` are not among
/// them, as one is the other's opposite or has no other.
pub(super) const PLACES: &[Place] = &[
    plain("key", "keys", "[]"),
    plain("keysecondary", "secondary_keys", "[]"),
    plain("comment", "comment", "\"\""),
    plain("content", "content", "\"\""),
    plain("constant", "constant", "false"),
    plain("selective", "selective", "false"),
    plain("order", "insertion_order", "100"),
    extension("position", "position", "0"),
    extension("excludeRecursion", "exclude_recursion", "false"),
    extension("displayIndex", "display_index", "0"),
    extension("probability", "probability", "100"),
    extension("useProbability", "useProbability", "true"),
    extension("depth", "depth", "4"),
    extension("selectiveLogic", "selectiveLogic", "0"),
    extension("group", "group", "\"\""),
    extension("groupOverride", "group_override", "false"),
    extension("groupWeight", "group_weight", "100"),
    extension("preventRecursion", "prevent_recursion", "false"),
    extension("delayUntilRecursion", "delay_until_recursion", "false"),
    extension("scanDepth", "scan_depth", "null"),
    extension("matchWholeWords", "match_whole_words", "null"),
    extension("useGroupScoring", "use_group_scoring", "null"),
    extension("caseSensitive", "case_sensitive", "null"),
    extension("automationId", "automation_id", "\"\""),
    extension("role", "role", "0"),
    extension("vectorized", "vectorized", "false"),
    extension("sticky", "sticky", "null"),
    extension("cooldown", "cooldown", "null"),
    extension("delay", "delay", "null"),
    newer("ignoreBudget", "ignore_budget"),
    newer("triggers", "triggers"),
    newer("characterFilter", "character_filter"),
    newer("outletName", "outlet_name"),
    newer("matchPersonaDescription", "match_persona_description"),
    newer("matchCharacterDescription", "match_character_description"),
    newer("matchCharacterPersonality", "match_character_personality"),
    newer("matchCharacterDepthPrompt", "match_character_depth_prompt"),
    newer("matchScenario", "match_scenario"),
    newer("matchCreatorNotes", "match_creator_notes"),
];

/// The place of a field by its name in world info.
pub(super) fn place(world: &str) -> &'static Place {
    PLACES
        .iter()
        .find(|place| place.world == world)
        .expect("only fields of the table are asked for")
}

/// Whether SillyTavern wrote an entry of a book, going by its extensions.
pub(super) fn is_sillytavern(extensions: &Object) -> bool {
    extensions.has("selectiveLogic") || extensions.has("useProbability")
}
