//! Chats that were played elsewhere and go on here, and scenes that go elsewhere.
//!
//! Every message becomes a turn with all its swipes; what was hidden from the model stays
//! out of the line. The lines of the file are kept, so that a chat goes out as it came,
//! but for what was said since.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::super::opening::clean_title;
use super::super::{ChatError, FileOut, clean_name, file_name};
use super::rules::facts_of;
use super::{Cleaning, Library, limits};
use crate::domain::{
    Character, CharacterSheet, GuildId, Length, Note, Person, Scene, SceneId, TurnId,
};
use crate::formats::chat::{ChatFile, ChatMessage, ChatNote, ChatSwipe, NewChatMessage};
use crate::formats::fields::Object;
use crate::moderation::Door;
use crate::store::{
    ImportedMember, ImportedTurn, NewImport, NewScene, Noun, StoreError, Surroundings, TreeTurn,
    name_key,
};

/// The most characters that a chat may bring along.
const MAX_CAST: usize = 32;
/// The most messages.
const MAX_TURNS: usize = 20_000;
/// The most texts of all messages together.
const MAX_TEXTS: usize = 60_000;
/// What people without a name are called.
const NAMELESS: &str = "Somebody";

/// A chat that was read and is not kept yet.
#[derive(Debug)]
pub struct ChatInHand {
    file: ChatFile,
    /// The names of those whom the model plays, in the order of speaking.
    pub characters: Vec<String>,
    /// How many messages it has.
    pub num_messages: usize,
    /// The texts of every message, as they may be kept.
    texts: Vec<Vec<String>>,
}

/// Where a chat goes on.
#[derive(Debug, Clone)]
pub struct ChatPlace {
    /// The platform's id of the place.
    pub channel: String,
    /// What people will call it; `None` names it after who plays.
    pub title: Option<String>,
    /// The length of replies.
    pub length: Option<Length>,
    /// The sampling preset.
    pub preset: String,
    /// Where it stands.
    pub surroundings: Surroundings,
}

/// A chat that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedChat {
    /// The scene in which it goes on.
    pub scene: Scene,
    /// How many turns its line has.
    pub num_turns: usize,
    /// Characters that were not known here and are now, with nothing but their names.
    pub made: Vec<String>,
    /// What a person said last, with the name by which they said it.
    pub last_words: Option<(String, String)>,
    /// Whether nobody answered that.
    pub is_unanswered: bool,
}

impl Library {
    /// Reads a chat from the bytes of a file; of an export with several, the first.
    ///
    /// # Errors
    /// The file is no chat, or nobody says anything in it.
    pub async fn read_chat(&self, bytes: Vec<u8>) -> Result<ChatInHand, ChatError> {
        self.aside(move || {
            let read = ChatFile::read_all(&bytes, &limits())?.into_iter().next();
            let file = read.filter(|chat| !chat.messages().is_empty());
            let file =
                file.ok_or_else(|| ChatError::refused("nobody says anything in that chat"))?;
            let (mut characters, mut known) = (Vec::new(), HashSet::new());
            for message in file.messages() {
                let name = named(message);
                let speaks = !message.is_user() && !message.is_system();
                if speaks && known.insert(name_key(&name)) {
                    characters.push(name);
                }
            }
            let num_messages = file.messages().len();
            bounded(&characters, num_messages)?;
            let texts = texts(&file)?;
            Ok(ChatInHand { file, characters, num_messages, texts })
        })
        .await
    }

