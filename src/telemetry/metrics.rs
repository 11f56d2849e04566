//! Every number that the service counts, by name, in one small registry.
//!
//! [`Metrics::render`] writes the Prometheus text exposition format, 0.0.4.
//! Names are fixed here; label values come from closed sets, never from people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

/// A name with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// As Prometheus has it: units at the end, `_total` for counters.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// The label that tells its series apart; "" if there is only one.
    pub label: &'static str,
}

const fn name(name: &'static str, help: &'static str, label: &'static str) -> Name {
    Name { name, help, label }
}

/// Replies that came to an end, by outcome.
pub const REPLIES: Name = name("dramatis_replies_total", "Replies that came to an end.", "outcome");
/// Prompt tokens of all replies.
pub const PROMPT_TOKENS: Name =
    name("dramatis_prompt_tokens_total", "Tokens of prompts, cached ones included.", "");
/// Prompt tokens that the prefix cache had.
pub const CACHED_TOKENS: Name =
    name("dramatis_cached_tokens_total", "Tokens of prompts that were not computed again.", "");
/// Tokens of all replies.
pub const REPLY_TOKENS: Name = name("dramatis_reply_tokens_total", "Tokens of replies.", "");
/// Replies that said again what was said before: as first written, and as they stand.
pub const REPETITIONS: Name =
    name("dramatis_repetitions_total", "Replies that said what was said before.", "when");
/// Replies in which a rule was met, by what followed.
pub const MODERATION: Name =
    name("dramatis_moderation_total", "Replies in which a rule was met.", "verdict");
/// Requests to the classifier, by how they ended.
pub const CLASSIFICATIONS: Name =
    name("dramatis_classifications_total", "Requests to the classifier.", "outcome");
/// Tokens that were written of other participants' lines, and cut off.
pub const IMPERSONATION_TOKENS: Name =
    name("dramatis_impersonation_tokens_total", "Tokens of others' lines that were cut off.", "");
/// Time from request to first step.
pub const QUEUE_MS: Name = name("dramatis_queue_ms", "Milliseconds that a reply waited.", "");
/// Time to build the prompt.
pub const PROMPT_MS: Name =
    name("dramatis_prompt_ms", "Milliseconds to build a reply's prompt.", "");
/// Time from first step to first token.
pub const PREFILL_MS: Name =
    name("dramatis_prefill_ms", "Milliseconds to read a reply's prompt.", "");
/// Time from first to last token.
pub const DECODE_MS: Name = name("dramatis_decode_ms", "Milliseconds to write a reply.", "");
/// Uses of commands, buttons and forms, by what came of them.
pub const INTERACTIONS: Name =
    name("dramatis_interactions_total", "Uses of commands, buttons and forms.", "outcome");
/// Jobs of the queue, by state.
pub const JOBS: Name = name("dramatis_jobs", "Jobs of the reply queue.", "state");
/// Workers that write replies, by state.
pub const WORKERS: Name = name("dramatis_workers", "Workers that write replies.", "status");
/// Wishes for a reply that were refused because too many wait, by whose limit it was.
pub const QUEUE_REFUSALS: Name =
    name("dramatis_queue_refusals_total", "Wishes for a reply refused: too many wait.", "limit");
/// Events of Discord that we could not read, by what was strange: the event's name,
/// its shape, or the frame around it.
pub const DISCORD_UNKNOWN_EVENTS: Name = name(
    "dramatis_discord_unknown_events_total",
    "Events of Discord that could not be read.",
    "strange",
);
/// What happened to connections to Discord's gateway.
pub const DISCORD_GATEWAY: Name =
    name("dramatis_discord_gateway_total", "Steps of connections to Discord's gateway.", "step");
/// What became of messages in channels where scenes are played.
pub const DISCORD_MESSAGES: Name =
    name("dramatis_discord_messages_total", "Messages where scenes are played.", "outcome");
