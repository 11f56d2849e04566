//! Who may do what.
//!
//! Pure. Whoever can read a scene may look at all of it, and whoever can write in
//! its channel may play in it; what changes the scene for everybody is for those
//! who play in it, what ends it for the one who began it, and what others wrote or
//! own for moderators: people who may delete messages in Discord, or have a role
//! that the guild named. Setting up is for those who may manage the guild.
//! Discord's own settings of a command can forbid more, never allow more.

use crate::store::{ChannelSettings, SceneOpening};

const ADMINISTRATOR: u64 = 1 << 3;
const MANAGE_GUILD: u64 = 1 << 5;
const MANAGE_MESSAGES: u64 = 1 << 13;

/// Somebody who wants something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    /// What Discord lets them do in the channel, by the interaction.
    pub(super) permissions: u64,
    /// The ids of their roles.
    pub(super) roles: &'a [String],
    /// The ids of the roles that the guild named moderators.
    pub(super) moderator_roles: &'a [String],
    /// What they are to the scene.
    pub(super) part: Part,
}

/// What somebody is to a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Somebody who reads.
    Reader,
    /// Somebody who wrote in it.
    Player,
    /// The one who began it.
    Opener,
}

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The person's own.
    Own,
    /// The model's, as a character.
    Character,
    /// Another person's.
    Others,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed<'a> {
    /// Begin a scene in a channel.
    StartScene(Place<'a>),
    /// Tell the moderators about a turn.
    Report,
    /// Ask for a reply, another text or more of one; stop one; undo and redo.
    Play,
    /// Change length, preset, note, scenario or cast.
    ChangeScene,
    /// Play on from a turn in another thread.
    Branch,
    /// Pause the scene and resume it.
    Pause,
    /// Take back all that came after a turn.
    Rewind,
    /// End the scene.
    EndScene,
    /// Change a turn or take it out.
    EditTurn(Whose),
    /// Bring a character into the guild's library.
    CreateCharacter,
    /// Change a character of the library or delete it.
    EditCharacter(Whose),
    /// Bring a lorebook into the guild's library.
    CreateLore,
    /// Change a lorebook of the library or delete it.
    EditLore(Whose),
    /// Bring a preset into the guild's library.
    CreatePreset,
    /// Change a preset of the library or delete it.
    EditPreset(Whose),
    /// Say that a scene may be training data, or no more.
    ApproveTraining,
    /// Stop scenes and people, and look at what was done.
    Moderate,
    /// Say where scenes live and who looks after them.
    SetUp,
}

impl Deed<'_> {
    /// Whether words of whoever does it may come into a prompt by it.
    pub(super) fn brings_words(self) -> bool {
        match self {
            Self::StartScene(_)
            | Self::ChangeScene
            | Self::EditTurn(_)
            | Self::CreateCharacter
            | Self::EditCharacter(_)
            | Self::CreateLore
            | Self::EditLore(_) => true,
            Self::Report
            | Self::Play
            | Self::Branch
            | Self::Pause
            | Self::Rewind
            | Self::EndScene
            | Self::CreatePreset
            | Self::EditPreset(_)
            | Self::ApproveTraining
            | Self::Moderate
            | Self::SetUp => false,
        }
    }
}

/// A channel as a place for scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// How it is set up, if it is.
    pub(super) settings: Option<&'a ChannelSettings>,
    /// Whether any channel of the guild is set up: until then scenes may begin
    /// everywhere.
    pub(super) guild_is_set_up: bool,
}

/// Why not, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "scenes do not begin in this channel; somebody who may manage the server can change that \
         with /setup channel"
    )]
    NotHere,
    #[error("scenes in this channel are begun by people with {}", mentions(.0))]
    NeedsRole(Vec<String>),
    #[error("that is for those who play in the scene; say something in it first")]
    NotPlaying,
    #[error("that is for the person who began the scene, and for moderators")]
    NotOpener,
    #[error("somebody else wrote that; they can change it, and moderators can")]
    NotYours,
    #[error("somebody else made that character; they can change it, and moderators can")]
    NotYourCharacter,
    #[error("somebody else made that lorebook; they can change it, and moderators can")]
    NotYourLore,
    #[error("that preset is not yours; the one who brought it can change it, and moderators can")]
    NotYourPreset,
    #[error("the policy here leaves that to moderators")]
    PolicySaysModerators,
    #[error("that is for moderators")]
    NotModerator,
    #[error("that needs the permission Manage Server")]
    NeedsManageServer,
}

