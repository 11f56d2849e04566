//! Between one entry of a document and the noun.

use super::carry::{mark, peek, stow};
use super::places::{Dialect, is_sillytavern, place};
use super::regex_key::wrap;
use super::world::TRUE_REGEX;
use crate::domain::{CharacterFilter, LoreEntry, LorePosition, PromptRole, SecondaryLogic};
use crate::formats::fields::Object;

/// How many turns stand after an entry between the turns that does not say.
const DEFAULT_DEPTH: usize = 4;
/// SillyTavern's numbers of positions; 7 puts an entry only where a text asks for it.
pub(super) const AT_DEPTH: i64 = 4;
pub(super) const OUTLET: i64 = 7;

/// An entry of a document, whose fields are known by their names in world info.
pub(super) struct Entry {
    dialect: Dialect,
    object: Object,
    extensions: Object,
    is_extended: bool,
}

impl Entry {
    pub(super) fn new(dialect: Dialect, object: Object) -> Self {
        let empty = || Object::new(object.path_of("extensions"));
        let extensions = object.object("extensions").ok().flatten().unwrap_or_else(empty);
        Self { dialect, object, extensions, is_extended: false }
    }

    /// The entry's own object, extensions and all.
    pub(super) fn into_object(mut self) -> Object {
        if self.is_extended {
            self.object.set_object("extensions", &self.extensions);
        }
        self.object
    }

    /// The object and the key that a field stands under.
    pub(super) fn at(&self, world: &str) -> (&Object, &'static str) {
        let place = place(world);
        match self.dialect {
            Dialect::World => (&self.object, place.world),
            Dialect::Book if place.is_extension => (&self.extensions, place.book),
            Dialect::Book => (&self.object, place.book),
        }
    }

    pub(super) fn object(&self) -> &Object {
        &self.object
    }

    pub(super) fn set<T: serde::Serialize + ?Sized>(&mut self, world: &str, value: &T) {
        let (_, key) = self.at(world);
        if self.dialect == Dialect::Book && place(world).is_extension {
            self.is_extended = true;
            self.extensions.set(key, value);
        } else {
            self.object.set(key, value);
        }
    }

    /// Writes a field that the entry itself has in both spellings or in one alone.
    pub(super) fn set_plain<T: serde::Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        self.object.set(key, value);
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn has(&self, world: &str) -> bool {
        let (object, key) = self.at(world);
        object.raw(key).is_some_and(|raw| raw.get().trim() != "null")
    }

    fn text(&self, world: &str) -> String {
        let (object, key) = self.at(world);
        object.text(key).ok().flatten().unwrap_or_default()
    }

    fn flag(&self, world: &str) -> Option<bool> {
        let (object, key) = self.at(world);
        object.flag(key).ok().flatten()
    }

    fn integer(&self, world: &str) -> Option<i64> {
        let (object, key) = self.at(world);
        object.integer(key).ok().flatten()
    }

    fn count(&self, world: &str) -> Option<usize> {
        self.integer(world).map(|number| usize::try_from(number).unwrap_or(0))
    }

