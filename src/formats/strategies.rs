//! Documents for tests, drawn by lot from what the specifications allow and from what
//! files hold beside that.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::fields::Object;

/// A field that may stand in an object: its key and its value as it is spelled.
pub(super) type Spelled = (String, String);

/// A text in JSON, with escapes that nobody needs.
pub(super) fn text() -> impl Strategy<Value = String> {
    let part = select(vec![
        "a",
        " ",
        "{{char}}",
        "é",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\/",
        "\\n",
        "\\\"",
        "\\\\",
        "@@x 1",
        "<START>",
        "\\ud83d",
        "猫",
    ]);
    vec(part, 0..6).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// A text in JSON that says something.
pub(super) fn word() -> impl Strategy<Value = String> {
    "[a-z]{1,6}( [a-z]{1,4})?".prop_map(|word| format!("\"{word}\""))
}

/// A number as nobody would write it.
fn number() -> impl Strategy<Value = String> {
    let odd = ["1.0", "-0.0", "1e400", "12345678901234567890123456789", "0.10", "5E-7", "-12", "0"];
    select(odd.map(str::to_owned).to_vec())
}

/// Any value, spelled oddly.
pub(super) fn odd() -> impl Strategy<Value = String> {
    let flat = prop_oneof![
        number(),
        text(),
        select(vec!["null", "true", "false", "{ }", "[\t]"]).prop_map(str::to_owned)
    ];
    flat.prop_recursive(3, 12, 3, |inner| {
        let list = vec(inner.clone(), 0..3).prop_map(|items| format!("[ {}]", items.join(" , ")));
        let object = vec((word(), inner), 0..3).prop_map(|fields| {
            let fields: Vec<String> =
                fields.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
            format!("{{{}}}", fields.join(",\n"))
        });
        prop_oneof![list, object]
    })
}

/// Fields that no specification names.
pub(super) fn unknown() -> impl Strategy<Value = Vec<Spelled>> {
    let key = (0..40_u8, select(vec!["", " ", "\\u0041", "ß"]));
    vec((key.prop_map(|(number, odd)| format!("u{number}{odd}")), odd()), 0..4)
}

/// A field that is there or not.
pub(super) fn maybe(
    key: &'static str,
    value: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<Vec<Spelled>> {
    option::weighted(0.7, value)
        .prop_map(move |value| value.map(|value| (key.to_owned(), value)).into_iter().collect())
        .boxed()
}

pub(super) fn list(
    item: impl Strategy<Value = String> + 'static,
    max: usize,
) -> impl Strategy<Value = String> {
    vec(item, 0..=max).prop_map(|items| format!("[{}]", items.join(",")))
}

/// One of some spellings.
pub(super) fn one_of(spellings: &[&'static str]) -> BoxedStrategy<String> {
    select(spellings.to_vec()).prop_map(str::to_owned).boxed()
}

/// An object of these fields and some that nobody knows, in any order; no key twice.
pub(super) fn object(fields: Vec<BoxedStrategy<Vec<Spelled>>>) -> BoxedStrategy<String> {
    (fields, unknown(), vec(any::<Index>(), 60))
        .prop_map(|(known, unknown, places)| {
            let mut fields: Vec<Spelled> = known.into_iter().flatten().collect();
            for field in unknown {
                if fields.iter().all(|(key, _)| *key != field.0) {
                    fields.push(field);
                }
            }
            for (at, place) in places.iter().enumerate().take(fields.len()) {
                let other = place.index(fields.len());
                fields.swap(at, other);
            }
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        })
        .boxed()
}

/// The fields of an object that [`unknown`] made, sorted.
pub(super) fn unknown_of(object: &Object) -> Vec<Spelled> {
    let is_unknown = |key: &&str| key.starts_with('u') && key.as_bytes()[1].is_ascii_digit();
    let mut fields: Vec<Spelled> = object
        .keys()
        .filter(|key| key.len() > 1)
        .filter(is_unknown)
        .map(|key| (key.to_owned(), object.raw(key).map(ToString::to_string).unwrap_or_default()))
        .collect();
    fields.sort();
    fields
}

/// Bytes that were a file until somebody spoiled them.
pub(super) fn spoiled(bytes: &[u8], marks: &[(Index, u8)], cut: Option<Index>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if !bytes.is_empty() {
        for (place, byte) in marks {
            let at = place.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
    }
    bytes
}

/// A book of a card, V3's fields included.
pub(super) fn book() -> BoxedStrategy<String> {
    let key =
        prop_oneof![word(), one_of(&["\"/a|b/i\"", "\"/x\\\\/y/\"", "\"C++\"", "\"(\"", "\"\""])];
    let flag = || one_of(&["true", "false", "1", "\"false\"", "null"]);
    let count = || one_of(&["0", "3", "null", "\"4\"", "2.0", "-1"]);
    let extensions = object(vec![
        maybe("position", one_of(&["0", "1", "2", "3", "4", "5", "6", "null", "\"4\"", "9"])),
        maybe("depth", count()),
        maybe("role", one_of(&["0", "1", "2", "null", "\"user\""])),
        maybe("selectiveLogic", one_of(&["0", "1", "2", "3", "null"])),
        maybe("probability", one_of(&["100", "37.5", "null", "\"12\"", "101"])),
        maybe("useProbability", flag()),
        maybe("group", one_of(&["\"\"", "\"a, b\"", "\"g\""])),
        maybe("case_sensitive", flag()),
        maybe("match_whole_words", flag()),
        maybe("delay_until_recursion", one_of(&["true", "false", "2", "0", "null"])),
        maybe("sticky", count()),
        maybe("scan_depth", count()),
        maybe("triggers", one_of(&["[]", "[\"swipe\"]"])),
        maybe("character_filter", one_of(&["{\"names\":[\"a\"],\"isExclude\":true}", "null"])),
        maybe("display_index", count()),
    ]);
    let entry = object(vec![
        maybe("keys", list(key, 3)),
        maybe("content", prop_oneof![text(), one_of(&["\"@@depth 2\\n\\nTold.\""])]),
        maybe("extensions", extensions),
        maybe("enabled", flag()),
        maybe("insertion_order", one_of(&["1", "100", "-5", "\"7\"", "2.5"])),
        maybe("case_sensitive", flag()),
        maybe("use_regex", flag()),
        maybe("constant", flag()),
        maybe("name", text()),
        maybe("priority", count()),
        maybe("id", one_of(&["0", "1", "7", "\"a\"", "null", "1.0"])),
        maybe("comment", text()),
        maybe("selective", flag()),
        maybe("secondary_keys", list(word(), 2)),
        maybe("position", one_of(&["\"before_char\"", "\"after_char\"", "\"elsewhere\""])),
    ]);
    let entries = list(entry, 3).prop_map(|entries| vec![("entries".to_owned(), entries)]).boxed();
    object(vec![
        entries,
        maybe("name", text()),
        maybe("description", text()),
        maybe("scan_depth", count()),
        maybe("token_budget", count()),
        maybe("recursive_scanning", flag()),
        maybe("extensions", object(vec![])),
    ])
}

/// SillyTavern's world info.
pub(super) fn world() -> BoxedStrategy<String> {
    let flag = || one_of(&["true", "false", "null"]);
    let count = || one_of(&["0", "3", "null", "12"]);
    let key = prop_oneof![word(), one_of(&["\"/a|b/i\"", "\"(\""])];
    let entry = object(vec![
        maybe("uid", one_of(&["0", "1", "5", "\"z\""])),
        maybe("key", list(key, 3)),
        maybe("keysecondary", list(word(), 2)),
        maybe("comment", text()),
        maybe("content", text()),
        maybe("constant", flag()),
        maybe("selective", flag()),
        maybe("selectiveLogic", one_of(&["0", "1", "2", "3"])),
        maybe("addMemo", flag()),
        maybe("order", one_of(&["1", "100", "-5"])),
        maybe("position", one_of(&["0", "1", "2", "3", "4", "5", "6", "7"])),
        maybe("disable", flag()),
        maybe("ignoreBudget", flag()),
        maybe("excludeRecursion", flag()),
        maybe("delayUntilRecursion", one_of(&["true", "false", "2", "0"])),
        maybe("probability", one_of(&["100", "37.5", "0"])),
        maybe("useProbability", flag()),
        maybe("depth", count()),
        maybe("role", one_of(&["0", "1", "2", "null"])),
        maybe("group", one_of(&["\"\"", "\"a, b\""])),
        maybe("caseSensitive", flag()),
        maybe("useGroupScoring", flag()),
        maybe("sticky", count()),
        maybe("characterFilter", one_of(&["{\"names\":[],\"tags\":[\"t\"],\"isExclude\":false}"])),
        maybe("outletName", word()),
        maybe("extensions", object(vec![])),
    ]);
    let entries = vec(entry, 0..3)
        .prop_map(|entries| {
            let entries: Vec<String> = entries
                .iter()
                .enumerate()
                .map(|(index, entry)| format!("\"{}\":{entry}", index * 3))
                .collect();
            vec![("entries".to_owned(), format!("{{{}}}", entries.join(",")))]
        })
        .boxed();
    object(vec![entries, maybe("name", text()), maybe("originalData", odd())])
}

/// The fields of a card's body. Older cards have fields of newer ones too: other
/// software puts them there.
fn body(assets: BoxedStrategy<Vec<Spelled>>) -> Vec<BoxedStrategy<Vec<Spelled>>> {
    let sometimes = || prop_oneof![5 => text().boxed(), 1 => one_of(&["null", "12", "true", "{}"])];
    let always = |key: &'static str, value: BoxedStrategy<String>| {
        value.prop_map(move |value| vec![(key.to_owned(), value)]).boxed()
    };
    let prompt = object(vec![
        maybe("prompt", text()),
        maybe("depth", one_of(&["4", "0", "\"2\"", "-1", "null"])),
        maybe("role", one_of(&["\"system\"", "\"user\"", "1", "\"x\""])),
    ]);
    let extensions = object(vec![
        maybe("talkativeness", one_of(&["0.5", "\"0.3\"", "1", "7", "null", "\"x\""])),
        maybe("fav", one_of(&["true", "\"false\"", "null"])),
        maybe("world", text()),
        maybe("depth_prompt", prompt),
    ]);
    let texts = list(prop_oneof![4 => text().boxed(), 1 => one_of(&["1", "null", "[]"])], 3);
    let lists = prop_oneof![5 => texts.boxed(), 1 => one_of(&["\"a, b\"", "null", "\"\""])];
    let mut fields = vec![always("name", word().boxed()), always("first_mes", text().boxed())];
    for key in ["description", "personality", "scenario", "mes_example", "creator_notes"] {
        fields.push(maybe(key, sometimes()));
    }
    for key in ["system_prompt", "post_history_instructions", "creator", "character_version"] {
        fields.push(maybe(key, sometimes()));
    }
    for key in ["alternate_greetings", "tags", "group_only_greetings", "source"] {
        fields.push(maybe(key, lists.clone()));
    }
    fields.push(maybe("nickname", text()));
    fields.push(maybe("creation_date", one_of(&["0", "1700000000", "1.5"])));
    fields.push(maybe("creator_notes_multilingual", object(vec![maybe("de", text())])));
    fields.push(maybe("extensions", extensions));
    fields.push(maybe("character_book", prop_oneof![3 => book(), 1 => world()]));
    fields.push(assets);
    fields
}

/// The assets of a card whose files are in their addresses, or nowhere.
fn assets() -> BoxedStrategy<Vec<Spelled>> {
    let asset = object(vec![
        maybe("type", one_of(&["\"icon\"", "\"emotion\"", "\"x_own\"", "\"background\""])),
        maybe(
            "uri",
            one_of(&[
                "\"ccdefault:\"",
                "\"https://example.org/a.png\"",
                "\"data:image/png;base64,AAEC\"",
                "\"data:;base64,!\"",
                "\"embeded://nowhere.png\"",
            ]),
        ),
        maybe("name", one_of(&["\"main\"", "\"joy\"", "\"\"", "\"../x\""])),
        maybe("ext", one_of(&["\"png\"", "\"unknown\"", "\"\"", "\"mp3\""])),
    ]);
    maybe("assets", list(asset, 3))
}

/// A card of any version.
pub(super) fn card() -> BoxedStrategy<String> {
    let with_data = |spec: &'static str, version: &'static str| {
        let data = object(body(assets())).prop_map(|data| vec![("data".to_owned(), data)]).boxed();
        let spelled = vec![
            ("spec".to_owned(), format!("\"{spec}\"")),
            ("spec_version".to_owned(), format!("\"{version}\"")),
        ];
        object(vec![
            Just(spelled).boxed(),
            data,
            maybe("name", text()),
            maybe("talkativeness", one_of(&["\"0.5\"", "0.1"])),
        ])
    };
    let flat = || {
        let mut fields = body(maybe("assets", list(one_of(&["{}"]), 1)));
        fields.push(maybe("creatorcomment", text()));
        fields.push(maybe("talkativeness", one_of(&["\"0.5\"", "0.1", "2"])));
        fields.push(maybe("data", object(vec![])));
        object(fields)
    };
    prop_oneof![
        with_data("chara_card_v2", "2.0"),
        with_data("chara_card_v3", "3.0"),
        with_data("chara_card_v3", "3.1"),
        flat()
    ]
    .boxed()
}
