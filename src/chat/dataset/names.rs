//! People's names in a scene, and the plain names that stand for them.
//!
//! A name is looked for as people may spell it, by itself and not within a word. Of a
//! name of several words the first counts too, and each other where it is written like a
//! name. Names of characters stay, so that nobody may be called like one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aho_corasick::AhoCorasick;
use sha2::{Digest, Sha256};

use super::fold::{Folded, folded};
use crate::domain::PersonId;

/// Names that tell nothing of anybody.
const PLAIN_NAMES: [&str; 96] = [
    "Adrian", "Aidan", "Alba", "Aline", "Alma", "Anders", "Anselm", "Arlo", "Astrid", "Aubrey",
    "Basil", "Beatrix", "Benno", "Blair", "Brigid", "Bruno", "Cade", "Calla", "Casper", "Cecily",
    "Cleo", "Corin", "Dagny", "Dalia", "Darcy", "Delia", "Dorian", "Edda", "Elias", "Elke",
    "Ellis", "Emeric", "Enid", "Esme", "Fabian", "Felix", "Fenna", "Finley", "Flora", "Frida",
    "Gideon", "Greta", "Hadley", "Hanno", "Harper", "Hedda", "Hollis", "Ida", "Imre", "Ingrid",
    "Isolde", "Ivo", "Jarno", "Jonas", "Jorin", "Juno", "Kaya", "Kendall", "Klara", "Lennart",
    "Leonie", "Linnea", "Lorne", "Lucian", "Mabel", "Magnus", "Marlow", "Mattis", "Merle", "Milo",
    "Nadine", "Nerys", "Nico", "Odette", "Oona", "Orla", "Oskar", "Pascal", "Petra", "Quentin",
    "Ramona", "Remy", "Robin", "Rowan", "Sabine", "Selma", "Silas", "Sidney", "Tamas", "Thea",
    "Tilda", "Ulrich", "Verena", "Viola", "Wilma", "Yorick",
];

/// Words that make up every text: somebody who is called so cannot be told from them.
const COMMON_WORDS: &str = "a about after again all also always am an and any are as at away back \
    be been before but by can come could day did do down ever every for from get go good had has \
    have he her here him his how i if in into is it its just know let like little long made make \
    man may me more most much must my never new no not now of off old on one only or other our out \
    over own people said same say see she should so some somebody still such than that the their \
    them then there these they thing this time to too two up us very was way we well were what \
    when where which while who will with woman would yes you your a link number address channel \
    von van de der die das le la el";

/// The shortest word of a longer name that is looked for by itself, in characters of
/// scripts with capitals; of others one is a name.
const MIN_WORD_CHARS: usize = 2;

/// Somebody whose names are to go.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: PersonId,
    /// Everything by which they are known, or were.
    pub(super) names: Vec<String>,
}

/// Why names cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameIsWord;

/// Replaces the names of a scene's people.
pub(super) struct Names {
    /// What stands for each of them.
    plain: BTreeMap<PersonId, String>,
    finder: Option<AhoCorasick>,
    /// For each pattern whose it is, and whether it is a word of a longer name.
    patterns: Vec<(PersonId, bool)>,
}

impl Names {
    /// `salt` makes the choice of another export another.
    ///
    /// # Errors
    /// Somebody has a name that could as well be a word, or a character's.
    pub(super) fn new(
        people: &[Named],
        characters: &[&str],
        salt: &[u8],
    ) -> Result<Self, NameIsWord> {
        let common: HashSet<&str> = COMMON_WORDS.split_whitespace().collect();
        let of_characters: BTreeSet<String> = characters
            .iter()
            .flat_map(|name| words(name).map(folded).chain([folded(name)]))
            .collect();
        let mut found: BTreeMap<String, (PersonId, bool)> = BTreeMap::new();
        for person in people {
            for name in &person.names {
                let whole = folded(name);
                if whole.is_empty() {
                    continue;
                }
                // A character's name stays, and with it would a person's.
                let is_character = of_characters.contains(&whole);
                if is_character || common.contains(whole.as_str()) || is_punctuation(&whole) {
                    return Err(NameIsWord);
                }
                found.insert(whole, (person.id, false));
            }
        }
        // Words after all names, so that nobody's word hides somebody's name.
        for person in people {
            let of_names = person.names.iter().flat_map(|name| words(name).enumerate());
            for (place, word) in of_names {
                let has_case = word.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                let is_long = !has_case || word.chars().count() >= MIN_WORD_CHARS;
                let word = folded(word);
                let is_free = !common.contains(word.as_str()) && !of_characters.contains(&word);
                if is_long && is_free && !is_punctuation(&word) {
                    // People are called by their first name, and chat has no capitals.
                    found.entry(word).or_insert((person.id, place > 0));
                }
            }
        }
        let plain = choose(people, &found, &of_characters, salt);
        let finder = (!found.is_empty()).then(|| {
            AhoCorasick::new(found.keys()).expect("the names of a scene are no large automaton")
        });
        Ok(Self { plain, finder, patterns: found.into_values().collect() })
    }

