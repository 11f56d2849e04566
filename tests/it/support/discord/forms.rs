//! Interactions as Discord builds them: from the *registered* definition of a command,
//! from the components that a message has, from the modal that was shown.
//! <https://docs.discord.com/developers/interactions/receiving-and-responding>

use serde_json::{Map, Value, json};

use super::call::id_of;
use super::model::Interaction;
use super::people::Person;
use super::permissions::{ADMINISTRATOR, USE_APPLICATION_COMMANDS};
use super::seen::components;
use super::world::World;
use super::{ChannelId, MessageId, render};

/// What autocompletion offers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// A field of a modal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) custom_id: String,
    pub(crate) label: String,
    /// What stands in it when it opens.
    pub(crate) value: String,
    pub(crate) required: bool,
    pub(crate) max_length: usize,
}

/// The text fields of a modal, whether in action rows or in labels.
pub(crate) fn inputs(modal: &Value) -> Vec<Input> {
    let rows = modal["components"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = rows.iter().flat_map(|row| {
        let parts = components(std::slice::from_ref(row));
        parts.into_iter().map(move |part| (row, part))
    });
    all.filter(|(_, part)| part["type"] == 4)
        .map(|(row, part)| Input {
            custom_id: text(&part["custom_id"]),
            label: if part["label"].is_string() {
                text(&part["label"])
            } else {
                text(&row["label"])
            },
            value: text(&part["value"]),
            required: part["required"] != false,
            max_length: part["max_length"].as_u64().unwrap_or(4000) as usize,
        })
        .collect()
}

/// The definition that a person finds under a name, and may use here.
fn find_command(
    world: &World,
    person: &Person,
    channel: ChannelId,
    name: &str,
    kind: u64,
) -> Value {
    let scopes = [Some(person.guild.id), None];
    let all = || scopes.iter().filter_map(|scope| world.commands.get(scope)).flatten();
    let found = all().find(|one| one["name"] == name && one["type"] == kind);
    let command = found.unwrap_or_else(|| {
        let names: Vec<&Value> = all().map(|one| &one["name"]).collect();
        panic!("no command {name:?} of type {kind} is registered; there are {names:?}")
    });
    let permissions = world.permissions(person.id, channel.0);
    let needed = match command["default_member_permissions"].as_str() {
        None => 0,
        // No bits at all are for administrators only.
        Some("0") => ADMINISTRATOR,
        Some(bits) => bits.parse().expect("permissions are a set of bits"),
    };
    let needed = needed | USE_APPLICATION_COMMANDS;
    assert!(permissions & needed == needed, "{name:?} is not shown to this person here");
    let channel = &world.channels[&channel.0];
    let holder = channel.thread.as_ref().and(channel.parent).unwrap_or(channel.id);
    let is_adult = world.channels[&holder].nsfw;
    assert!(command["nsfw"] != true || is_adult, "{name:?} is age-restricted, the channel is not");
    command.clone()
}

/// The data of a slash command. `focus`: the option being typed, and its text.
pub(crate) fn slash(
    world: &mut World,
    person: &Person,
    channel: ChannelId,
    path: &str,
    options: &Value,
    focus: Option<(&str, &str)>,
) -> Value {
    let mut names = path.split(' ');
    let command = find_command(world, person, channel, names.next().unwrap(), 1);
    let mut level = command.clone();
    let mut steps = Vec::new();
    for name in names {
        let below = level["options"].as_array().into_iter().flatten();
        let found = below
            .into_iter()
            .find(|one| one["name"] == name && matches!(one["type"].as_u64(), Some(1 | 2)));
        level = found.unwrap_or_else(|| panic!("/{path}: no subcommand {name:?}")).clone();
        steps.push(level.clone());
    }
    let definitions = level["options"].as_array().cloned().unwrap_or_default();
    let is_leaf = definitions.iter().all(|one| !matches!(one["type"].as_u64(), Some(1 | 2)));
    assert!(is_leaf, "/{path} has subcommands and cannot be used by itself");
    let mut resolved = Map::new();
    let mut filled =
        fill(world, person, path, &definitions, options, &mut resolved, focus.is_some());
    if let Some((name, typed)) = focus {
        let definition = definitions.iter().find(|one| one["name"] == name);
        let definition = definition.unwrap_or_else(|| panic!("/{path} has no option {name:?}"));
        assert!(definition["autocomplete"] == true, "/{path} {name}: does not autocomplete");
        filled.push(json!({
            "name": name, "type": definition["type"], "value": typed, "focused": true,
        }));
    }
    let mut inner = Value::Array(filled);
    for step in steps.iter().rev() {
        inner = json!([{"name": step["name"], "type": step["type"], "options": inner}]);
    }
    let mut data =
        json!({"id": command["id"], "name": command["name"], "type": 1, "options": inner});
    if !resolved.is_empty() {
        data["resolved"] = resolved.into();
    }
    if let Some(guild) = command.get("guild_id") {
        data["guild_id"] = guild.clone();
    }
    data
}

/// Options as given, checked against their definitions, in the order of these.
fn fill(
    world: &mut World,
    person: &Person,
    path: &str,
    definitions: &[Value],
    options: &Value,
    resolved: &mut Map<String, Value>,
    is_unfinished: bool,
) -> Vec<Value> {
    let given = options.as_object().expect("options are an object, by name");
    for name in given.keys() {
        let is_known = definitions.iter().any(|one| one["name"] == name.as_str());
        assert!(is_known, "/{path} has no option {name:?}");
    }
    let mut filled = Vec::new();
    for definition in definitions {
        let name = definition["name"].as_str().unwrap();
        let Some(value) = given.get(name) else {
            let is_required = definition["required"] == true && !is_unfinished;
            assert!(!is_required, "/{path}: the option {name:?} is required");
            continue;
        };
        check_value(path, definition, value);
        let kind = definition["type"].as_u64().unwrap();
        let value = resolve(world, person, kind, value, resolved);
        filled.push(json!({"name": name, "type": kind, "value": value}));
    }
    filled
}

/// Whether Discord's client would let the value through.
fn check_value(path: &str, definition: &Value, value: &Value) {
    let name = &definition["name"];
    let fits = match definition["type"].as_u64() {
        Some(3) => value.is_string(),
        Some(4) => value.is_i64(),
        Some(5) => value.is_boolean(),
        Some(10) => value.is_number(),
        Some(11) => value["filename"].is_string() && value["url"].is_string(),
        _ => true,
    };
    assert!(fits, "/{path} {name}: {value} is not of the option's type");
    if let Some(choices) = definition["choices"].as_array().filter(|all| !all.is_empty()) {
        let is_offered = choices.iter().any(|choice| choice["value"] == *value);
        assert!(is_offered, "/{path} {name}: {value} is not offered");
    }
    let number = value.as_f64();
    let below = number.zip(definition["min_value"].as_f64()).is_some_and(|(n, min)| n < min);
    let above = number.zip(definition["max_value"].as_f64()).is_some_and(|(n, max)| n > max);
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let short = length.zip(definition["min_length"].as_u64()).is_some_and(|(n, min)| n < min);
    let long = length.zip(definition["max_length"].as_u64()).is_some_and(|(n, max)| n > max);
    assert!(!(below || above || short || long), "/{path} {name}: {value} is out of range");
}

/// People, channels, roles and files are ids, told about in `resolved`. A file is what
/// [`Person::attach`] gives.
fn resolve(
    world: &mut World,
    person: &Person,
    kind: u64,
    value: &Value,
    resolved: &mut Map<String, Value>,
) -> Value {
    let mut add = |group: &str, id: u64, json: Value| {
        let group = resolved.entry(group).or_insert_with(|| json!({}));
        group[id.to_string()] = json;
        Value::String(id.to_string())
    };
    let guild = person.guild.id;
    let id = id_of(value).unwrap_or(0);
    match kind {
        6 | 9 if world.users.contains_key(&id) => {
            if let Some(member) = world.guilds[&guild].members.get(&id) {
                let mut json = world.bare_member_json(member);
                json["permissions"] = world.guild_permissions(id, guild).to_string().into();
                add("members", id, json);
            }
            add("users", id, world.user_json(id))
        }
        7 => {
            let channel = world.channels.get(&id).expect("no such channel");
            let mut json = world.channel_json(channel);
            json["permissions"] = world.permissions(person.id, id).to_string().into();
            add("channels", id, json)
        }
        8 | 9 => {
            let roles = &world.guilds[&guild].roles;
            let position = roles.iter().position(|role| role.id == id).expect("no such role");
            add("roles", id, render::role(&roles[position], position))
        }
        6 => panic!("no such user: {value}"),
        11 => {
            assert!(world.files.contains_key(&file_id(value)), "nobody attached {value}");
            add("attachments", file_id(value), value.clone())
        }
        _ => value.clone(),
    }
}

fn file_id(value: &Value) -> u64 {
    id_of(&value["id"]).unwrap_or(0)
}

/// The data of a message's menu.
pub(crate) fn menu(world: &World, person: &Person, message: MessageId, name: &str) -> Value {
    let command = find_command(world, person, message.channel, name, 3);
    let id = message.id.to_string();
    let at = (message.channel.0, message.id);
    let json = world.message_json(world.messages.get(&at).expect("the message is gone"));
    json!({
        "id": command["id"], "name": name, "type": 3, "target_id": id,
        "resolved": {"messages": {id: json}},
    })
}

/// A component of a message that this person sees.
fn component<'a>(
    world: &'a World,
    person: &Person,
    message: MessageId,
    fits: impl Fn(&Value) -> bool,
    what: &str,
) -> &'a Value {
    let at = (message.channel.0, message.id);
    let message = world.messages.get(&at).expect("the message is gone");
    let is_seen = message.only_for.is_none_or(|user| user == person.id);
    assert!(is_seen, "the message is for somebody else only");
    let all = components(&message.components);
    let found = all.iter().find(|one| fits(one));
    let found = found.unwrap_or_else(|| panic!("no {what} under the message; there are {all:#?}"));
    assert!(found["disabled"] != true, "{what} is disabled");
    found
}