/// Requests to Discord, by outcome.
pub const DISCORD_REQUESTS: Name =
    name("dramatis_discord_requests_total", "Requests to Discord that came to an end.", "outcome");
/// Requests that Discord did not take because of a limit, by the limit's scope.
pub const DISCORD_RATE_LIMITED: Name =
    name("dramatis_discord_rate_limited_total", "Answers of Discord with status 429.", "scope");
/// Time from asking for a request to its first sending.
pub const DISCORD_WAIT_MS: Name =
    name("dramatis_discord_wait_ms", "Milliseconds that a request to Discord waited.", "");

/// Requests over HTTP, by how they were answered.
pub const HTTP_REQUESTS: Name =
    name("dramatis_http_requests_total", "Requests over HTTP that were answered.", "outcome");
/// Sequences that the engine runs.
pub const ENGINE_RUNNING: Name =
    name("dramatis_engine_running", "Sequences that the engine runs.", "");
/// Requests that wait for the engine.
pub const ENGINE_WAITING: Name =
    name("dramatis_engine_waiting", "Requests that wait for the engine.", "");
/// All KV blocks of the engine.
pub const ENGINE_BLOCKS: Name = name("dramatis_engine_blocks", "KV blocks.", "");
/// KV blocks that nobody holds.
pub const ENGINE_AVAILABLE_BLOCKS: Name =
    name("dramatis_engine_available_blocks", "KV blocks that no sequence holds.", "");
/// KV blocks of the prefix cache in memory.
pub const ENGINE_CACHED_BLOCKS: Name =
    name("dramatis_engine_cached_blocks", "KV blocks in the prefix cache.", "");
/// KV blocks that host memory keeps below the prefix cache.
pub const ENGINE_HOST_BLOCKS: Name =
    name("dramatis_engine_host_blocks", "KV blocks in the host cache.", "");
/// KV blocks of the prefix cache on disk.
pub const ENGINE_DISK_BLOCKS: Name =
    name("dramatis_engine_disk_blocks", "KV blocks in the disk cache.", "");
/// KV blocks that came back into the prefix cache since the start, by where they lay.
pub const ENGINE_RESTORED_BLOCKS: Name =
    name("dramatis_engine_restored_blocks", "KV blocks that came back since the start.", "from");

/// Upper bounds of the histograms' buckets, in milliseconds.
pub const BUCKETS_MS: [f64; 14] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 15_000.0,
    60_000.0,
];

/// The numbers of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<(Name, &'static str), Series>>,
}

#[derive(Debug, Clone)]
enum Series {
    Counter(u64),
    Gauge(f64),
    Histogram { counts: [u64; BUCKETS_MS.len()], count: u64, sum: f64 },
}

impl Series {
    /// As the exposition format calls it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram { .. } => "histogram",
        }
    }
}

impl Metrics {
    /// Counts `more` onto a counter.
    pub fn count(&self, name: Name, label: &'static str, more: u64) {
        self.update(name, label, Series::Counter(0), |series| {
            if let Series::Counter(total) = series {
                *total += more;
            }
        });
    }

    /// Sets a gauge.
    pub fn set(&self, name: Name, label: &'static str, value: f64) {
        self.update(name, label, Series::Gauge(value), |series| *series = Series::Gauge(value));
    }

    /// Takes one duration into a histogram.
    pub fn observe_ms(&self, name: Name, label: &'static str, ms: f64) {
        let empty = Series::Histogram { counts: [0; BUCKETS_MS.len()], count: 0, sum: 0.0 };
        self.update(name, label, empty, |series| {
            if let Series::Histogram { counts, count, sum } = series {
                *count += 1;
                *sum += ms;
                if let Some(bucket) = BUCKETS_MS.iter().position(|&bound| ms <= bound) {
                    counts[bucket] += 1;
                }
            }
        });
    }