    /// Lets a chat go on as a scene. `lead` plays where the chat has one character alone;
    /// else its characters are those of the same names, and those that are not known here
    /// are made.
    ///
    /// # Errors
    /// `lead` is given for several, a scene is played there, or the database fails;
    /// nothing was begun then.
    pub async fn import_chat(
        &self,
        guild: GuildId,
        person: &Person,
        chat: ChatInHand,
        lead: Option<Character>,
        place: ChatPlace,
    ) -> Result<ImportedChat, ChatError> {
        let ChatInHand { file, characters, texts, .. } = chat;
        if let (Some(lead), true) = (&lead, characters.len() > 1) {
            return Err(ChatError::refused(format!(
                "several characters speak in that chat ({}), so {} cannot play alone; leave the \
                 character out",
                characters.join(", "),
                lead.sheet.stage_name()
            )));
        }
        let cast = self.cast_of(guild, &characters, lead).await?;
        let mut turns = Vec::with_capacity(texts.len());
        let members: HashMap<String, usize> =
            cast.iter().enumerate().map(|(i, part)| (name_key(&part.name), i)).collect();
        for (message, swipes) in file.messages().iter().zip(texts) {
            let name = named(message);
            let member = members.get(&name_key(&name)).copied();
            turns.push(ImportedTurn {
                member: member.filter(|_| !message.is_user()),
                name,
                swipes,
                standing: message.standing(),
                created_at: message.time(),
                is_removed: message.is_system(),
                source: message.object().to_json(),
            });
        }
        let mut note = match file.note()?.filter(|note| note.interval != 0) {
            Some(note) => Some(Note {
                text: self.clean_text(&note.prompt)?,
                depth: usize::try_from(note.depth).unwrap_or(0),
            }),
            None => None,
        };
        let known = cast.iter().filter_map(|part| part.known.as_ref()).map(|it| &it.sheet);
        let facts = facts_of(known);
        let rules = self.rules_at(guild, &place.surroundings, &place.channel, facts).await?;
        let said: Vec<&str> =
            turns.iter().flat_map(|turn| &turn.swipes).map(String::as_str).collect();
        let passed = rules.pass_all(Door::Message, &said).await?;
        let swipes = turns.iter_mut().flat_map(|turn| &mut turn.swipes);
        swipes.zip(passed).for_each(|(text, passed)| *text = passed);
        let told = |turn: &&ImportedTurn| !turn.is_removed;
        let is_unanswered = turns.iter().rfind(told).is_some_and(|turn| turn.member.is_none());
        let last = turns.iter().filter(told).rfind(|turn| turn.member.is_none());
        let last_words = last.and_then(|turn| {
            let text = turn.swipes.get(turn.standing).or(turn.swipes.first())?;
            Some((turn.name.clone(), text.clone()))
        });
        let first = cast.first().map(|part| part.known.as_ref().map(|it| &it.sheet));
        let first_name = cast.first().map(|part| part.name.as_str());
        let title = place.title.as_deref().or(first_name);
        let scenario = match file.scenario()? {
            Some(scenario) => self.clean_text(&scenario)?,
            None => first.flatten().map(|sheet| sheet.scenario.clone()).unwrap_or_default(),
        };
        let scenario = rules.pass(Door::Prompt, &scenario).await?;
        if let Some(note) = &mut note {
            note.text = rules.pass(Door::Prompt, &note.text).await?;
        }
        let new = NewScene {
            channel: place.channel,
            title: clean_title(title.unwrap_or("A chat"))?,
            scenario,
            note,
            length: place.length,
            preset: place.preset,
            ..NewScene::default()
        };
        let header = file.header().map_or_else(|| "null".to_owned(), |header| header.to_json());
        let num_turns = turns.iter().filter(|turn| !turn.is_removed).count();
        let made = cast.iter().filter(|part| part.known.is_none()).map(|part| part.name.clone());
        let made: Vec<String> = made.collect();
        let cast = cast.into_iter().map(Part::into_member).collect();
        let import = NewImport { scene: new, cast, person: person.id, header, turns };
        let scene = self.store.import_scene(guild, &import).await?;
        self.store.set_surroundings(guild, scene.id, &place.surroundings).await?;
        let detail = json!({ "scene": scene.id, "turns": num_turns });
        self.note(guild, person.id, "scene.import", &detail).await?;
        for member in self.store.list_cast(guild, scene.id).await? {
            if made.contains(&member.character.sheet.name) {
                let detail = json!({ "character": member.character.id });
                self.note(guild, person.id, "character.insert", &detail).await?;
            }
        }
        Ok(ImportedChat { scene, num_turns, made, last_words, is_unanswered })
    }

    /// Who plays, by the names of the chat.
    async fn cast_of(
        &self,
        guild: GuildId,
        names: &[String],
        lead: Option<Character>,
    ) -> Result<Vec<Part>, ChatError> {
        if let (Some(lead), [] | [_]) = (&lead, names) {
            let name = names.first().unwrap_or(&lead.sheet.name).clone();
            return Ok(vec![Part { name, known: Some(lead.clone()) }]);
        }
        let known = self.store.list_characters(guild).await?;
        let parts = names.iter().map(|name| {
            let is_it = |it: &&Character| {
                [&it.sheet.name[..], it.sheet.stage_name()].map(name_key).contains(&name_key(name))
            };
            Part { name: name.clone(), known: known.iter().find(is_it).cloned() }
        });
        Ok(parts.collect())
    }

    /// Takes a scene out as a chat of SillyTavern, its line with all swipes.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn export_chat(&self, guild: GuildId, scene: SceneId) -> Result<FileOut, ChatError> {
        let scene = self.store.get_scene(guild, scene).await?;
        let scene = scene.ok_or(StoreError::NotFound(Noun::Scene))?;
        let cast = self.store.list_cast(guild, scene.id).await?;
        let people = self.store.list_participants(guild, scene.id).await?;
        let tree = self.store.list_tree(guild, scene.id).await?;
        let source = self.store.get_scene_source(guild, scene.id).await?;
        let sources: HashMap<TurnId, String> = source.lines.into_iter().collect();
        let is_group = cast.len() > 1;
        let header = source.header.filter(|header| header != "null");
        let mut file = match header {
            Some(header) => ChatFile::read_lines(&header, &limits())?,
            None if is_group && !sources.is_empty() => ChatFile::default(),
            None => {
                let user = people.first().map_or("You", |it| it.name());
                let lead = cast.first().map_or("", |it| it.character.sheet.stage_name());
                let began = tree.first().map(|turn| turn.created_at);
                headed(ChatFile::new(user, if is_group { "" } else { lead }, began), &scene)?
            }
        };
        for turn in line(&scene, &tree) {
            if let Some(message) = message(turn, sources.get(&turn.id), is_group)? {
                file.push(message);
            }
        }
        let name = file_name(&scene.title, "jsonl");
        Ok(FileOut { name, bytes: file.to_lines().into_bytes() })
    }
}

