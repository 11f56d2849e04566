//! Judges that we did not write: Discord's own OpenAPI description for requests and
//! responses, `twilight-model` for gateway events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::{Registry, Resource, Validator};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use twilight_model::gateway::event::GatewayEventDeserializer;

const URI: &str = "json-schema:///discord";

struct Description {
    json: Value,
    registry: Registry<'static>,
    /// Compiled as they are needed, by the place of the schema.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// Discord's description, where `DISCORD_OPENAPI` names its file.
fn description() -> Option<&'static Description> {
    static DESCRIPTION: OnceLock<Option<Description>> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "a file outside the project, for tests only")]
    let load = || {
        let path = std::env::var("DISCORD_OPENAPI").ok()?;
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("DISCORD_OPENAPI={path}: {e}"));
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        amend(&mut json);
        let resource = Resource::from_contents(json.clone());
        let registry = Registry::new().add(URI, resource).unwrap().prepare().unwrap();
        Some(Description { json, registry, validators: Mutex::default() })
    };
    DESCRIPTION.get_or_init(load).as_ref()
}

/// Whether payloads are checked against Discord's description in this run.
pub(crate) fn has_description() -> bool {
    description().is_some()
}

/// Where the description contradicts the documentation, the documentation holds.
fn amend(json: &mut Value) {
    // "default_member_permissions: ?string", a set of bits too large for some numbers.
    // https://docs.discord.com/developers/interactions/application-commands#application-command-object
    for schema in ["ApplicationCommandUpdateRequest", "ApplicationCommandCreateRequest"] {
        let field = format!("/components/schemas/{schema}/properties/default_member_permissions");
        let field = json.pointer_mut(&field).expect("the description has command schemas");
        *field = json!({"type": ["integer", "string", "null"]});
        // "nsfw?: boolean", on the same page.
        let fields = format!("/components/schemas/{schema}/properties");
        let fields = json.pointer_mut(&fields).expect("the description has command schemas");
        fields["nsfw"] = json!({"type": ["boolean", "null"]});
    }
    // "GUILD_MEDIA 16".
    // https://docs.discord.com/developers/resources/channel#channel-object-channel-types
    let kinds = json.pointer_mut("/components/schemas/ChannelTypes/oneOf");
    let kinds = kinds.and_then(Value::as_array_mut).expect("the description has channel types");
    kinds.push(json!({"title": "GUILD_MEDIA", "const": 16}));
    let field = "/components/schemas/GuildChannelResponse/properties/type/enum";
    let kinds = json.pointer_mut(field).and_then(Value::as_array_mut);
    kinds.expect("the description has guild channels").push(16.into());
    // The number of a file in the form: `"attachments": [{"id": 0, …}]`.
    // https://docs.discord.com/developers/reference#uploading-files
    let field = "/components/schemas/MessageAttachmentRequest/properties/id";
    let field = json.pointer_mut(field).expect("the description has attachments");
    *field = json!({"type": ["integer", "string"]});
    // Of a field's error the code is a word: `"code": "BASE_TYPE_CHOICES"`.
    // https://docs.discord.com/developers/reference#error-messages
    let field = "/components/schemas/InnerErrors/properties/_errors/items";
    *json.pointer_mut(field).expect("the description has errors") = json!({
        "type": "object", "required": ["code", "message"],
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    });
}

impl Description {
    /// The place of an operation, as a JSON pointer.
    fn operation(&self, method: &str, template: &str) -> Option<String> {
        let path = template.replace('~', "~0").replace('/', "~1");
        let pointer = format!("/paths/{path}/{}", method.to_lowercase());
        self.json.pointer(&pointer).map(|_| pointer)
    }

    fn errors(&self, pointer: &str, value: &Value) -> Vec<String> {
        if self.json.pointer(pointer).is_none() {
            return Vec::new();
        }
        let validator = {
            let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
            let compile = || Arc::new(self.compile(pointer));
            Arc::clone(known.entry(pointer.to_owned()).or_insert_with(compile))
        };
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn compile(&self, pointer: &str) -> Validator {
        // In a URI's fragment, the braces of path templates are escaped.
        let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
        let schema = json!({"$ref": format!("{URI}#{fragment}")});
        let options = jsonschema::options();
        let options = options.with_registry(&self.registry).should_validate_formats(true);
        options.build(&schema).unwrap_or_else(|error| panic!("{pointer}: {error}"))
    }
}

/// The properties that a schema speaks of, with all its variants; none where it
/// speaks of none.
fn properties<'a>(root: &'a Value, schema: &'a Value, found: &mut Vec<&'a str>) {
    if let Some(place) = schema["$ref"].as_str()
        && let Some(schema) = root.pointer(place.trim_start_matches('#'))
    {
        properties(root, schema, found);
    }
    found.extend(schema["properties"].as_object().into_iter().flatten().map(|(key, _)| &**key));
    for key in ["anyOf", "oneOf", "allOf"] {
        for variant in schema[key].as_array().into_iter().flatten() {
            properties(root, variant, found);
        }
    }
    if schema["items"].is_object() {
        properties(root, &schema["items"], found);
    }
}

/// Properties that Discord would drop without a word.
pub(crate) fn unknown_properties(method: &str, template: &str, body: &Value) -> Vec<String> {
    let Some(description) = description() else { return Vec::new() };
    let Some(operation) = description.operation(method, template) else { return Vec::new() };
    let pointer = format!("{operation}/requestBody/content/application~1json/schema");
    let Some(schema) = description.json.pointer(&pointer) else { return Vec::new() };
    let mut known = Vec::new();
    properties(&description.json, schema, &mut known);
    let objects = match body {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    let keys = objects.into_iter().filter_map(Value::as_object).flat_map(|object| object.keys());
    keys.filter(|key| !known.contains(&key.as_str())).cloned().collect()
}

/// What is wrong with a request's body.
pub(crate) fn request(method: &str, template: &str, body: &Value) -> Vec<String> {
    let Some(description) = description() else { return Vec::new() };
    let Some(operation) = description.operation(method, template) else { return Vec::new() };
    let pointer = format!("{operation}/requestBody/content/application~1json/schema");
    if body.is_null() {
        return Vec::new();
    }
    description.errors(&pointer, body)
}

/// What is wrong with a response of the double.
pub(crate) fn response(
    method: &str,
    template: &str,
    status: u16,
    body: Option<&Value>,
) -> Vec<String> {
    let Some(description) = description() else { return Vec::new() };
    let Some(operation) = description.operation(method, template) else { return Vec::new() };
    let schema = match status {
        429 => "/components/responses/ClientRatelimitedResponse/content/application~1json/schema",
        400..500 => "/components/responses/ClientErrorResponse/content/application~1json/schema",
        _ => {
            let place = format!("{operation}/responses/{status}");
            if description.json.pointer(&place).is_none() {
                return vec![format!("{method} {template} never answers {status}")];
            }
            let place = format!("{place}/content/application~1json/schema");
            return body.map_or_else(Vec::new, |body| description.errors(&place, body));
        }
    };
    body.map_or_else(Vec::new, |body| description.errors(schema, body))
}

/// What is wrong with a gateway event of the double.
pub(crate) fn event(text: &str) -> Result<(), String> {
    let seed = GatewayEventDeserializer::from_json(text).ok_or("no opcode")?;
    let mut json = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut json).map(drop).map_err(|error| format!("{error} in {text}"))
}
