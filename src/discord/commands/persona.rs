//! `/persona`: whom people play.

use super::super::bot::Place;
use super::super::call::{Answer, Call, Field, FormSheet, Refusal};
use super::super::custom_id::{CustomId, Form, PersonaScope};
use super::super::interaction::{Fields, Options};
use super::super::render::{self, Personas};
use crate::chat;

const MAX_NAME: usize = 80;

/// Where a persona is chosen for: as said, else in the scene where there is one.
async fn scope(call: &Call, options: &Options) -> Result<PersonaScope, Refusal> {
    Ok(match options.text("scope") {
        Some("server") => PersonaScope::Server,
        Some(_) => PersonaScope::Here,
        None => match here(call).await? {
            Some(_) => PersonaScope::Here,
            None => PersonaScope::Server,
        },
    })
}

async fn here(call: &Call) -> Result<Option<Place>, Refusal> {
    Ok(call.bot.place(call.guild_id, call.channel).await?)
}

async fn to_chat(call: &Call, scope: PersonaScope) -> Result<chat::PersonaScope, Refusal> {
    Ok(match scope {
        PersonaScope::Server => chat::PersonaScope::Guild,
        PersonaScope::Here => chat::PersonaScope::Scene(call.place().await?.scene),
    })
}

pub(super) async fn set(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let scope = scope(call, options).await?;
    let name = options.text("name").unwrap_or_default();
    play(call, scope, name, options.text("description").unwrap_or_default()).await
}

async fn play(
    call: &Call,
    scope: PersonaScope,
    name: &str,
    description: &str,
) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let to = to_chat(call, scope).await?;
    let persona = call.bot.chat.set_persona(call.guild, to, person.id, name, description).await?;
    let whither = match scope {
        PersonaScope::Server => "wherever a scene says nothing else",
        PersonaScope::Here => "in this scene",
    };
    Ok(Answer::text(format!("You play {} {whither}, from your next turn on.", persona.name)))
}

pub(super) async fn form(call: &Call, options: &Options) -> Result<FormSheet, Refusal> {
    let scope = scope(call, options).await?;
    let person = call.person().await?;
    let of = to_chat(call, scope).await?;
    let persona = call.bot.chat.persona_of(call.guild, of, person.id).await?;
    let (name, known) =
        persona.map_or_else(Default::default, |persona| (persona.name, persona.description));
    let description = options.text("description").unwrap_or(&known);
    let description = Field::long("description", "Who that is", description);
    // What does not fit would be cut, and lost when the form comes back.
    if !description.fits() {
        return Err(Refusal::plain(
            "the description is longer than a form can hold; /persona set name: description: \
             replaces it",
        ));
    }
    Ok(FormSheet {
        id: CustomId::Form(Form::Persona(scope)),
        title: "Whom you play".to_owned(),
        fields: vec![
            Field::line("name", "The name that heads your turns", &name, MAX_NAME).required(),
            description,
        ],
    })
}

/// The form comes back.
pub(in super::super) async fn submit(
    call: &Call,
    scope: PersonaScope,
    fields: &Fields,
) -> Result<Answer, Refusal> {
    let name = fields.get("name").unwrap_or_default();
    play(call, scope, name, fields.get("description").unwrap_or_default()).await
}

pub(super) async fn show(call: &Call) -> Result<Answer, Refusal> {
    let person = call.person().await?;
    let chat = &*call.bot.chat;
    let everywhere = chat.persona_of(call.guild, chat::PersonaScope::Guild, person.id).await?;
    let here = match here(call).await? {
        Some(place) => {
            let scope = chat::PersonaScope::Scene(place.scene);
            chat.persona_of(call.guild, scope, person.id).await?
        }
        None => None,
    };
    Ok(Answer::text(render::personas(&Personas {
        display_name: &person.display_name,
        here: here.as_ref().filter(|here| Some(*here) != everywhere.as_ref()),
        server: everywhere.as_ref(),
    })))
}

pub(super) async fn clear(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let scope = scope(call, options).await?;
    let person = call.person().await?;
    let to = to_chat(call, scope).await?;
    call.bot.chat.clear_persona(call.guild, to, person.id).await?;
    Ok(Answer::text(match scope {
        PersonaScope::Server => {
            "You are yourself again, but in scenes where you chose whom to play."
        }
        PersonaScope::Here => "In this scene you are whom you are on this server.",
    }))
}
