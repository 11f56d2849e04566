//! `/scene`: beginning a scene and looking after it.

use super::super::api::File;
use super::super::call::{Answer, Call, Field, FormSheet, Refusal};
use super::super::controls;
use super::super::custom_id::{Confirm, CustomId, Form};
use super::super::interaction::{Fields, Options};
use super::super::names;
use super::super::permissions::Deed;
use super::super::render::{self, Status};
use super::super::scenes::{self, Wish};
use super::files::{attached, hand_out};
use super::length_option;
use crate::chat::file_name;
use crate::domain::{Character, Scene, SceneId};

/// Discord takes files of ten mebibytes.
const MAX_FILE: usize = 10 * 1024 * 1024;

pub(super) async fn start(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let wish = Wish {
        cast: named(call, options).await?,
        title: options.text("title").map(str::to_owned),
        scenario: options.text("scenario").map(str::to_owned),
        length: length_option(options)?,
        preset: options.text("preset").map(|name| name.trim().to_owned()),
    };
    let channel = scenes::start(call, wish).await?;
    Ok(Answer::text(if channel == call.channel {
        "The scene begins.".to_owned()
    } else {
        format!("The scene begins in <#{channel}>.")
    }))
}

/// Everybody who was named, each once, the first one first.
async fn named(call: &Call, options: &Options) -> Result<Vec<Character>, Refusal> {
    let others = options.text("with").unwrap_or_default().split(',');
    let mut cast: Vec<Character> = Vec::new();
    for name in options.text("character").into_iter().chain(others) {
        if name.trim().is_empty() {
            continue;
        }
        let character = call.character(name.trim()).await?;
        if cast.iter().all(|known| known.id != character.id) {
            cast.push(character);
        }
    }
    Ok(cast)
}

pub(super) async fn scenario(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    set_scenario(call, options.text("text").unwrap_or_default()).await
}

async fn set_scenario(call: &Call, text: &str) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::ChangeScene).await?;
    if text.is_empty() {
        call.bot.chat.clear_scenario(place.guild, place.scene).await?;
        return Ok(Answer::text("The scene has no scenario now."));
    }
    call.bot.chat.set_scenario(place.guild, place.scene, text).await?;
    Ok(Answer::text("That is what happens in the story, from the next reply on."))
}

pub(super) async fn scenario_form(call: &Call) -> Result<FormSheet, Refusal> {
    let scene = call.scene().await?;
    call.may(Deed::ChangeScene).await?;
    let text = Field::long("text", "Empty takes it away", &scene.scenario);
    if !text.fits() {
        return Err(Refusal::plain(
            "the scenario is longer than a form can hold; /scene scenario text: replaces it",
        ));
    }
    Ok(FormSheet {
        id: CustomId::Form(Form::Scenario),
        title: "What happens in the story".to_owned(),
        fields: vec![text],
    })
}

/// The form comes back.
pub(in super::super) async fn submit_scenario(
    call: &Call,
    fields: &Fields,
) -> Result<Answer, Refusal> {
    set_scenario(call, fields.get("text").unwrap_or_default()).await
}

pub(super) async fn status(call: &Call) -> Result<Answer, Refusal> {
    let scene = here(call).await?;
    let store = call.bot.chat.store();
    Ok(Answer::text(render::status(&Status {
        scene: &scene,
        cast: &store.list_cast(call.guild, scene.id).await?,
        people: &store.list_participants(call.guild, scene.id).await?,
        num_jobs: store.list_open_jobs(call.guild, scene.id).await?.len(),
        place: &store.queue_place(call.guild, scene.id).await?,
    })))
}

/// The scene of this channel; the latest one that is over, where none is played.
async fn here(call: &Call) -> Result<Scene, Refusal> {
    let latest = scenes::latest(&call.bot, call.guild, call.channel).await?;
    latest.ok_or_else(|| Refusal::plain("no scene is being played here; /scene start begins one"))
}

pub(super) async fn pause(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::Pause).await?;
    call.bot.chat.pause_scene(place.guild, place.scene).await?;
    Ok(Answer::text("Paused: what people say is kept, nobody answers. /scene resume goes on."))
}

pub(super) async fn resume(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::Pause).await?;
    call.bot.chat.resume_scene(place.guild, place.scene).await?;
    // What could not be shown before it rested.
    call.bot.chat.ask_show(place.guild, place.scene).await?;
    Ok(Answer::text("The scene goes on: the next turn is answered, or /reply asks for one."))
}

pub(super) async fn ask_end(call: &Call) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    call.may(Deed::EndScene).await?;
    Ok(Answer {
        text: "Shall the scene end here? It can be read and exported later, not played on. \
               /scene pause only lets it rest."
            .to_owned(),
        rows: controls::confirm_rows(Confirm::EndScene(place.scene), call.locale),
        ..Answer::default()
    })
}

/// The second press.
pub(in super::super) async fn end(call: &Call, scene: SceneId) -> Result<Answer, Refusal> {
    let place = call.place().await?;
    if place.scene != scene {
        return Err(Refusal::plain("that scene is not the one that is played here now"));
    }
    call.may(Deed::EndScene).await?;
    scenes::end(call, place).await?;
    let text = "The scene is over.".to_owned();
    Ok(Answer { text, then_archive: Some(call.channel), ..Answer::default() })
}

pub(super) async fn branch(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    scenes::branch(call, None, options.text("title")).await
}

pub(super) async fn import(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let lead = match options.text("character") {
        Some(name) => Some(call.character(name).await?),
        None => None,
    };
    scenes::may_import(call).await?;
    let chat = call.bot.chat.library().read_chat(attached(call, options).await?).await?;
    let (channel, imported) = scenes::import(call, chat, lead, options.text("title")).await?;
    let place = match channel == call.channel {
        true => "here".to_owned(),
        false => format!("in <#{channel}>"),
    };
    let made = match imported.made.as_slice() {
        [] => String::new(),
        made => format!(
            " New on this server, with nothing but their names: {}. /character edit tells who \
             they are.",
            made.iter().map(|name| names::choice(name)).collect::<Vec<_>>().join(", ")
        ),
    };
    let turns = match imported.num_turns {
        1 => "one turn".to_owned(),
        number => format!("{number} turns"),
    };
    Ok(Answer::text(format!("The chat goes on {place}, after {turns}.{made}")))
}

pub(super) async fn export(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let scene = here(call).await?;
    if options.text("format") == Some("jsonl") {
        let file = call.bot.chat.library().export_chat(call.guild, scene.id).await?;
        return hand_out("The story so far, as a chat.", file);
    }
    let export = call.bot.chat.export_scene(call.guild, scene.id).await?;
    let wanted = options.text("format");
    let files = [
        ("markdown", "md", export.markdown),
        ("html", "html", export.html),
        ("json", "json", export.json),
    ];
    let (mut kept, mut too_large) = (Vec::new(), Vec::new());
    for (format, ending, text) in files {
        if wanted.is_some_and(|wanted| wanted != format) {
            continue;
        }
        let file = File { name: file_name(&export.title, ending), bytes: text.into_bytes() };
        if file.bytes.len() > MAX_FILE { too_large.push(file.name) } else { kept.push(file) }
    }
    if kept.is_empty() {
        return Err(Refusal::plain(
            "the story is larger than the 10 MiB that Discord takes; ask the operator for it",
        ));
    }
    let missing = match too_large.first() {
        Some(name) => format!(" {name} is larger than the 10 MiB that Discord takes."),
        None => String::new(),
    };
    let text = format!("The story so far.{missing}");
    Ok(Answer { text, files: kept, ..Answer::default() })
}
