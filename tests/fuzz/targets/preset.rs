//! Any text as a sampling preset: what is read is valid, and written again where nothing
//! was changed it is the same.
#![no_main]

use dramatis_fuzz::formats::preset::PresetFile;
use dramatis_fuzz::limits;
use dramatis_fuzz::sampling::SamplerParams;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(file) = PresetFile::read_json(text, &limits()) else { return };
    let Ok(read) = file.to_params() else { return };
    read.params.validate().expect("whatever a preset holds");
    assert_eq!(file.with_params(&read.params).to_json(), file.to_json());
    let ours = SamplerParams::preset("limarp").expect("it ships");
    if let Ok(written) = file.with_params(&ours).to_params() {
        assert_eq!(written.params.temperature, ours.temperature);
        assert_eq!(written.params.tfs, ours.tfs);
    }
});
