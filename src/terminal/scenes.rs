//! Which scene a player enters: the one that waits, or a new one.

use crate::chat::{Chat, ChatError, LocalGuild, Opening};
use crate::domain::{Character, Guild, Participant, Person, Scene, SceneId};
use crate::store::name_key;

use super::player::{PlayError, PlayOptions};

/// Who plays, and where.
pub(super) struct Entrance {
    pub(super) guild: Guild,
    pub(super) person: Person,
    pub(super) library: Vec<Character>,
    pub(super) scene: Scene,
    /// Whether the scene has just been opened.
    pub(super) is_new: bool,
}

/// Opens or reopens a scene, as the options say: the named character's, else the
/// one played last, else one with the first character of the library.
pub(super) async fn enter(chat: &Chat, options: &PlayOptions) -> Result<Entrance, PlayError> {
    let store = chat.store();
    let LocalGuild { guild, person } = chat.library().local(Some(&options.user)).await?;
    let user = person.display_name.clone();
    let library = chat.welcome(guild.id).await?;
    let waiting = store.list_scenes(guild.id, false, 100).await?;
    let lead = match &options.character {
        Some(name) => Some(find(&library, name)?.clone()),
        None => None,
    };
    let found = if options.new_scene {
        None
    } else {
        match &lead {
            Some(lead) => {
                waiting.iter().find(|scene| scene.channel == chat.library().local_channel(lead.id))
            }
            None => waiting.first(),
        }
    };
    let lead = match (&lead, library.first()) {
        (Some(lead), _) => lead,
        (None, Some(first)) => first,
        (None, None) => return Err(PlayError::NoCharacters),
    };
    if name_key(lead.sheet.stage_name()) == name_key(&user) {
        return Err(PlayError::SameName(user));
    }
    let (scene, is_new) = match found {
        Some(scene) => (scene.clone(), false),
        None => (open(chat, &guild, &person, lead, &waiting, options).await?, true),
    };
    store.insert_participant(guild.id, scene.id, person.id).await?;
    if let (Some(length), false) = (options.length, is_new) {
        chat.set_length(guild.id, scene.id, length).await?;
    }
    Ok(Entrance { guild, person, library, scene, is_new })
}

async fn open(
    chat: &Chat,
    guild: &Guild,
    person: &Person,
    lead: &Character,
    waiting: &[Scene],
    options: &PlayOptions,
) -> Result<Scene, PlayError> {
    if let Some(old) =
        waiting.iter().find(|scene| scene.channel == chat.library().local_channel(lead.id))
    {
        chat.end_scene(guild.id, old.id).await?;
    }
    let cast = std::slice::from_ref(lead);
    let opening = Opening {
        length: options.length,
        ..Opening::new(guild.id, chat.library().local_channel(lead.id), cast, &person.display_name)
    };
    Ok(chat.open_scene(opening).await?)
}

/// The character of that name: whole, or its only beginning.
pub(super) fn find<'a>(library: &'a [Character], name: &str) -> Result<&'a Character, PlayError> {
    let wanted = name.trim().to_lowercase();
    let named = |character: &&Character| {
        let sheet = &character.sheet;
        [sheet.name.to_lowercase(), sheet.stage_name().to_lowercase()].contains(&wanted)
    };
    if let Some(character) = library.iter().find(named) {
        return Ok(character);
    }
    let mut beginning =
        library.iter().filter(|character| character.sheet.name.to_lowercase().starts_with(&wanted));
    match (beginning.next(), beginning.next()) {
        (Some(only), None) if !wanted.is_empty() => Ok(only),
        _ => {
            let known: Vec<&str> =
                library.iter().map(|character| character.sheet.name.as_str()).collect();
            Err(PlayError::NoSuchCharacter { name: name.to_owned(), known: known.join(", ") })
        }
    }
}

/// The player among the people of the scene.
pub(super) async fn participant(
    chat: &Chat,
    guild: &Guild,
    scene: SceneId,
    person: &Person,
) -> Result<Participant, ChatError> {
    let people = chat.store().list_participants(guild.id, scene).await?;
    let found = people.into_iter().find(|participant| participant.person.id == person.id);
    Ok(found.unwrap_or_else(|| Participant { person: person.clone(), persona: None }))
}