pub(crate) fn button(world: &World, person: &Person, message: MessageId, name: &str) -> Value {
    let fits = |one: &Value| {
        let emoji = &one["emoji"]["name"];
        one["type"] == 2 && (one["custom_id"] == name || one["label"] == name || *emoji == name)
    };
    let found = component(world, person, message, fits, &format!("button {name:?}"));
    json!({"component_type": 2, "custom_id": found["custom_id"], "id": found["id"]})
}

pub(crate) fn selection(
    world: &World,
    person: &Person,
    message: MessageId,
    menu: &str,
    values: &[&str],
) -> Value {
    let fits = |one: &Value| {
        matches!(one["type"].as_u64(), Some(3 | 5..=8))
            && (menu.is_empty() || one["custom_id"] == menu)
    };
    let found = component(world, person, message, fits, &format!("menu {menu:?}"));
    let value = |wanted: &&str| {
        let options = found["options"].as_array().into_iter().flatten();
        let fits = |one: &&Value| one["value"] == *wanted || one["label"] == *wanted;
        match found["type"] == 3 {
            true => {
                options.into_iter().find(fits).expect("the menu does not offer it")["value"].clone()
            }
            false => json!(wanted),
        }
    };
    let values: Vec<Value> = values.iter().map(value).collect();
    json!({
        "component_type": found["type"], "custom_id": found["custom_id"], "id": found["id"],
        "values": values, "resolved": {},
    })
}

