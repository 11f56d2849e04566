//! Any bytes behind a PNG's signature: read, shown, written and read again.
#![no_main]

use dramatis_fuzz::formats::card::{CardFile, Container, Version};
use dramatis_fuzz::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = limits();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(bytes.strip_prefix(&png[..]).unwrap_or(bytes));
    let Ok(file) = CardFile::read(&png, &limits) else { return };
    file.validate();
    let _ = file.picture.as_ref().map(|picture| picture.to_avatar(&limits));
    if let Ok(again) = file.write(Container::Png, Version::V3, &limits) {
        let wide = dramatis_fuzz::formats::Limits::default();
        assert!(CardFile::read(&again, &wide).is_ok());
    }
});
