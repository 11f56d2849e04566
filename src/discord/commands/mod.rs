//! The slash commands, one file each.
//!
//! What each can be given is data (`config/discord/commands.json`); here is what it
//! does. Every command asks first whether the person may, then does it by the chat
//! room's verbs, and says in a sentence or two what came of it.

mod card;
mod cast;
mod character;
pub(super) mod complete;
mod files;
mod help;
mod length;
mod lines;
mod lore;
mod moderation;
mod note;
mod persona;
mod policy;
mod preset;
mod privacy;
mod purge;
mod queue;
mod receipt;
pub(super) mod register;
mod reply;
mod roll;
mod scene;
mod setup;
mod training;
mod undo;

pub(super) use character::{apply as apply_character, delete as delete_character};
pub(super) use lore::delete as delete_lorebook;
pub(super) use note::submit as submit_note;
pub(super) use persona::submit as submit_persona;
pub(super) use privacy::forget;
pub(super) use purge::purge;
pub(super) use receipt::seen;
pub(super) use scene::{end, submit_scenario};

use std::str::FromStr;

use super::call::{Answer, Call, FormSheet, Refusal};
use super::interaction::{Command, Options};
use super::locale::AUTO;
use crate::domain::Length;

/// Everything that a slash command can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    SceneStart,
    SceneScenario,
    SceneStatus,
    ScenePause,
    SceneResume,
    SceneEnd,
    SceneBranch,
    SceneExport,
    SceneImport,
    CastAdd,
    CastRemove,
    CastList,
    CastLength,
    PersonaSet,
    PersonaShow,
    PersonaClear,
    Length,
    Reply,
    Stop,
    Queue,
    Note,
    PresetChoose,
    PresetImport,
    PresetExport,
    PresetDelete,
    LoreList,
    LoreAdd,
    LoreEdit,
    LoreRemove,
    LoreUse,
    LoreImport,
    LoreExport,
    LoreTest,
    Roll,
    Context,
    Why,
    Undo,
    Redo,
    Help,
    CharacterCreate,
    CharacterEdit,
    CharacterShow,
    CharacterList,
    CharacterDelete,
    CharacterImport,
    CharacterExport,
    CharacterPicture,
    SetupChannel,
    SetupRoles,
    SetupReports,
    SetupConsent,
    SetupShow,
    TrainingAgree,
    TrainingWithdraw,
    TrainingStatus,
    TrainingApprove,
    TrainingUnapprove,
    PrivacyShow,
    PrivacyExport,
    PrivacyDelete,
    PrivacyOptout,
    PrivacyOptin,
    LinesShow,
    LinesAdd,
    LinesRemove,
    PolicyShow,
    PolicyPreset,
    PolicyImport,
    PolicyExport,
    PolicyClear,
    PolicyTest,
    PolicyHits,
    ModFreeze,
    ModUnfreeze,
    ModPauseAll,
    ModResumeAll,
    ModBlock,
    ModUnblock,
    ModWarn,
    ModHistory,
    ModCase,
    ModDecide,
    ModQueue,
    ModPurge,
    Appeal,
}

