//! How much is seen through: words that are forbidden, and words that are not, each in
//! twenty disguises, and roleplay that only sounds like it.

use std::collections::BTreeMap;

use super::{Checker, Door, Policy, SceneFacts, Theme, Verdict, WordRule};

/// Words that are forbidden: of the shipped themes in their milder part, and made up ones,
/// as communities have them.
const FORBIDDEN: [&str; 40] = [
    "bitch",
    "bastard",
    "whore",
    "slut",
    "asshole",
    "dickhead",
    "motherfucker",
    "wanker",
    "penis",
    "vagina",
    "masturbation",
    "orgasm",
    "porno",
    "hentai",
    "dildo",
    "ejaculate",
    "heroin",
    "cocaine",
    "methamphetamine",
    "suicide",
    "spoilerking",
    "blackmarket",
    "xylophage",
    "gorgonzilla",
    "vantablade",
    "mudwizard",
    "plaguebringer",
    "kingslayer",
    "nightsnake",
    "bloodoracle",
    "grimtotem",
    "doomcaller",
    "ironfang",
    "shadowpact",
    "voidtouched",
    "wyrmbane",
    "crowmother",
    "saltwitch",
    "bonechoir",
    "hollowking",
];

/// Words that are not, though some sound like it.
const ALLOWED: [&str; 40] = [
    "classic",
    "assassin",
    "therapist",
    "analysis",
    "button",
    "grapefruit",
    "shiitake",
    "cockatoo",
    "peacock",
    "scunthorpe",
    "cumulus",
    "document",
    "titanium",
    "constitution",
    "bassist",
    "passage",
    "grasshopper",
    "compass",
    "harass the goblins",
    "embarrassed",
    "heroine",
    "cocktail",
    "sextant",
    "essex",
    "middlesex",
    "dickens",
    "moby",
    "pricked",
    "analogue",
    "canal",
    "banal",
    "arsenal",
    "massage",
    "associate",
    "hello",
    "shuttle",
    "lighthouse",
    "spoiled",
    "market",
    "wizardry",
];

/// What people say in stories.
const INNOCENT: [&str; 60] = [
    "The assassin passes the class of apprentices on the grass and nods to the bassist.",
    "She presses a compass into his hand and says that the passage is narrow.",
    "The therapist listens while the old soldier speaks of the arsenal that burned.",
    "A cockatoo and a peacock quarrel over a grapefruit on the captain's table.",
    "He pricked his finger on the spindle and laughed about it.",
    "The innkeeper pours ale, and the dice roll for a round of bread.",
    "Blood runs from the cut on his arm; she binds it with a strip of linen.",
    "They kiss under the lanterns, and the festival goes on without them.",
    "The dragon falls with a spear in its throat, and the valley is silent.",
    "The healer grinds poppies into a salve and counts the drops.",
    "The wizard's lecture on analysis goes on until the candles die.",
    "Mara undoes a button of her coat, for the forge is hot.",
    "The children chase a hoop around the well until the bell rings.",
    "You kill me, she says, and wipes tears of laughter from her cheek.",
    "He hits the dummy with the flat of the blade, again and again.",
    "The harbour master weighs the salt and finds it short.",
    "The shuttle docks, and the heroine steps out with a sextant.",
    "The rooster crows; the cock on the weather vane turns north.",
    "A canal runs from the mill to the sea, and ducks own it.",
    "I would die for a bowl of that soup, says the guard.",
    "The bard sings of a queen who gave her crown for a pear.",
    "The kind innkeeper has a minor wound and a major headache.",
    "He is embarrassed, and the whole council sees it.",
    "Cumulus clouds pile up over Essex, and the hay is not in.",
    "She draws her naked blade, and nobody in the hall breathes.",
    "The titan's constitution is of stone, the scholars say.",
    "We hung the lanterns high and shot arrows at the moon.",
    "The poison is bitter; the cook tastes it and lives.",
    "Shiitake and barley, a soup for those who come in from the rain.",
    "The goblins harass the goats, and the goats harass the goblins.",
    "The document bears the seal of Middlesex and a stain of wine.",
    "He drags the boat over the bar, cursing under his breath.",
    "The ghost bride walks the gallery and asks for her ring.",
    "They bury the captain at dawn, and the sea takes the wreath.",
    "The smith's hammer rings, spark upon spark upon spark.",
    "Go to hell's gate, says the map, then turn left at the yew.",
    "The shot goes wide; the stag looks up and is gone.",
    "A scarlet mage and a grey one argue about the price of chalk.",
    "The rat's nest of ropes would drive a sailor mad.",
    "In the pit two beetles wrestle, and the crowd roars.",
    "She is a hundred and twelve years old and climbs like a cat.",
    "Classic, he says, and breaks the biscuit in two.",
    "The night watch passes; the thief holds her breath in the arch.",
    "The cellar smells of cider, cats and old letters.",
    "He bows so low that the feather of his hat sweeps the floor.",
    "The executioner drinks his milk and goes home early.",
    "The wound is deep, but it is clean, and you will keep the leg.",
    "Grasshoppers sing; the road to the abbey is white with dust.",
    "You have the devil's own luck, says the croupier of shells.",
    "The engine coughs, dies, and starts again when she kicks it.",
    "Salt, rope, tar: the list is long and the purse is light.",
    "The witch of the marsh sells eggs on market days.",
    "A fox sits in the snow and looks at them as if they owed it.",
    "He had shot the bolt and barred the door before the knock came.",
    "The twins finish each other's soup and each other's sentences.",
    "The queen's physician bleeds nobody before breakfast.",
    "The banner burns; the drummer plays on with one stick.",
    "An old man mends nets and hums; the tide has all day.",
    "They dance the gallopade until the fiddler drops his bow.",
    "The massage of the masseuse of Massalia is famous, he lies.",
];

