//! Discord's rules about command definitions.
//! <https://docs.discord.com/developers/interactions/application-commands>

use serde_json::{Value, json};

use super::refusal::Refusal;

/// Checks a set of definitions that replaces another.
pub(crate) fn check_all(commands: &[Value]) -> Result<(), Refusal> {
    // "100 CHAT_INPUT, 15 USER and 15 MESSAGE commands", global and in each guild.
    for (kind, max) in [(1, 100), (2, 15), (3, 15)] {
        let mut names: Vec<&str> = commands
            .iter()
            .filter(|command| kind_of(command) == kind)
            .filter_map(|command| command["name"].as_str())
            .collect();
        if names.len() > max {
            let message = format!("Maximum number of application commands reached ({max}).");
            return Err(Refusal { message, ..Refusal::of(50035) });
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            let message = "Application command names must be unique";
            let code = "APPLICATION_COMMANDS_DUPLICATE_NAME";
            return Err(Refusal::form("name", code, message));
        }
    }
    commands.iter().try_for_each(check)
}

fn kind_of(command: &Value) -> u64 {
    command["type"].as_u64().unwrap_or(1)
}

fn check(command: &Value) -> Result<(), Refusal> {
    let is_slash = kind_of(command) == 1;
    check_names(command, is_slash)?;
    let description = command["description"].as_str().unwrap_or_default();
    if is_slash && !(1..=100).contains(&description.chars().count()) {
        return Err(Refusal::length("description", 1, 100));
    }
    if !is_slash && (!description.is_empty() || !options(command).is_empty()) {
        let message = "Context menu commands cannot have description or options";
        return Err(Refusal::form("description", "APPLICATION_COMMAND_MENU", message));
    }
    check_options(command)?;
    // "up to 8000 characters for combined name, description, and value properties for
    // each command, its options (including subcommands and groups), and choices".
    let characters = size(command);
    if characters > 8000 {
        let message = format!("Command exceeds maximum size (8000): {characters}");
        return Err(Refusal::form("name", "APPLICATION_COMMAND_TOO_LARGE", &message));
    }
    Ok(())
}

fn options(of: &Value) -> &[Value] {
    of["options"].as_array().map_or(&[], Vec::as_slice)
}

/// "CHAT_INPUT command names and command option names must match
/// `^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$` … If there is a lowercase variant
/// of any letters used, you must use those."
fn check_names(of: &Value, is_slash: bool) -> Result<(), Refusal> {
    let localised = of["name_localizations"].as_object().into_iter().flatten();
    let names = localised.map(|(_, name)| name).chain([&of["name"]]);
    for name in names.filter_map(Value::as_str) {
        let fits = (1..=32).contains(&name.chars().count());
        let allowed = |c: char| c.is_alphanumeric() || "-_'".contains(c);
        let is_lower = name.chars().all(|c| c.to_lowercase().eq([c]));
        if !fits || is_slash && !(name.chars().all(allowed) && is_lower) {
            let code = "APPLICATION_COMMAND_INVALID_NAME";
            return Err(Refusal::form("name", code, "Command name is invalid"));
        }
    }
    Ok(())
}

fn check_options(of: &Value) -> Result<(), Refusal> {
    let options = options(of);
    // "options: the parameters for the command, max of 25".
    if options.len() > 25 {
        return Err(Refusal::length("options", 0, 25));
    }
    let mut names: Vec<&str> = options.iter().filter_map(|one| one["name"].as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        let code = "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS";
        return Err(Refusal::form("options", code, "Option name already exists"));
    }
    let is_required = |option: &Value| option["required"] == true;
    // "Required options must be listed before optional options."
    if options.windows(2).any(|pair| !is_required(&pair[0]) && is_required(&pair[1])) {
        let code = "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID";
        let message = "Required options must be placed before non-required options";
        return Err(Refusal::form("options", code, message));
    }
    for option in options {
        check_names(option, true)?;
        check_kind(option)?;
        let length = option["description"].as_str().map_or(0, |text| text.chars().count());
        if !(1..=100).contains(&length) {
            return Err(Refusal::length("options.description", 1, 100));
        }
        let choices = option["choices"].as_array().map_or(0, Vec::len);
        // "autocomplete may not be set to true if choices are present"; "max 25".
        if choices > 25 || choices > 0 && option["autocomplete"] == true {
            return Err(Refusal::length("options.choices", 0, 25));
        }
        check_options(option)?;
    }
    Ok(())
}

/// What the kinds of options can have, from 1 (a subcommand) to 11 (a file).
/// <https://docs.discord.com/developers/interactions/application-commands#application-command-object-application-command-option-type>
fn check_kind(option: &Value) -> Result<(), Refusal> {
    let kind = option["type"].as_u64().unwrap_or(0);
    let has = |key: &str| match &option[key] {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    // "choices: for STRING, INTEGER, and NUMBER"; the same for autocomplete, the numbers
    // alone for values, texts alone for lengths.
    let fits = [
        ("choices", [3, 4, 10].as_slice()),
        ("autocomplete", &[3, 4, 10]),
        ("min_value", &[4, 10]),
        ("max_value", &[4, 10]),
        ("min_length", &[3]),
        ("max_length", &[3]),
        ("channel_types", &[7]),
        ("options", &[1, 2]),
    ];
    let wrong = fits.iter().find(|(key, kinds)| has(key) && !kinds.contains(&kind));
    match (1..=11).contains(&kind) {
        false => Err(Refusal::form("options.type", "BASE_TYPE_CHOICES", "Unknown option type")),
        true => wrong.map_or(Ok(()), |(key, _)| {
            let field = format!("options.{key}");
            let message = format!("Options of type {kind} cannot have this");
            Err(Refusal::form(&field, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", &message))
        }),
    }
}

/// Characters that count, each text in its longest language.
fn size(of: &Value) -> usize {
    let text = |key: &str| {
        let plain = of[key].as_str().map_or(0, |text| text.chars().count());
        let localised = of[format!("{key}_localizations")].as_object().into_iter().flatten();
        let longest = localised.filter_map(|(_, text)| Some(text.as_str()?.chars().count())).max();
        plain.max(longest.unwrap_or(0))
    };
    let children = |key: &str| of[key].as_array().into_iter().flatten().map(size).sum::<usize>();
    text("name") + text("description") + text("value") + children("options") + children("choices")
}

/// A definition as Discord gives it back.
pub(crate) fn kept(command: &Value, id: u64, version: u64, application: u64) -> Value {
    fn tidy(of: &mut Value) {
        if let Some(object) = of.as_object_mut() {
            object.retain(|_, value| !value.is_null());
            for key in ["options", "choices"] {
                let inner = object.get_mut(key).and_then(Value::as_array_mut);
                inner.into_iter().flatten().for_each(tidy);
            }
        }
    }
    let mut kept = command.clone();
    tidy(&mut kept);
    // It is a string of bits; null is everybody, "0" administrators only.
    let permissions = match &command["default_member_permissions"] {
        Value::Number(bits) => bits.to_string().into(),
        other => other.clone(),
    };
    let defaults = json!({
        "id": id.to_string(), "application_id": application.to_string(),
        "version": version.to_string(), "type": kind_of(command),
        "default_member_permissions": permissions,
    });
    super::render::extend(&mut kept, defaults);
    for (key, value) in [
        ("description", json!("")),
        ("dm_permission", json!(true)),
        ("contexts", Value::Null),
        ("integration_types", json!([0])),
        ("nsfw", json!(false)),
    ] {
        kept.as_object_mut().unwrap().entry(key).or_insert(value);
    }
    kept
}
