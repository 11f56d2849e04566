//! What Discord says when somebody uses a command, a button, a menu or a form.
//!
//! Read by ourselves, and leniently: what is not needed may be missing or of any
//! shape. Forms come back complete, whichever kind of component held their fields.

use std::collections::BTreeMap;

use serde_json::Value;
use serenity::model::id::{ChannelId, GuildId, InteractionId, MessageId, RoleId, UserId};

use super::api::Attachment;

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) id: InteractionId,
    pub(super) token: String,
}

/// One use of something of ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Interaction {
    pub(super) handle: Handle,
    pub(super) guild: Option<GuildId>,
    pub(super) channel: Option<ChannelId>,
    /// What Discord tells of that channel along with it.
    pub(super) place: PlaceSeen,
    pub(super) who: Asker,
    /// What the bot may do in that channel.
    pub(super) app_permissions: u64,
    /// The person's language, by Discord's code.
    pub(super) locale: String,
    pub(super) data: Data,
}

/// A channel as an interaction tells of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PlaceSeen {
    /// Its type, by Discord's number.
    pub(super) kind: Option<u64>,
    pub(super) parent: Option<ChannelId>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) id: UserId,
    /// The name that people see: the guild's, else the account's.
    pub(super) name: String,
    pub(super) roles: Vec<RoleId>,
    /// What they may do in that channel, as Discord's bits.
    pub(super) permissions: u64,
}

/// What was used.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// Discord asks whether anybody is there.
    Ping,
    /// A slash command.
    Command(Command),
    /// A slash command that is still being typed.
    Typing {
        command: Command,
        /// The option that the cursor is in, and what it holds so far.
        option: String,
        typed: String,
    },
    /// An entry of the menu of a message.
    Menu { name: String, target: MessageId },
    /// A button.
    Button { custom_id: String },
    /// A form that was sent off.
    Form { custom_id: String, fields: Fields },
    /// Something newer than we are.
    Unknown,
}

/// A slash command and its options.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    /// The subcommand, "" where there is none.
    pub(super) subcommand: String,
    pub(super) options: Options,
}

/// What the options of a command say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Options(BTreeMap<String, Value>);

/// What the fields of a form say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Options {
    /// A text; `None` where it is left out or blank.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// A file that was attached.
    pub(super) fn attachment(&self, name: &str) -> Option<Attachment> {
        let file = self.0.get(name)?;
        Some(Attachment {
            name: file["filename"].as_str()?.to_owned(),
            url: file["url"].as_str()?.to_owned(),
            size: file["size"].as_u64().unwrap_or(0),
        })
    }

    /// A channel, a role or a person.
    pub(super) fn id(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(snowflake)
    }
}

impl Fields {
    /// What a field says; `None` where the form had no such field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim())
    }
}

impl FromIterator<(String, Value)> for Options {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(options: I) -> Self {
        Self(options.into_iter().collect())
    }
}

impl FromIterator<(String, String)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Handle {
    /// Reads it even where nothing else can be read.
    pub(super) fn read(raw: &Value) -> Option<Self> {
        Some(Self {
            id: InteractionId::new(snowflake(&raw["id"])?),
            token: raw["token"].as_str()?.to_owned(),
        })
    }
}

impl Interaction {
    /// Reads an interaction; `None` if it has no id, no token or nobody who asks.
    pub(super) fn read(raw: &Value) -> Option<Self> {
        let data = read_data(raw)?;
        let who = match data {
            Data::Ping => Asker::nobody(),
            _ => read_asker(raw)?,
        };
        let channel = &raw["channel"];
        Some(Self {
            handle: Handle::read(raw)?,
            guild: snowflake(&raw["guild_id"]).map(GuildId::new),
            channel: snowflake(&raw["channel_id"])
                .or_else(|| snowflake(&channel["id"]))
                .map(ChannelId::new),
            place: PlaceSeen {
                kind: channel["type"].as_u64(),
                parent: snowflake(&channel["parent_id"]).map(ChannelId::new),
            },
            who,
            app_permissions: bits(&raw["app_permissions"]),
            locale: raw["locale"].as_str().unwrap_or("en-US").to_owned(),
            data,
        })
    }
}

impl Asker {
    fn nobody() -> Self {
        Self { id: UserId::new(1), name: String::new(), roles: Vec::new(), permissions: 0 }
    }
}