/// More of it, a line each: stammers, initials, hours, hobbies and other traps.
const MORE_INNOCENT: &str = include_str!("innocent.txt");

type Disguise = (&'static str, fn(&str) -> String);

fn map(word: &str, change: impl Fn(char) -> String) -> String {
    word.chars().map(change).collect()
}

fn joined(word: &str, between: &str) -> String {
    word.chars().map(String::from).collect::<Vec<_>>().join(between)
}

fn shifted(word: &str, lower: u32) -> String {
    map(word, |c| match c {
        'a'..='z' => char::from_u32(lower + (c as u32 - 97)).unwrap_or(c).to_string(),
        _ => c.to_string(),
    })
}

fn swapped(word: &str, from: &str, to: &str) -> String {
    map(word, |c| {
        let at = from.chars().position(|other| other == c);
        at.and_then(|at| to.chars().nth(at)).unwrap_or(c).to_string()
    })
}

const DISGUISES: [Disguise; 20] = [
    ("plain", str::to_owned),
    ("upper case", |word| word.to_uppercase()),
    ("mixed case", |word| {
        word.chars()
            .enumerate()
            .map(|(i, c)| if i % 2 == 0 { c } else { c.to_ascii_uppercase() })
            .collect()
    }),
    ("spaced", |word| joined(word, " ")),
    ("dotted", |word| joined(word, ".")),
    ("dashes and underscores", |word| joined(word, "-").replacen('-', "_", 2)),
    ("lines", |word| joined(word, "\n")),
    ("zero-width", |word| joined(word, "\u{200b}")),
    ("soft hyphens", |word| joined(word, "\u{ad}")),
    ("combining marks", |word| joined(word, "\u{336}")),
    ("right to left", |word| format!("\u{202e}{word}\u{202c}")),
    ("cyrillic", |word| swapped(word, "aceopxy", "асеорху")),
    ("greek", |word| swapped(word, "aioxv", "αιοχν")),
    ("full width", |word| shifted(word, 0xff41)),
    ("mathematical", |word| shifted(word, 0x1d41a)),
    ("circled", |word| shifted(word, 0x24d0)),
    ("accents", |word| swapped(word, "aeiou", "áèîöü")),
    ("leetspeak", |word| swapped(word, "aeiost", "431057")),
    ("drawn out", |word| {
        map(word, |c| if "aeiou".contains(c) { c.to_string().repeat(4) } else { c.to_string() })
    }),
    ("emoji between", |word| joined(word, "🔥")),
];

fn checker() -> Checker {
    let shipped = [
        Theme::Profanity,
        Theme::Slurs,
        Theme::Harassment,
        Theme::Sexual,
        Theme::GraphicViolence,
        Theme::SelfHarm,
        Theme::Drugs,
        Theme::Gambling,
    ];
    let own = WordRule {
        name: "own".into(),
        terms: FORBIDDEN[20..].iter().map(|&term| term.to_owned()).collect(),
        verdict: Verdict::Refuse,
        ..WordRule::default()
    };
    let themes = shipped.map(|theme| (theme, Verdict::Refuse));
    Checker::new(&Policy { themes: themes.into(), words: vec![own], ..Policy::default() }).unwrap()
}

fn is_met(checker: &Checker, text: &str) -> bool {
    checker.check(Door::Message, text, SceneFacts::default()).verdict > Verdict::Allow
}

#[test]
fn evasion_is_seen_through_and_innocence_is_left_alone() {
    let checker = checker();
    let mut table = BTreeMap::new();
    let (mut all_seen, mut all_false) = (0, 0);
    for (name, disguise) in DISGUISES {
        let within = |word: &&str| format!("And then {} was on the wall.", disguise(word));
        let missed: Vec<&str> =
            FORBIDDEN.into_iter().filter(|word| !is_met(&checker, &within(word))).collect();
        let wrong: Vec<&str> =
            ALLOWED.into_iter().filter(|word| is_met(&checker, &within(word))).collect();
        all_seen += FORBIDDEN.len() - missed.len();
        all_false += wrong.len();
        table.insert(name, (missed, wrong));
    }
    let innocent: Vec<&str> = INNOCENT
        .into_iter()
        .chain(MORE_INNOCENT.lines())
        .filter(|text| is_met(&checker, text))
        .collect();
    let report: String = table
        .iter()
        .map(|(name, (missed, wrong))| {
            format!(
                "{name:24} missed {:2} {missed:?}, false {:2} {wrong:?}\n",
                missed.len(),
                wrong.len()
            )
        })
        .collect();
    let total = FORBIDDEN.len() * DISGUISES.len();
    let report = format!(
        "{report}recall {all_seen}/{total}, false hits {all_false}/{total}, innocent {innocent:?}"
    );
    assert!(all_seen * 100 >= total * 98, "{report}");
    assert!(all_false * 200 <= total, "{report}");
    assert!(innocent.is_empty(), "{report}");
}
