//! `/character`: the characters of a server.

use serde_json::json;

use super::super::call::{Answer, Call, Field, FormSheet, MAX_FIELD, Refusal};
use super::super::controls;
use super::super::custom_id::{Confirm, CustomId, Form};
use super::super::interaction::{Fields, Options};
use super::super::permissions::Deed;
use super::super::{names, render};
use super::required;
use crate::chat::Offered;
use crate::domain::{Character, CharacterId, CharacterSheet};

const MAX_NAME: usize = 80;
const MAX_URL: usize = 500;

/// Which fields a form shows: a form holds five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Who it is and how its scenes begin.
    Story,
    /// How it appears and speaks.
    Manner,
}

impl Part {
    fn of(options: &Options) -> Self {
        match options.text("part") {
            Some("manner") => Self::Manner,
            _ => Self::Story,
        }
    }

    /// The fields as they stand. What no field can hold is left out, and so stays.
    fn fields(self, sheet: &CharacterSheet) -> Vec<Field> {
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let fields = match self {
            Self::Story => vec![
                Field::line("name", "Name", &sheet.name, MAX_NAME).required(),
                Field::long("description", "Who it is", &sheet.description),
                Field::long("greeting", "Its first words in a scene", &sheet.greeting),
                Field::long("scenario", "Where and how its scenes begin", &sheet.scenario),
                Field::long("examples", "Examples of how it talks", &sheet.example_dialogue),
            ],
            Self::Manner => vec![
                Field::line(
                    "nickname",
                    "Nickname, if it goes by one",
                    &optional(&sheet.nickname),
                    MAX_NAME,
                ),
                Field::long("personality", "Its manner, in short", &sheet.personality),
                Field::line(
                    "avatar",
                    "Its picture: an address with https",
                    &optional(&sheet.avatar_url),
                    MAX_URL,
                ),
                Field::line(
                    "talkativeness",
                    "How readily it speaks unasked, 0 to 1",
                    &sheet.talkativeness.to_string(),
                    6,
                ),
                Field::long(
                    "instructions",
                    "Instructions to the model",
                    &sheet.post_history_instructions,
                ),
            ],
        };
        fields.into_iter().filter(Field::fits).collect()
    }
}

/// Puts into a sheet what the fields of a form say.
fn fill(sheet: &mut CharacterSheet, fields: &Fields) -> Result<(), Refusal> {
    let texts = [
        ("description", &mut sheet.description),
        ("greeting", &mut sheet.greeting),
        ("scenario", &mut sheet.scenario),
        ("examples", &mut sheet.example_dialogue),
        ("personality", &mut sheet.personality),
        ("instructions", &mut sheet.post_history_instructions),
    ];
    for (field, text) in texts {
        if let Some(said) = fields.get(field) {
            *text = said.to_owned();
        }
    }
    if let Some(name) = fields.get("name") {
        sheet.name = crate::chat::clean_name(name)?;
    }
    if let Some(nickname) = fields.get("nickname") {
        let nickname = (!nickname.is_empty()).then(|| crate::chat::clean_name(nickname));
        sheet.nickname = nickname.transpose()?;
    }
    if let Some(url) = fields.get("avatar") {
        sheet.avatar_url = picture(url)?;
    }
    if let Some(number) = fields.get("talkativeness") {
        sheet.talkativeness = talkativeness(number)?;
    }
    Ok(())
}

fn picture(url: &str) -> Result<Option<String>, Refusal> {
    if url.is_empty() {
        return Ok(None);
    }
    let parsed = reqwest::Url::parse(url).ok();
    let good = parsed.filter(|it| it.scheme() == "https" && it.has_host() && url.len() <= MAX_URL);
    match good {
        Some(url) => Ok(Some(url.into())),
        None => Err(Refusal::plain(format!(
            "“{}” is no address of a picture; it begins with https://. Nothing was changed",
            names::choice(url)
        ))),
    }
}

fn talkativeness(number: &str) -> Result<f32, Refusal> {
    if number.is_empty() {
        return Ok(CharacterSheet::default().talkativeness);
    }
    let parsed = number.replace(',', ".").parse().ok();
    parsed.filter(|it| (0.0..=1.0).contains(it)).ok_or_else(|| {
        Refusal::plain(format!(
            "“{}” is no number from 0 to 1. Nothing was changed",
            names::choice(number)
        ))
    })
}

pub(super) async fn create(call: &Call) -> Result<FormSheet, Refusal> {
    call.may(Deed::CreateCharacter).await?;
    Ok(FormSheet {
        id: CustomId::Form(Form::NewCharacter),
        title: "A new character".to_owned(),
        fields: Part::Story.fields(&CharacterSheet::default()),
    })
}

pub(super) async fn edit(call: &Call, options: &Options) -> Result<FormSheet, Refusal> {
    let character = call.character(required(options, "character")?).await?;
    may_change(call, character.id).await?;
    let fields = Part::of(options).fields(&character.sheet);
    if fields.is_empty() {
        return Err(Refusal::plain(format!(
            "everything here is longer than the {MAX_FIELD} characters that a form can hold"
        )));
    }
    Ok(FormSheet {
        id: CustomId::Form(Form::EditCharacter(character.id)),
        title: names::line(character.sheet.stage_name(), 45, "A character"),
        fields,
    })
}