    /// What a person is called.
    pub(super) fn of(&self, person: PersonId) -> &str {
        self.plain.get(&person).map_or("Somebody", String::as_str)
    }

    /// The text with plain names, and how many there are.
    pub(super) fn replace(&self, text: &str) -> (String, usize) {
        let found = self.find(text);
        let mut replaced = String::with_capacity(text.len());
        let mut from = 0;
        for (range, person) in &found {
            replaced.push_str(&text[from..range.start]);
            replaced.push_str(self.of(*person));
            from = range.end;
        }
        replaced.push_str(&text[from..]);
        (replaced, found.len())
    }

    /// Whether somebody's name is still there.
    pub(super) fn are_in(&self, text: &str) -> bool {
        !self.find(text).is_empty()
    }

    /// Where names stand, the longest of those that overlap.
    fn find(&self, text: &str) -> Vec<(std::ops::Range<usize>, PersonId)> {
        let Some(finder) = &self.finder else { return Vec::new() };
        let folded = Folded::new(text);
        let mut found: Vec<_> = finder
            .find_overlapping_iter(&folded.text)
            .filter(|found| folded.is_word(&found.range()))
            .map(|found| (folded.origin(&found.range()), self.patterns[found.pattern().as_usize()]))
            .filter(|(range, (_, is_part))| !is_part || is_written_as_name(&text[range.clone()]))
            .map(|(range, (person, _))| (range, person))
            .collect();
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut end = 0;
        found.retain(|(range, _)| {
            let is_free = range.start >= end;
            if is_free {
                end = range.end;
            }
            is_free
        });
        found
    }
}

/// The words of a name of several; none of a name of one.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| !c.is_alphanumeric() && c != '\'' && c != '’';
    let words = name.split(word).filter(|word| !word.is_empty());
    let is_several = words.clone().nth(1).is_some();
    words.filter(move |_| is_several)
}

/// Whether a word begins as names do; scripts without capitals have no other way.
fn is_written_as_name(word: &str) -> bool {
    word.chars().find(|c| c.is_alphanumeric()).is_none_or(|c| !c.is_lowercase())
}

/// Signs that stand in every text.
fn is_punctuation(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_punctuation() || c == ' ' || ('\u{2010}'..='\u{2027}').contains(&c))
}

