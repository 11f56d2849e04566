//! What a card's author may want to know before others read it.

use std::collections::HashSet;

use super::assets::EMBEDDED;
use super::convert::{LISTS_OF_TEXTS, TEXTS};
use super::{Card, Version};
use crate::formats::fields::Object;
use crate::formats::finding::MAX_FINDINGS;
use crate::formats::{Finding, FormatError, lenient};

impl Card {
    /// What is wrong with the card, or odd about it, in the document's order as far as
    /// that goes.
    pub fn validate(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let body = self.body();
        self.check_spec(&mut findings);
        check_texts(&body, &mut findings);
        self.check_greetings(&body, &mut findings);
        check_extensions(&body, &mut findings);
        check_notes(&body, &mut findings);
        check_dates(&body, &mut findings);
        check_assets(&body, &mut findings);
        match self.book_file() {
            Ok(Some(book)) => findings.extend(book.validate()),
            Ok(None) => {}
            Err(error) => findings.push(wrong(&body.path_of("character_book"), &error)),
        }
        findings
    }

    fn check_spec(&self, findings: &mut Vec<Finding>) {
        let root = self.root();
        let spec = root.text("spec").ok().flatten();
        if spec.as_deref() != self.version.spec() {
            let found = spec.map_or("missing".to_owned(), |spec| format!("{:?}", short(&spec)));
            let read = self.version.spec().unwrap_or("a card of V1");
            let what = format!("it is {found}; the card is read as {read}");
            findings.push(Finding::warning("spec", what, "export the card again to have it right"));
            return;
        }
        let Some(expected) = self.version.spec_version() else { return };
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let found = root.text("spec_version").ok().flatten().unwrap_or_default();
        let (what, advice) = match (number(&found), number(expected)) {
            (Some(found), Some(known)) if found > known => {
                let what = format!("it is {found}, newer than {known}");
                (what, "what is new in it is kept, but has no effect here")
            }
            _ if found == expected => return,
            _ => (format!("it is {:?}", short(&found)), "some software wants it exact"),
        };
        let advice = format!("{advice}; {expected:?} is what this version has");
        findings.push(Finding::warning("spec_version", what, advice));
    }

