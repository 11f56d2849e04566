//! Lore: what is told to the model when the story comes to speak of it.
//!
//! The union of what the ecosystem's books can say, V2 and V3 of the character card
//! specification and SillyTavern's world info, as plain data. What an entry means and
//! when it fires is the lore room's business; how files spell it, the formats room's.

/// A collection of lore entries with its settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lorebook {
    /// What people call it; may be empty.
    pub name: String,
    /// What it is about; never prompted.
    pub description: String,
    /// How many of the newest turns are scanned; absent takes the house's default.
    pub scan_depth: Option<usize>,
    /// The most tokens that its entries may take together; absent leaves it to the
    /// house's budget.
    pub token_budget: Option<usize>,
    /// Whether what fired may fire others; absent takes the house's default.
    pub recursive_scanning: Option<bool>,
    /// The entries, in the order of the file.
    pub entries: Vec<LoreEntry>,
}

/// One piece of lore, and when and where it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct LoreEntry {
    /// Its key in the book: the file's own where it has one, else its place from 0.
    pub uid: String,
    /// What people call it (`comment`, or `name`); never prompted.
    pub name: String,
    /// What it says, decorators of V3 and macros included.
    pub content: String,
    /// Whether it takes part at all.
    pub enabled: bool,
    /// Whether it fires without a key.
    pub constant: bool,
    /// What makes it fire: words, or regular expressions as `/…/flags`.
    pub keys: Vec<String>,
    /// Whether all keys are regular expressions, with or without slashes (V3's
    /// `use_regex`).
    pub use_regex: bool,
    /// Whether the secondary keys count.
    pub selective: bool,
    /// What else must be there, or must not.
    pub secondary_keys: Vec<String>,
    /// How the secondary keys count.
    pub logic: SecondaryLogic,
    /// Whether letter case counts; absent takes the house's default.
    pub case_sensitive: Option<bool>,
    /// Whether a key of one word must stand as a whole word; absent takes the house's
    /// default.
    pub match_whole_words: Option<bool>,
    /// How many of the newest turns are scanned for it; absent takes the book's.
    pub scan_depth: Option<usize>,
    /// Lower stands earlier; higher is kept first when the budget is short.
    pub order: i64,
    /// V2's and V3's priority: lower is dropped first; absent leaves it to `order`.
    pub priority: Option<i64>,
    /// Where it stands in the prompt.
    pub position: LorePosition,
    /// Whether it is told even where the budget is spent.
    pub ignore_budget: bool,
    /// How likely it is told once it fires, in percent.
    pub probability: f32,
    /// Groups of which one entry alone is told.
    pub groups: Vec<String>,
    /// Whether it wins its groups by order and not by lot.
    pub group_override: bool,
    /// How heavy its lot is in its groups.
    pub group_weight: u32,
    /// Whether the entry with the most matching keys wins its groups; absent takes
    /// the house's default.
    pub use_group_scoring: Option<bool>,
    /// How many turns it stays once it fired; 0 is not at all.
    pub sticky: usize,
    /// How many turns it rests once it fired (and stuck); 0 is not at all.
    pub cooldown: usize,
    /// How many turns there must be before it can fire.
    pub delay: usize,
    /// Whether what fired cannot make it fire.
    pub exclude_recursion: bool,
    /// Whether it cannot make others fire.
    pub prevent_recursion: bool,
    /// It fires by recursion alone, from this level on; absent is at once.
    pub delay_until_recursion: Option<u32>,
    /// For which characters it is; absent is for all.
    pub character_filter: Option<CharacterFilter>,
    /// For which kinds of generation it is (`normal`, `continue`, `swipe` …); empty is
    /// for all.
    pub triggers: Vec<String>,
}

impl LoreEntry {
    /// What people call it: its name, else its first key, else its uid.
    pub fn title(&self) -> String {
        let texts = [&self.name].into_iter().chain(&self.keys);
        let named = texts.map(|text| text.trim()).find(|text| !text.is_empty());
        named.map_or_else(|| format!("entry {}", self.uid), str::to_owned)
    }
}

impl Default for LoreEntry {
    fn default() -> Self {
        Self {
            uid: String::new(),
            name: String::new(),
            content: String::new(),
            enabled: true,
            constant: false,
            keys: Vec::new(),
            use_regex: false,
            selective: false,
            secondary_keys: Vec::new(),
            logic: SecondaryLogic::AndAny,
            case_sensitive: None,
            match_whole_words: None,
            scan_depth: None,
            order: 100,
            priority: None,
            position: LorePosition::BeforeCharacters,
            ignore_budget: false,
            probability: 100.0,
            groups: Vec::new(),
            group_override: false,
            group_weight: 100,
            use_group_scoring: None,
            sticky: 0,
            cooldown: 0,
            delay: 0,
            exclude_recursion: false,
            prevent_recursion: false,
            delay_until_recursion: None,
            character_filter: None,
            triggers: Vec::new(),
        }
    }
}

/// How secondary keys count beside a primary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecondaryLogic {
    /// One of them must be there.
    AndAny,
    /// One of them must be missing.
    NotAll,
    /// None of them may be there.
    NotAny,
    /// All of them must be there.
    AndAll,
}

/// Where lore stands in a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LorePosition {
    /// Before the characters.
    BeforeCharacters,
    /// After the characters and the scenario.
    AfterCharacters,
    /// Before the example dialogues.
    BeforeExamples,
    /// After the example dialogues.
    AfterExamples,
    /// At the top of the author's note.
    NoteTop,
    /// At the bottom of the author's note.
    NoteBottom,
    /// Between the turns.
    AtDepth {
        /// How many turns stand after it; 0 puts it right before the reply.
        depth: usize,
        /// Who says it.
        role: PromptRole,
    },
}

/// Who says a piece of text that stands between the turns.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum PromptRole {
    /// Nobody in the story: an instruction.
    #[default]
    System,
    /// The person.
    User,
    /// The character.
    Assistant,
}

/// For which characters an entry is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CharacterFilter {
    /// Names of characters.
    pub names: Vec<String>,
    /// Tags of characters.
    pub tags: Vec<String>,
    /// Whether it is for all but these.
    pub is_exclude: bool,
}
