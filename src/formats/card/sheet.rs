//! Between a card's document and the noun.

use super::assets::DEFAULT;
use super::{Card, OLD_NAMES, Version};
use crate::domain::{CharacterSheet, DepthPrompt, PromptRole};
use crate::formats::fields::{Object, raw, raw_list};

/// How many turns stand after a depth prompt that does not say.
const DEFAULT_DEPTH: usize = 4;
const DEFAULT_TALKATIVENESS: f32 = 0.5;
/// Where our own fields stand among the extensions.
pub(super) const OWN_EXTENSION: &str = "dramatis";

/// A text of an object, under its older name too; empty where it is none.
pub(super) fn text(body: &Object, key: &str) -> String {
    if let Ok(Some(text)) = body.text(key) {
        return text;
    }
    let old = OLD_NAMES.iter().find(|(new, _)| *new == key).map(|(_, old)| *old);
    old.and_then(|old| body.text(old).ok().flatten()).unwrap_or_default()
}

/// The author's notes; V1 cards of SillyTavern spell them otherwise.
pub(super) fn creator_notes(body: &Object) -> String {
    let notes = text(body, "creator_notes");
    if notes.is_empty() { text(body, "creatorcomment") } else { notes }
}

fn texts(body: &Object, key: &str) -> Vec<String> {
    body.texts(key).ok().flatten().unwrap_or_default()
}

fn extensions(body: &Object) -> Object {
    let empty = || Object::new(body.path_of("extensions"));
    body.object("extensions").ok().flatten().unwrap_or_else(empty)
}

/// Tags; a single text holds them with commas between.
pub(super) fn tags(body: &Object) -> Vec<String> {
    let listed = body.items("tags").ok().flatten();
    let tags = texts(body, "tags");
    if listed.is_some() {
        return tags;
    }
    let split = tags.iter().flat_map(|tags| tags.split(',')).map(str::trim);
    split.filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn talkativeness(body: &Object, extensions: &Object) -> f32 {
    let number = |object: &Object| object.number("talkativeness").ok().flatten();
    match number(extensions).or_else(|| number(body)) {
        Some(number) => number.clamp(0.0, 1.0) as f32,
        None => DEFAULT_TALKATIVENESS,
    }
}

fn role(name: &str) -> PromptRole {
    match name.trim().to_ascii_lowercase().as_str() {
        "user" | "1" => PromptRole::User,
        "assistant" | "2" => PromptRole::Assistant,
        _ => PromptRole::System,
    }
}

fn role_name(role: PromptRole) -> &'static str {
    match role {
        PromptRole::System => "system",
        PromptRole::User => "user",
        PromptRole::Assistant => "assistant",
    }
}

fn depth_prompt(extensions: &Object) -> Option<DepthPrompt> {
    let prompt = extensions.object("depth_prompt").ok()??;
    let text = text(&prompt, "prompt");
    if text.trim().is_empty() {
        return None;
    }
    let depth = prompt.integer("depth").ok().flatten();
    let depth = depth.map_or(DEFAULT_DEPTH, |depth| usize::try_from(depth).unwrap_or(0));
    let role = prompt.text("role").ok().flatten().map_or(PromptRole::System, |name| role(&name));
    Some(DepthPrompt { text, depth, role })
}

/// Whether an asset is the icon that stands for the character.
fn is_main_icon(asset: &Object) -> bool {
    text(asset, "type") == "icon" && text(asset, "name") == "main"
}

fn avatar_url(body: &Object, extensions: &Object) -> Option<String> {
    let assets = body.items("assets").ok().flatten().unwrap_or_default();
    let mut assets = assets.iter().filter_map(|raw| Object::parse(raw.get(), "").ok());
    let icon = assets.find(is_main_icon).map(|icon| text(&icon, "uri"));
    let own = || extensions.object(OWN_EXTENSION).ok()??.text("avatar_url").ok()?;
    icon.filter(|uri| uri.starts_with("https://"))
        .or_else(|| own().filter(|uri| uri.starts_with("https://")))
}