/// A new chat with the scene's scenario and note.
fn headed(mut file: ChatFile, scene: &Scene) -> Result<ChatFile, ChatError> {
    if !scene.scenario.is_empty() {
        let mut metadata = file.metadata()?.unwrap_or_else(|| Object::new("chat_metadata"));
        metadata.set("scenario", &scene.scenario);
        file.set_metadata(&metadata);
    }
    if let Some(note) = &scene.note {
        let depth = i64::try_from(note.depth).unwrap_or(i64::MAX);
        let prompt = note.text.clone();
        file.set_note(&ChatNote { prompt, interval: 1, depth, position: 1, role: 0 })?;
    }
    Ok(file)
}

/// Refuses what is no evening but a flood.
fn bounded(characters: &[String], num_messages: usize) -> Result<(), ChatError> {
    let refused = |number: usize, what: &str, max: usize| {
        let reason = format!("that chat has {number} {what}, and at most {max} are taken");
        Err(ChatError::refused(reason))
    };
    match (characters.len(), num_messages) {
        (number, _) if number > MAX_CAST => refused(number, "characters who speak", MAX_CAST),
        (_, number) if number > MAX_TURNS => refused(number, "messages", MAX_TURNS),
        _ => Ok(()),
    }
}

/// The texts of every message, as they may be kept.
fn texts(file: &ChatFile) -> Result<Vec<Vec<String>>, ChatError> {
    let mut num_texts = 0;
    let texts = file.messages().iter().enumerate().map(|(i, message)| {
        let swipes = message.swipes()?;
        num_texts += swipes.len();
        if num_texts > MAX_TEXTS {
            let reason =
                format!("that chat has over {MAX_TEXTS} swipes, which is more than is taken");
            return Err(ChatError::refused(reason));
        }
        let texts = swipes.iter().map(|swipe| Cleaning::FILES.clean_text(&swipe.text));
        texts
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ChatError::refused(format!("message {} of the chat: {error}", i + 1)))
    });
    texts.collect()
}

/// The name of who says something, as it can head a turn.
fn named(message: &ChatMessage) -> String {
    clean_name(&message.name()).unwrap_or_else(|_| NAMELESS.to_owned())
}

/// A character of a chat: its name there, and who it is here, if it is known.
struct Part {
    name: String,
    known: Option<Character>,
}

impl Part {
    fn into_member(self) -> ImportedMember {
        match self.known {
            Some(character) => ImportedMember::Known(character.id),
            None => ImportedMember::New(Box::new(CharacterSheet {
                name: self.name,
                ..CharacterSheet::default()
            })),
        }
    }
}

/// The turns from the first to the head, hidden ones too.
fn line<'a>(scene: &Scene, tree: &'a [TreeTurn]) -> Vec<&'a TreeTurn> {
    let by_id: HashMap<TurnId, &TreeTurn> = tree.iter().map(|turn| (turn.id, turn)).collect();
    let mut next = scene.head;
    let mut line = Vec::new();
    while let Some(turn) = next.and_then(|id| by_id.get(&id)) {
        line.push(*turn);
        next = turn.parent;
    }
    line.reverse();
    line
}

/// A turn as a message: as it came where nothing of it was changed. What was taken out of
/// the story here is no message; what was hidden there stays hidden.
fn message(
    turn: &TreeTurn,
    source: Option<&String>,
    is_group: bool,
) -> Result<Option<ChatMessage>, ChatError> {
    let came = match source {
        Some(line) => ChatFile::read_lines(line, &limits())?.messages().first().cloned(),
        None => None,
    };
    if turn.is_removed && !came.as_ref().is_some_and(ChatMessage::is_system) {
        return Ok(None);
    }
    let standing = turn.swipes.iter().position(|swipe| swipe.id == turn.standing).unwrap_or(0);
    let swipes: Vec<ChatSwipe> = turn
        .swipes
        .iter()
        .map(|swipe| ChatSwipe { text: swipe.text.clone(), time: Some(swipe.created_at) })
        .collect();
    let name = turn.speaker.name();
    let is_character = turn.speaker.is_character();
    let avatar = format!("{name}.png");
    Ok(Some(match came {
        Some(came) => came.with_swipes(&swipes, standing)?,
        None => ChatMessage::new(&NewChatMessage {
            name,
            is_user: !is_character,
            swipes,
            standing,
            avatar: (is_group && is_character).then_some(&avatar),
        }),
    }))
}
