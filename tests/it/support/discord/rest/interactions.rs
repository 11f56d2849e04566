//! Answers to interactions: the first within three seconds, the others for fifteen
//! minutes. <https://docs.discord.com/developers/interactions/receiving-and-responding>

use serde_json::{Value, json};

use super::super::call::{Call, Outcome, nothing, ok};
use super::super::model::{Author, Interaction, Response, flag};
use super::super::refusal::Refusal;
use super::super::rules::Payload;
use super::super::world::World;
use super::messages;

/// Kinds of first responses.
pub(crate) mod callback {
    pub(crate) const MESSAGE: u8 = 4;
    pub(crate) const DEFERRED: u8 = 5;
    pub(crate) const DEFERRED_UPDATE: u8 = 6;
    pub(crate) const UPDATE: u8 = 7;
    pub(crate) const CHOICES: u8 = 8;
    pub(crate) const MODAL: u8 = 9;
}

/// The first response.
pub(crate) fn respond(world: &mut World, call: &Call) -> Outcome {
    let interaction = world.interactions.get(&call.id("interaction_id")?);
    let unknown = Refusal::of(10062);
    let interaction = interaction.ok_or(unknown.clone())?.clone();
    if interaction.token != call.param("interaction_token") {
        return Err(unknown);
    }
    if interaction.response.is_some() {
        return Err(Refusal::of(40060));
    }
    // "You must send an initial response within 3 seconds of receiving the event.
    // If the 3 second deadline is exceeded, the token will be invalidated."
    let now = world.clock.now_ms();
    let late_ms = u128::from(now.saturating_sub(interaction.created_ms));
    if late_ms > world.limits.first_response.as_millis() {
        return Err(unknown);
    }
    let kind = call.number("type").unwrap_or(0) as u8;
    let data = call.body.get("data").cloned().unwrap_or(Value::Null);
    check_kind(world, call, &interaction, kind, &data)?;
    let response = Response { kind, data: data.clone(), at_ms: now };
    let original = apply(world, call, &interaction, kind, &data)?;
    let kept = world.interactions.get_mut(&interaction.id).unwrap();
    kept.response = Some(response);
    kept.original = original;
    if let Some(id) = original {
        note_edit(world, (interaction.channel, id));
    }
    if !call.asks("with_response") {
        return nothing();
    }
    ok(callback_json(world, &interaction, kind, original))
}

fn callback_json(
    world: &World,
    interaction: &Interaction,
    kind: u8,
    original: Option<u64>,
) -> Value {
    let mut json = json!({
        "interaction": {
            "id": interaction.id.to_string(), "type": interaction.kind,
            "channel_id": interaction.channel.to_string(),
            "guild_id": interaction.guild.to_string(),
        },
    });
    if let Some(message) = original.map(|id| &world.messages[&(interaction.channel, id)]) {
        let inner = &mut json["interaction"];
        inner["response_message_id"] = message.id.to_string().into();
        inner["response_message_loading"] = (message.flags & flag::LOADING != 0).into();
        inner["response_message_ephemeral"] = message.only_for.is_some().into();
        if matches!(kind, callback::MESSAGE | callback::UPDATE) {
            json["resource"] = json!({"type": kind, "message": world.message_json(message)});
        }
    }
    json
}

/// Which responses fit which interactions, and what they hold.
fn check_kind(
    world: &mut World,
    call: &Call,
    interaction: &Interaction,
    kind: u8,
    data: &Value,
) -> Result<(), Refusal> {
    let fits = match kind {
        callback::MESSAGE | callback::DEFERRED => interaction.kind != 4,
        // "Only valid for component-based interactions", and modals that they opened.
        callback::DEFERRED_UPDATE | callback::UPDATE => interaction.source.is_some(),
        callback::CHOICES => interaction.kind == 4,
        // "Not available for MODAL_SUBMIT and PING interactions."
        callback::MODAL => matches!(interaction.kind, 2 | 3),
        _ => false,
    };
    if !fits {
        let message = format!("Response type {kind} does not fit interaction {}", interaction.kind);
        return Err(Refusal::form("type", "BASE_TYPE_CHOICES", &message));
    }
    match kind {
        callback::MESSAGE => messages::check(world, call, data, Payload::Response),
        callback::UPDATE => messages::check(world, call, data, Payload::Edit),
        callback::CHOICES => check_choices(data),
        callback::MODAL => check_modal(data),
        _ => Ok(()),
    }
}

/// "choices: autocomplete choices (max of 25 choices)", each named with 1–100.
fn check_choices(data: &Value) -> Result<(), Refusal> {
    let choices = data["choices"].as_array().map_or(&[][..], Vec::as_slice);
    let fits = |choice: &Value, key: &str| match &choice[key] {
        Value::String(text) => (1..=100).contains(&text.chars().count()),
        value => value.is_number() && key == "value",
    };
    if choices.len() > 25 || choices.iter().any(|one| !fits(one, "name") || !fits(one, "value")) {
        return Err(Refusal::length("data.choices", 0, 25));
    }
    Ok(())
}

/// "title: max 45 characters; components: between 1 and 5".
fn check_modal(data: &Value) -> Result<(), Refusal> {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    if !(1..=45).contains(&length(&data["title"])) {
        return Err(Refusal::length("data.title", 1, 45));
    }
    if !(1..=100).contains(&length(&data["custom_id"])) {
        return Err(Refusal::length("data.custom_id", 1, 100));
    }
    let rows = data["components"].as_array().map_or(&[][..], Vec::as_slice);
    if !(1..=5).contains(&rows.len()) {
        return Err(Refusal::length("data.components", 1, 5));
    }
    for input in super::super::forms::inputs(data) {
        if input.label.chars().count() > 45 || input.label.is_empty() {
            return Err(Refusal::length("data.components.label", 1, 45));
        }
        if input.value.chars().count() > 4000 {
            return Err(Refusal::length("data.components.value", 0, 4000));
        }
    }
    Ok(())
}