fn mentions(roles: &[String]) -> String {
    let mentions: Vec<String> = roles.iter().map(|role| format!("<@&{role}>")).collect();
    mentions.join(" or ")
}

impl Who<'_> {
    fn manages(&self) -> bool {
        self.permissions & (ADMINISTRATOR | MANAGE_GUILD) != 0
    }

    pub(super) fn moderates(&self) -> bool {
        self.manages()
            || self.permissions & MANAGE_MESSAGES != 0
            || self.has_one_of(self.moderator_roles)
    }

    fn has_one_of(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }

    fn is_at_least(&self, part: Part) -> bool {
        self.part >= part || self.moderates()
    }
}

/// Whether somebody may do something.
///
/// # Errors
/// They may not; the error says why.
pub(super) fn may(who: &Who<'_>, deed: Deed<'_>) -> Result<(), Refusal> {
    let allow = |is_allowed: bool, refusal| if is_allowed { Ok(()) } else { Err(refusal) };
    match deed {
        Deed::StartScene(place) => may_start(who, place),
        Deed::Report
        | Deed::CreateCharacter
        | Deed::EditTurn(Whose::Own)
        | Deed::EditCharacter(Whose::Own)
        | Deed::CreateLore
        | Deed::EditLore(Whose::Own)
        | Deed::CreatePreset
        | Deed::EditPreset(Whose::Own) => Ok(()),
        Deed::Play | Deed::ChangeScene | Deed::Branch | Deed::EditTurn(Whose::Character) => {
            allow(who.is_at_least(Part::Player), Refusal::NotPlaying)
        }
        Deed::Pause | Deed::Rewind | Deed::EndScene => {
            allow(who.is_at_least(Part::Opener), Refusal::NotOpener)
        }
        Deed::EditTurn(Whose::Others) => allow(who.moderates(), Refusal::NotYours),
        Deed::EditCharacter(_) => allow(who.moderates(), Refusal::NotYourCharacter),
        Deed::EditLore(_) => allow(who.moderates(), Refusal::NotYourLore),
        Deed::EditPreset(_) => allow(who.moderates(), Refusal::NotYourPreset),
        Deed::ApproveTraining | Deed::Moderate => allow(who.moderates(), Refusal::NotModerator),
        Deed::SetUp => allow(who.manages(), Refusal::NeedsManageServer),
    }
}