fn read_asker(raw: &Value) -> Option<Asker> {
    let member = &raw["member"];
    let user = if member["user"].is_object() { &member["user"] } else { &raw["user"] };
    let names = [&member["nick"], &user["global_name"], &user["username"]];
    let name = names.into_iter().find_map(|name| name.as_str().filter(|it| !it.trim().is_empty()));
    let roles = member["roles"].as_array().into_iter().flatten();
    Some(Asker {
        id: UserId::new(snowflake(&user["id"])?),
        name: name.unwrap_or("Somebody").to_owned(),
        roles: roles.filter_map(snowflake).map(RoleId::new).collect(),
        permissions: bits(&member["permissions"]),
    })
}

/// Discord's numbers: interactions
/// (<https://discord.com/developers/docs/interactions/receiving-and-responding>).
fn read_data(raw: &Value) -> Option<Data> {
    let data = &raw["data"];
    Some(match raw["type"].as_u64()? {
        1 => Data::Ping,
        2 => match data["type"].as_u64().unwrap_or(1) {
            1 => Data::Command(read_command(data).0),
            3 => Data::Menu {
                name: data["name"].as_str()?.to_owned(),
                target: MessageId::new(snowflake(&data["target_id"])?),
            },
            _ => Data::Unknown,
        },
        3 => Data::Button { custom_id: data["custom_id"].as_str()?.to_owned() },
        4 => {
            let (command, focused) = read_command(data);
            let (option, typed) = focused.unwrap_or_default();
            Data::Typing { command, option, typed }
        }
        5 => Data::Form {
            custom_id: data["custom_id"].as_str()?.to_owned(),
            fields: read_fields(&data["components"]),
        },
        _ => Data::Unknown,
    })
}

/// Discord's type of an option that is a file.
const ATTACHMENT: u64 = 11;

