//! Any bytes as a chat: what is read has texts that can be asked for, and is read again
//! from what is written.
#![no_main]

use dramatis_fuzz::formats::chat::ChatFile;
use dramatis_fuzz::limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(chats) = ChatFile::read_all(bytes, &limits()) else { return };
    for chat in chats {
        let _ = (chat.note(), chat.scenario(), chat.created(), chat.is_group());
        for message in chat.messages() {
            let swipes = message.swipes().expect("it was checked when it was read");
            assert_eq!(swipes[message.standing()].text, message.text().expect("so was this"));
        }
        let written = chat.to_lines();
        let again = ChatFile::read_lines(&written, &limits()).expect("what was read once");
        assert_eq!(again.to_lines(), written);
    }
});