impl Card {
    /// What is known of the character. What cannot be read is as if it were not there;
    /// [`Card::validate`] names it.
    pub fn to_sheet(&self) -> CharacterSheet {
        let body = self.body();
        let extensions = extensions(&body);
        CharacterSheet {
            name: text(&body, "name"),
            nickname: body.text("nickname").ok().flatten().filter(|name| !name.is_empty()),
            description: text(&body, "description"),
            personality: text(&body, "personality"),
            scenario: text(&body, "scenario"),
            greeting: text(&body, "first_mes"),
            alternate_greetings: texts(&body, "alternate_greetings"),
            group_only_greetings: texts(&body, "group_only_greetings"),
            example_dialogue: text(&body, "mes_example"),
            system_prompt: text(&body, "system_prompt"),
            post_history_instructions: text(&body, "post_history_instructions"),
            depth_prompt: depth_prompt(&extensions),
            talkativeness: talkativeness(&body, &extensions),
            avatar_url: avatar_url(&body, &extensions),
            tags: tags(&body),
            creator_notes: creator_notes(&body),
            creator: text(&body, "creator"),
            character_version: text(&body, "character_version"),
        }
    }

    /// A V3 card of that character and nothing else.
    pub fn from_sheet(sheet: &CharacterSheet) -> Self {
        let mut root = Object::new("");
        root.set("spec", "chara_card_v3");
        root.set("spec_version", "3.0");
        root.set_raw("data", raw("{}".to_owned()));
        Self { version: Version::V3, root }.with_defaults().with_sheet(sheet)
    }

    /// The same card with what is known of the character now. Only what is other than
    /// [`Card::to_sheet`] says is written; everything else keeps its spelling.
    #[must_use]
    pub fn with_sheet(&self, sheet: &CharacterSheet) -> Self {
        let old = self.to_sheet();
        if old == *sheet {
            return self.clone();
        }
        let mut card = self.clone();
        let mut body = card.body();
        for ((key, was), (_, is)) in plain_texts(&old).into_iter().zip(plain_texts(sheet)) {
            if was != is {
                card.put_text(&mut body, key, is);
            }
        }
        for ((key, was), (_, is)) in text_lists(&old).into_iter().zip(text_lists(sheet)) {
            if was != is {
                body.set(key, is);
                card.mirror(key, &body);
            }
        }
        if old.nickname != sheet.nickname {
            match &sheet.nickname {
                Some(nickname) => body.set("nickname", nickname),
                None => drop(body.remove("nickname")),
            }
        }
        put_extensions(&mut body, &old, sheet);
        if old.talkativeness != sheet.talkativeness {
            for object in [&mut body, &mut card.root] {
                if object.has("talkativeness") {
                    object.set("talkativeness", &short(sheet.talkativeness));
                }
            }
        }
        if old.avatar_url != sheet.avatar_url {
            put_avatar_url(&mut body, card.version, sheet.avatar_url.as_deref());
        }
        card.put_body(body);
        card
    }

    /// Writes a text where it is read from: under its older name if it stands there.
    fn put_text(&mut self, body: &mut Object, key: &str, value: &str) {
        let old = OLD_NAMES.iter().find(|(new, _)| *new == key).map(|(_, old)| *old);
        match old {
            Some(old) if !body.has(key) && body.has(old) => body.set(old, value),
            _ if key == "creator_notes" && !body.has(key) && body.has("creatorcomment") => {
                body.set("creatorcomment", value);
            }
            _ => body.set(key, value),
        }
        self.mirror(key, body);
    }

    /// SillyTavern keeps some fields twice, flat and in `data`, and older readers look
    /// at the flat ones: both say the same.
    fn mirror(&mut self, key: &str, body: &Object) {
        if self.version != Version::V1
            && self.root.has(key)
            && let Some(value) = body.raw(key)
        {
            self.root.set_raw(key, value.to_owned());
        }
    }
}