/// A command, and the option that is being typed with what it holds so far.
fn read_command(data: &Value) -> (Command, Option<(String, String)>) {
    let mut command =
        Command { name: text(&data["name"]), subcommand: String::new(), ..Command::default() };
    let mut level = &data["options"];
    // A subcommand, or a group with one subcommand in it.
    while let Some(sub) = level.get(0).filter(|it| matches!(it["type"].as_u64(), Some(1 | 2))) {
        let name = text(&sub["name"]);
        if !command.subcommand.is_empty() {
            command.subcommand.push(' ');
        }
        command.subcommand.push_str(&name);
        level = &sub["options"];
    }
    let options = level.as_array().into_iter().flatten();
    let focused = options.clone().find(|option| option["focused"] == true).map(|option| {
        let typed = match &option["value"] {
            Value::String(typed) => typed.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (text(&option["name"]), typed)
    });
    let files = &data["resolved"]["attachments"];
    let value = |option: &Value| match (option["type"].as_u64(), option["value"].as_str()) {
        (Some(ATTACHMENT), Some(id)) => files[id].clone(),
        _ => option["value"].clone(),
    };
    command.options = options.map(|option| (text(&option["name"]), value(option))).collect();
    (command, focused)
}

/// The fields of a form, in rows as they used to be or in labels as they are now.
fn read_fields(components: &Value) -> Fields {
    let mut found = Vec::new();
    let mut rest: Vec<&Value> = components.as_array().into_iter().flatten().collect();
    while let Some(component) = rest.pop() {
        rest.extend(component["components"].as_array().into_iter().flatten());
        if component["component"].is_object() {
            rest.push(&component["component"]);
        }
        if let (Some(id), Some(value)) =
            (component["custom_id"].as_str(), component["value"].as_str())
        {
            found.push((id.to_owned(), value.to_owned()));
        }
    }
    found.into_iter().collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An id: a text of digits, or a number from careless peers; never 0.
fn snowflake(value: &Value) -> Option<u64> {
    let id = value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
    id.filter(|id| *id != 0)
}

/// Permissions: a text of digits.
fn bits(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn interaction(kind: u64, data: Value) -> Value {
        json!({
            "id": "77", "token": "secret", "type": kind, "version": 1, "application_id": "5",
            "guild_id": "10", "channel_id": "20", "channel": { "id": "20", "type": 11, "parent_id": "19" },
            "member": {
                "user": { "id": "30", "username": "ash", "global_name": "Ash" },
                "nick": null, "roles": ["41", "42"], "permissions": "2147483647"
            },
            "app_permissions": "8", "locale": "de", "data": data,
        })
    }

    fn read(kind: u64, data: Value) -> Interaction {
        Interaction::read(&interaction(kind, data)).expect("it can be read")
    }

    #[test]
    fn a_command_says_who_where_and_what() {
        let options = json!([{ "name": "start", "type": 1, "options": [
            { "name": "character", "type": 3, "value": "Maren" },
            { "name": "title", "type": 3, "value": "  " },
            { "name": "depth", "type": 4, "value": 3 },
            { "name": "clear", "type": 5, "value": true },
            { "name": "channel", "type": 7, "value": "99" },
        ] }]);
        let read = read(2, json!({ "id": "1", "name": "scene", "type": 1, "options": options }));
        assert_eq!(read.guild, Some(GuildId::new(10)));
        assert_eq!(read.channel, Some(ChannelId::new(20)));
        assert_eq!(read.place, PlaceSeen { kind: Some(11), parent: Some(ChannelId::new(19)) });
        assert_eq!((read.who.name.as_str(), read.who.roles.len()), ("Ash", 2));
        assert_eq!((read.who.permissions, read.app_permissions), (0x7fff_ffff, 8));
        let Data::Command(command) = read.data else { panic!("a command") };
        assert_eq!((command.name.as_str(), command.subcommand.as_str()), ("scene", "start"));
        assert_eq!(command.options.text("character"), Some("Maren"));
        assert_eq!(command.options.text("title"), None, "blank is nothing");
        assert_eq!(command.options.integer("depth"), Some(3));
        assert_eq!(command.options.boolean("clear"), Some(true));
        assert_eq!(command.options.id("channel"), Some(99));
        assert_eq!(command.options.id("nothing"), None);
    }

    #[test]
    fn an_attached_file_is_known_by_name_place_and_size() {
        let options = json!([{ "name": "import", "type": 1, "options": [
            { "name": "file", "type": 11, "value": "8" },
            { "name": "lost", "type": 11, "value": "9" },
        ] }]);
        let files =
            json!({ "8": { "id": "8", "filename": "a.png", "url": "https://x/a", "size": 5 } });
        let resolved = json!({ "attachments": files });
        let read =
            read(2, json!({ "name": "character", "options": options, "resolved": resolved }));
        let Data::Command(command) = read.data else { panic!("a command") };
        let attachment = Attachment { name: "a.png".into(), url: "https://x/a".into(), size: 5 };
        assert_eq!(command.options.attachment("file"), Some(attachment));
        assert_eq!(command.options.attachment("lost"), None);
    }

    #[test]
    fn what_is_being_typed_is_known() {
        let options = json!([
            { "name": "name", "type": 3, "value": "Ma", "focused": true },
            { "name": "length", "type": 3, "value": "short" },
        ]);
        let read = read(4, json!({ "id": "1", "name": "reply", "type": 1, "options": options }));
        let Data::Typing { command, option, typed } = read.data else { panic!("typing") };
        assert_eq!((option.as_str(), typed.as_str()), ("name", "Ma"));
        assert_eq!(command.options.text("length"), Some("short"));
    }

    #[test]
    fn forms_are_read_in_rows_and_in_labels() {
        let components = json!([
            { "type": 1, "components": [{ "type": 4, "custom_id": "name", "value": " Ash " }] },
            { "type": 18, "component": { "type": 4, "custom_id": "description", "value": "" } },
        ]);
        let read = read(5, json!({ "custom_id": "d1:form:note", "components": components }));
        let Data::Form { custom_id, fields } = read.data else { panic!("a form") };
        assert_eq!(custom_id, "d1:form:note");
        assert_eq!(fields.get("name"), Some("Ash"));
        assert_eq!(fields.get("description"), Some(""));
        assert_eq!(fields.get("other"), None);
    }

    #[test]
    fn menus_and_buttons_name_their_target() {
        let menu = read(2, json!({ "name": "Edit", "type": 3, "target_id": "555" }));
        assert_eq!(menu.data, Data::Menu { name: "Edit".into(), target: MessageId::new(555) });
        let button = read(3, json!({ "custom_id": "d1:cancel", "component_type": 2 }));
        assert_eq!(button.data, Data::Button { custom_id: "d1:cancel".into() });
    }

    #[test]
    fn in_private_there_is_a_user_and_no_guild() {
        let raw = json!({
            "id": "77", "token": "t", "type": 2, "channel_id": "20",
            "user": { "id": "30", "username": "ash" }, "data": { "name": "help", "type": 1 },
        });
        let read = Interaction::read(&raw).expect("it can be read");
        assert_eq!((read.guild, read.who.name.as_str()), (None, "ash"));
    }

    #[test]
    fn nonsense_is_refused_and_news_are_unknown() {
        for raw in [json!(null), json!({}), json!({ "id": "1", "token": "t" }), json!([1])] {
            assert_eq!(Interaction::read(&raw), None, "{raw}");
        }
        assert_eq!(read(9, json!({})).data, Data::Unknown);
        let half = json!({ "id": "8", "token": "t", "type": 2 });
        assert_eq!(Interaction::read(&half), None);
        assert_eq!(
            Handle::read(&half),
            Some(Handle { id: InteractionId::new(8), token: "t".into() })
        );
    }
}
