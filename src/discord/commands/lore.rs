//! `/lore`: what the model is told when the story comes to speak of it.

use serde_json::json;

use super::super::call::{Answer, Call, Refusal};
use super::super::controls;
use super::super::custom_id::Confirm;
use super::super::interaction::Options;
use super::super::permissions::Deed;
use super::super::render;
use super::character::waits;
use super::files::{attached, attached_stem, hand_out, remarks};
use super::required;
use crate::chat::{EntryChange, KeptLorebook, LorebookDraft, Offered};
use crate::domain::LorebookId;
use crate::formats::book::BookFormat;
use crate::store::LoreScope;

pub(super) async fn list(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let chat = &call.bot.chat;
    Ok(Answer::text(match options.text("book") {
        Some(name) => {
            let kept = chat.library().find_lorebook(call.guild, name).await?;
            render::lorebook(&kept.book)
        }
        None => render::lorebooks(&chat.library().lorebooks(call.guild).await?),
    }))
}

pub(super) async fn add(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let name = required(options, "book")?;
    let chat = &call.bot.chat;
    match chat.store().get_lorebook_by_name(call.guild, name).await? {
        Some(book) => may_change(call, book.id).await?,
        None => call.may(Deed::CreateLore).await?,
    }
    let (draft, uid) = chat.library().draft_entry(call.guild, name, &change(options)).await?;
    let kept = match offer(call, draft).await? {
        Ok(kept) => kept,
        Err(waits) => return Ok(waits),
    };
    let unused = match used_anywhere(call, kept.id).await? {
        true => "",
        false => " No scene uses the book yet; /lore use says where.",
    };
    let entry = render::lore_entry(&kept.name, kept.entry(&uid)?);
    Ok(Answer::text(format!("{entry}{unused}")))
}

pub(super) async fn edit(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let library = call.bot.chat.library();
    let kept = library.find_lorebook(call.guild, required(options, "book")?).await?;
    may_change(call, kept.id).await?;
    let wanted = required(options, "entry")?;
    let (draft, uid) = library.draft_change(kept, wanted, &change(options))?;
    Ok(match offer(call, draft).await? {
        Ok(kept) => Answer::text(render::lore_entry(&kept.name, kept.entry(&uid)?)),
        Err(waits) => waits,
    })
}

/// Keeps a lorebook, or says that it waits for a moderator.
async fn offer(call: &Call, draft: LorebookDraft) -> Result<Result<KeptLorebook, Answer>, Refusal> {
    let (chat, name) = (&call.bot.chat, render::lore_name(draft.name()));
    let offered =
        call.arrival(async |who| chat.offer_lorebook(call.guild, who, draft).await).await?;
    Ok(match offered {
        Offered::Kept(kept) => Ok(kept),
        Offered::Waits(case) => Err(Answer::text(waits(&name, case))),
    })
}

pub(super) async fn remove(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let chat = &call.bot.chat;
    let kept = chat.library().find_lorebook(call.guild, required(options, "book")?).await?;
    may_change(call, kept.id).await?;
    let Some(wanted) = options.text("entry") else {
        return Ok(Answer {
            text: format!(
                "Shall the lorebook “{}” go, with its {}? /lore export keeps a copy.",
                render::lore_name(&kept.name),
                render::entries(kept.book.entries.len())
            ),
            rows: controls::confirm_rows(Confirm::DeleteLorebook(kept.id), call.locale),
            ..Answer::default()
        });
    };
    let entry = kept.entry(wanted)?.clone();
    let (person, name) = (call.person().await?, kept.name.clone());
    chat.library().remove_lore(call.guild, person.id, kept, &entry.uid).await?;
    let (entry, name) = (render::lore_title(&entry), render::lore_name(&name));
    Ok(Answer::text(format!("“{entry}” is no more in {name}.")))
}

/// The second press.
pub(in super::super) async fn delete(call: &Call, book: LorebookId) -> Result<Answer, Refusal> {
    may_change(call, book).await?;
    let person = call.person().await?;
    let gone = call.bot.chat.library().delete_lorebook(call.guild, person.id, book).await?;
    Ok(Answer::text(if gone { "The lorebook is gone." } else { "It was gone already." }))
}

pub(super) async fn set_use(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let library = call.bot.chat.library();
    let kept = library.find_lorebook(call.guild, required(options, "book")?).await?;
    let on = options.boolean("on").unwrap_or(true);
    let (scope, words) = whither(call, options).await?;
    let person = call.person().await?;
    library.use_lorebook(call.guild, person.id, kept.id, scope, on).await?;
    let what = if on { "is used" } else { "is not used any more" };
    Ok(Answer::text(format!("{} {what} {words}.", render::lore_name(&kept.name))))
}