/// A plain name for everybody: nobody's in the scene, no character's, and each once.
fn choose(
    people: &[Named],
    taken: &BTreeMap<String, (PersonId, bool)>,
    of_characters: &BTreeSet<String>,
    salt: &[u8],
) -> BTreeMap<PersonId, String> {
    let mut free: Vec<&str> = PLAIN_NAMES
        .into_iter()
        .filter(|name| {
            let name = folded(name);
            !taken.contains_key(&name) && !of_characters.contains(&name)
        })
        .collect();
    let mut chosen = BTreeMap::new();
    for (i, person) in people.iter().enumerate() {
        if chosen.contains_key(&person.id) {
            continue;
        }
        let mut hasher = Sha256::new();
        hasher.update(salt);
        hasher.update(person.id.0.to_be_bytes());
        let hash = hasher.finalize();
        let name = match free.len() {
            // More than there are names for: nobody's name has such a word in it.
            0 => format!("Guest {}", i + 1),
            len => {
                let number = u64::from_be_bytes(hash[..8].try_into().expect("eight bytes"));
                free.remove((number % len as u64) as usize).to_owned()
            }
        };
        chosen.insert(person.id, name);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: i64, names: &[&str]) -> Named {
        Named { id: PersonId(id), names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn names(people: &[Named], characters: &[&str]) -> Names {
        Names::new(people, characters, b"salt").expect("names that are no words")
    }

    #[test]
    fn a_name_goes_however_it_is_spelled_and_words_that_hold_it_stay() {
        let names = names(&[named(1, &["Ann"])], &["Mira"]);
        let ann = names.of(PersonId(1));
        for (text, wanted) in [
            ("Ann and Annabel, ANN's and _ann_.", "{} and Annabel, {}'s and _{}_."),
            ("A\u{200b}nn, Ａｎｎ, Án\u{308}n", "{}, {}, {}"),
            ("Joann planned an annual banner", "Joann planned an annual banner"),
            ("@ann: Mira!", "@{}: Mira!"),
            ("", ""),
        ] {
            assert_eq!(names.replace(text).0, wanted.replace("{}", ann), "{text}");
        }
        assert_eq!(names.replace("Ann, ann, Annie").1, 2);
        assert!(names.are_in("so said ANN") && !names.are_in("so said Annie"));
    }

    #[test]
    fn hostile_names_are_looked_for_to_the_letter() {
        let people = [named(1, &[".*"]), named(2, &["🦊"])];
        assert_eq!(Names::new(&people, &[], b"").err(), Some(NameIsWord), "signs alone");
        for name in ["I", "the", "Will", "—", "a", " You "] {
            assert_eq!(
                Names::new(&[named(1, &[name])], &[], b"").err(),
                Some(NameIsWord),
                "{name}"
            );
        }
        let people =
            [named(1, &["a.*b(", ""]), named(2, &["🦊"]), named(3, &["$1 \\d"]), named(4, &[])];
        let names = names(&people, &[]);
        let [a, fox, dollar] = [1, 2, 3].map(|id| names.of(PersonId(id)).to_owned());
        assert_eq!(
            names.replace("a.*b( axxb( 🦊🦊 $1 \\d").0,
            format!("{a} axxb( {fox}{fox} {dollar}")
        );
        assert!(!names.of(PersonId(4)).is_empty());
    }

    #[test]
    fn words_of_a_name_go_where_they_are_written_like_names() {
        let names = names(&[named(1, &["Ash of the Dark Water", "Ash"])], &["Water Sprite"]);
        let ash = names.of(PersonId(1));
        let (text, _) = names.replace("Ash of the Dark Water. Dark? The dark water of Water, ash.");
        assert_eq!(text, format!("{ash}. {ash}? The dark water of Water, {ash}."));
    }

    #[test]
    fn names_of_characters_stay_and_are_given_to_nobody() {
        let characters = ["Mira", "Robin Hood", "Edda"];
        let people: Vec<Named> = (1..=90).map(|id| named(id, &["Ann Hood"])).collect();
        let names = names(&people, &characters);
        assert_eq!(names.replace("Mira met Hood.").0, "Mira met Hood.");
        for name in ["Mira", "robin hood", "Hood"] {
            let refused = Names::new(&[named(1, &[name])], &characters, b"").err();
            assert_eq!(refused, Some(NameIsWord), "{name} would stay");
        }
        let given: BTreeSet<&str> = people.iter().map(|person| names.of(person.id)).collect();
        assert_eq!(given.len(), 90, "everybody has a name of their own");
        assert!(!given.contains("Robin") && !given.contains("Edda"));
    }

    #[test]
    fn first_names_go_in_any_case_and_short_ones_of_any_script() {
        let people =
            [named(1, &["Sarah Connor"]), named(2, &["田中 太郎"]), named(3, &["Jo O’Hara"])];
        let names = names(&people, &["Mira"]);
        let [sarah, tanaka, jo] = [1, 2, 3].map(|id| names.of(PersonId(id)).to_owned());
        let (text, _) = names.replace("hey sarah, 田中さん and JO and O'Hara");
        assert_eq!(text, format!("hey {sarah}, {tanaka}さん and {jo} and {jo}"));
    }

    #[test]
    fn the_longest_name_counts_and_nobody_is_called_like_somebody_else() {
        let all: Vec<&str> = PLAIN_NAMES.into_iter().filter(|name| *name != "Viola").collect();
        let people =
            [named(1, &all), named(2, &["Ann"]), named(3, &["Ann Lee"]), named(4, &["Bo"])];
        let names = names(&people, &[]);
        let others = [1, 2, 3, 4].map(|id| names.of(PersonId(id)).to_owned());
        assert!(others.contains(&"Viola".to_owned()), "{others:?}");
        assert!(others.iter().filter(|name| name.starts_with("Guest ")).count() == 3, "{others:?}");
        let (text, _) = names.replace("Ann Lee, Ann");
        assert_eq!(text, format!("{}, {}", others[2], others[1]));
        assert!(!names.are_in(&text), "{text}");
    }

    #[test]
    fn a_salt_decides_who_is_called_what() {
        let people: Vec<Named> = (1..=20).map(|id| named(id, &["Ann"])).collect();
        let of = |salt: &[u8]| {
            let names = Names::new(&people, &[], salt).expect("fine");
            people.iter().map(|person| names.of(person.id).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(b"a"), of(b"a"));
        assert_ne!(of(b"a"), of(b"b"));
    }
}
