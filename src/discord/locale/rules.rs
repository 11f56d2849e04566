//! Discord's rules for commands, held against ours: what its documentation of
//! application commands says, and its description of the API does not.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::*;

/// One command, option or choice with the path by which languages name it.
struct Named<'a> {
    path: String,
    value: &'a Value,
    is_choice: bool,
}

fn all() -> Vec<Named<'static>> {
    fn add(named: &mut Vec<Named<'static>>, path: String, value: &'static Value) {
        named.push(Named { path: path.clone(), value, is_choice: false });
        for option in value["options"].as_array().into_iter().flatten() {
            add(named, format!("{path} {}", name_of(option)), option);
        }
        for choice in value["choices"].as_array().into_iter().flatten() {
            let path = choice_path(&path, choice["value"].as_str().expect("a text"));
            named.push(Named { path, value: choice, is_choice: true });
        }
    }
    let mut named = Vec::new();
    for command in definitions() {
        let top = if command["type"] == MESSAGE_COMMAND { "menu " } else { "/" };
        add(&mut named, format!("{top}{}", name_of(command)), command);
    }
    named
}

/// A text with all that stands for it in other languages.
fn versions<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let localised = value[format!("{key}_localizations")].as_object();
    let others = localised.into_iter().flat_map(|map| map.values());
    value.get(key).into_iter().chain(others).map(|text| text.as_str().expect("a text")).collect()
}

/// How many UTF-16 units the longest of them has.
fn longest(texts: &[&str]) -> usize {
    texts.iter().map(|text| text.encode_utf16().count()).max().unwrap_or(0)
}

/// What counts towards the 8,000 characters of a command: the longest version of
/// every name and description, and the values of choices.
fn size(value: &Value) -> usize {
    let own = longest(&versions(value, "name")) + longest(&versions(value, "description"));
    let chosen = value["value"].as_str().map_or(0, |text| text.encode_utf16().count());
    let parts = ["options", "choices"].iter().filter_map(|key| value[*key].as_array()).flatten();
    own + chosen + parts.map(size).sum::<usize>()
}

#[test]
fn names_and_descriptions_are_as_discord_wants_them() {
    let pattern = r"^[-_'\p{L}\p{N}\p{Devanagari}\p{Thai}]{1,32}$";
    let pattern = Regex::new(pattern).expect("a pattern");
    for Named { path, value, is_choice } in all() {
        let is_menu = path.starts_with("menu ");
        for name in versions(value, "name") {
            let longest = if is_choice { 100 } else { 32 };
            assert!((1..=longest).contains(&name.encode_utf16().count()), "{path}: {name}");
            if !is_choice && !is_menu {
                assert!(pattern.is_match(name), "{path}: {name}");
                assert_eq!(name.to_lowercase(), name, "{path}");
            }
        }
        let descriptions = versions(value, "description");
        assert_eq!(descriptions.is_empty(), is_choice || is_menu, "{path}");
        for description in descriptions {
            assert!((1..=100).contains(&description.encode_utf16().count()), "{path}");
        }
    }
}

#[test]
fn nothing_has_two_things_of_one_name() {
    let distinct = |values: &[Value], path: &str| {
        for code in [None, Some("de"), Some("fr")] {
            let name = |value: &Value| {
                let localised = code.and_then(|code| value["name_localizations"][code].as_str());
                (value["type"] == MESSAGE_COMMAND, localised.unwrap_or(name_of(value)).to_owned())
            };
            let names: BTreeSet<_> = values.iter().map(name).collect();
            assert_eq!(names.len(), values.len(), "{path}, {code:?}");
        }
    };
    distinct(definitions(), "top");
    for Named { path, value, .. } in all() {
        for key in ["options", "choices"] {
            distinct(value[key].as_array().map_or(&[], Vec::as_slice), &path);
        }
    }
}

#[test]
fn there_are_not_too_many_of_anything() {
    for command in definitions() {
        assert!(size(command) <= 8_000, "{}: {}", name_of(command), size(command));
    }
    for Named { path, value, .. } in all() {
        for key in ["options", "choices"] {
            assert!(value[key].as_array().is_none_or(|all| all.len() <= 25), "{path}");
        }
        let both = value["autocomplete"] == true && value["choices"].is_array();
        assert!(!both, "{path} both completes and offers choices");
    }
}

#[test]
fn required_options_come_first() {
    for Named { path, value, .. } in all() {
        let options = value["options"].as_array().into_iter().flatten();
        let required: Vec<bool> = options.map(|option| option["required"] == true).collect();
        assert!(required.is_sorted_by(|a, b| a >= b), "{path}");
    }
}