fn may_start(who: &Who<'_>, place: Place<'_>) -> Result<(), Refusal> {
    let settings = match place.settings {
        None if place.guild_is_set_up => return Err(Refusal::NotHere),
        None => return Ok(()),
        Some(settings) if settings.opens == SceneOpening::Never => return Err(Refusal::NotHere),
        Some(settings) => settings,
    };
    let roles = &settings.starter_roles;
    if roles.is_empty() || who.has_one_of(roles) || who.moderates() {
        Ok(())
    } else {
        Err(Refusal::NeedsRole(roles.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(opens: SceneOpening, roles: &[&str]) -> ChannelSettings {
        ChannelSettings {
            channel: "1".into(),
            opens,
            starter_roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            character: None,
            length: None,
            preset: None,
        }
    }

    /// Everybody against everything; a dot where it is allowed.
    #[test]
    fn the_whole_matrix() {
        let never = settings(SceneOpening::Never, &[]);
        let open = settings(SceneOpening::Command, &[]);
        let roles = settings(SceneOpening::Post, &["50"]);
        let place = |settings| Deed::StartScene(Place { settings, guild_is_set_up: true });
        let fresh = Deed::StartScene(Place { settings: None, guild_is_set_up: false });
        let deeds = [
            ("start, nothing set up", fresh),
            ("start, set up elsewhere", place(None)),
            ("start, never", place(Some(&never))),
            ("start, everybody", place(Some(&open))),
            ("start, with a role", place(Some(&roles))),
            ("report", Deed::Report),
            ("play", Deed::Play),
            ("change scene", Deed::ChangeScene),
            ("branch", Deed::Branch),
            ("pause", Deed::Pause),
            ("rewind", Deed::Rewind),
            ("end scene", Deed::EndScene),
            ("edit own turn", Deed::EditTurn(Whose::Own)),
            ("edit a reply", Deed::EditTurn(Whose::Character)),
            ("edit others' turn", Deed::EditTurn(Whose::Others)),
            ("create character", Deed::CreateCharacter),
            ("edit own character", Deed::EditCharacter(Whose::Own)),
            ("edit character", Deed::EditCharacter(Whose::Others)),
            ("create lore", Deed::CreateLore),
            ("edit own lore", Deed::EditLore(Whose::Own)),
            ("edit lore", Deed::EditLore(Whose::Others)),
            ("create preset", Deed::CreatePreset),
            ("edit own preset", Deed::EditPreset(Whose::Own)),
            ("edit preset", Deed::EditPreset(Whose::Others)),
            ("approve training", Deed::ApproveTraining),
            ("moderate", Deed::Moderate),
            ("set up", Deed::SetUp),
        ];
        let nobody = Who {
            permissions: 0,
            roles: &[],
            moderator_roles: &["60".to_owned()],
            part: Part::Reader,
        };
        let people = [
            ("reader", nobody),
            ("player", Who { part: Part::Player, ..nobody }),
            ("opener", Who { part: Part::Opener, ..nobody }),
            ("starter", Who { roles: &["50".to_owned()], ..nobody }),
            ("moderator", Who { roles: &["60".to_owned()], ..nobody }),
            ("janitor", Who { permissions: MANAGE_MESSAGES, ..nobody }),
            ("manager", Who { permissions: MANAGE_GUILD, ..nobody }),
            ("admin", Who { permissions: ADMINISTRATOR, ..nobody }),
        ];
        let mut table = format!("{:24}", "");
        table.extend(people.iter().map(|(name, _)| format!("{name:11}")));
        for (name, deed) in deeds {
            table.push_str(&format!("\n{name:24}"));
            for (_, who) in &people {
                let answer = may(who, deed).map_or_else(kind, |()| "·");
                table.push_str(&format!("{answer:11}"));
            }
        }
        let table: Vec<&str> = table.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(table.join("\n"), @r"
                                reader     player     opener     starter    moderator  janitor    manager    admin
        start, nothing set up   ·          ·          ·          ·          ·          ·          ·          ·
        start, set up elsewhere not here   not here   not here   not here   not here   not here   not here   not here
        start, never            not here   not here   not here   not here   not here   not here   not here   not here
        start, everybody        ·          ·          ·          ·          ·          ·          ·          ·
        start, with a role      role       role       role       ·          ·          ·          ·          ·
        report                  ·          ·          ·          ·          ·          ·          ·          ·
        play                    player     ·          ·          player     ·          ·          ·          ·
        change scene            player     ·          ·          player     ·          ·          ·          ·
        branch                  player     ·          ·          player     ·          ·          ·          ·
        pause                   opener     opener     ·          opener     ·          ·          ·          ·
        rewind                  opener     opener     ·          opener     ·          ·          ·          ·
        end scene               opener     opener     ·          opener     ·          ·          ·          ·
        edit own turn           ·          ·          ·          ·          ·          ·          ·          ·
        edit a reply            player     ·          ·          player     ·          ·          ·          ·
        edit others' turn       author     author     author     author     ·          ·          ·          ·
        create character        ·          ·          ·          ·          ·          ·          ·          ·
        edit own character      ·          ·          ·          ·          ·          ·          ·          ·
        edit character          maker      maker      maker      maker      ·          ·          ·          ·
        create lore             ·          ·          ·          ·          ·          ·          ·          ·
        edit own lore           ·          ·          ·          ·          ·          ·          ·          ·
        edit lore               lore       lore       lore       lore       ·          ·          ·          ·
        create preset           ·          ·          ·          ·          ·          ·          ·          ·
        edit own preset         ·          ·          ·          ·          ·          ·          ·          ·
        edit preset             preset     preset     preset     preset     ·          ·          ·          ·
        approve training        moderator  moderator  moderator  moderator  ·          ·          ·          ·
        moderate                moderator  moderator  moderator  moderator  ·          ·          ·          ·
        set up                  manager    manager    manager    manager    manager    manager    ·          ·
        ");
    }

    fn kind(refusal: Refusal) -> &'static str {
        match refusal {
            Refusal::NotHere => "not here",
            Refusal::NeedsRole(_) => "role",
            Refusal::NotPlaying => "player",
            Refusal::NotOpener => "opener",
            Refusal::NotYours => "author",
            Refusal::NotYourCharacter => "maker",
            Refusal::NotYourLore => "lore",
            Refusal::NotYourPreset => "preset",
            Refusal::PolicySaysModerators => "policy",
            Refusal::NotModerator => "moderator",
            Refusal::NeedsManageServer => "manager",
        }
    }

    #[test]
    fn refusals_say_what_would_help() {
        let roles = Refusal::NeedsRole(vec!["50".into(), "51".into()]);
        assert_eq!(
            roles.to_string(),
            "scenes in this channel are begun by people with <@&50> or <@&51>"
        );
        assert!(Refusal::NotHere.to_string().contains("/setup channel"));
    }
}
