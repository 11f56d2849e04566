//! Nothing that is secret is written anywhere.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serenity::model::id::{ApplicationId, ChannelId, InteractionId, MessageId, WebhookId};

use super::super::calls::{Api, ApiOptions};
use super::super::error::ApiError;
use super::super::messages::Speaker;
use super::super::model::Webhook;
use super::super::payload::{Mentions, Payload};
use super::super::response::Response;
use super::server::{Does, Server, answers};

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

/// All requests with a secret in them; gives all errors.
async fn ask_everything(api: &Api) -> Vec<ApiError> {
    let payload = Payload::new("words-canary", Mentions::NONE).unwrap();
    let webhook = Webhook { id: WebhookId::new(1), token: "hook-canary".into() };
    let speaker = Speaker { name: "Ada".into(), avatar_url: None };
    let (application, message) = (ApplicationId::new(2), MessageId::new(3));
    let mut errors = Vec::new();
    errors.extend(api.execute_webhook(&webhook, None, &speaker, &payload).await.err());
    errors.extend(api.edit_webhook_message(&webhook, None, message, &payload).await.err());
    errors.extend(api.delete_webhook_message(&webhook, None, message).await.err());
    let deferred = Response::Defer { ephemeral: true };
    errors.extend(api.respond(InteractionId::new(4), "call-canary", &deferred).await.err());
    errors.extend(api.edit_original(application, "call-canary", &payload).await.err());
    errors.extend(api.follow_up(application, "call-canary", &payload, true).await.err());
    errors.extend(api.create_message(ChannelId::new(5), &payload, None).await.err());
    errors
}

#[tokio::test]
async fn errors_logs_and_debug_hold_no_token_and_no_words() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut said = String::new();
    let ways = [
        answers(400, r#"{"message": "no", "code": 1}"#),
        answers(404, r#"{"message": "no", "code": 10015}"#),
        Does::Cuts,
    ];
    for tls in [false, true] {
        for way in ways.clone() {
            let script = move |_: &_, _| way.clone();
            let (server, client) = match tls {
                false => (Server::start(script).await, None),
                true => {
                    let server = Server::start_tls(script).await;
                    let root = reqwest::Certificate::from_pem(server.root_pem.as_bytes()).unwrap();
                    let client = reqwest::Client::builder()
                        .add_root_certificate(root)
                        .no_proxy()
                        .resolve("discord.com", server.addr);
                    (server, Some(client.build().unwrap()))
                }
            };
            let base = (!tls).then(|| server.base());
            let options = ApiOptions { base, client, ..ApiOptions::default() };
            let api = Api::new(&"token-canary".into(), &options).unwrap();
            // Other tests of this process may have let the spans go unheard.
            tracing::callsite::rebuild_interest_cache();
            let errors = ask_everything(&api).await;
            assert!(errors.len() >= 6, "{errors:?}");
            said.push_str(&format!("{api:?} {errors:?}"));
            errors.iter().for_each(|error| said.push_str(&error.to_string()));
        }
    }
    // A port where nobody listens, and a token that no header can hold.
    let webhook = Webhook { id: WebhookId::new(1), token: "hook-canary".into() };
    for token in ["token-canary", "token-canary\n\0x"] {
        let base = Some("http://127.0.0.1:9".to_owned());
        let options = ApiOptions { base, ..ApiOptions::default() };
        let api = Api::new(&token.into(), &options).unwrap();
        let gone = api.delete_webhook_message(&webhook, None, MessageId::new(3)).await;
        said.push_str(&format!("{:?}", gone.unwrap_err()));
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("discord.request") && log.contains("/webhooks/{webhook}/{token}"));
    for text in [said, log] {
        let leak = text.lines().find(|line| line.contains("canary"));
        assert_eq!(leak, None);
    }
}