/// What a filled-in modal sends, in the shape in which the modal came.
pub(crate) fn submission(modal: &Value, fields: &[(&str, &str)]) -> Value {
    let inputs = inputs(modal);
    for (name, _) in fields {
        let is_known = inputs.iter().any(|one| one.custom_id == *name || one.label == *name);
        assert!(is_known, "the modal has no field {name:?}; it has {inputs:?}");
    }
    let value = |input: &Input| {
        let given =
            fields.iter().find(|(name, _)| input.custom_id == *name || input.label == *name);
        let value = given.map_or(input.value.clone(), |(_, value)| (*value).to_owned());
        assert!(!input.required || !value.is_empty(), "the field {:?} is required", input.label);
        let length = value.chars().count();
        assert!(length <= input.max_length, "{length} are too many for {:?}", input.label);
        value
    };
    let rows = modal["components"].as_array().unwrap();
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    let sent: Vec<Value> = rows
        .iter()
        .filter_map(|row| {
            let input = self::inputs(&json!({"components": [row]})).into_iter().next()?;
            let field = json!({
                "type": 4, "id": number(), "custom_id": input.custom_id, "value": value(&input),
            });
            Some(match row["type"].as_u64() {
                Some(18) => json!({"type": 18, "id": number(), "component": field}),
                _ => json!({"type": 1, "id": number(), "components": [field]}),
            })
        })
        .collect();
    json!({"custom_id": modal["custom_id"], "components": sent})
}

/// What a person asks of the bot.
pub(crate) struct Interact<'a> {
    pub(crate) kind: u8,
    pub(crate) channel: ChannelId,
    pub(crate) data: Value,
    pub(crate) name: &'a str,
    pub(crate) source: Option<u64>,
}

/// Tells the bot, whose three seconds begin.
pub(crate) fn interact(world: &mut World, person: &Person, asked: Interact<'_>) -> u64 {
    let id = world.id();
    let guild = person.guild.id;
    let channel = asked.channel.0;
    let token = format!("{:-<180}", format!("{id}-interaction-token"));
    let mut member = world.member_json(guild, person.id);
    member["permissions"] = world.permissions(person.id, channel).to_string().into();
    let known = &world.guilds[&guild].members[&person.id];
    let mut event = json!({
        "id": id.to_string(), "application_id": world.application.to_string(),
        "type": asked.kind, "token": token, "version": 1, "data": asked.data,
        "guild_id": guild.to_string(), "channel_id": channel.to_string(),
        "channel": world.channel_json(&world.channels[&channel]), "member": member,
        "guild": {"id": guild.to_string(), "features": [], "locale": "en-US"},
        "locale": known.locale, "guild_locale": "en-US", "context": 0, "entitlements": [],
        "app_permissions": world.permissions(world.bot, channel).to_string(),
        "authorizing_integration_owners": {"0": guild.to_string()},
        "attachment_size_limit": 10 << 20,
    });
    if let Some(message) = asked.source.and_then(|id| world.messages.get(&(channel, id))) {
        event["message"] = world.message_json(message);
    }
    world.emit("INTERACTION_CREATE", Some(guild), 0, event);
    let interaction = Interaction {
        id,
        token,
        kind: asked.kind,
        user: person.id,
        guild,
        channel,
        created_ms: world.clock.now_ms(),
        source: asked.source,
        name: asked.name.into(),
        response: None,
        original: None,
        followups: Vec::new(),
        texts: Vec::new(),
    };
    world.interactions.insert(id, interaction);
    id
}
