//! Looking whether a start would succeed, without posting anything.

use std::sync::Arc;

use secrecy::SecretString;
use serenity::model::id::ApplicationId;

use super::api::{Api, ApiError, ApiOptions, MyGuild};
use crate::config::DiscordConfig;
use crate::telemetry::metrics::Metrics;

/// Bits of the application that tell that Message Content is switched on: for a bot
/// in few guilds, and for one that Discord has reviewed
/// (<https://discord.com/developers/docs/resources/application>).
const MESSAGE_CONTENT: [u64; 2] = [1 << 19, 1 << 18];

/// A permission, and what does not work without it.
struct Needed {
    bit: u64,
    name: &'static str,
    without: &'static str,
    /// Whether nothing works without it.
    vital: bool,
}

const ADMINISTRATOR: u64 = 1 << 3;

/// What we ask for in the link of invitation
/// (<https://discord.com/developers/docs/topics/permissions>).
const NEEDED: [Needed; 10] = [
    Needed { bit: 1 << 10, name: "View Channels", without: "nothing is heard", vital: true },
    Needed { bit: 1 << 11, name: "Send Messages", without: "nothing is said", vital: true },
    Needed {
        bit: 1 << 38,
        name: "Send Messages in Threads",
        without: "nothing is said in threads and forum posts",
        vital: true,
    },
    Needed {
        bit: 1 << 16,
        name: "Read Message History",
        without: "nothing missed is caught up with, and what is in doubt is not looked for",
        vital: true,
    },
    Needed {
        bit: 1 << 35,
        name: "Create Public Threads",
        without: "/scene start opens no threads",
        vital: false,
    },
    Needed {
        bit: 1 << 29,
        name: "Manage Webhooks",
        without: "characters speak as the bot, not under their own name",
        vital: false,
    },
    Needed {
        bit: 1 << 6,
        name: "Add Reactions",
        without: "messages that wait or are not answered bear no mark of it",
        vital: false,
    },
    Needed { bit: 1 << 15, name: "Attach Files", without: "/scene export fails", vital: false },
    Needed {
        bit: 1 << 34,
        name: "Manage Threads",
        without: "locked threads stay locked",
        vital: false,
    },
    Needed {
        bit: 1 << 13,
        name: "Manage Messages",
        without: "posts of a lost webhook stay",
        vital: false,
    },
];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It cannot work.
    Failed,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was looked at.
    pub subject: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do; empty if nothing is.
    pub advice: String,
}

impl Found {
    fn ok(subject: &'static str, detail: String) -> Self {
        Self { subject, verdict: Verdict::Ok, detail, advice: String::new() }
    }
}

/// Asks Discord about the token, the intents and what we may do where. Nothing is
/// posted, and nobody sees that we were there.
pub async fn check(settings: &DiscordConfig, token: &SecretString) -> Vec<Found> {
    let mut found = Vec::new();
    if let Err(error) = look(settings, token, &mut found).await {
        let advice = match error {
            ApiError::Unauthorized => "copy the token again from the application's page, under Bot",
            _ => "",
        };
        found.push(Found {
            subject: "discord",
            verdict: Verdict::Failed,
            detail: error.to_string(),
            advice: advice.to_owned(),
        });
    }
    found
}

async fn look(
    settings: &DiscordConfig,
    token: &SecretString,
    found: &mut Vec<Found>,
) -> Result<(), ApiError> {
    let options = ApiOptions {
        base: settings.api_url.set().cloned(),
        client: None,
        requests_per_s: settings.requests_per_s,
        metrics: Arc::new(Metrics::default()),
    };
    let api = Api::new(token, &options)?;
    let application = api.current_application().await?;
    found.push(Found::ok("token", format!("belongs to {}", application.name)));
    found.push(intents(application.flags));
    let gateway = api.gateway_bot().await?;
    let left = gateway.session_start_limit.remaining;
    found.push(Found::ok(
        "gateway",
        format!("{} shards advised; {left} sessions may begin today", gateway.shards),
    ));
    let mut after = None;
    let mut num_guilds = 0;
    loop {
        let page = api.my_guilds(after).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        num_guilds += page.len();
        found.extend(page.iter().map(guild));
    }
    if num_guilds == 0 {
        found.push(Found {
            subject: "guilds",
            verdict: Verdict::Warning,
            detail: "it is in no guild yet".to_owned(),
            advice: format!("invite it: {}", invite_link(application.id)),
        });
    }
    Ok(())
}

