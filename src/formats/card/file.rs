//! A card with everything that comes with it, as people pass it around: JSON, a PNG
//! picture, or a CHARX archive.

use std::sync::Arc;

use super::assets::{self, Asset};
use super::{Card, charx, png};
use crate::formats::picture::{Picture, PictureKind};
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
}

/// The asset that stands for the character: the main icon, else the first.
pub(super) fn icon(assets: &[Asset]) -> Option<&Asset> {
    let main = assets.iter().find(|asset| asset.is_main_icon());
    main.or_else(|| assets.iter().find(|asset| asset.kind == "icon"))
}