    fn check_greetings(&self, body: &Object, findings: &mut Vec<Finding>) {
        let sheet = self.to_sheet();
        if sheet.name.trim().is_empty() {
            let advice = "give it one; nothing can be said under no name";
            findings.push(Finding::error(
                body.path_of("name"),
                "the character has no name",
                advice,
            ));
        }
        if sheet.greetings().next().is_none() {
            let (what, advice) = ("there is no greeting", "scenes begin with somebody's own words");
            findings.push(Finding::note(body.path_of("first_mes"), what, advice));
        }
        if self.version != Version::V1 {
            for key in ["description", "alternate_greetings", "extensions"] {
                if !body.has(key) {
                    let advice = "some software refuses cards without it; export the card again";
                    findings.push(Finding::note(body.path_of(key), "it is missing", advice));
                }
            }
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn wrong(path: &str, error: &FormatError) -> Finding {
    match error {
        FormatError::Type { path, wanted, found } => {
            let what = format!("it is {found}");
            Finding::error(path, what, format!("it must be {wanted}, and is passed over"))
        }
        error => Finding::error(path, error.to_string(), "it is passed over"),
    }
}

fn check_texts(body: &Object, findings: &mut Vec<Finding>) {
    for key in TEXTS {
        let Some(raw) = body.raw(key) else { continue };
        match body.text(key) {
            Err(error) => findings.push(wrong(&body.path_of(key), &error)),
            Ok(_) if lenient::kind(raw.get()) != "a text" => {
                let what = format!("it is {}", lenient::kind(raw.get()));
                let advice = "it is read as a text, but other software may refuse it";
                findings.push(Finding::warning(body.path_of(key), what, advice));
            }
            Ok(_) => {}
        }
    }
    for key in LISTS_OF_TEXTS {
        let Some(raw) = body.raw(key) else { continue };
        let items = match (body.texts(key), body.items(key)) {
            (Err(error), _) => {
                findings.push(wrong(&body.path_of(key), &error));
                continue;
            }
            (_, Ok(items)) => items.unwrap_or_default(),
            (_, Err(_)) => {
                let what = format!("it is {}", lenient::kind(raw.get()));
                let advice = "it is read as a list of one, but other software may refuse it";
                findings.push(Finding::warning(body.path_of(key), what, advice));
                continue;
            }
        };
        for (index, item) in items.iter().enumerate().take(MAX_FINDINGS) {
            if lenient::kind(item.get()) != "a text" {
                let path = format!("{}[{index}]", body.path_of(key));
                let what = format!("it is {}", lenient::kind(item.get()));
                findings.push(Finding::warning(path, what, "make it a text or take it out"));
            }
        }
    }
}

fn check_extensions(body: &Object, findings: &mut Vec<Finding>) {
    let extensions = match body.object("extensions") {
        Ok(extensions) => extensions.unwrap_or_default(),
        Err(error) => return findings.push(wrong("", &error)),
    };
    for object in [&extensions, body] {
        match object.number("talkativeness") {
            Err(error) => findings.push(wrong("", &error)),
            Ok(Some(number)) if !(0.0..=1.0).contains(&number) => {
                let path = object.path_of("talkativeness");
                let what = format!("it is {number}");
                findings.push(Finding::warning(path, what, "it counts as the nearest of 0 to 1"));
            }
            Ok(_) => {}
        }
    }
    let prompt = match extensions.object("depth_prompt") {
        Ok(prompt) => prompt.unwrap_or_default(),
        Err(error) => return findings.push(wrong("", &error)),
    };
    match prompt.integer("depth") {
        Err(error) => findings.push(wrong("", &error)),
        Ok(Some(depth)) if depth < 0 => {
            let what = format!("it is {depth}");
            findings.push(Finding::warning(prompt.path_of("depth"), what, "it counts as 0"));
        }
        Ok(_) => {}
    }
    if let Ok(Some(role)) = prompt.text("role")
        && !["system", "user", "assistant", "0", "1", "2"].contains(&&*role.to_ascii_lowercase())
    {
        let what = format!("there is no role {:?}", short(&role));
        let advice = "it counts as system; user and assistant are the others";
        findings.push(Finding::warning(prompt.path_of("role"), what, advice));
    }
}

fn check_notes(body: &Object, findings: &mut Vec<Finding>) {
    let languages = match body.object("creator_notes_multilingual") {
        Ok(languages) => languages.unwrap_or_default(),
        Err(error) => return findings.push(wrong("", &error)),
    };
    for language in languages.keys().take(MAX_FINDINGS) {
        let is_code = language.len() == 2 && language.bytes().all(|b| b.is_ascii_lowercase());
        if !is_code {
            let path = languages.path_of(&short(language));
            let advice = "use the two letters of ISO 639-1, without a region";
            findings.push(Finding::warning(path, "this is no code of a language", advice));
        }
        if let Err(error) = languages.text(language) {
            findings.push(wrong("", &error));
        }
    }
}

fn check_dates(body: &Object, findings: &mut Vec<Finding>) {
    // The first second that is later than any date of a card could be in seconds.
    const YEAR_2200: f64 = 7_258_118_400.0;
    for key in ["creation_date", "modification_date"] {
        match body.number(key) {
            Err(error) => findings.push(wrong("", &error)),
            Ok(Some(date)) if !(0.0..YEAR_2200).contains(&date) => {
                let advice = "it must be in seconds of the Unix epoch, not in milliseconds";
                findings.push(Finding::note(body.path_of(key), format!("it is {date}"), advice));
            }
            Ok(_) => {}
        }
    }
}

fn check_assets(body: &Object, findings: &mut Vec<Finding>) {
    let items = match body.items("assets") {
        Ok(items) => items.unwrap_or_default(),
        Err(error) => return findings.push(wrong("", &error)),
    };
    let mut named = HashSet::new();
    let (mut icons, mut main_icons) = (0, 0);
    for (index, item) in items.iter().enumerate().take(MAX_FINDINGS) {
        let path = format!("{}[{index}]", body.path_of("assets"));
        let asset = match Object::parse(item.get(), path.clone()) {
            Ok(asset) => asset,
            Err(error) => {
                findings.push(wrong(&path, &error));
                continue;
            }
        };
        let text = |key: &str| asset.text(key).ok().flatten().unwrap_or_default();
        let (kind, name, uri) = (text("type"), text("name"), text("uri"));
        for (key, value) in [("type", &kind), ("uri", &uri)] {
            if value.is_empty() {
                let advice = "the asset has no use without it";
                findings.push(Finding::warning(asset.path_of(key), "it is missing", advice));
            }
        }
        if uri.starts_with("embedded://") {
            let advice = format!("the specification spells it {EMBEDDED}");
            findings.push(Finding::note(asset.path_of("uri"), "it is spelled embedded://", advice));
        }
        if text("ext").chars().any(|c| c == '.' || c.is_uppercase()) {
            let advice = "write it in lower case and without a dot";
            findings.push(Finding::note(asset.path_of("ext"), "it is no file extension", advice));
        }
        icons += usize::from(kind == "icon");
        main_icons += usize::from(kind == "icon" && name == "main");
        if !named.insert((kind, name)) {
            let advice = "only the first is found; give each a name of its own";
            findings.push(Finding::note(path, "two assets have the same type and name", advice));
        }
    }
    if icons > 1 && main_icons == 0 {
        let advice = "call one of them main";
        findings.push(Finding::warning(body.path_of("assets"), "no icon is the main one", advice));
    }
}