/// A form comes back: of a new character, or of one that there is.
pub(in super::super) async fn apply(
    call: &Call,
    character: Option<CharacterId>,
    fields: &Fields,
) -> Result<Answer, Refusal> {
    match character {
        Some(id) => may_change(call, id).await?,
        None => call.may(Deed::CreateCharacter).await?,
    }
    let chat = &call.bot.chat;
    let mut sheet = match character {
        Some(id) => known(call, id).await?.sheet,
        None => CharacterSheet::default(),
    };
    fill(&mut sheet, fields)?;
    let name = sheet.stage_name().to_owned();
    let offered = call
        .arrival(async |who| chat.offer_character(call.guild, who, character, &sheet).await)
        .await?;
    Ok(Answer::text(match (offered, character) {
        (Offered::Waits(case), _) => waits(&name, case),
        (Offered::Kept(_), Some(_)) => {
            format!("{name} is changed, in every scene from the next reply on.")
        }
        (Offered::Kept(_), None) => format!(
            "{name} is known on this server now. /scene start plays with them; /character edit \
             part: gives them a picture."
        ),
    }))
}

/// What is said of a character that waits for a moderator.
pub(super) fn waits(name: &str, case: i64) -> String {
    format!(
        "Moderators look at {name} first (case {case}); until they have, everything stays as it \
         is. You are told here what becomes of it."
    )
}

/// Asks whether they may change a character: those who made it may, and moderators.
pub(super) async fn may_change(call: &Call, character: CharacterId) -> Result<(), Refusal> {
    let whose = call.whose(&["character.insert"], json!({ "character": character })).await?;
    call.may(Deed::EditCharacter(whose)).await
}

async fn known(call: &Call, id: CharacterId) -> Result<Character, Refusal> {
    let found = call.bot.chat.store().get_character(call.guild, id).await?;
    found.ok_or_else(|| Refusal::plain("that character is not on this server any more"))
}

pub(super) async fn show(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let character = call.character(required(options, "character")?).await?;
    Ok(Answer::text(render::character(&character.sheet)))
}

pub(super) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let characters = call.bot.chat.store().list_characters(call.guild).await?;
    Ok(Answer::text(render::characters(&characters)))
}

pub(super) async fn ask_delete(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let character = call.character(required(options, "character")?).await?;
    may_change(call, character.id).await?;
    let confirm = Confirm::DeleteCharacter(character.id);
    Ok(Answer {
        text: format!(
            "Shall {} leave this server? Scenes that they play in keep them, and their turns stay.",
            character.sheet.stage_name()
        ),
        rows: controls::confirm_rows(confirm, call.locale),
        ..Answer::default()
    })
}

/// The second press.
pub(in super::super) async fn delete(call: &Call, id: CharacterId) -> Result<Answer, Refusal> {
    may_change(call, id).await?;
    let person = call.person().await?;
    let name = known(call, id).await?.sheet.stage_name().to_owned();
    call.bot.chat.archive_character(call.guild, person.id, id).await?;
    Ok(Answer::text(format!("{name} has left this server.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
    }

    fn sheet() -> CharacterSheet {
        CharacterSheet {
            name: "Maren Holt".into(),
            personality: "dry".into(),
            ..CharacterSheet::default()
        }
    }

    #[test]
    fn a_form_changes_what_it_shows_and_nothing_else() {
        let mut sheet = sheet();
        fill(
            &mut sheet,
            &fields(&[("name", " Maren\nHolt "), ("greeting", "Well."), ("scenario", "")]),
        )
        .expect("good fields");
        assert_eq!((sheet.name.as_str(), sheet.greeting.as_str()), ("Maren Holt", "Well."));
        assert_eq!(sheet.personality, "dry");
        fill(
            &mut sheet,
            &fields(&[
                ("nickname", "Mar"),
                ("talkativeness", "0,7"),
                ("avatar", "https://example.org/m.png"),
            ]),
        )
        .expect("good fields");
        assert_eq!((sheet.stage_name(), sheet.talkativeness), ("Mar", 0.7));
        assert_eq!(sheet.avatar_url.as_deref(), Some("https://example.org/m.png"));
        fill(&mut sheet, &fields(&[("nickname", ""), ("avatar", "")])).expect("good fields");
        assert_eq!((sheet.stage_name(), sheet.avatar_url.as_deref()), ("Maren Holt", None));
    }

    #[test]
    fn impossible_fields_are_refused() {
        for bad in [
            ("name", "  "),
            ("avatar", "http://example.org/m.png"),
            ("avatar", "javascript:alert(1)"),
            ("avatar", "m.png"),
            ("talkativeness", "2"),
            ("talkativeness", "NaN"),
            ("talkativeness", "much"),
        ] {
            assert!(fill(&mut sheet(), &fields(&[bad])).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_no_form_can_hold_stays_out_of_it() {
        let long = CharacterSheet { description: "x".repeat(MAX_FIELD + 1), ..sheet() };
        let ids = |part: Part| part.fields(&long).iter().map(|f| f.id).collect::<Vec<_>>();
        assert_eq!(ids(Part::Story), ["name", "greeting", "scenario", "examples"]);
        assert_eq!(ids(Part::Manner).len(), 5);
        for field in Part::Story.fields(&long).iter().chain(&Part::Manner.fields(&long)) {
            assert!(field.label.len() <= 45, "Discord takes 45 characters: {}", field.label);
        }
    }
}
