//! Files that people give to commands, and files that they get: characters' cards and
//! presets, and what is neither.

use std::io::Cursor;
use std::time::Duration;

use dramatis::domain::CharacterSheet;
use dramatis::formats::Limits;
use dramatis::formats::card::{Card, CardFile, Container, Version};
use dramatis::formats::picture::Picture;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::discord::Discord;

use super::commands::{ask, told};
use super::scene::{reply_after, reply_at_end};
use super::serve::{Home, Skerry};

/// A picture in which no two pixels are alike, so that it is as large as one can be.
pub(super) fn picture(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        let mix = (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed)
            .wrapping_mul(0xC2B2_AE3D);
        Rgb([(mix >> 8) as u8, (mix >> 16) as u8, (mix >> 24) as u8])
    };
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, pixel).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(super) fn wren(description: &str) -> CharacterSheet {
    CharacterSheet {
        name: "Wren Alder".into(),
        nickname: Some("Wren".into()),
        description: description.into(),
        greeting: "The lamp is out again.".into(),
        alternate_greetings: vec!["You came back.".into()],
        creator_notes: "Not for the model.".into(),
        ..CharacterSheet::default()
    }
}

/// A card in a picture, with one entry of lore.
pub(super) fn card(sheet: &CharacterSheet, picture: Vec<u8>) -> Vec<u8> {
    let book = r#"{"name":"Alder lore","entries":[{"keys":["lamp"],"name":"The lamp",
        "content":"The lamp burns whale oil.","enabled":true,"insertion_order":10,
        "extensions":{},"use_regex":false}],"extensions":{}}"#;
    let book: Box<RawValue> = serde_json::from_str(book).unwrap();
    let mut file = CardFile::new(Card::from_sheet(sheet).with_book(Some(&book)));
    file.picture = Some(Picture::check(picture, &Limits::default()).unwrap());
    file.write(Container::Png, Version::V3, &Limits::default()).unwrap()
}

fn read(bytes: &[u8]) -> CardFile {
    CardFile::read(bytes, &Limits::default()).unwrap()
}

