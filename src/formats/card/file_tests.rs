//! Whole files: every kind written and read, and files that mean harm.

use super::*;
use crate::formats::picture::{self, Picture, PictureKind};
use crate::formats::{FormatError, Limits};

const CARD: &str = r#"{"spec":"chara_card_v3","spec_version":"3.0","data":{"name":"Ava",
    "description":"A cook.","personality":"","scenario":"","first_mes":"Hi","mes_example":"",
    "creator_notes":"","system_prompt":"","post_history_instructions":"","alternate_greetings":[],
    "group_only_greetings":[],"tags":[],"creator":"","character_version":"","extensions":{},
    "odd":[ 1.0 ],"assets":[
    {"type":"icon","uri":"ccdefault:","name":"main","ext":"png"},
    {"type":"emotion","uri":"data:audio/ogg;base64,AAECAw==","name":"joy","ext":"ogg","own":1.0},
    {"type":"background","uri":"https://example.org/b.png","name":"main","ext":"png"}]}}"#;

fn limits() -> Limits {
    Limits::default()
}

fn file() -> CardFile {
    let mut file = CardFile::read(CARD.as_bytes(), &limits()).unwrap();
    file.picture = Some(Picture::check(picture::placeholder().unwrap(), &limits()).unwrap());
    file
}

fn write(file: &CardFile, container: Container) -> Vec<u8> {
    file.write(container, Version::V3, &limits()).unwrap()
}

#[test]
fn a_document_that_nobody_touched_is_written_as_it_was() {
    let file = CardFile::read(CARD.as_bytes(), &limits()).unwrap();
    assert_eq!(file.assets[1].bytes.as_deref(), Some(&[0, 1, 2, 3][..]));
    assert_eq!(file.write(Container::Json, Version::V3, &limits()).unwrap(), CARD.as_bytes());
    let with_mark = [b"\xef\xbb\xbf", CARD.as_bytes()].concat();
    assert_eq!(CardFile::read(&with_mark, &limits()).unwrap().card, file.card);
}

#[test]
fn a_png_has_a_card_for_older_readers_too() {
    let bytes = write(&file(), Container::Png);
    let contents = png::read(&bytes, &limits()).unwrap();
    let cards: Vec<Card> = contents
        .cards
        .into_iter()
        .map(|text| Card::read_json(&text.unwrap().json).unwrap())
        .collect();
    assert_eq!((cards[0].version(), cards[1].version()), (Version::V3, Version::V2));
    let again = CardFile::read(&bytes, &limits()).unwrap();
    assert_eq!(again.container(), Container::Png);
    assert_eq!(again.card.to_json(), CARD);
    assert_eq!(again.picture, file().picture);
    assert_eq!(write(&again, Container::Png), bytes);
    let old = again.write(Container::Png, Version::V1, &limits()).unwrap();
    let old = CardFile::read(&old, &limits()).unwrap();
    assert_eq!((old.card.version(), old.card.to_sheet()), (Version::V1, again.card.to_sheet()));
}

