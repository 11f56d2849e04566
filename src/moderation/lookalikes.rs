//! Characters that look like plain letters and that the Unicode tables fold otherwise or
//! not at all: small capitals, boxed letters, Greek by its looks, letters on their heads.
//!
//! Tables alone. Invariant: what stands here is folded in one step.

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// The letters that a character looks like.
pub(super) fn lookalike(c: char) -> Option<&'static str> {
    Some(match c {
        'ᴀ' | 'α' | 'Α' | 'ɑ' | 'ª' => "a",
        'ʙ' | 'β' | 'Β' | 'в' | 'ƀ' => "b",
        'ᴄ' | 'ς' | '¢' => "c",
        'ᴅ' | 'ð' | 'đ' => "d",
        'ᴇ' | 'ε' | 'Ε' | 'ɛ' | 'є' | '€' => "e",
        'ꜰ' | 'ƒ' | 'ϝ' => "f",
        'ɢ' | 'ɡ' => "g",
        'ʜ' | 'н' | 'Η' | 'һ' | 'ħ' => "h",
        'ɪ' | 'ι' | 'Ι' | 'ı' | '¡' => "i",
        'ᴊ' => "j",
        'ĸ' | 'ᴋ' | 'κ' | 'Κ' | 'к' => "k",
        'ʟ' | 'ł' | '£' => "l",
        'ʍ' | 'ᴍ' | 'м' | 'Μ' => "m",
        'ɴ' | 'ᴎ' | 'η' | 'Ν' | 'п' | 'и' => "n",
        'ᴏ' | 'ο' | 'Ο' | 'ø' | 'Ø' | 'σ' | 'θ' => "o",
        'ᴘ' | 'ρ' | 'Ρ' => "p",
        'ǫ' => "q",
        'ʀ' | 'г' => "r",
        'ꜱ' | '§' => "s",
        'ᴛ' | 'τ' | 'Τ' | 'т' => "t",
        'ᴜ' | 'υ' | 'μ' | 'µ' | 'ц' | 'ʋ' => "u",
        'ᴠ' | 'ν' => "v",
        'ᴡ' | 'ω' | 'ш' | 'ɯ' => "w",
        'χ' | 'Χ' | '×' => "x",
        'ʏ' | 'γ' | 'Υ' | '¥' => "y",
        'ᴢ' | 'Ζ' | 'ζ' => "z",
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        '’' | '‘' | 'ʼ' | '´' | '＇' => "'",
        '\u{1f130}'..='\u{1f149}' => letter(c, '\u{1f130}'),
        '\u{1f150}'..='\u{1f169}' => letter(c, '\u{1f150}'),
        '\u{1f170}'..='\u{1f189}' => letter(c, '\u{1f170}'),
        '\u{1f1e6}'..='\u{1f1ff}' => letter(c, '\u{1f1e6}'),
        _ => return None,
    })
}

fn letter(c: char, a: char) -> &'static str {
    let index = c as usize - a as usize;
    &LETTERS[index..=index]
}

/// The letter that stands on its head here.
pub(super) fn flipped(c: char) -> Option<char> {
    Some(match c {
        'ɐ' => 'a',
        'ɔ' => 'c',
        'ǝ' | 'ə' => 'e',
        'ɟ' => 'f',
        'ƃ' | 'ᵷ' => 'g',
        'ɥ' => 'h',
        'ᴉ' => 'i',
        'ɾ' => 'j',
        'ʞ' => 'k',
        'ɯ' => 'm',
        'ɹ' => 'r',
        'ʇ' => 't',
        'ʌ' => 'v',
        'ʎ' => 'y',
        _ => return None,
    })
}

/// What a plain letter reads as when the word stands on its head.
pub(super) fn turned(c: char) -> char {
    match c {
        'u' => 'n',
        'n' => 'u',
        'b' => 'q',
        'q' => 'b',
        'd' => 'p',
        'p' => 'd',
        _ => c,
    }
}

/// Whether nobody sees it: joiners, direction marks, variation selectors, fillers.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{20d0}'..='\u{20ff}' | '\u{300}'..='\u{36f}')
}

/// Whether it parts clauses: a word that is hidden behind it has to be spelled out.
pub(super) fn is_pause(c: char) -> bool {
    matches!(
        c,
        ',' | ';'
            | ':'
            | '?'
            | '!'
            | '"'
            | '('
            | ')'
            | '['
            | ']'
            | '–'
            | '—'
            | '…'
            | '“'
            | '”'
            | '«'
            | '»'
            | '„'
            | '‹'
            | '›'
            | '―'
            | '。'
            | '、'
            | '，'
            | '！'
            | '？'
    )
}
