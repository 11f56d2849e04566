//! Taking a scene elsewhere: as a story to read, and as everything that is known
//! of it.

mod html;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::{CastMember, Character, GuildId, Participant, Scene, SceneId, Speaker, TurnId};
use crate::prompt::{MacroContext, StoryMacros, expand};
use crate::store::{Noun, StoreError, TreeTurn};

use super::super::{ChatError, FileOut, file_name};
use super::Library;
use html::{Page, PageTurn};

/// A scene in three forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What people call the scene.
    pub title: String,
    /// The line being played, to read.
    pub markdown: String,
    /// The same as a page of its own, which prints well.
    pub html: String,
    /// The whole turn tree with every text, the cast and the settings.
    pub json: String,
}

impl Export {
    /// As a story to read.
    pub fn into_markdown(self) -> FileOut {
        FileOut { name: file_name(&self.title, "md"), bytes: self.markdown.into_bytes() }
    }

    /// As a page.
    pub fn into_html(self) -> FileOut {
        FileOut { name: file_name(&self.title, "html"), bytes: self.html.into_bytes() }
    }

    /// As everything that is known.
    pub fn into_json(self) -> FileOut {
        FileOut { name: file_name(&self.title, "json"), bytes: self.json.into_bytes() }
    }
}

impl Library {
    /// Takes a scene out, those that are over too, as it is at `now`.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn export_scene(
        &self,
        guild: GuildId,
        scene: SceneId,
        now: DateTime<Utc>,
    ) -> Result<Export, ChatError> {
        let scene = self.store.get_scene(guild, scene).await?;
        let scene = scene.ok_or(StoreError::NotFound(Noun::Scene))?;
        let cast = self.store.list_cast(guild, scene.id).await?;
        let people = self.store.list_participants(guild, scene.id).await?;
        let tree = self.store.list_tree(guild, scene.id).await?;
        let former = self.former_cast(guild, &cast, &tree).await?;
        let scenario = told_scenario(&scene, &cast, &people, now);
        let json = as_json(&scene, &cast, &former, &people, &tree);
        Ok(Export {
            markdown: as_markdown(&scene, &scenario, &cast, &tree),
            html: as_html(&scene, &scenario, &cast, &tree),
            json: serde_json::to_string_pretty(&json).expect("plain data is writable"),
            title: scene.title,
        })
    }

    /// Characters who spoke and are in the scene no more.
    async fn former_cast(
        &self,
        guild: GuildId,
        cast: &[CastMember],
        tree: &[TreeTurn],
    ) -> Result<Vec<Character>, ChatError> {
        let mut seen: HashSet<_> = cast.iter().map(|member| member.character.id).collect();
        let mut former = Vec::new();
        for turn in tree {
            if let Speaker::Character { id, .. } = turn.speaker
                && seen.insert(id)
            {
                former.extend(self.store.get_character(guild, id).await?);
            }
        }
        Ok(former)
    }
}

/// The scenario with names in the places of its macros.
fn told_scenario(
    scene: &Scene,
    cast: &[CastMember],
    people: &[Participant],
    now: DateTime<Utc>,
) -> String {
    let lead = cast.first().map(|member| member.character.sheet.stage_name());
    let context = MacroContext {
        character: lead.unwrap_or("the character"),
        user: people.first().map_or("you", Participant::name),
        original: None,
        now: now.fixed_offset(),
        seed: scene.id.0.unsigned_abs(),
        place: "scenario",
        story: StoryMacros::default(),
    };
    expand(&scene.scenario, &context)
}

/// The turns from the first to the head, without removed ones.
fn line<'a>(scene: &Scene, tree: &'a [TreeTurn]) -> Vec<&'a TreeTurn> {
    let by_id: HashMap<TurnId, &TreeTurn> = tree.iter().map(|turn| (turn.id, turn)).collect();
    let mut line = Vec::new();
    let mut next = scene.head;
    while let Some(turn) = next.and_then(|id| by_id.get(&id)) {
        if !turn.is_removed {
            line.push(*turn);
        }
        next = turn.parent;
    }
    line.reverse();
    line
}

fn as_markdown(scene: &Scene, scenario: &str, cast: &[CastMember], tree: &[TreeTurn]) -> String {
    let mut parts = vec![format!("# {}", scene.title)];
    if !scenario.trim().is_empty() {
        parts.push(format!("## Scenario\n\n{}", scenario.trim()));
    }
    let names: Vec<String> =
        cast.iter().map(|member| format!("- {}", member.character.sheet.stage_name())).collect();
    if !names.is_empty() {
        parts.push(format!("## Cast\n\n{}", names.join("\n")));
    }
    parts.push("## Story".to_owned());
    for turn in line(scene, tree) {
        parts.push(format!("**{}**\n\n{}", turn.speaker.name(), standing(turn)));
    }
    parts.join("\n\n") + "\n"
}

fn as_html(scene: &Scene, scenario: &str, cast: &[CastMember], tree: &[TreeTurn]) -> String {
    let turns = line(scene, tree).into_iter().map(|turn| PageTurn {
        name: turn.speaker.name(),
        is_character: turn.speaker.is_character(),
        text: standing(turn),
    });
    html::page(&Page {
        title: &scene.title,
        scenario,
        cast: cast.iter().map(|member| member.character.sheet.stage_name()).collect(),
        turns: turns.collect(),
    })
}

/// The text that stands for a turn.
fn standing(turn: &TreeTurn) -> &str {
    let standing = turn.swipes.iter().find(|swipe| swipe.id == turn.standing);
    standing.map_or("", |swipe| swipe.text.trim())
}

fn as_json(
    scene: &Scene,
    cast: &[CastMember],
    former: &[Character],
    people: &[Participant],
    tree: &[TreeTurn],
) -> Value {
    json!({
        "format": "dramatis scene",
        "version": 1,
        "title": scene.title,
        "scenario": scene.scenario,
        "note": scene.note,
        "length": scene.length,
        "preset": scene.preset,
        "state": scene.state,
        "head": scene.head,
        "cast": cast.iter().map(|member| json!({
            "id": member.character.id,
            "length": member.length,
            "sheet": member.character.sheet,
        })).collect::<Vec<_>>(),
        "former_cast": former.iter().map(|character| json!({
            "id": character.id,
            "sheet": character.sheet,
        })).collect::<Vec<_>>(),
        // Under the names that stand in the story; whose they are on a platform is
        // nobody's business elsewhere.
        "people": people.iter().map(|participant| json!({
            "id": participant.person.id,
            "name": participant.name(),
            "description": participant.description(),
        })).collect::<Vec<_>>(),
        "turns": tree.iter().map(turn_json).collect::<Vec<_>>(),
    })
}

fn turn_json(turn: &TreeTurn) -> Value {
    let standing = turn.swipes.iter().position(|swipe| swipe.id == turn.standing);
    json!({
        "id": turn.id,
        "parent": turn.parent,
        "speaker": turn.speaker,
        "removed": turn.is_removed,
        "created_at": turn.created_at,
        "standing": standing,
        "swipes": turn.swipes.iter().map(|swipe| json!({
            "text": swipe.text,
            "origin": swipe.origin,
            "created_at": swipe.created_at,
            "receipt": swipe.receipt,
        })).collect::<Vec<_>>(),
    })
}