/// Where the options say that a book is to be used, also in words; and whether they may
/// say so.
async fn whither(call: &Call, options: &Options) -> Result<(LoreScope, String), Refusal> {
    Ok(match required(options, "for")? {
        "server" => {
            call.may(Deed::SetUp).await?;
            (LoreScope::Guild, "in every scene of this server".to_owned())
        }
        "character" => {
            let character = call.character(required(options, "character")?).await?;
            super::character::may_change(call, character.id).await?;
            let name = character.sheet.stage_name().to_owned();
            (LoreScope::Character(character.id), format!("wherever {name} plays"))
        }
        _ => {
            let place = call.place().await?;
            call.may(Deed::ChangeScene).await?;
            (LoreScope::Scene(place.scene), "in this scene".to_owned())
        }
    })
}

pub(super) async fn import(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    call.may(Deed::CreateLore).await?;
    let chat = &call.bot.chat;
    let replaces = options.boolean("replace").unwrap_or(false);
    // Asked before anything is kept.
    let used = match options.text("for") {
        Some(_) => Some(whither(call, options).await?),
        None => None,
    };
    let bytes = attached(call, options).await?;
    let library = chat.library();
    let read = match options.text("name") {
        Some(name) => library.read_lorebook(bytes, Some(name)).await?,
        // Many files are called what the book is called, and say it nowhere else.
        None => match library.read_lorebook(bytes.clone(), None).await {
            Ok(read) => read,
            Err(_) => library.read_lorebook(bytes, Some(&attached_stem(options))).await?,
        },
    };
    if replaces
        && let Some(old) = chat.store().get_lorebook_by_name(call.guild, read.name()).await?
    {
        may_change(call, old.id).await?;
    }
    let findings = remarks(read.findings());
    let draft = library.draft_lorebook(call.guild, read, replaces).await?;
    let kept = match offer(call, draft).await? {
        Ok(kept) => kept,
        Err(waits) => {
            let unused = if used.is_some() { " /lore use says then where it is used." } else { "" };
            return Ok(Answer::text(format!("{}{unused}{findings}", waits.text)));
        }
    };
    let entries = render::entries(kept.book.entries.len());
    let mut text =
        format!("{} is on this server now, with {entries}", render::lore_name(&kept.name));
    match used {
        Some((scope, words)) => {
            let person = call.person().await?.id;
            library.use_lorebook(call.guild, person, kept.id, scope, true).await?;
            text.push_str(&format!(", used {words}."));
        }
        None => text.push_str("; /lore use says where it is used."),
    }
    Ok(Answer::text(text + &findings))
}

pub(super) async fn export(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let chat = &call.bot.chat;
    let kept = chat.library().find_lorebook(call.guild, required(options, "book")?).await?;
    let format = match options.text("format") {
        Some("world") => Some(BookFormat::WorldInfo),
        Some("v3") => Some(BookFormat::Standalone),
        _ => None,
    };
    let file = chat.library().export_lorebook(&kept, format)?;
    hand_out(format!("{}, as a file.", render::lore_name(&kept.name)), file)
}

pub(super) async fn test(call: &Call, options: &Options) -> Result<Answer, Refusal> {
    let text = required(options, "text")?;
    let chat = &call.bot.chat;
    let book = match options.text("book") {
        Some(name) => Some(chat.library().find_lorebook(call.guild, name).await?),
        None => None,
    };
    let scene = match (&book, call.bot.place(call.guild_id, call.channel).await?) {
        (_, Some(place)) => Some(place.scene),
        (Some(_), None) => None,
        (None, None) => {
            return Err(Refusal::plain(
                "no scene is being played here; name a book to try, or try it in a scene",
            ));
        }
    };
    let report = chat.test_lore(call.guild, scene, book.as_ref(), text).await?;
    Ok(Answer::text(render::lore_test(&report)))
}

/// What the options say of an entry.
fn change(options: &Options) -> EntryChange {
    let text = |name: &str| options.text(name).map(str::to_owned);
    EntryChange {
        keys: text("keys"),
        content: text("text"),
        name: text("name"),
        secondary_keys: text("secondary"),
        constant: options.boolean("always"),
        enabled: options.boolean("enabled"),
        order: options.integer("order"),
        depth: options.integer("depth").and_then(|depth| usize::try_from(depth).ok()),
    }
}

async fn used_anywhere(call: &Call, book: LorebookId) -> Result<bool, Refusal> {
    let books = call.bot.chat.library().lorebooks(call.guild).await?;
    let listed = books.iter().find(|listed| listed.id == book);
    Ok(listed.is_some_and(|it| it.everywhere || it.num_scenes > 0 || !it.characters.is_empty()))
}

/// Asks whether they may change a lorebook: those who made it may, and moderators.
async fn may_change(call: &Call, book: LorebookId) -> Result<(), Refusal> {
    let brought = ["lorebook.insert", "lorebook.import"];
    let whose = call.whose(&brought, json!({ "lorebook": book })).await?;
    call.may(Deed::EditLore(whose)).await
}