/// How many rows a guild's library has altogether.
async fn num_kept(home: &Home) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM character) + (SELECT count(*) FROM asset)
              + (SELECT count(*) FROM lorebook) + (SELECT count(*) FROM preset)
              + (SELECT count(*) FROM scene)",
    )
    .fetch_one(&home.database.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_comes_in_plays_and_goes_out_as_it_came() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;

    let first = card(&wren("A tall keeper."), picture(400, 600, 1));
    let options = json!({ "file": ann.attach("Wren Alder.png", &first) });
    let said = ask(&ann, lobby, "character import", options).await;
    assert!(said.contains("Wren is known") && said.contains("one entry of lore"), "{said}");
    let shown = ask(&ben, lobby, "character show", json!({ "character": "wren" })).await;
    assert!(shown.contains("A tall keeper") && shown.contains("2 greetings"), "{shown}");
    let offered = ben.autocomplete(lobby, "scene start", "character", "ald").await;
    assert_eq!(offered[0].name, "Wren Alder");

    // Its lore is told where the story comes to speak of it.
    ask(&ann, lobby, "scene start", json!({ "character": "Wren Alder" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;
    assert_eq!((&*greeting.author, &*greeting.content), ("Wren", "The lamp is out again."));
    ann.say(thread, "Then light the lamp.");
    let reply = reply_after(&discord, thread, greeting.id).await;
    home.quiet().await;
    let seen = told(ann.message_menu(reply.id, "What did it see").await).await;
    assert!(seen.contains("1 entry told") && seen.contains("The lamp"), "{seen}");
    assert!(!seen.contains("whale oil"), "a receipt holds no text: {seen}");

    // The same name again is another matter, and whose it is counts.
    let second = card(&wren("A short keeper."), picture(300, 300, 2));
    let options = || json!({ "file": ann.attach("wren.png", &second) });
    let refused = ask(&ann, lobby, "character import", options()).await;
    assert!(refused.contains("already") && refused.contains("replace"), "{refused}");
    let replace = json!({ "file": ben.attach("wren.png", &second), "replace": true });
    let refused = ask(&ben, lobby, "character import", replace).await;
    assert!(refused.contains("omebody else made that character"), "{refused}");
    let shown = ask(&ben, lobby, "character show", json!({ "character": "wren" })).await;
    assert!(shown.contains("A tall keeper"), "{shown}");
    let replace = json!({ "file": ann.attach("wren.png", &second), "replace": true });
    let said = ask(&ann, lobby, "character import", replace).await;
    assert!(said.contains("Wren is changed"), "{said}");
    let shown = ask(&ben, lobby, "character show", json!({ "character": "wren" })).await;
    assert!(shown.contains("A short keeper"), "{shown}");

    // Out it goes, in every shape.
    let export = |format: &'static str| {
        let options = json!({ "character": "Wren Alder", "format": format });
        let asked = ben.command(lobby, "character export", options);
        async move {
            let answer = asked.await;
            told(answer.clone()).await;
            answer.file()
        }
    };
    let (came, png) = (read(&second), read(&export("png").await));
    assert_eq!(png.card.to_json(), came.card.to_json());
    assert_eq!(png.picture, came.picture);
    assert_eq!(png.card.book(), came.card.book());
    let charx = read(&export("charx").await);
    assert_eq!(
        (charx.container(), charx.card.to_sheet()),
        (Container::Charx, wren("A short keeper."))
    );
    let v3 = read(&export("json").await);
    assert_eq!((v3.card.version(), v3.card.to_sheet()), (Version::V3, wren("A short keeper.")));
    let v2 = read(&export("json-v2").await);
    assert_eq!((v2.card.version(), v2.card.name().as_str()), (Version::V2, "Wren Alder"));

    // One that was never in a file goes out too.
    let answer = ben.command(lobby, "character export", json!({ "character": "Tamsin" })).await;
    told(answer.clone()).await;
    assert_eq!(answer.seen().unwrap().files, ["tamsin.png"]);
    assert_eq!(read(&answer.file()).card.name(), "Tamsin");

    // What was changed by hand is in the file.
    let form = ann.command(lobby, "character edit", json!({ "character": "Wren Alder" })).await;
    told(ann.submit(&form, &[("description", "A keeper, changed.")]).await).await;
    let changed = read(&export("png").await);
    assert_eq!(changed.card.to_sheet(), wren("A keeper, changed."));
    assert_eq!(changed.card.book(), came.card.book());
    // Moderators may change what is not theirs.
    let replace = json!({ "file": mo.attach("wren.png", &first), "replace": true });
    let said = ask(&mo, lobby, "character import", replace).await;
    assert!(said.contains("Wren is changed"), "{said}");
    assert_eq!(read(&export("png").await).card.to_json(), read(&first).card.to_json());
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_it_should_be_is_refused_and_not_kept() {
    let discord = Discord::start().await;
    let guild = discord.guild("Skerry");
    let lobby = guild.text_channel("lobby");
    let ann = guild.member("ann");
    let home = Home::new().await;
    let serve = home.serve(&discord).await;
    ask(&ann, lobby, "character list", json!({})).await;
    let before = num_kept(&home).await;

    let good = card(&wren("A keeper."), picture(64, 64, 1));
    let nameless = card(&CharacterSheet { name: " ".into(), ..wren("") }, picture(64, 64, 1));
    let mut jpeg = Cursor::new(Vec::new());
    RgbImage::new(8, 8).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    for (name, bytes, expected) in [
        ("notes.txt", &b"Dear diary"[..], "not JSON"),
        ("empty.json", b"", "not JSON"),
        ("list.json", b"[1, 2]", ""),
        ("other.json", br#"{"a": 1}"#, "character card"),
        ("deep.json", "[".repeat(10_000).as_bytes(), ""),
        ("photo.png", &picture(64, 64, 3), "without a card"),
        ("photo.jpg", &jpeg, "cannot hold a card"),
        ("half.png", &good[..good.len() / 2], ""),
        ("half.charx", b"PK\x03\x04 and no more", ""),
        ("nameless.png", &nameless, "name has 1 to"),
    ] {
        let options = json!({ "file": ann.attach(name, bytes) });
        let said = ask(&ann, lobby, "character import", options).await;
        assert!(said.contains(expected), "{name}: {said}");
        assert!(!said.contains("is known"), "{name}: {said}");
        assert!(said.chars().count() < 600 && said.ends_with(['.', ')', '…']), "{name}: {said}");
    }
    for path in ["lore import", "preset import", "scene import"] {
        for bytes in [&b""[..], b"\xff\xfe\x00", b"{}", b"{\"a\": [1, 2]}", &good[..90]] {
            let options = json!({ "file": ann.attach("file.json", bytes) });
            let said = ask(&ann, lobby, path, options).await;
            assert!(!said.contains("database") && !said.contains(" is on "), "/{path}: {said}");
            assert!(said.chars().count() < 600, "/{path}: {said}");
        }
    }

    // Larger than is taken: not fetched where Discord says so, and not to its end where
    // it does not.
    let huge = ann.attach("huge.png", &vec![0; (20 << 20) + 1]);
    let said = ask(&ann, lobby, "character import", json!({ "file": huge.clone() })).await;
    assert!(said.contains("larger than the 20 MiB"), "{said}");
    let id = |file: &Value| file["id"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(!discord.lock().world.fetched.contains(&id(&huge)));
    let mut liar = huge;
    liar["size"] = 10.into();
    let said = ask(&ann, lobby, "character import", json!({ "file": liar })).await;
    assert!(said.contains("larger than the 20 MiB"), "{said}");

    // Only Discord is asked for files, at the address that it signed.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = elsewhere.local_addr().unwrap();
    let file = ann.attach("wren.png", &good);
    for url in [
        format!("http://{addr}/attachments/1/2/wren.png"),
        format!("{}@{addr}/wren.png", discord.url()),
        "file:///etc/passwd".into(),
        "nonsense".into(),
    ] {
        let mut file = file.clone();
        file["url"] = url.clone().into();
        let said = ask(&ann, lobby, "character import", json!({ "file": file })).await;
        assert!(said.contains("not where Discord keeps files"), "{url}: {said}");
    }
    let called = tokio::time::timeout(Duration::from_millis(300), elsewhere.accept()).await;
    assert!(called.is_err(), "somebody else was asked");
    let mut unsigned = file.clone();
    unsigned["url"] = file["url"].as_str().unwrap().split('?').next().unwrap().into();
    let said = ask(&ann, lobby, "character import", json!({ "file": unsigned })).await;
    assert!(said.contains("HTTP 404"), "{said}");
    discord.advance(Duration::from_secs(25 * 60 * 60));
    let said = ask(&ann, lobby, "character import", json!({ "file": file })).await;
    assert!(said.contains("HTTP 404"), "{said}");

    assert_eq!(num_kept(&home).await, before, "something was kept");
    assert!(home.channels_of_scenes().await.is_empty());
    let threads = discord.lock().world.channels.values().filter(|it| it.thread.is_some()).count();
    assert_eq!(threads, 0, "a thread was opened for nothing");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preset_comes_in_is_chosen_and_goes_out_as_it_came() {
    let Skerry { discord, guild: _guild, lobby, mo, ann, ben, home, serve } = Skerry::open().await;

    let text = r#"{"temp": 0.73, "top_p": 0.91, "min_p":0.050, "rep_pen": 1.1, "seed_of": [1,2]}"#;
    let file = |person: &crate::support::discord::people::Person| json!({ "file": person.attach("night.json", text.as_bytes()) });
    let said = ask(&ann, lobby, "preset import", file(&ann)).await;
    assert!(said.contains("/preset choose name: night"), "{said}");
    let offered = ben.autocomplete(lobby, "preset export", "name", "nig").await;
    assert_eq!(offered[0].value, "night");

    ask(&ann, lobby, "scene start", json!({ "character": "Tamsin" })).await;
    let thread = home.channel_of_newest_scene(lobby).await;
    let greeting = reply_at_end(&discord, thread).await;
    let said = ask(&ann, thread, "preset choose", json!({ "name": "Night" })).await;
    assert!(said.contains("night"), "{said}");
    ann.say(thread, "Good morning.");
    let reply = reply_after(&discord, thread, greeting.id).await;
    home.quiet().await;
    let why = ask(&ann, thread, "why", json!({})).await;
    assert!(why.contains("preset    night") && why.contains("temperature 0.73"), "{why}");

    let answer = ben.command(lobby, "preset export", json!({ "name": "night" })).await;
    told(answer.clone()).await;
    let out = String::from_utf8(answer.file()).unwrap();
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(value(&out), value(text));
    assert!(out.contains("0.050"), "what was not changed is spelled as it was: {out}");
    let answer = ben.command(lobby, "preset export", json!({ "name": "limarp" })).await;
    told(answer.clone()).await;
    let ours: Value = serde_json::from_slice(&answer.file()).unwrap();
    assert!(ours["temp"].is_number(), "{ours}");

    // One's own and the moderators'; ours are nobody's to hide.
    for (person, path, options) in [
        (&ben, "preset import", file(&ben)),
        (&ben, "preset delete", json!({ "name": "night" })),
        (&ann, "preset delete", json!({ "name": "limarp" })),
        (&ann, "preset import", {
            json!({ "file": ann.attach("a.json", text.as_bytes()), "name": " LimaRP" })
        }),
    ] {
        let refused = ask(person, lobby, path, options).await;
        assert!(refused.contains("not yours"), "/{path}: {refused}");
    }
    let again = r#"{"temp": 0.5}"#.as_bytes();
    let options = json!({ "file": mo.attach("x.json", again), "name": "NIGHT" });
    let said = ask(&mo, lobby, "preset import", options).await;
    assert!(said.contains("/preset choose name: NIGHT"), "{said}");
    ask(&ann, lobby, "preset import", json!({ "file": ann.attach("dusk.json", again) })).await;
    let said = ask(&ann, lobby, "preset delete", json!({ "name": "dusk" })).await;
    assert!(said.contains("is gone"), "{said}");
    // Not while a scene uses it, which then could not be answered.
    let used = ask(&mo, lobby, "preset delete", json!({ "name": "night" })).await;
    assert!(used.contains("uses that preset"), "{used}");
    ask(&ann, thread, "preset choose", json!({ "name": "limarp" })).await;
    let said = ask(&mo, lobby, "preset delete", json!({ "name": "night" })).await;
    assert!(said.contains("is gone"), "{said}");
    assert!(ben.autocomplete(lobby, "preset export", "name", "nig").await.is_empty());
    ann.say(thread, "And now?");
    reply_after(&discord, thread, reply.id).await;
    serve.stop().await;
}
