//! What it means that a connection was closed.

use thiserror::Error;

/// What a shard does after its connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterClose {
    /// It goes on with its session: nothing is lost.
    Resume,
    /// It begins a new session; what happened in between is caught up with.
    Begin,
    /// It stays closed.
    Stop(Fatal),
}

/// Why a shard can never listen with these settings. Discord would refuse every
/// further try, and count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::discord) enum Fatal {
    /// 4004.
    #[error(
        "Discord does not know this token (4004): it was reset, or is another application's; \
         copy it again from https://discord.com/developers/applications, under Bot"
    )]
    Token,
    /// 4010.
    #[error(
        "Discord refuses the shard's number (4010); check discord.shards, discord.shard_from and \
         discord.shard_to"
    )]
    Shard,
    /// 4011.
    #[error(
        "the bot is in too many guilds for so few shards (4011); raise discord.shards, or set it \
         to \"auto\""
    )]
    TooFewShards,
    /// 4012.
    #[error("Discord's gateway does not speak version 10 any more (4012); a newer dramatis may")]
    Version,
    /// 4013.
    #[error("Discord does not know one of the intents that we ask for (4013); this is a bug")]
    UnknownIntent,
    /// 4014.
    #[error(
        "the bot may not read messages (4014): switch on \"Message Content Intent\" at \
         https://discord.com/developers/applications, under Bot, and start again"
    )]
    MessageContent,
}

impl Fatal {
    /// A stable label for logs.
    pub(in crate::discord) fn kind(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Shard => "shard",
            Self::TooFewShards => "too_few_shards",
            Self::Version => "version",
            Self::UnknownIntent => "unknown_intent",
            Self::MessageContent => "message_content",
        }
    }
}

/// What follows from the code of a close; `None` is a connection that broke.
pub(super) fn after_close(code: Option<u16>) -> AfterClose {
    match code {
        Some(4004) => AfterClose::Stop(Fatal::Token),
        Some(4010) => AfterClose::Stop(Fatal::Shard),
        Some(4011) => AfterClose::Stop(Fatal::TooFewShards),
        Some(4012) => AfterClose::Stop(Fatal::Version),
        Some(4013) => AfterClose::Stop(Fatal::UnknownIntent),
        Some(4014) => AfterClose::Stop(Fatal::MessageContent),
        // Not identified, the older "session invalid", wrong sequence, timed out.
        Some(4003 | 4006 | 4007 | 4009) => AfterClose::Begin,
        _ => AfterClose::Resume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_never_work_stops_a_shard() {
        for code in [4004, 4010, 4011, 4012, 4013, 4014] {
            let AfterClose::Stop(fatal) = after_close(Some(code)) else { panic!("{code}") };
            assert!(fatal.to_string().contains(&code.to_string()), "{fatal}");
        }
        for code in [4000, 4001, 4002, 4005, 4008, 1000, 1001, 1006] {
            assert_eq!(after_close(Some(code)), AfterClose::Resume);
        }
        assert_eq!(after_close(None), AfterClose::Resume);
        assert_eq!(after_close(Some(4009)), AfterClose::Begin);
        assert!(Fatal::MessageContent.to_string().contains("Message Content Intent"));
    }
}
