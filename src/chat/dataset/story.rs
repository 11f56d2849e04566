//! A scene as somebody who approves it sees it: its line, and what stands before it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::domain::{
    Character, CharacterId, GuildId, Participant, PersonId, Scene, SceneId, Speaker, SwipeId,
    SwipeOrigin, TurnId,
};
use crate::store::{Noun, Store, StoreError, TreeTurn};

use super::names::Named;

/// A scene with everything that an export could show of it.
pub(in crate::chat) struct Story {
    pub(super) scene: Scene,
    tree: Vec<TreeTurn>,
    people: Vec<Participant>,
    /// Everybody who plays or has played, in the order of the cast.
    characters: Vec<Character>,
}

impl Story {
    /// # Errors
    /// There is no such scene, or the database fails.
    pub(in crate::chat) async fn load(
        store: &Store,
        guild: GuildId,
        scene: SceneId,
    ) -> Result<Self, StoreError> {
        let scene = store.get_scene(guild, scene).await?;
        let scene = scene.ok_or(StoreError::NotFound(Noun::Scene))?;
        let tree = store.list_tree(guild, scene.id).await?;
        let people = store.list_participants(guild, scene.id).await?;
        let cast = store.list_cast(guild, scene.id).await?;
        let mut characters: Vec<Character> = cast.into_iter().map(|it| it.character).collect();
        for turn in &tree {
            if let Speaker::Character { id, .. } = turn.speaker
                && characters.iter().all(|known| known.id != id)
            {
                characters.extend(store.get_character(guild, id).await?);
            }
        }
        Ok(Self { scene, tree, people, characters })
    }

    /// The turns from the first to the head, removed ones too.
    pub(super) fn line(&self) -> Vec<&TreeTurn> {
        let by_id: HashMap<TurnId, &TreeTurn> =
            self.tree.iter().map(|turn| (turn.id, turn)).collect();
        let mut line = Vec::new();
        let mut next = self.scene.head;
        while let Some(turn) = next.and_then(|id| by_id.get(&id)) {
            line.push(*turn);
            next = turn.parent;
        }
        line.reverse();
        line
    }

    /// How many turns from the first may be used, removed ones counted: those that stand as
    /// they were seen. What follows may quote what was not. Nobody knows whose words an edit
    /// is, so that it ends what may be used, too.
    pub(in crate::chat) fn num_usable(&self, seen: &HashSet<(TurnId, SwipeId)>) -> usize {
        let is_edited = |turn: &TreeTurn| {
            let standing = turn.swipes.iter().find(|swipe| swipe.id == turn.standing);
            standing.is_some_and(|swipe| swipe.origin == SwipeOrigin::Edited)
        };
        let is_usable = |turn: &&&TreeTurn| {
            turn.is_removed || seen.contains(&(turn.id, turn.standing)) && !is_edited(turn)
        };
        self.line().iter().take_while(is_usable).count()
    }

    /// The texts that stand now, in order.
    pub(in crate::chat) fn standing(&self) -> Vec<(TurnId, SwipeId)> {
        let line = self.line().into_iter().filter(|turn| !turn.is_removed);
        line.map(|turn| (turn.id, turn.standing)).collect()
    }

    /// How many of the first turns stand.
    pub(in crate::chat) fn num_standing(&self, num_turns: usize) -> usize {
        self.line().iter().take(num_turns).filter(|turn| !turn.is_removed).count()
    }

    /// A digest of what stands before these turns: the scenario, and who those are that
    /// speak in them.
    pub(in crate::chat) fn frame(&self, seen: &[(TurnId, SwipeId)]) -> [u8; 32] {
        let seen: HashSet<TurnId> = seen.iter().map(|(turn, _)| *turn).collect();
        let seen: Vec<&TreeTurn> = self.tree.iter().filter(|it| seen.contains(&it.id)).collect();
        let characters = self.characters_of(&seen);
        let characters = characters.iter().map(|it| {
            json!([it.id, it.sheet.stage_name(), it.sheet.description, it.sheet.personality])
        });
        let people = speakers(&seen).into_iter().map(|id| json!([id, self.description_of(id)]));
        let frame = json!([
            self.scene.scenario,
            characters.collect::<Vec<_>>(),
            people.collect::<Vec<_>>()
        ]);
        Sha256::digest(frame.to_string()).into()
    }

    /// The characters who speak in these turns, in the order of the cast.
    pub(super) fn characters_of(&self, turns: &[&TreeTurn]) -> Vec<&Character> {
        let speak: BTreeSet<CharacterId> = turns
            .iter()
            .filter_map(|turn| match turn.speaker {
                Speaker::Character { id, .. } => Some(id),
                Speaker::Person { .. } => None,
            })
            .collect();
        self.characters.iter().filter(|character| speak.contains(&character.id)).collect()
    }

    /// What a person's persona says of them here.
    pub(super) fn description_of(&self, person: PersonId) -> &str {
        let found = self.people.iter().find(|it| it.person.id == person);
        found.map_or("", Participant::description)
    }

    /// The names of all characters, those of other lines too.
    pub(super) fn character_names(&self) -> Vec<&str> {
        let names = self.characters.iter();
        names.flat_map(|it| [it.sheet.stage_name(), &it.sheet.name]).collect()
    }

    /// Everybody who takes part or has said anything, with all names by which they are
    /// known here or ever were.
    pub(super) async fn people(&self, store: &Store) -> Result<People, StoreError> {
        let guild = self.scene.guild_id;
        let mut names: BTreeMap<PersonId, Vec<String>> = BTreeMap::new();
        for participant in &self.people {
            names.entry(participant.person.id).or_default().push(participant.name().to_owned());
        }
        for turn in &self.tree {
            if let Speaker::Person { id, name } = &turn.speaker {
                names.entry(*id).or_default().push(name.clone());
            }
        }
        let platform = store.get_guild(guild).await?.map(|guild| guild.platform);
        let mut people = People { named: Vec::new(), by_mention: HashMap::new() };
        for (id, mut names) in names {
            if let Some(person) = store.get_person(guild, id).await? {
                names.push(person.display_name);
                // Numbers go with other numbers, and a keyboard has no account.
                let is_number = person.external_id.chars().all(|c| c.is_ascii_digit());
                if !is_number && platform.as_deref() != Some("terminal") {
                    names.push(person.external_id.clone());
                }
                people.by_mention.insert(person.external_id, id);
            }
            let personas = store.list_personas(guild, id).await?;
            names.extend(personas.into_iter().map(|persona| persona.name));
            names.sort_unstable();
            names.dedup();
            people.named.push(Named { id, names });
        }
        Ok(people)
    }
}

/// The people of a scene.
pub(super) struct People {
    pub(super) named: Vec<Named>,
    /// By the platform's id, as mentions have it.
    pub(super) by_mention: HashMap<String, PersonId>,
}

/// The people who speak in these turns, in the order of speaking.
pub(super) fn speakers(turns: &[&TreeTurn]) -> Vec<PersonId> {
    let mut speakers = Vec::new();
    for turn in turns {
        if let Speaker::Person { id, .. } = turn.speaker
            && !speakers.contains(&id)
        {
            speakers.push(id);
        }
    }
    speakers
}