    /// Keys; a single text holds them with commas between, as old files have it.
    fn keys(&self, world: &str) -> Vec<String> {
        let (object, key) = self.at(world);
        let keys = object.texts(key).ok().flatten().unwrap_or_default();
        if object.items(key).is_ok() {
            return keys;
        }
        let split = keys.iter().flat_map(|keys| keys.split(',')).map(str::trim);
        split.filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    /// What the entry says, as the noun under that key.
    pub(super) fn to_lore(&self, uid: String) -> LoreEntry {
        let default = LoreEntry::default();
        LoreEntry {
            uid,
            name: self.name(),
            content: self.text("content"),
            enabled: self.is_enabled(),
            constant: self.flag("constant").unwrap_or(false),
            keys: self.keys("key"),
            use_regex: self.uses_regex(),
            selective: self.flag("selective").unwrap_or(false),
            secondary_keys: self.keys("keysecondary"),
            logic: self.logic(),
            case_sensitive: self.case_sensitive(),
            match_whole_words: self.flag("matchWholeWords"),
            scan_depth: self.count("scanDepth"),
            order: self.integer("order").unwrap_or(default.order),
            priority: self.object.integer("priority").ok().flatten(),
            position: self.position(),
            ignore_budget: self.flag("ignoreBudget").unwrap_or(false),
            probability: self.probability(),
            groups: self.groups(),
            group_override: self.flag("groupOverride").unwrap_or(false),
            group_weight: self.integer("groupWeight").map_or(default.group_weight, natural),
            use_group_scoring: self.flag("useGroupScoring"),
            sticky: self.count("sticky").unwrap_or(0),
            cooldown: self.count("cooldown").unwrap_or(0),
            delay: self.count("delay").unwrap_or(0),
            exclude_recursion: self.flag("excludeRecursion").unwrap_or(false),
            prevent_recursion: self.flag("preventRecursion").unwrap_or(false),
            delay_until_recursion: self.recursion_level(),
            character_filter: self.character_filter(),
            triggers: self.keys("triggers"),
        }
    }

    fn name(&self) -> String {
        let comment = self.text("comment");
        if comment.trim().is_empty() {
            self.object.text("name").ok().flatten().unwrap_or(comment)
        } else {
            comment
        }
    }

    /// Whether it takes part. One for an outlet does not: nothing asks for it here.
    fn is_enabled(&self) -> bool {
        let flag = |key: &str| self.object.flag(key).ok().flatten();
        let is_on = match self.dialect {
            Dialect::World => !flag("disable").unwrap_or(false),
            Dialect::Book => flag("enabled").unwrap_or(true),
        };
        is_on && self.integer("position") != Some(OUTLET)
    }

    /// SillyTavern says `use_regex` of every entry, though its keys are expressions
    /// only between slashes: its word is not taken for it.
    fn uses_regex(&self) -> bool {
        let is_meant =
            || !is_sillytavern(&self.extensions) || peek(&self.extensions, TRUE_REGEX).is_some();
        self.dialect == Dialect::Book
            && self.object.flag("use_regex").ok().flatten().unwrap_or(false)
            && is_meant()
    }

    /// Says whether all keys are expressions, so that it is read as meant. World info
    /// has no such field: there the slashes of each key say it.
    pub(super) fn put_use_regex(&mut self, use_regex: bool) {
        if self.dialect == Dialect::World {
            let keys = self.keys("key");
            if use_regex {
                let case_sensitive = self.case_sensitive();
                let keys: Vec<String> = keys.iter().map(|key| wrap(key, case_sensitive)).collect();
                self.set("key", &keys);
            }
            return;
        }
        self.object.set("use_regex", &use_regex);
        if use_regex && is_sillytavern(&self.extensions) {
            stow(&mut self.extensions, TRUE_REGEX, &mark());
            self.is_extended = true;
        }
    }

    fn logic(&self) -> SecondaryLogic {
        match self.integer("selectiveLogic") {
            Some(1) => SecondaryLogic::NotAll,
            Some(2) => SecondaryLogic::NotAny,
            Some(3) => SecondaryLogic::AndAll,
            _ => SecondaryLogic::AndAny,
        }
    }

    fn case_sensitive(&self) -> Option<bool> {
        let own = self.flag("caseSensitive");
        own.or_else(|| self.object.flag("case_sensitive").ok().flatten())
    }

    fn position(&self) -> LorePosition {
        let number = self.integer("position").unwrap_or_else(|| match self.dialect {
            Dialect::World => 0,
            Dialect::Book => {
                let position = self.object.text("position").ok().flatten();
                i64::from(position.as_deref() != Some("before_char"))
            }
        });
        match number {
            1 => LorePosition::AfterCharacters,
            2 => LorePosition::NoteTop,
            3 => LorePosition::NoteBottom,
            AT_DEPTH => LorePosition::AtDepth {
                depth: self.count("depth").unwrap_or(DEFAULT_DEPTH),
                role: self.role(),
            },
            5 => LorePosition::BeforeExamples,
            6 => LorePosition::AfterExamples,
            _ => LorePosition::BeforeCharacters,
        }
    }

    fn role(&self) -> PromptRole {
        match self.text("role").as_str() {
            "1" | "user" => PromptRole::User,
            "2" | "assistant" => PromptRole::Assistant,
            _ => PromptRole::System,
        }
    }

    fn probability(&self) -> f32 {
        let (object, key) = self.at("probability");
        match object.number(key).ok().flatten() {
            Some(percent) if self.flag("useProbability") != Some(false) => {
                percent.clamp(0.0, 100.0) as f32
            }
            _ => 100.0,
        }
    }

    fn groups(&self) -> Vec<String> {
        let groups = self.text("group");
        let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
        groups.map(str::to_owned).collect()
    }

    fn recursion_level(&self) -> Option<u32> {
        let level = self
            .integer("delayUntilRecursion")
            .or_else(|| self.flag("delayUntilRecursion").map(i64::from));
        level.map(natural).filter(|level| *level > 0)
    }

    fn character_filter(&self) -> Option<CharacterFilter> {
        let (object, key) = self.at("characterFilter");
        let filter = object.object(key).ok().flatten()?;
        let texts = |key: &str| filter.texts(key).ok().flatten().unwrap_or_default();
        let (names, tags) = (texts("names"), texts("tags"));
        let is_exclude = filter.flag("isExclude").ok().flatten().unwrap_or(false);
        let is_filter = !names.is_empty() || !tags.is_empty();
        is_filter.then_some(CharacterFilter { names, tags, is_exclude })
    }
}

fn natural(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}
