//! A reply can be followed through the engine by its span.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::format::FmtSpan;

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_engines_span_is_a_child_of_the_callers() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(::tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    ::tracing::subscriber::with_default(subscriber, || {
        let mut engine = TestEngine::new(&options());
        // Tests without a subscriber may have switched the events off for good.
        engine.complete(&request("warm up"));
        ::tracing::callsite::rebuild_interest_cache();
        let span = ::tracing::info_span!("chat.reply", reply = 7);
        engine.complete(&GenerationRequest { span, ..request("a secret prompt") });
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let finished = log.lines().find(|line| line.contains("reply=7") && line.contains(" finished "));
    let finished = finished.unwrap_or_else(|| panic!("no event in {log:?}"));
    assert!(finished.contains("chat.reply{reply=7}:engine.generate{num_prompt_tokens=15"), "{log}");
    assert!(log.contains(r#"num_generated_tokens=40 finish_reason="length""#), "{log}");
    assert!(!log.contains("secret"));
}