fn intents(flags: u64) -> Found {
    if MESSAGE_CONTENT.iter().any(|bit| flags & bit != 0) {
        return Found::ok("intents", "Message Content is switched on".to_owned());
    }
    Found {
        subject: "intents",
        verdict: Verdict::Failed,
        detail: "Message Content is switched off: the text of people's messages is empty"
            .to_owned(),
        advice: "switch on Message Content Intent on the application's page, under Bot".to_owned(),
    }
}

fn guild(guild: &MyGuild) -> Found {
    let may = |needed: &&Needed| {
        guild.permissions & ADMINISTRATOR != 0 || guild.permissions & needed.bit != 0
    };
    let missing: Vec<&Needed> = NEEDED.iter().filter(|needed| !may(needed)).collect();
    let name = if guild.name.is_empty() { guild.id.to_string() } else { guild.name.clone() };
    if missing.is_empty() {
        return Found::ok("guild", format!("{name}: every permission that is needed"));
    }
    let is_vital = missing.iter().any(|needed| needed.vital);
    let list = |of: fn(&Needed) -> &'static str| {
        missing.iter().map(|needed| of(needed)).collect::<Vec<_>>().join("; ")
    };
    Found {
        subject: "guild",
        verdict: if is_vital { Verdict::Failed } else { Verdict::Warning },
        detail: format!("{name}: without {}", list(|needed| needed.name)),
        advice: format!("{}; give its role these permissions", list(|needed| needed.without)),
    }
}

/// Where a guild's administrators invite the bot, with what it needs.
pub(super) fn invite_link(application: ApplicationId) -> String {
    let permissions = NEEDED.iter().fold(0, |bits, needed| bits | needed.bit);
    format!(
        "https://discord.com/oauth2/authorize?client_id={application}&scope=bot+applications.commands&permissions={permissions}"
    )
}

#[cfg(test)]
mod tests {
    use serenity::model::id::GuildId;

    use super::*;

    fn seen(permissions: u64) -> Found {
        guild(&MyGuild { id: GuildId::new(5), name: "Skerry".into(), permissions })
    }

    #[test]
    fn a_missing_permission_is_named_with_what_it_is_for() {
        let all = NEEDED.iter().fold(0, |bits, needed| bits | needed.bit);
        assert_eq!(seen(all).verdict, Verdict::Ok);
        assert_eq!(seen(ADMINISTRATOR).verdict, Verdict::Ok);
        let webhooks = seen(all & !(1 << 29));
        assert_eq!(webhooks.verdict, Verdict::Warning);
        assert_eq!(webhooks.detail, "Skerry: without Manage Webhooks");
        assert!(webhooks.advice.starts_with("characters speak as the bot"));
        assert_eq!(seen(all & !(1 << 11)).verdict, Verdict::Failed);
    }

    #[test]
    fn either_bit_of_message_content_will_do() {
        assert_eq!(intents(1 << 19).verdict, Verdict::Ok);
        assert_eq!(intents(1 << 18).verdict, Verdict::Ok);
        assert_eq!(intents(1 << 15).verdict, Verdict::Failed);
    }

    #[test]
    fn the_link_asks_for_what_is_needed_and_not_for_everything() {
        let link = invite_link(ApplicationId::new(7));
        assert!(link.contains("client_id=7") && link.contains("permissions="), "{link}");
        assert!(NEEDED.iter().all(|needed| needed.bit != ADMINISTRATOR));
    }
}