fn plain_texts(sheet: &CharacterSheet) -> [(&'static str, &str); 11] {
    [
        ("name", &sheet.name),
        ("description", &sheet.description),
        ("personality", &sheet.personality),
        ("scenario", &sheet.scenario),
        ("first_mes", &sheet.greeting),
        ("mes_example", &sheet.example_dialogue),
        ("creator_notes", &sheet.creator_notes),
        ("system_prompt", &sheet.system_prompt),
        ("post_history_instructions", &sheet.post_history_instructions),
        ("creator", &sheet.creator),
        ("character_version", &sheet.character_version),
    ]
}

fn text_lists(sheet: &CharacterSheet) -> [(&'static str, &[String]); 3] {
    [
        ("alternate_greetings", &sheet.alternate_greetings),
        ("group_only_greetings", &sheet.group_only_greetings),
        ("tags", &sheet.tags),
    ]
}

fn put_extensions(body: &mut Object, old: &CharacterSheet, new: &CharacterSheet) {
    let mut extensions = extensions(body);
    if old.talkativeness != new.talkativeness {
        extensions.set("talkativeness", &short(new.talkativeness));
    }
    if old.depth_prompt != new.depth_prompt {
        let known = extensions.object("depth_prompt").ok().flatten();
        let mut prompt = known.unwrap_or_default();
        match &new.depth_prompt {
            Some(new) => {
                prompt.set("prompt", &new.text);
                prompt.set("depth", &new.depth);
                prompt.set("role", role_name(new.role));
            }
            None => prompt.set("prompt", ""),
        }
        extensions.set_object("depth_prompt", &prompt);
    }
    if old.talkativeness != new.talkativeness || old.depth_prompt != new.depth_prompt {
        body.set_object("extensions", &extensions);
    }
}

/// A number with the digits that people would write: 0.3, not 0.30000001192092896.
fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// Writes where the picture is: as the main icon where V3 has one or wants one, else
/// among the extensions. An icon that is a file stays.
fn put_avatar_url(body: &mut Object, version: Version, url: Option<&str>) {
    let mut assets = body.items("assets").ok().flatten().unwrap_or_default();
    let is_free = |uri: &str| uri.is_empty() || uri == DEFAULT || uri.starts_with("https://");
    let icon = assets.iter_mut().find_map(|item| {
        let icon = Object::parse(item.get(), "").ok().filter(is_main_icon)?;
        Some((item, icon))
    });
    let mut is_written = false;
    match (icon, url) {
        (Some((item, mut icon)), url) if is_free(&text(&icon, "uri")) => {
            icon.set("uri", url.unwrap_or(DEFAULT));
            *item = icon.to_raw();
            is_written = true;
        }
        (None, Some(url)) if version == Version::V3 => {
            let mut icon = Object::new("");
            icon.set("type", "icon");
            icon.set("uri", url);
            icon.set("name", "main");
            icon.set("ext", extension(url));
            assets.push(icon.to_raw());
            is_written = true;
        }
        _ => {}
    }
    if is_written {
        body.set_raw("assets", raw_list(assets.iter().map(|asset| &**asset)));
    }
    put_own_avatar_url(body, url.filter(|_| !is_written));
}

fn put_own_avatar_url(body: &mut Object, url: Option<&str>) {
    let mut extensions = extensions(body);
    let mut own = extensions.object(OWN_EXTENSION).ok().flatten().unwrap_or_default();
    match url {
        Some(url) => own.set("avatar_url", url),
        None if !own.has("avatar_url") => return,
        None => drop(own.remove("avatar_url")),
    }
    extensions.set_object(OWN_EXTENSION, &own);
    body.set_object("extensions", &extensions);
}

/// The file extension that an address ends in, as V3 wants it.
fn extension(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    ["png", "jpg", "jpeg", "webp", "gif", "avif"]
        .into_iter()
        .find(|ext| path.strip_suffix(ext).is_some_and(|rest| rest.ends_with('.')))
        .unwrap_or("unknown")
}