impl Verb {
    /// What a command means; `None` for one that this version does not have.
    pub(super) fn of(command: &Command) -> Option<Self> {
        Some(match (command.name.as_str(), command.subcommand.as_str()) {
            ("scene", "start") => Self::SceneStart,
            ("scene", "scenario") => Self::SceneScenario,
            ("scene", "status") => Self::SceneStatus,
            ("scene", "pause") => Self::ScenePause,
            ("scene", "resume") => Self::SceneResume,
            ("scene", "end") => Self::SceneEnd,
            ("scene", "branch") => Self::SceneBranch,
            ("scene", "export") => Self::SceneExport,
            ("scene", "import") => Self::SceneImport,
            ("cast", "add") => Self::CastAdd,
            ("cast", "remove") => Self::CastRemove,
            ("cast", "list") => Self::CastList,
            ("cast", "length") => Self::CastLength,
            ("persona", "set") => Self::PersonaSet,
            ("persona", "show") => Self::PersonaShow,
            ("persona", "clear") => Self::PersonaClear,
            ("length", "") => Self::Length,
            ("reply", "") => Self::Reply,
            ("stop", "") => Self::Stop,
            ("queue", "") => Self::Queue,
            ("note", "") => Self::Note,
            ("preset", "choose") => Self::PresetChoose,
            ("preset", "import") => Self::PresetImport,
            ("preset", "export") => Self::PresetExport,
            ("preset", "delete") => Self::PresetDelete,
            ("lore", "list") => Self::LoreList,
            ("lore", "add") => Self::LoreAdd,
            ("lore", "edit") => Self::LoreEdit,
            ("lore", "remove") => Self::LoreRemove,
            ("lore", "use") => Self::LoreUse,
            ("lore", "import") => Self::LoreImport,
            ("lore", "export") => Self::LoreExport,
            ("lore", "test") => Self::LoreTest,
            ("roll", "") => Self::Roll,
            ("context", "") => Self::Context,
            ("why", "") => Self::Why,
            ("undo", "") => Self::Undo,
            ("redo", "") => Self::Redo,
            ("help", "") => Self::Help,
            ("character", "create") => Self::CharacterCreate,
            ("character", "edit") => Self::CharacterEdit,
            ("character", "show") => Self::CharacterShow,
            ("character", "list") => Self::CharacterList,
            ("character", "delete") => Self::CharacterDelete,
            ("character", "import") => Self::CharacterImport,
            ("character", "export") => Self::CharacterExport,
            ("character", "picture") => Self::CharacterPicture,
            ("setup", "channel") => Self::SetupChannel,
            ("setup", "roles") => Self::SetupRoles,
            ("setup", "reports") => Self::SetupReports,
            ("setup", "consent") => Self::SetupConsent,
            ("setup", "show") => Self::SetupShow,
            ("training", "agree") => Self::TrainingAgree,
            ("training", "withdraw") => Self::TrainingWithdraw,
            ("training", "status") => Self::TrainingStatus,
            ("training", "approve") => Self::TrainingApprove,
            ("training", "unapprove") => Self::TrainingUnapprove,
            ("privacy", "show") => Self::PrivacyShow,
            ("privacy", "export") => Self::PrivacyExport,
            ("privacy", "delete") => Self::PrivacyDelete,
            ("privacy", "optout") => Self::PrivacyOptout,
            ("privacy", "optin") => Self::PrivacyOptin,
            ("lines", "show") => Self::LinesShow,
            ("lines", "add") => Self::LinesAdd,
            ("lines", "remove") => Self::LinesRemove,
            ("policy", "show") => Self::PolicyShow,
            ("policy", "preset") => Self::PolicyPreset,
            ("policy", "import") => Self::PolicyImport,
            ("policy", "export") => Self::PolicyExport,
            ("policy", "clear") => Self::PolicyClear,
            ("policy", "test") => Self::PolicyTest,
            ("policy", "hits") => Self::PolicyHits,
            ("mod", "freeze") => Self::ModFreeze,
            ("mod", "unfreeze") => Self::ModUnfreeze,
            ("mod", "pause-all") => Self::ModPauseAll,
            ("mod", "resume-all") => Self::ModResumeAll,
            ("mod", "block") => Self::ModBlock,
            ("mod", "unblock") => Self::ModUnblock,
            ("mod", "warn") => Self::ModWarn,
            ("mod", "history") => Self::ModHistory,
            ("mod", "case") => Self::ModCase,
            ("mod", "decide") => Self::ModDecide,
            ("mod", "queue") => Self::ModQueue,
            ("mod", "purge") => Self::ModPurge,
            ("appeal", "") => Self::Appeal,
            _ => return None,
        })
    }

    /// Whether the answer is a form to fill in, which nothing may come before.
    pub(super) fn opens_form(self, options: &Options) -> bool {
        match self {
            Self::CharacterCreate | Self::CharacterEdit => true,
            Self::SceneScenario => options.text("text").is_none(),
            Self::PersonaSet => options.text("name").is_none(),
            Self::Note => options.text("text").is_none() && options.boolean("clear") != Some(true),
            _ => false,
        }
    }
}

