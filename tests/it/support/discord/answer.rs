//! What came back on an interaction, now and later.

use std::time::Duration;

use serde_json::Value;

use super::forms::{Choice, Input, inputs};
use super::model::{self, flag};
use super::people::Person;
use super::rest::interactions::callback;
use super::seen::SeenMessage;
use super::world::World;
use super::{ChannelId, MessageId};

/// How an interaction was first answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// "The application did not respond."
    Silence,
    Message,
    /// "… is thinking."
    Deferred,
    /// The component's message changes at once.
    Update,
    /// It may change later.
    DeferredUpdate,
    Choices,
    Modal,
}

/// An interaction, and what the bot answers to it. It stays live: its methods tell
/// what is so when they are called.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(super) person: Person,
    pub(crate) id: u64,
}

impl Answer {
    fn with<T>(&self, look: impl FnOnce(&World, &model::Interaction) -> T) -> T {
        let state = self.person.guild.shared.lock();
        look(&state.world, &state.world.interactions[&self.id])
    }

    /// Waits for the first response, or for its deadline.
    pub(crate) async fn responded(self) -> Self {
        let shared = &self.person.guild.shared;
        let deadline = shared.lock().world.limits.first_response;
        let mut version = shared.version.subscribe();
        let wait = async {
            loop {
                version.mark_unchanged();
                if self.kind() != AnswerKind::Silence || version.changed().await.is_err() {
                    return;
                }
            }
        };
        // Silence is for the test to judge.
        let _ = tokio::time::timeout(deadline, wait).await;
        self
    }

    /// How it was first answered, so far.
    pub(crate) fn kind(&self) -> AnswerKind {
        match self.with(|_, one| one.response.as_ref().map(|response| response.kind)) {
            None => AnswerKind::Silence,
            Some(callback::DEFERRED) => AnswerKind::Deferred,
            Some(callback::DEFERRED_UPDATE) => AnswerKind::DeferredUpdate,
            Some(callback::UPDATE) => AnswerKind::Update,
            Some(callback::CHOICES) => AnswerKind::Choices,
            Some(callback::MODAL) => AnswerKind::Modal,
            Some(_) => AnswerKind::Message,
        }
    }

    /// How long the first response took.
    pub(crate) fn after(&self) -> Option<Duration> {
        self.with(|_, one| {
            let response = one.response.as_ref()?;
            Some(Duration::from_millis(response.at_ms.saturating_sub(one.created_ms)))
        })
    }

    /// The message that answers, `@original`, while it is there.
    pub(crate) fn message(&self) -> Option<MessageId> {
        let id = self.with(|world, one| {
            let id = one.original?;
            world.messages.contains_key(&(one.channel, id)).then_some((one.channel, id))
        });
        id.map(|(channel, id)| MessageId { channel: ChannelId(channel), id })
    }

    /// The answering message as its reader sees it.
    pub(crate) fn seen(&self) -> Option<SeenMessage> {
        self.with(|world, one| {
            let message = world.messages.get(&(one.channel, one.original?))?;
            Some(world.seen_message(message))
        })
    }

    /// Waits until the answering message is there and no longer "thinking".
    pub(crate) async fn settled(&self, within: Duration) -> SeenMessage {
        let what = self.with(|_, one| format!("the answer to {}", one.name));
        let look = |state: &super::State| {
            let one = &state.world.interactions[&self.id];
            one.response.as_ref()?;
            let message = state.world.messages.get(&(one.channel, one.original?))?;
            (message.flags & flag::LOADING == 0).then(|| state.world.seen_message(message))
        };
        self.person.guild.shared.wait(within, &what, look).await
    }

    /// What the answering message says now, empty where there is none.
    pub(crate) fn text(&self) -> String {
        self.seen().map(|seen| seen.content).unwrap_or_default()
    }

    /// Every text that the answering message has had, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.with(|_, one| one.texts.clone())
    }

    /// What is in the only file of the answering message. Fails where there is another
    /// number of them.
    pub(crate) fn file(&self) -> Vec<u8> {
        let files = self.with(|world, one| {
            let message = world.messages.get(&(one.channel, one.original?))?;
            Some(message.attachments.iter().map(|file| world.file(file).cloned()).collect())
        });
        let mut files: Vec<_> = files.unwrap_or_default();
        assert_eq!(files.len(), 1, "not one file came with {:?}", self.text());
        files.remove(0).expect("files of messages are kept").bytes
    }

    /// Whether only the person who asked sees it.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.seen().is_some_and(|seen| seen.is_ephemeral)
    }

    /// Further messages in answer, as they are now.
    pub(crate) fn followups(&self) -> Vec<SeenMessage> {
        self.with(|world, one| {
            let found = one.followups.iter();
            let found = found.filter_map(|id| world.messages.get(&(one.channel, *id)));
            found.map(|message| world.seen_message(message)).collect()
        })
    }

    /// The modal, as it was sent. Fails where the answer is something else.
    pub(crate) fn modal(&self) -> Value {
        assert_eq!(self.kind(), AnswerKind::Modal, "the answer is no modal: {:?}", self.text());
        self.with(|_, one| one.response.as_ref().unwrap().data.clone())
    }

    /// The fields of the modal.
    pub(crate) fn fields(&self) -> Vec<Input> {
        inputs(&self.modal())
    }

    /// What autocompletion offers. Fails where the answer is something else.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        assert_eq!(self.kind(), AnswerKind::Choices, "no choices came");
        let data = self.with(|_, one| one.response.as_ref().unwrap().data.clone());
        let choices = data["choices"].as_array().cloned().unwrap_or_default();
        let choice = |one: Value| Choice {
            name: one["name"].as_str().unwrap_or_default().to_owned(),
            value: one["value"].clone(),
        };
        choices.into_iter().map(choice).collect()
    }
}
