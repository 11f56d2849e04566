//! Who may do what: roles, overwrites and the rules of threads.
//! <https://docs.discord.com/developers/topics/permissions>

use super::model::{Channel, kind};
use super::refusal::Refusal;
use super::world::World;

pub(crate) const ADMINISTRATOR: u64 = 1 << 3;
pub(crate) const MANAGE_CHANNELS: u64 = 1 << 4;
pub(crate) const MANAGE_GUILD: u64 = 1 << 5;
pub(crate) const ADD_REACTIONS: u64 = 1 << 6;
pub(crate) const VIEW_CHANNEL: u64 = 1 << 10;
pub(crate) const SEND_MESSAGES: u64 = 1 << 11;
pub(crate) const MANAGE_MESSAGES: u64 = 1 << 13;
pub(crate) const EMBED_LINKS: u64 = 1 << 14;
pub(crate) const ATTACH_FILES: u64 = 1 << 15;
pub(crate) const READ_MESSAGE_HISTORY: u64 = 1 << 16;
pub(crate) const MENTION_EVERYONE: u64 = 1 << 17;
pub(crate) const MANAGE_ROLES: u64 = 1 << 28;
pub(crate) const MANAGE_WEBHOOKS: u64 = 1 << 29;
pub(crate) const USE_APPLICATION_COMMANDS: u64 = 1 << 31;
pub(crate) const MANAGE_THREADS: u64 = 1 << 34;
pub(crate) const CREATE_PUBLIC_THREADS: u64 = 1 << 35;
pub(crate) const CREATE_PRIVATE_THREADS: u64 = 1 << 36;
pub(crate) const SEND_MESSAGES_IN_THREADS: u64 = 1 << 38;

/// Every permission there is, as an administrator has them.
pub(crate) const ALL: u64 = (1 << 53) - 1;

/// What everybody may do in a guild that nobody configured.
pub(crate) const EVERYONE: u64 = VIEW_CHANNEL
    | SEND_MESSAGES
    | EMBED_LINKS
    | ATTACH_FILES
    | READ_MESSAGE_HISTORY
    | ADD_REACTIONS
    | USE_APPLICATION_COMMANDS
    | CREATE_PUBLIC_THREADS
    | SEND_MESSAGES_IN_THREADS;

/// What the bot's own role gives beyond [`EVERYONE`], unless a test says otherwise.
pub(crate) const BOT: u64 =
    EVERYONE | MANAGE_WEBHOOKS | MANAGE_MESSAGES | MANAGE_THREADS | CREATE_PRIVATE_THREADS;

impl World {
    /// In the whole guild, before overwrites.
    pub(crate) fn guild_permissions(&self, user: u64, guild: u64) -> u64 {
        let Some(guild) = self.guilds.get(&guild) else { return 0 };
        let Some(member) = guild.members.get(&user) else { return 0 };
        if guild.owner == user {
            return ALL;
        }
        let has = |id: u64| id == guild.id || member.roles.contains(&id);
        let granted = guild.roles.iter().filter(|role| has(role.id));
        let permissions = granted.fold(0, |sum, role| sum | role.permissions);
        if permissions & ADMINISTRATOR != 0 { ALL } else { permissions }
    }

    /// In a channel; a thread has those of its parent.
    pub(crate) fn permissions(&self, user: u64, channel: u64) -> u64 {
        let Some(channel) = self.channels.get(&channel) else { return 0 };
        let Some(guild_id) = channel.guild else { return ALL };
        let base = self.guild_permissions(user, guild_id);
        if base == ALL {
            return ALL;
        }
        let holder = match channel.thread {
            Some(_) => channel.parent.and_then(|parent| self.channels.get(&parent)),
            None => Some(channel),
        };
        let Some(member) = self.guilds[&guild_id].members.get(&user) else { return 0 };
        let overwrites = holder.map_or(&[][..], |holder| &holder.overwrites);
        let mut permissions = base;
        for one in overwrites.iter().filter(|one| one.id == guild_id) {
            permissions = permissions & !one.deny | one.allow;
        }
        let roles = || overwrites.iter().filter(|one| member.roles.contains(&one.id));
        permissions &= !roles().fold(0, |sum, one| sum | one.deny);
        permissions |= roles().fold(0, |sum, one| sum | one.allow);
        for one in overwrites.iter().filter(|one| one.is_member && one.id == user) {
            permissions = permissions & !one.deny | one.allow;
        }
        implied(permissions, channel, user)
    }

    pub(crate) fn may(&self, user: u64, channel: u64, permission: u64) -> bool {
        self.permissions(user, channel) & permission == permission
    }

    /// 50001 where the channel is out of sight, 50013 where a permission lacks.
    pub(crate) fn demand(&self, user: u64, channel: u64, permission: u64) -> Result<(), Refusal> {
        if !self.may(user, channel, VIEW_CHANNEL) {
            return Err(Refusal::of(50001));
        }
        if !self.may(user, channel, permission) {
            return Err(Refusal::of(50013));
        }
        Ok(())
    }

    /// Whether somebody may write here now. Threads have a permission of their own,
    /// and a locked one needs MANAGE_THREADS.
    /// <https://docs.discord.com/developers/topics/threads#permissions>
    pub(crate) fn demand_send(&self, user: u64, channel: u64) -> Result<(), Refusal> {
        let place = self.channels.get(&channel).ok_or(Refusal::of(10003))?;
        if matches!(place.kind, kind::FORUM | kind::MEDIA | kind::CATEGORY) {
            return Err(Refusal::of(50008));
        }
        let Some(thread) = &place.thread else {
            return self.demand(user, channel, SEND_MESSAGES);
        };
        self.demand(user, channel, SEND_MESSAGES_IN_THREADS)?;
        if thread.locked && !self.may(user, channel, MANAGE_THREADS) {
            return Err(Refusal::of(160005));
        }
        Ok(())
    }
}

/// Without sight nothing is allowed; without speech nothing that needs it.
fn implied(permissions: u64, channel: &Channel, user: u64) -> u64 {
    if permissions & VIEW_CHANNEL == 0 {
        return 0;
    }
    if let (kind::PRIVATE_THREAD, Some(thread)) = (channel.kind, &channel.thread) {
        let is_in = thread.members.contains(&user) || permissions & MANAGE_THREADS != 0;
        if !is_in {
            return 0;
        }
    }
    let speech = if channel.thread.is_some() { SEND_MESSAGES_IN_THREADS } else { SEND_MESSAGES };
    match permissions & speech {
        0 => permissions & !(EMBED_LINKS | ATTACH_FILES | MENTION_EVERYONE),
        _ => permissions,
    }
}