/// Does what a command asks for.
pub(super) async fn run(call: &Call, command: &Command) -> Result<Answer, Refusal> {
    let options = &command.options;
    let verb = Verb::of(command).ok_or_else(unknown)?;
    match verb {
        Verb::SceneStart => scene::start(call, options).await,
        Verb::SceneScenario => scene::scenario(call, options).await,
        Verb::SceneStatus => scene::status(call).await,
        Verb::ScenePause => scene::pause(call).await,
        Verb::SceneResume => scene::resume(call).await,
        Verb::SceneEnd => scene::ask_end(call).await,
        Verb::SceneBranch => scene::branch(call, options).await,
        Verb::SceneExport => scene::export(call, options).await,
        Verb::SceneImport => scene::import(call, options).await,
        Verb::CastAdd => cast::add(call, options).await,
        Verb::CastRemove => cast::remove(call, options).await,
        Verb::CastList => cast::list(call).await,
        Verb::CastLength => length::of_character(call, options, "character").await,
        Verb::PersonaSet => persona::set(call, options).await,
        Verb::PersonaShow => persona::show(call).await,
        Verb::PersonaClear => persona::clear(call, options).await,
        Verb::Length if options.text("for").is_some() => {
            length::of_character(call, options, "for").await
        }
        Verb::Length => length::of_scene(call, options).await,
        Verb::Reply => reply::reply(call, options).await,
        Verb::Stop => reply::stop(call).await,
        Verb::Queue => queue::queue(call).await,
        Verb::Note => note::set(call, options).await,
        Verb::PresetChoose => preset::choose(call, options).await,
        Verb::PresetImport => preset::import(call, options).await,
        Verb::PresetExport => preset::export(call, options).await,
        Verb::PresetDelete => preset::delete(call, options).await,
        Verb::LoreList => lore::list(call, options).await,
        Verb::LoreAdd => lore::add(call, options).await,
        Verb::LoreEdit => lore::edit(call, options).await,
        Verb::LoreRemove => lore::remove(call, options).await,
        Verb::LoreUse => lore::set_use(call, options).await,
        Verb::LoreImport => lore::import(call, options).await,
        Verb::LoreExport => lore::export(call, options).await,
        Verb::LoreTest => lore::test(call, options).await,
        Verb::Roll => roll::roll(call, options).await,
        Verb::Context => receipt::context(call).await,
        Verb::Why => receipt::why(call).await,
        Verb::Undo => undo::undo(call).await,
        Verb::Redo => undo::redo(call).await,
        Verb::Help => Ok(help::help(call, options)),
        Verb::CharacterShow => character::show(call, options).await,
        Verb::CharacterList => character::list(call).await,
        Verb::CharacterDelete => character::ask_delete(call, options).await,
        Verb::CharacterImport => card::import(call, options).await,
        Verb::CharacterExport => card::export(call, options).await,
        Verb::CharacterPicture => card::picture(call, options).await,
        Verb::SetupChannel => setup::channel(call, options).await,
        Verb::SetupRoles => setup::roles(call, options).await,
        Verb::SetupReports => setup::reports(call, options).await,
        Verb::SetupConsent => setup::consent(call, options).await,
        Verb::SetupShow => setup::show(call).await,
        Verb::TrainingAgree => training::agree(call).await,
        Verb::TrainingWithdraw => training::withdraw(call).await,
        Verb::TrainingStatus => training::status(call).await,
        Verb::TrainingApprove => training::approve(call).await,
        Verb::TrainingUnapprove => training::unapprove(call).await,
        Verb::PrivacyShow => privacy::show(call).await,
        Verb::PrivacyExport => privacy::export(call).await,
        Verb::PrivacyDelete => privacy::ask_delete(call, options).await,
        Verb::PrivacyOptout => privacy::opt_out(call, true).await,
        Verb::PrivacyOptin => privacy::opt_out(call, false).await,
        Verb::LinesShow => lines::show(call).await,
        Verb::LinesAdd => lines::add(call, options).await,
        Verb::LinesRemove => lines::remove(call, options).await,
        Verb::PolicyShow => policy::show(call, options).await,
        Verb::PolicyPreset => policy::preset(call, options).await,
        Verb::PolicyImport => policy::import(call, options).await,
        Verb::PolicyExport => policy::export(call, options).await,
        Verb::PolicyClear => policy::clear(call, options).await,
        Verb::PolicyTest => policy::test(call, options).await,
        Verb::PolicyHits => policy::hits(call, options).await,
        Verb::ModFreeze => moderation::freeze(call, options).await,
        Verb::ModUnfreeze => moderation::unfreeze(call).await,
        Verb::ModPauseAll => moderation::pause_all(call, options).await,
        Verb::ModResumeAll => moderation::resume_all(call).await,
        Verb::ModBlock => moderation::block(call, options, true).await,
        Verb::ModUnblock => moderation::block(call, options, false).await,
        Verb::ModWarn => moderation::warn(call, options).await,
        Verb::ModHistory => moderation::history(call, options).await,
        Verb::ModCase => moderation::case(call, options).await,
        Verb::ModDecide => moderation::decide(call, options).await,
        Verb::ModQueue => moderation::queue(call, options).await,
        Verb::ModPurge => purge::ask_purge(call, options).await,
        Verb::Appeal => moderation::appeal(call, options).await,
        Verb::CharacterCreate | Verb::CharacterEdit => Err(unknown()),
    }
}