#[test]
fn an_archive_has_the_files_beside_the_card() {
    let bytes = write(&file(), Container::Charx);
    let again = CardFile::read(&bytes, &limits()).unwrap();
    assert_eq!(again.container(), Container::Charx);
    assert_eq!(again.picture, file().picture);
    let uris: Vec<&str> = again.assets.iter().map(|asset| &*asset.uri).collect();
    assert_eq!(
        uris,
        [
            "embeded://assets/icon/images/main.png",
            "embeded://assets/emotion/audio/joy.ogg",
            "https://example.org/b.png"
        ]
    );
    assert_eq!(again.assets[1].bytes, file().assets[1].bytes);
    assert!(again.card.to_json().contains(r#""own":1.0"#));
    assert_eq!(write(&again, Container::Charx), bytes);
    let error = again.write(Container::Charx, Version::V2, &limits()).unwrap_err();
    assert_eq!(error.kind(), "unsupported");

    // And back into a picture, where the icon is the picture again.
    let png = CardFile::read(&write(&again, Container::Png), &limits()).unwrap();
    assert_eq!(png.card.to_json(), CARD.replace("\n    ", ""));
    assert_eq!(png.picture, file().picture);
}

#[test]
fn what_other_software_keeps_in_an_archive_stays() {
    let mut file = file();
    file.extras.push(("module.risum".into(), b"\x01\x02"[..].into()));
    file.assets.push(Asset::new("x_sound", "bell", "mp3", &b"ding"[..]));
    let again = CardFile::read(&write(&file, Container::Charx), &limits()).unwrap();
    assert_eq!(again.extras, file.extras);
    assert_eq!(again.assets[3].uri, "embeded://assets/x_sound/audio/bell.mp3");
    assert_eq!(again.validate().len(), 1, "{:?}", again.validate());
}

#[test]
fn an_archive_may_stand_behind_a_picture() {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(8, 8).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let mut bare = CardFile::new(Card::read_json(r#"{"name":"Ava","first_mes":"Hi"}"#).unwrap());
    let zip = bare.write(Container::Charx, Version::V3, &limits()).unwrap();
    let both = [jpeg.into_inner(), zip].concat();
    let read = CardFile::read(&both, &limits()).unwrap();
    assert_eq!(read.picture.as_ref().map(|picture| picture.kind), Some(PictureKind::Jpeg));
    // A picture of another kind becomes PNG where it has to.
    bare.picture = read.picture.clone();
    let png = write(&bare, Container::Png);
    assert_eq!(PictureKind::sniff(&png), Some(PictureKind::Png));
    assert!(read.picture.unwrap().to_avatar(&limits()).is_ok());
}

#[test]
fn a_card_without_a_picture_gets_a_plain_one() {
    let bare = CardFile::new(Card::read_json(r#"{"name":"Ava","first_mes":""}"#).unwrap());
    let png = CardFile::read(&write(&bare, Container::Png), &limits()).unwrap();
    assert_eq!(png.picture.unwrap().bytes, picture::placeholder().unwrap());
    assert_eq!(bare.picture, None);
}

#[test]
fn files_without_a_card_say_what_they_are() {
    let picture = picture::placeholder().unwrap();
    let cases: [(&[u8], &str); 6] = [
        (&picture, "png"),
        (b"\xff\xd8\xff", "unknown_format"),
        (b"PK\x03\x04", "zip"),
        (b"\xff\xff", "unknown_format"),
        (b"GIF89a", "json"),
        (b"", "json"),
    ];
    for (bytes, kind) in cases {
        let error = CardFile::read(bytes, &limits()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let tight = Limits { file_bytes: 10, ..limits() };
    assert_eq!(CardFile::read(CARD.as_bytes(), &tight).unwrap_err().kind(), "too_big");
}

#[test]
fn a_broken_newer_card_gives_way_to_the_older() {
    let cards =
        [("chara", r#"{"name":"Old","first_mes":""}"#.to_owned()), ("ccv3", "{".to_owned())];
    let bytes = png::write(&picture::placeholder().unwrap(), &cards, &limits()).unwrap();
    let file = CardFile::read(&bytes, &limits()).unwrap();
    assert_eq!(file.card.name(), "Old");
    assert!(file.validate().iter().any(|finding| finding.what.contains("not JSON")));
}

#[test]
fn a_file_that_many_assets_share_is_kept_once() {
    let asset = r#"{"type":"x_a","uri":"embeded://a","name":"n","ext":"bin"}"#;
    let list = vec![asset; 1000].join(",");
    let card = format!(r#"{{"spec":"chara_card_v3","data":{{"name":"A","assets":[{list}]}}}}"#);
    let big = vec![7; 1 << 20];
    let bytes = charx::write(&card, [("a", &*big)]).unwrap();
    let file = CardFile::read(&bytes, &limits()).unwrap();
    let first = file.assets[0].bytes.as_ref().unwrap();
    assert!(file.assets.iter().all(|asset| {
        asset.bytes.as_ref().is_some_and(|bytes| std::sync::Arc::ptr_eq(bytes, first))
    }));
    assert_eq!(write(&file, Container::Charx).len() / (1 << 20), 1);
    let error = file.write(Container::Json, Version::V3, &limits()).unwrap_err();
    assert_eq!(error.kind(), "too_big");
    let tight = Limits { parts: 999, ..limits() };
    assert!(matches!(CardFile::read(&bytes, &tight), Err(FormatError::TooBig { .. })));
}

#[test]
fn files_cut_anywhere_are_refused_or_read_but_nothing_worse() {
    for container in [Container::Json, Container::Png, Container::Charx] {
        let bytes = write(&file(), container);
        for end in 0..bytes.len() {
            let _ = CardFile::read(&bytes[..end], &limits());
        }
    }
}

#[test]
fn a_picture_that_says_it_is_huge_is_left_out() {
    let mut bytes = write(&file(), Container::Png);
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    let read = CardFile::read(&bytes, &limits()).unwrap();
    assert_eq!((read.card.name().as_str(), read.picture.is_some()), ("Ava", false));
}

#[test]
fn many_empty_chunks_or_ends_of_archives_take_little_time() {
    let started = std::time::Instant::now();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(b"\0\0\0\0abCd\0\0\0\0".repeat(200_000));
    assert_eq!(CardFile::read(&png, &limits()).unwrap_err().kind(), "too_big");
    let mut ends = b"PK\x03\x04".to_vec();
    ends.extend(b"PK\x05\x06\0\0\0\0\xff\x00\xff\x00\x10\0\0\0\x04\0\0\0\0\0".repeat(100_000));
    assert_eq!(CardFile::read(&ends, &limits()).unwrap_err().kind(), "zip");
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn an_asset_stands_under_no_path_that_leads_out() {
    for uri in ["embeded://../x", "embeded:///x", "embeded://card.json", "embeded://"] {
        let mut file = file();
        let mut asset = Asset::new("x_own", "n", "bin", &b"x"[..]);
        asset.uri = uri.to_owned();
        file.assets.push(asset);
        let again = CardFile::read(&write(&file, Container::Charx), &limits()).unwrap();
        assert_eq!(again.assets[3].uri, "embeded://assets/x_own/other/n.bin", "{uri}");
    }
}
