//! Whole files written: the document, a picture around it, or an archive.

use std::collections::HashMap;
use std::sync::Arc;

use super::assets::{self, Asset, DEFAULT, EMBEDDED};
use super::file::icon;
use super::{Card, CardFile, Container, Version, charx, png};
use crate::formats::fields::raw_list;
use crate::formats::picture::{self, Picture, PictureKind};
use crate::formats::{FormatError, Limits};

impl CardFile {
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
        let mut parts: Vec<(String, &Arc<[u8]>)> =
            self.extras.iter().map(|(path, bytes)| (path.clone(), bytes)).collect();
        let mut taken: HashMap<String, &Arc<[u8]>> = parts.iter().cloned().collect();
        let mut uris = Vec::new();
        for (index, asset) in assets.iter().enumerate() {
            let Some(bytes) = &asset.bytes else {
                uris.push(asset.uri.clone());
                continue;
            };
            // Two assets may share one file.
            let may_be = |path: &String| taken.get(path).is_none_or(|known| *known == bytes);
            let known = asset.embedded_path().filter(|path| charx::is_free_path(path));
            let mut free = std::iter::once(0).chain(index..).map(|number| asset.new_path(number));
            let path = known
                .map(str::to_owned)
                .filter(may_be)
                .or_else(|| free.find(|path| !taken.contains_key(path)))
                .expect("one of all numbers is free");
            uris.push(format!("{EMBEDDED}{path}"));
            if taken.insert(path.clone(), bytes).is_none() {
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