/// The form that a command opens.
pub(super) async fn form(call: &Call, command: &Command) -> Result<FormSheet, Refusal> {
    let options = &command.options;
    match Verb::of(command) {
        Some(Verb::CharacterCreate) => character::create(call).await,
        Some(Verb::CharacterEdit) => character::edit(call, options).await,
        Some(Verb::SceneScenario) => scene::scenario_form(call).await,
        Some(Verb::PersonaSet) => persona::form(call, options).await,
        Some(Verb::Note) => note::form(call, options).await,
        _ => Err(unknown()),
    }
}

fn unknown() -> Refusal {
    Refusal::plain("there is no such command here; /help lists them")
}

/// A length as it is chosen: `None` where nothing is said, `Some(None)` for *auto*.
fn length_option(options: &Options) -> Result<Option<Option<Length>>, Refusal> {
    match options.text("length") {
        None => Ok(None),
        Some(word) if word.eq_ignore_ascii_case(AUTO) => Ok(Some(None)),
        Some(word) => {
            let length =
                Length::from_str(word).map_err(|error| Refusal::plain(error.to_string()))?;
            Ok(Some(Some(length)))
        }
    }
}

/// A length in words.
fn length_words(length: Option<Length>) -> &'static str {
    length.map_or("auto: the model chooses", Length::as_str)
}

/// What must have been given; Discord sees to it, and we do not rely on that.
fn required<'a>(options: &'a Options, name: &str) -> Result<&'a str, Refusal> {
    options.text(name).ok_or_else(|| Refusal::plain(format!("say which {name} you mean")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::locale;
    use super::*;

    fn options(pairs: &[(&str, Value)]) -> Options {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn every_command_that_people_see_does_something() {
        let commands = locale::definitions().iter().filter(|command| command["type"] == 1);
        let mut seen = Vec::new();
        for definition in commands {
            let name = definition["name"].as_str().expect("a name");
            let options = definition["options"].as_array().into_iter().flatten();
            let mut subs: Vec<&str> = options
                .filter(|option| option["type"] == 1)
                .map(|option| option["name"].as_str().expect("a name"))
                .collect();
            if subs.is_empty() {
                subs.push("");
            }
            for sub in subs {
                let command = Command {
                    name: name.to_owned(),
                    subcommand: sub.to_owned(),
                    ..Command::default()
                };
                let verb = Verb::of(&command);
                assert!(verb.is_some(), "/{name} {sub}");
                assert!(!seen.contains(&verb), "/{name} {sub} means what another means");
                seen.push(verb);
            }
        }
        assert_eq!(seen.len(), 85);
        assert_eq!(Verb::of(&Command { name: "dance".into(), ..Command::default() }), None);
    }

    #[test]
    fn forms_open_where_the_words_are_missing() {
        let none = Options::default();
        assert!(Verb::CharacterCreate.opens_form(&none));
        assert!(Verb::SceneScenario.opens_form(&none));
        assert!(!Verb::SceneScenario.opens_form(&options(&[("text", json!("Rain."))])));
        assert!(Verb::Note.opens_form(&options(&[("depth", json!(3))])));
        assert!(!Verb::Note.opens_form(&options(&[("clear", json!(true))])));
        assert!(Verb::PersonaSet.opens_form(&options(&[("scope", json!("server"))])));
        assert!(!Verb::Undo.opens_form(&none));
    }

    #[test]
    fn lengths_are_read_and_said() {
        let read = |word: &str| length_option(&options(&[("length", json!(word))]));
        assert_eq!(read("auto").expect("fine"), Some(None));
        assert_eq!(read("Huge").expect("fine"), Some(Some(Length::Huge)));
        assert_eq!(length_option(&Options::default()).expect("fine"), None);
        assert!(read("lnog").expect_err("no length").notice().starts_with("“lnog” is not"));
        assert_eq!(length_words(None), "auto: the model chooses");
    }
}