/// Does what the response asks, and says which message `@original` is.
fn apply(
    world: &mut World,
    call: &Call,
    interaction: &Interaction,
    kind: u8,
    data: &Value,
) -> Result<Option<u64>, Refusal> {
    match kind {
        callback::MESSAGE | callback::DEFERRED => {
            let is_deferred = kind == callback::DEFERRED;
            Ok(Some(post(world, call, interaction, data, is_deferred)))
        }
        callback::UPDATE => {
            let source = interaction.source.expect("the kind was checked");
            world.message(interaction.channel, source)?;
            messages::apply_edit(world, (interaction.channel, source), call, data)?;
            Ok(Some(source))
        }
        callback::DEFERRED_UPDATE => Ok(interaction.source),
        _ => Ok(None),
    }
}

/// A message in answer: for everybody, or for who asked.
fn post(
    world: &mut World,
    call: &Call,
    interaction: &Interaction,
    data: &Value,
    is_deferred: bool,
) -> u64 {
    let mut draft = messages::draft(world, interaction.channel, call, data);
    let is_ephemeral = data["flags"].as_u64().unwrap_or(0) & flag::EPHEMERAL != 0;
    if is_ephemeral {
        draft.flags |= flag::EPHEMERAL;
        draft.only_for = Some(interaction.user);
    }
    if is_deferred {
        draft.flags |= flag::LOADING;
    }
    draft.kind = if interaction.kind == 2 { 20 } else { 0 };
    if let (None, Some(source)) = (&draft.reference, interaction.source) {
        draft.reference = Some((interaction.channel, source));
        draft.kind = 19;
    }
    draft.interaction = Some(metadata(world, interaction));
    world.post(interaction.channel, Author::User(world.bot), draft)
}

fn metadata(world: &World, interaction: &Interaction) -> Value {
    let mut json = json!({
        "id": interaction.id.to_string(), "type": interaction.kind,
        "user": world.user_json(interaction.user),
        "authorizing_integration_owners": {"0": interaction.guild.to_string()},
    });
    match (interaction.kind, interaction.source) {
        (3, Some(source)) => json["interacted_message_id"] = source.to_string().into(),
        (5, source) => {
            let mut triggering = json.clone();
            triggering["type"] = if source.is_some() { 3 } else { 2 }.into();
            if let Some(source) = source {
                triggering["interacted_message_id"] = source.to_string().into();
            }
            json["triggering_interaction_metadata"] = triggering;
        }
        _ => {}
    }
    json
}

/// The living interaction of a token in a path.
fn living(world: &World, call: &Call) -> Result<Interaction, Refusal> {
    let token = call.param("webhook_token");
    let found = world.interactions.values().find(|one| one.token == token);
    let interaction = found.ok_or(Refusal::of(50027))?;
    let age_ms = world.clock.now_ms().saturating_sub(interaction.created_ms);
    // "Interaction tokens are valid for 15 minutes."
    if u128::from(age_ms) > world.limits.interaction_life.as_millis() {
        return Err(Refusal::of(50027));
    }
    match interaction.response {
        Some(_) => Ok(interaction.clone()),
        None => Err(Refusal::of(10015)),
    }
}

/// Another message in answer. It has no name or avatar of its own. "When using this
/// endpoint directly after responding to an interaction with DEFERRED_CHANNEL_MESSAGE…,
/// this endpoint will function as Edit Original Interaction Response."
pub(crate) fn follow_up(world: &mut World, call: &Call) -> Outcome {
    let interaction = living(world, call)?;
    messages::check(world, call, &call.body, Payload::Webhook)?;
    for key in ["username", "avatar_url"] {
        if call.text(key).is_some() {
            world.ledger.violation(format!("a follow-up cannot carry {key}"));
        }
    }
    let original = interaction.original.map(|id| (interaction.channel, id));
    let waits = original.and_then(|at| world.messages.get(&at));
    if waits.is_some_and(|message| message.flags & flag::LOADING != 0) {
        let at = original.unwrap();
        messages::apply_edit(world, at, call, &call.body)?;
        note_edit(world, at);
        return ok(world.message_json(&world.messages[&at]));
    }
    let id = post(world, call, &interaction, &call.body, false);
    world.interactions.get_mut(&interaction.id).unwrap().followups.push(id);
    ok(world.message_json(&world.messages[&(interaction.channel, id)]))
}

/// `@original`, or a follow-up.
pub(crate) fn message_of(world: &World, call: &Call) -> Result<(u64, u64), Refusal> {
    let interaction = living(world, call)?;
    let id = match call.params.contains_key("message_id") {
        true => Some(call.id("message_id")?)
            .filter(|id| interaction.followups.contains(id) || interaction.original == Some(*id)),
        false => interaction.original,
    };
    let id = id.ok_or(Refusal::of(10008))?;
    world.message(interaction.channel, id)?;
    Ok((interaction.channel, id))
}

/// Writes down the text that `@original` has now.
pub(crate) fn note_edit(world: &mut World, at: (u64, u64)) {
    let message = &world.messages[&at];
    if message.flags & flag::LOADING != 0 {
        return;
    }
    let text = message.content.clone();
    for interaction in world.interactions.values_mut() {
        if interaction.original == Some(at.1) && interaction.source != Some(at.1) {
            interaction.texts.push(text.clone());
        }
    }
}
