//! Any text as a template: written again where nothing was changed it is the same, and
//! a master export of it says the same.
#![no_main]

use dramatis_fuzz::formats::template::TemplateFile;
use dramatis_fuzz::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(file) = TemplateFile::read_json(text, &limits()) else { return };
    let Ok(template) = file.to_template() else { return };
    let same = file.with_template(&template).expect("it was read once");
    assert_eq!(same.to_json(), file.to_json());
    let master = TemplateFile::from_template(&template);
    assert_eq!(master.to_template().expect("our own spelling"), template);
});