    /// The count of a counter; 0 if nothing was counted.
    pub fn counted(&self, name: Name, label: &str) -> u64 {
        let series = self.series.lock().expect("no holder panics");
        let found = series.iter().find(|((n, l), _)| *n == name && *l == label);
        match found {
            Some((_, Series::Counter(total))) => *total,
            _ => 0,
        }
    }

    /// Everything in the Prometheus text exposition format.
    pub fn render(&self) -> String {
        let series = self.series.lock().expect("no holder panics");
        let (mut text, mut last) = (String::new(), None);
        for ((name, label), value) in series.iter() {
            if last != Some(name.name) {
                let kind = value.kind();
                let _ = writeln!(text, "# HELP {0} {1}\n# TYPE {0} {kind}", name.name, name.help);
                last = Some(name.name);
            }
            render_series(&mut text, *name, label, value);
        }
        text
    }

    fn update(
        &self,
        name: Name,
        label: &'static str,
        empty: Series,
        change: impl FnOnce(&mut Series),
    ) {
        let mut series = self.series.lock().expect("no holder panics");
        change(series.entry((name, label)).or_insert(empty));
    }
}

fn render_series(text: &mut String, name: Name, label: &str, value: &Series) {
    let own = match name.label {
        "" => String::new(),
        key => format!("{key}=\"{label}\""),
    };
    let braced = |inner: String| match inner.as_str() {
        "" => inner,
        _ => format!("{{{inner}}}"),
    };
    let name = name.name;
    let _ = match value {
        Series::Counter(total) => writeln!(text, "{name}{} {total}", braced(own)),
        Series::Gauge(value) => writeln!(text, "{name}{} {value}", braced(own)),
        Series::Histogram { counts, count, sum } => {
            let comma = if own.is_empty() { "" } else { "," };
            let mut below = 0;
            for (bound, more) in BUCKETS_MS.iter().zip(counts) {
                below += more;
                let labels = format!("{own}{comma}le=\"{bound}\"");
                let _ = writeln!(text, "{name}_bucket{} {below}", braced(labels));
            }
            let labels = braced(format!("{own}{comma}le=\"+Inf\""));
            let own = braced(own);
            writeln!(
                text,
                "{name}_bucket{labels} {count}\n{name}_sum{own} {sum}\n{name}_count{own} {count}"
            )
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges_are_rendered_once_named() {
        let metrics = Metrics::default();
        metrics.count(REPLIES, "done", 2);
        metrics.count(REPLIES, "failed", 1);
        metrics.count(REPLIES, "done", 1);
        metrics.set(JOBS, "waiting", 4.0);
        metrics.set(JOBS, "waiting", 3.0);
        assert_eq!(metrics.counted(REPLIES, "done"), 3);
        assert_eq!(
            metrics.render(),
            "# HELP dramatis_jobs Jobs of the reply queue.\n\
             # TYPE dramatis_jobs gauge\n\
             dramatis_jobs{state=\"waiting\"} 3\n\
             # HELP dramatis_replies_total Replies that came to an end.\n\
             # TYPE dramatis_replies_total counter\n\
             dramatis_replies_total{outcome=\"done\"} 3\n\
             dramatis_replies_total{outcome=\"failed\"} 1\n"
        );
    }

    #[test]
    fn buckets_are_cumulative_and_the_last_holds_all() {
        let metrics = Metrics::default();
        for ms in [0.5, 2.0, 70_000.0] {
            metrics.observe_ms(QUEUE_MS, "", ms);
        }
        let text = metrics.render();
        for line in [
            "dramatis_queue_ms_bucket{le=\"1\"} 1\n",
            "dramatis_queue_ms_bucket{le=\"2\"} 2\n",
            "dramatis_queue_ms_bucket{le=\"60000\"} 2\n",
            "dramatis_queue_ms_bucket{le=\"+Inf\"} 3\n",
            "dramatis_queue_ms_sum 70002.5\n",
            "dramatis_queue_ms_count 3\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
