//! The one span that follows a reply through every room.

use tracing::{Span, field};

/// The span of one reply. Rooms on its way fill in what they know with
/// [`Span::record`]; the names are the ones below and no others.
///
/// `reply.finish_reason`, `reply.outcome`, `engine.queue_ms`,
/// `engine.prefill_ms`, `engine.decode_ms`, `prompt.ms`, `prompt.tokens`,
/// `prompt.cached_tokens` and `reply.tokens` are empty at first.
pub fn reply(job_id: i64, scene_id: i64, guild_id: i64, attempt: u32) -> Span {
    tracing::info_span!(
        "reply",
        job.id = job_id,
        job.attempt = attempt,
        scene.id = scene_id,
        guild.id = guild_id,
        prompt.ms = field::Empty,
        prompt.tokens = field::Empty,
        prompt.cached_tokens = field::Empty,
        engine.queue_ms = field::Empty,
        engine.prefill_ms = field::Empty,
        engine.decode_ms = field::Empty,
        reply.tokens = field::Empty,
        reply.finish_reason = field::Empty,
        reply.outcome = field::Empty,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_promised_can_be_filled_in() {
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = reply(1, 2, 3, 1);
            for name in [
                "prompt.ms",
                "prompt.tokens",
                "prompt.cached_tokens",
                "engine.queue_ms",
                "engine.prefill_ms",
                "engine.decode_ms",
                "reply.tokens",
                "reply.finish_reason",
                "reply.outcome",
            ] {
                assert!(span.has_field(name), "{name}");
            }
        });
    }
}
