//! `dramatis chat`: chats that were played elsewhere go on in `play`, and scenes of
//! `play` go elsewhere.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::Session;
use super::library::{read, with_library, write};
use super::output::{line, note};
use crate::chat::{ChatOptions, ChatPlace};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{Scene, Template};
use crate::store::Surroundings;

/// Chats: bring in, take out.
#[derive(Debug, Subcommand)]
pub enum ChatCommand {
    /// Let a chat of SillyTavern go on in `play`
    Import {
        /// The chat, as JSONL; exports of other programs are read, too
        file: PathBuf,
        /// Who plays, where the chat has one character; without it, the one of its name
        #[arg(long, value_name = "NAME")]
        character: Option<String>,
        /// What the scene is called
        #[arg(long)]
        title: Option<String>,
    },
    /// Write the scene that was played last as a file
    Export {
        /// The scene of this character
        #[arg(long, value_name = "NAME")]
        character: Option<String>,
        /// As what
        #[arg(long = "as", value_enum, default_value = "jsonl")]
        format: FormatChoice,
        /// Where to: a file, a directory, or - for standard output
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
}

/// What a scene is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatChoice {
    /// A chat of SillyTavern, with all swipes
    Jsonl,
    /// Text to read
    Markdown,
    /// A page of its own, which prints well
    Html,
    /// Everything that is known of the scene
    Json,
}

pub(super) fn run(session: &Session, command: &ChatCommand) -> anyhow::Result<ExitCode> {
    match command {
        ChatCommand::Import { file, character, title } => {
            import(session, file, character.as_deref(), title.as_deref())
        }
        ChatCommand::Export { character, format, output, force } => {
            let file = with_library(session, |library, local| async move {
                let guild = local.guild.id;
                let scenes = library.store().list_scenes(guild, true, 1_000).await?;
                let wanted = match character {
                    Some(name) => Some(library.find_character(guild, name).await?),
                    None => None,
                };
                let channel = wanted.as_ref().map(|it| library.local_channel(it.id));
                let is_it = |scene: &&Scene| channel.as_ref().is_none_or(|it| scene.channel == *it);
                let Some(scene) = scenes.iter().find(is_it) else {
                    anyhow::bail!("nothing has been played yet");
                };
                let export = || library.export_scene(guild, scene.id, SystemClock.now());
                Ok(match format {
                    FormatChoice::Jsonl => library.export_chat(guild, scene.id).await?,
                    FormatChoice::Markdown => export().await?.into_markdown(),
                    FormatChoice::Html => export().await?.into_html(),
                    FormatChoice::Json => export().await?.into_json(),
                })
            })?;
            write(&file, output.as_deref(), *force)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn import(
    session: &Session,
    file: &std::path::Path,
    character: Option<&str>,
    title: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let bytes = read(file)?;
    let options = ChatOptions::new(&session.config, Template::default());
    let (length, preset) = (options.default_length()?, options.default_preset().to_owned());
    with_library(session, |library, local| async move {
        let guild = local.guild.id;
        let chat = library.read_chat(bytes).await?;
        let lead = match (character, chat.characters.as_slice()) {
            (Some(name), _) => Some(library.find_character(guild, name).await?),
            (None, [only]) => library.store().get_character_by_name(guild, only).await?,
            (None, _) => None,
        };
        let channel = match &lead {
            Some(lead) => library.local_channel(lead.id),
            None => format!("chat-{}", chat.characters.join(",")),
        };
        let open = library.store().get_scene_by_channel(guild, &channel).await?;
        if let Some(open) = open {
            anyhow::bail!(
                "a scene is being played there already: {}; `dramatis play --new` ends it",
                open.title
            );
        }
        let place = ChatPlace {
            channel,
            title: title.map(str::to_owned),
            length,
            preset,
            surroundings: Surroundings::default(),
        };
        let imported = library.import_chat(guild, &local.person, chat, lead, place).await?;
        for name in &imported.made {
            note(format_args!("{name} is new here, with nothing but the name"));
        }
        line(format_args!(
            "{}: {} turns; `dramatis play` goes on",
            imported.scene.title, imported.num_turns
        ));
        Ok(ExitCode::SUCCESS)
    })
}
