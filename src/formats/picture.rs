//! Pictures: what they are, and small ones made of them.
//!
//! Nothing is decoded before its size is known to be allowed, and nothing is fetched.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Rgba, RgbaImage};

use super::{FormatError, Limits};

/// The side of a picture that stands beside messages, in pixels.
pub const AVATAR_SIDE: u32 = 128;

/// What kind of file a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureKind {
    /// PNG, moving ones (APNG) too.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
}

impl PictureKind {
    /// What a file begins with says what it is.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }

    /// Its file extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
        }
    }

    fn format(self) -> ImageFormat {
        match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::WebP => ImageFormat::WebP,
        }
    }
}

/// A picture in its file, of an allowed size; it was not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What kind of file it is.
    pub kind: PictureKind,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Reads what a picture's file says of itself.
    ///
    /// # Errors
    /// `Picture` for what is no PNG, JPEG or WebP, `TooBig` beyond the limits.
    pub fn check(bytes: Vec<u8>, limits: &Limits) -> Result<Self, FormatError> {
        let Some(kind) = PictureKind::sniff(&bytes) else {
            let what = "this is no PNG, JPEG or WebP; save it as one of these".to_owned();
            return Err(FormatError::Picture { what });
        };
        if bytes.len() > limits.file_bytes {
            return Err(FormatError::too_big("picture", bytes.len(), limits.file_bytes));
        }
        let (width, height) = ImageReader::with_format(Cursor::new(&bytes), kind.format())
            .into_dimensions()
            .map_err(|error| damaged(&error))?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > limits.pixels {
            let (at, max) = ("picture".to_owned(), limits.pixels);
            return Err(FormatError::TooBig { at, size: pixels, max, unit: "pixels" });
        }
        Ok(Self { kind, width, height, bytes })
    }

    /// The picture decoded, turned as its file asks; of a moving one the first frame.
    fn decode(&self, limits: &Limits) -> Result<DynamicImage, FormatError> {
        let mut reader = ImageReader::with_format(Cursor::new(&self.bytes), self.kind.format());
        // Up to 8 bytes a pixel, and something for the decoder's own use.
        let mut bounds = image::Limits::default();
        bounds.max_alloc = Some(limits.pixels.saturating_mul(8).saturating_add(64 << 20));
        reader.limits(bounds);
        let mut decoder = reader.into_decoder().map_err(|error| damaged(&error))?;
        let turned = decoder.orientation().map_err(|error| damaged(&error))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(&error))?;
        image.apply_orientation(turned);
        Ok(image)
    }

    /// The picture as it stands beside messages: a square PNG of at most [`AVATAR_SIDE`]
    /// pixels. Of a tall picture it is near the top, where cards have the face.
    ///
    /// # Errors
    /// `Picture` where it cannot be decoded.
    pub fn to_avatar(&self, limits: &Limits) -> Result<Vec<u8>, FormatError> {
        let image = self.decode(limits)?;
        let side = image.width().min(image.height());
        let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 8);
        let mut square = image.crop_imm(left, top, side, side);
        if side > AVATAR_SIDE {
            square = square.thumbnail_exact(AVATAR_SIDE, AVATAR_SIDE);
        }
        encode(&square.into_rgba8())
    }

    /// The picture as PNG; one that is PNG already stays as it is.
    pub(super) fn to_png(&self, limits: &Limits) -> Result<Vec<u8>, FormatError> {
        match self.kind {
            PictureKind::Png => Ok(self.bytes.clone()),
            _ => encode(&self.decode(limits)?.into_rgba8()),
        }
    }
}

/// A picture that stands for one that is missing, as PNG.
pub(super) fn placeholder() -> Result<Vec<u8>, FormatError> {
    encode(&RgbaImage::from_pixel(400, 600, Rgba([0x3c, 0x41, 0x4d, 0xff])))
}

fn encode(image: &RgbaImage) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(image, image.width(), image.height(), image::ExtendedColorType::Rgba8)
        .map_err(|error| damaged(&error))?;
    Ok(bytes)
}

fn damaged(error: &image::ImageError) -> FormatError {
    let what = format!("it cannot be decoded ({error}); save it anew as PNG, JPEG or WebP");
    FormatError::Picture { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn avatars_are_small_png() {
        let picture = Picture::check(jpeg(1000, 600), &Limits::default()).unwrap();
        assert_eq!((picture.kind, picture.width, picture.height), (PictureKind::Jpeg, 1000, 600));
        let avatar = picture.to_avatar(&Limits::default()).unwrap();
        let avatar = Picture::check(avatar, &Limits::default()).unwrap();
        assert_eq!(
            (avatar.kind, avatar.width, avatar.height),
            (PictureKind::Png, AVATAR_SIDE, AVATAR_SIDE)
        );
        let small = Picture::check(jpeg(20, 10), &Limits::default()).unwrap();
        let small =
            Picture::check(small.to_avatar(&Limits::default()).unwrap(), &Limits::default());
        assert_eq!(small.map(|picture| picture.width).unwrap(), 10);
    }

    #[test]
    fn a_picture_that_says_it_is_huge_is_not_decoded() {
        let mut png = placeholder().unwrap();
        png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let crc = crc32fast::hash(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = Picture::check(png, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), "too_big", "{error}");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"] {
            let error = Picture::check(bytes.to_vec(), &Limits::default()).unwrap_err();
            assert_eq!(error.kind(), "picture");
        }
        let whole = jpeg(64, 64);
        for end in (0..whole.len()).step_by(7) {
            if let Ok(picture) = Picture::check(whole[..end].to_vec(), &Limits::default()) {
                let _ = picture.to_avatar(&Limits::default());
            }
        }
    }
}
