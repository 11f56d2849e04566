//! A card with everything that comes with it, as people pass it around: JSON, a PNG
//! picture, or a CHARX archive.

use std::sync::Arc;

use super::assets::{self, Asset, DEFAULT, EMBEDDED};
use super::{Card, Version, charx, png};
use crate::formats::fields::raw_list;
use crate::formats::picture::{self, Picture, PictureKind};
use crate::formats::{Finding, FormatError, Limits};

/// What kind of file a card is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// The document alone.
    Json,
    /// A picture with the document in it.
    Png,
    /// An archive with the document and its assets.
    Charx,
}

impl Container {
    /// The file extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Png => "png",
            Self::Charx => "charx",
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Png => "image/png",
            Self::Charx => "application/zip",
        }
    }
}

/// A card with its assets and its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct CardFile {
    /// The card.
    pub card: Card,
    /// Its assets, in its order. They and not the card's own list say what is written.
    pub assets: Vec<Asset>,
    /// The picture that shows it; one that is in no kind we know stays an asset alone.
    pub picture: Option<Picture>,
    /// What else an archive held, by its path: other software's own data.
    pub extras: Vec<(String, Arc<[u8]>)>,
    container: Container,
    findings: Vec<Finding>,
}

impl CardFile {
    /// A card with nothing beside it.
    pub fn new(card: Card) -> Self {
        let assets = assets::list(&card);
        let (picture, extras, findings) = (None, Vec::new(), Vec::new());
        Self { card, assets, picture, extras, container: Container::Json, findings }
    }

