//! Any bytes as an archive: read, packed and read again.
#![no_main]

use dramatis_fuzz::formats::Limits;
use dramatis_fuzz::formats::card::{CardFile, Container, Version};
use dramatis_fuzz::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = CardFile::read(bytes, &limits()) else { return };
    file.validate();
    if let Ok(again) = file.write(Container::Charx, Version::V3, &limits()) {
        assert!(CardFile::read(&again, &Limits::default()).is_ok());
    }
});