#[test]
fn commands_are_for_guilds_and_setting_up_is_for_those_who_manage_one() {
    for command in definitions() {
        assert_eq!(command["contexts"], json!([0]), "{command}");
        assert_eq!(command["integration_types"], json!([0]), "{command}");
        let permissions = command["default_member_permissions"].as_str();
        let manage_guild = (1u64 << 5).to_string();
        let expected = (name_of(command) == "setup").then_some(manage_guild.as_str());
        assert_eq!(permissions, expected, "{}", name_of(command));
    }
}

#[test]
fn every_language_covers_everything_and_nothing_else() {
    let mut wanted: BTreeSet<String> = all().into_iter().map(|named| named.path).collect();
    wanted.extend(crate::discord::controls::Label::ALL.map(|label| label.path()));
    let described: BTreeSet<String> = all()
        .into_iter()
        .filter(|named| named.value.get("description").is_some())
        .map(|named| named.path)
        .collect();
    for language in TRANSLATIONS.iter() {
        let covered: BTreeSet<String> = language.entries.keys().cloned().collect();
        let missing: Vec<_> = wanted.difference(&covered).collect();
        let surplus: Vec<_> = covered.difference(&wanted).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "{missing:?} {surplus:?}");
        for (path, entry) in &language.entries {
            assert_eq!(entry.description.is_some(), described.contains(path), "{path}");
        }
    }
}

#[test]
fn languages_are_found_by_discords_codes() {
    let again = |code| Locale::of(code).name("button again", "Again");
    assert_eq!(again("de"), "Noch einmal");
    assert_eq!(again("fr"), "Encore");
    assert_eq!(again("en-US"), "Again");
    assert_eq!(again("pt-BR"), "Again");
    assert_eq!(Locale::default().name("button again", "Again"), "Again");
}

#[test]
fn the_hash_follows_the_definitions() {
    assert_eq!(definitions_hash().len(), 64);
    assert_eq!(definitions_hash(), definitions_hash());
}

/// One line for each command, with its options: `!` is required, `…` completes,
/// `(n)` offers so many choices.
#[test]
fn the_commands_in_short() {
    fn describe(value: &Value, depth: usize, out: &mut String) {
        let choices =
            value["choices"].as_array().map_or(String::new(), |c| format!("({})", c.len()));
        let mark = if value["required"] == true { "!" } else { "" };
        let completes = if value["autocomplete"] == true { "…" } else { "" };
        let name = name_of(value);
        let kind = value["type"].as_u64().unwrap_or_default();
        if kind > 2 && depth > 0 {
            out.push_str(&format!(" {name}{mark}{completes}{choices}"));
        } else {
            let top = ["/", "  "][depth.min(1)];
            let top = if kind == MESSAGE_COMMAND { "menu: " } else { top };
            out.push_str(&format!("\n{top}{name}"));
        }
        for option in value["options"].as_array().into_iter().flatten() {
            describe(option, depth + 1, out);
        }
    }
    let mut out = String::new();
    definitions().iter().for_each(|command| describe(command, 0, &mut out));
    insta::assert_snapshot!(out.trim_start(), @r"
    /scene
      start character… with… title scenario length(11) preset…
      scenario text
      status
      pause
      resume
      end
      branch title
      import file! character… title
      export format(4)
    /cast
      add character!…
      remove character!…
      list
      length character!… length!(11)
    /persona
      set name description scope(2)
      show
      clear scope(2)
    /length length(11) for…
    /reply character… length(10)
    /stop
    /queue
    /note text depth clear
    /preset
      choose name…
      import file! name
      export name!…
      delete name!…
    /lore
      list book…
      add book!… keys! text! name secondary always order depth
      edit book!… entry!… keys text name secondary always order depth enabled
      remove book!… entry…
      use book!… for!(3) character… on
      import file! name for(3) character… replace
      export book!… format(3)
      test text! book…
    /roll dice! reason
    /context
    /why
    /undo
    /redo
    /help topic…
    /character
      create
      edit character!… part(2)
      show character!…
      list
      import file! replace
      export character!… format(4)
      picture character!… picture…
      delete character!…
    /setup
      channel channel! scenes(4) role character… length(11) preset…
      roles moderators remove
      reports channel
      consent people!(2)
      show
    /training
      agree
      withdraw
      status
      approve
      unapprove
    /privacy
      show
      export
      delete messages
      optout
      optin
    /lines
      show
      add kind!(2) text! for(2)
      remove number!
    /policy
      show channel
      preset preset!(4) channel
      import file! channel
      export channel
      clear channel
      test text
      hits days
    /mod
      freeze reason
      unfreeze
      pause-all reason
      resume-all
      block person! reason
      unblock person! reason
      warn person! reason!
      history person
      case case!
      decide case! decision!
      queue case
      purge last hours character… person
    /appeal case! text!
    menu: Again
    menu: Continue
    menu: Edit
    menu: Rewind to here
    menu: Branch here
    menu: Report
    menu: What did it see
    ");
}