    /// Reads a card from a file of any kind; its content says which.
    ///
    /// # Errors
    /// `TooBig` beyond the limits, `Unknown` for what is no card, and what else can be
    /// wrong with the kind of file that it is.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, FormatError> {
        if bytes.len() > limits.file_bytes {
            return Err(FormatError::too_big("the file", bytes.len(), limits.file_bytes));
        }
        let kind = PictureKind::sniff(bytes);
        let is_archive = bytes.starts_with(b"PK") || charx::is_archive(bytes);
        match kind {
            Some(PictureKind::Png) => match Self::read_png(bytes, limits) {
                Err(_) if is_archive => Self::read_charx(bytes, limits),
                result => result,
            },
            _ if is_archive => Self::read_charx(bytes, limits),
            Some(kind) => Err(FormatError::Unknown {
                wanted: "character card",
                what: format!(
                    "a {} picture cannot hold a card; save the card as PNG, CHARX or JSON",
                    kind.extension()
                ),
            }),
            None => Self::read_text(bytes, limits),
        }
    }

    fn read_text(bytes: &[u8], limits: &Limits) -> Result<Self, FormatError> {
        let text = str::from_utf8(bytes).map_err(|_| FormatError::Unknown {
            wanted: "character card",
            what: "it is neither PNG, CHARX nor JSON in UTF-8".to_owned(),
        })?;
        let mut file = Self::new(Card::read_json_within(text, limits)?);
        file.assets = assets::read(&file.card, &[], limits, &mut file.findings)?;
        let icon = icon(&file.assets).and_then(|icon| icon.bytes.as_deref());
        file.picture = icon.and_then(|bytes| Picture::check(bytes.to_vec(), limits).ok());
        Ok(file)
    }

    fn read_png(bytes: &[u8], limits: &Limits) -> Result<Self, FormatError> {
        let contents = png::read(bytes, limits)?;
        let mut findings = contents.findings;
        let mut first_error = None;
        let mut card = None;
        for text in contents.cards {
            let read = text.and_then(|text| {
                let card = Card::read_json_within(&text.json, limits);
                card.map_err(|error| FormatError::Png { at: text.at, what: error.to_string() })
            });
            match read {
                Ok(read) => {
                    card = Some(read);
                    break;
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let Some(card) = card else {
            return Err(first_error.unwrap_or_else(|| FormatError::Png {
                at: "the file".to_owned(),
                what: "it is a picture without a card in it; choose the picture as it was \
                       exported, since chats and sites often remove what pictures hold"
                    .to_owned(),
            }));
        };
        if let Some(error) = first_error {
            let advice = "an older card in the same file is used; save the card anew";
            findings.push(Finding::error("PNG", error.to_string(), advice));
        }
        let assets = assets::read(&card, &contents.assets, limits, &mut findings)?;
        let picture = match Picture::check(contents.picture, limits) {
            Ok(picture) => Some(picture),
            Err(error) => {
                let advice = "the card is read without it";
                findings.push(Finding::warning("PNG", error.to_string(), advice));
                None
            }
        };
        let (extras, container) = (Vec::new(), Container::Png);
        Ok(Self { card, assets, picture, extras, container, findings })
    }

    fn read_charx(bytes: &[u8], limits: &Limits) -> Result<Self, FormatError> {
        let archive = charx::read(bytes, limits)?;
        let mut findings = archive.findings;
        let card = Card::read_json_within(&archive.card, limits).map_err(|error| {
            FormatError::Zip { entry: charx::CARD.to_owned(), what: error.to_string() }
        })?;
        let assets = assets::read(&card, &archive.parts, limits, &mut findings)?;
        let is_asset = |path: &str| assets.iter().any(|asset| asset.embedded_path() == Some(path));
        let extras = archive.parts.into_iter().filter(|(path, _)| !is_asset(path)).collect();
        let front = bytes[..archive.prefix_bytes.min(bytes.len())].to_vec();
        let picture = icon(&assets)
            .and_then(|icon| Picture::check(icon.bytes.as_deref()?.to_vec(), limits).ok())
            .or_else(|| Picture::check(front, limits).ok());
        Ok(Self { card, assets, picture, extras, container: Container::Charx, findings })
    }

    /// What kind of file it was read from; JSON for a new one.
    pub fn container(&self) -> Container {
        self.container
    }

    /// What is wrong with the card and with the file it was read from.
    pub fn validate(&self) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        findings.extend(self.card.validate());
        findings
    }

    /// The picture as it stands beside messages, as PNG of at most 512 pixels a side;
    /// `None` where there is none.
    ///
    /// # Errors
    /// `Picture` where it cannot be decoded.
    pub fn avatar(&self, limits: &Limits) -> Result<Option<Vec<u8>>, FormatError> {
        self.picture.as_ref().map(|picture| picture.to_avatar(limits)).transpose()
    }

    /// The card in a file of that kind, spelled as that version. Files of assets go
    /// along: into an archive as files, else into their addresses. A JSON file has no
    /// place for the picture itself.
    ///
    /// # Errors
    /// `Unsupported` for an archive of another version than V3, `Picture` where the
    /// picture has to become PNG and cannot be decoded.
    pub fn write(
        &self,
        container: Container,
        version: Version,
        limits: &Limits,
    ) -> Result<Vec<u8>, FormatError> {
        match container {
            Container::Json => {
                let card = self.card_inline(None, limits)?.to_version(version);
                Ok(card.to_json().into_bytes())
            }
            Container::Png => self.write_png(version, limits),
            Container::Charx if version == Version::V3 => self.write_charx(),
            Container::Charx => {
                let what = "CHARX holds cards of V3 alone; write PNG or JSON for older ones";
                Err(FormatError::Unsupported { what: what.to_owned() })
            }
        }
    }

    fn write_png(&self, version: Version, limits: &Limits) -> Result<Vec<u8>, FormatError> {
        let shown = icon(&self.assets).filter(|icon| {
            icon.bytes.as_ref().is_some_and(|bytes| PictureKind::sniff(bytes).is_some())
        });
        let picture = match (&self.picture, shown) {
            (Some(picture), _) => picture.to_png(limits)?,
            (None, Some(Asset { bytes: Some(bytes), .. })) => {
                Picture::check(bytes.to_vec(), limits)?.to_png(limits)?
            }
            _ => picture::placeholder()?,
        };
        // The picture of the file is the icon, where they are the same.
        let is_icon = shown.filter(|icon| match (&self.picture, &icon.bytes) {
            (Some(picture), Some(bytes)) => picture.bytes[..] == bytes[..],
            (None, _) => true,
            _ => false,
        });
        let card = self.card_inline(is_icon, limits)?.to_version(version);
        let mut cards = Vec::new();
        if version == Version::V3 {
            cards.push(("chara", card.to_backfill().to_json()));
            cards.push(("ccv3", card.to_json()));
        } else {
            cards.push(("chara", card.to_json()));
        }
        png::write(&picture, &cards, limits)
    }

    /// The card with the files of its assets in their addresses; the one that is the
    /// picture itself is where it is.
    fn card_inline(&self, picture: Option<&Asset>, limits: &Limits) -> Result<Card, FormatError> {
        // Many assets may share one file, and each would have its own copy.
        let files = self.assets.iter().filter_map(|asset| asset.bytes.as_ref());
        let total = files.map(|bytes| bytes.len()).sum::<usize>();
        if total > limits.json_bytes {
            return Err(FormatError::too_big("the assets together", total, limits.json_bytes));
        }
        let uris = self.assets.iter().map(|asset| match &asset.bytes {
            Some(_) if picture.is_some_and(|picture| std::ptr::eq(picture, asset)) => {
                DEFAULT.to_owned()
            }
            Some(bytes) if !asset.uri.starts_with("data:") => asset.data_uri(bytes),
            _ => asset.uri.clone(),
        });
        Ok(self.card_with(&self.assets, uris.collect()))
    }

    fn write_charx(&self) -> Result<Vec<u8>, FormatError> {
        let mut assets = self.assets.clone();
        self.put_picture(&mut assets);
        let mut uris = Vec::new();
        let mut parts: Vec<(String, &Arc<[u8]>)> =
            self.extras.iter().map(|(path, bytes)| (path.clone(), bytes)).collect();
        for asset in &assets {
            let Some(bytes) = &asset.bytes else {
                uris.push(asset.uri.clone());
                continue;
            };
            let known = asset.embedded_path().map(str::to_owned);
            // Two assets may share one file.
            let is_shared = |path: &String| parts.iter().any(|(p, b)| p == path && *b == bytes);
            let is_free = |path: &String| parts.iter().all(|(known, _)| known != path);
            let path = known.filter(|path| is_shared(path) || is_free(path)).unwrap_or_else(|| {
                (0..).map(|n| asset.new_path(n)).find(is_free).expect("one number is free")
            });
            uris.push(format!("{EMBEDDED}{path}"));
            if is_free(&path) {
                parts.push((path, bytes));
            }
        }
        let card = self.card_with(&assets, uris).to_version(Version::V3);
        charx::write(&card.to_json(), parts.iter().map(|(path, bytes)| (&**path, &***bytes)))
    }

    /// Makes the picture an asset, as an archive has no other place for it.
    fn put_picture(&self, assets: &mut Vec<Asset>) {
        let Some(picture) = &self.picture else { return };
        let ext = picture.kind.extension();
        match assets.iter_mut().find(|asset| asset.is_main_icon()) {
            Some(icon) if icon.bytes.is_none() && icon.uri == DEFAULT => {
                icon.bytes = Some(picture.bytes.clone().into());
                icon.ext = ext.to_owned();
            }
            Some(_) => {}
            None => {
                let icon = Asset::new("icon", "main", ext, picture.bytes.clone());
                if !assets.iter().any(|known| known.bytes == icon.bytes) {
                    assets.insert(0, icon);
                }
            }
        }
    }

    /// The card with these assets under these addresses; where that is what it says, as
    /// it is spelled.
    fn card_with(&self, assets: &[Asset], uris: Vec<String>) -> Card {
        let mut spelled = Vec::new();
        for (asset, uri) in assets.iter().zip(&uris) {
            spelled.push(asset.to_fields(uri));
        }
        let known: Vec<_> =
            assets::list(&self.card).iter().map(|asset| asset.to_fields(&asset.uri)).collect();
        if known == spelled {
            return self.card.clone();
        }
        let mut body = self.card.body();
        let spelled: Vec<_> = spelled.iter().map(|asset| asset.to_raw()).collect();
        body.set_raw("assets", raw_list(spelled.iter().map(|asset| &**asset)));
        self.card.with_body(body)
    }
}

/// The asset that stands for the character: the main icon, else the first.
fn icon(assets: &[Asset]) -> Option<&Asset> {
    let main = assets.iter().find(|asset| asset.is_main_icon());
    main.or_else(|| assets.iter().find(|asset| asset.kind == "icon"))
}
