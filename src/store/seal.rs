//! What people and models wrote, sealed before it is written down.
//!
//! With keys of the operator's, stories are in the database as ciphertext: AES-256-GCM,
//! under a key that is derived for each guild (HKDF-SHA256), a fresh nonce for each text.
//! The database, its backups and whoever reads its disk hold nothing that can be read
//! without the keys. Names, titles and settings are not sealed.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use sqlx::PgPool;

use super::StoreError;
use super::text::{clean, clean_json};
use crate::domain::GuildId;

/// What a sealed text begins with; no other text does.
pub(super) const MARK: char = '\u{1}';
/// What JSON begins with that is a sealed text.
pub(super) const JSON_MARK: &str = r#""\u0001"#;
const KEY_BYTES: usize = 32;
const SALT: &[u8] = b"dramatis seal 1";

/// Why keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A line that is no key.
    #[error("line {0} is not NAME:KEY as `dramatis seal key` prints it")]
    Line(usize),
    /// The same name twice.
    #[error("line {0} has a name that an earlier line has")]
    Twice(usize),
}

/// The operator's keys: the first seals, all of them open. Without any nothing is sealed.
#[derive(Clone, Default)]
pub struct Keyring(Vec<(String, Prk)>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Keyring {
    /// Reads keys, one a line: a name of letters, digits, `-` and `_`, a colon, 32 bytes
    /// in Base64. Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// A line is no key, or a name is there twice; nothing of the line is repeated.
    pub fn read(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<(String, Prk)> = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = KeyringError::Line(number);
            let (name, key) = line.split_once(':').ok_or(wrong.clone())?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || name.len() > 32 || !name.chars().all(is_name) {
                return Err(wrong);
            }
            let key = BASE64.decode(key.trim()).map_err(|_| wrong.clone())?;
            if key.len() != KEY_BYTES {
                return Err(wrong);
            }
            if keys.iter().any(|(known, _)| known == name) {
                return Err(KeyringError::Twice(number));
            }
            keys.push((name.to_owned(), Salt::new(HKDF_SHA256, SALT).extract(&key)));
        }
        Ok(Self(keys))
    }

    /// A new key, as the line that [`Keyring::read`] takes.
    ///
    /// # Panics
    /// The system has no randomness.
    pub fn new_key(name: &str) -> String {
        let mut key = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut key).expect("the system has randomness");
        format!("{name}:{}", BASE64.encode(key))
    }

    /// What the keys are called, the one that seals first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// A key of its own for what is kept outside of the database, from the one that seals;
    /// `None` without keys.
    pub fn key_for(&self, purpose: &str) -> Option<[u8; KEY_BYTES]> {
        let (_, secret) = self.0.first()?;
        let mut key = [0; KEY_BYTES];
        // Longer than what the keys of guilds are derived from, so never one of those.
        let info = [&b"a key for "[..], purpose.as_bytes()];
        let derived = secret.expand(&info, HKDF_SHA256).expect("one key is asked for");
        derived.fill(&mut key).expect("it is as long");
        Some(key)
    }

    /// Whether nothing is sealed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The keys of one guild.
#[derive(Debug, Clone)]
pub(super) struct GuildSeal {
    pub(super) keyring: Arc<Keyring>,
    pub(super) guild: GuildId,
}

impl GuildSeal {
    /// The text as it is written down. An empty one says nothing and stays empty.
    pub(super) fn seal(&self, text: &str) -> String {
        let text = clean(text);
        let Some((name, secret)) = self.keyring.0.first() else {
            return unmarked(&text);
        };
        if text.is_empty() {
            return String::new();
        }
        let sealed = self.close(secret, text.as_bytes());
        format!("{MARK}{name}:{}", BASE64.encode(sealed))
    }

    /// What was written down, readable.
    ///
    /// # Errors
    /// `Sealed` where the key is not there or not the one that it was sealed with.
    pub(super) fn open(&self, text: String) -> Result<String, StoreError> {
        let Some(sealed) = text.strip_prefix(MARK) else { return Ok(text) };
        let (name, bytes) = sealed.split_once(':').unwrap_or((sealed, ""));
        let opened = BASE64.decode(bytes).ok().and_then(|bytes| self.unclose(name, bytes));
        let text = opened.and_then(|opened| String::from_utf8(opened).ok());
        text.ok_or_else(|| StoreError::Sealed { key: name.to_owned() })
    }

    /// [`GuildSeal::open`] for what may be absent.
    pub(super) fn open_option(&self, text: Option<String>) -> Result<Option<String>, StoreError> {
        text.map(|text| self.open(text)).transpose()
    }

    /// A value as it is written down: a sealed one is a text.
    pub(super) fn seal_json(&self, value: &Value) -> Value {
        if self.keyring.is_empty() {
            return clean_json(value);
        }
        Value::String(self.seal(&clean_json(value).to_string()))
    }

    /// The value that was written down.
    ///
    /// # Errors
    /// As [`GuildSeal::open`].
    pub(super) fn open_json(&self, value: Value) -> Result<Value, StoreError> {
        match value {
            Value::String(text) if text.starts_with(MARK) => {
                let opened = self.open(text)?;
                serde_json::from_str(&opened).map_err(|_| StoreError::Sealed { key: String::new() })
            }
            value => Ok(value),
        }
    }

    /// A file's own JSON text as it is written down, to the letter; a sealed one is JSON too.
    pub(super) fn seal_file(&self, text: &str) -> String {
        if self.keyring.is_empty() {
            return text.to_owned();
        }
        Value::String(self.seal(text)).to_string()
    }

    /// The file's text that was written down.
    ///
    /// # Errors
    /// As [`GuildSeal::open`].
    pub(super) fn open_file(&self, text: String) -> Result<String, StoreError> {
        if !text.starts_with(JSON_MARK) {
            return Ok(text);
        }
        let sealed = serde_json::from_str(&text);
        self.open(sealed.map_err(|_| StoreError::Sealed { key: String::new() })?)
    }

    /// Bytes as they are written down, and the name of the key that they are sealed with.
    /// Nothing could mark them: they may be any.
    pub(super) fn seal_bytes(&self, bytes: &[u8]) -> (Vec<u8>, Option<&str>) {
        match self.keyring.0.first() {
            Some((name, secret)) => (self.close(secret, bytes), Some(name)),
            None => (bytes.to_vec(), None),
        }
    }

    /// The bytes that were written down.
    ///
    /// # Errors
    /// As [`GuildSeal::open`].
    pub(super) fn open_bytes(
        &self,
        bytes: Vec<u8>,
        key: Option<String>,
    ) -> Result<Vec<u8>, StoreError> {
        let Some(key) = key else { return Ok(bytes) };
        self.unclose(&key, bytes).ok_or(StoreError::Sealed { key })
    }

    /// Nonce, ciphertext, tag.
    fn close(&self, secret: &Prk, bytes: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the system has randomness");
        let mut sealed = [&nonce[..], bytes].concat();
        let tag = self
            .key(secret)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed[NONCE_LEN..],
            )
            .expect("what is sealed is far shorter than what can be");
        sealed.extend(tag.as_ref());
        sealed
    }

    /// What was closed with the key of that name, if it is there and it was.
    fn unclose(&self, key: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (_, secret) = self.keyring.0.iter().find(|(known, _)| known == key)?;
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        Some(self.key(secret).open_in_place(nonce, Aad::empty(), rest).ok()?.to_vec())
    }

    fn key(&self, secret: &Prk) -> LessSafeKey {
        let info = [&self.guild.0.to_be_bytes()[..]];
        let key = secret.expand(&info, &AES_256_GCM).expect("one key is asked for");
        LessSafeKey::new(UnboundKey::from(key))
    }
}

/// Notes which key seals from now on.
///
/// # Errors
/// `Sealed` where texts may be sealed with a key that is not there.
pub(super) async fn try_keys(pool: &PgPool, keyring: &Keyring) -> Result<(), StoreError> {
    if let Some(name) = keyring.names().next() {
        sqlx::query!("INSERT INTO seal_key (name) VALUES ($1) ON CONFLICT DO NOTHING", name)
            .execute(pool)
            .await?;
    }
    let used = sqlx::query_scalar!("SELECT name FROM seal_key ORDER BY name").fetch_all(pool);
    for key in used.await? {
        if !keyring.names().any(|known| known == key) {
            return Err(StoreError::Sealed { key });
        }
    }
    Ok(())
}

/// A text that nobody takes for a sealed one.
pub(super) fn unmarked(text: &str) -> String {
    match text.strip_prefix(MARK) {
        Some(rest) => format!("\u{fffd}{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seal(lines: &str, guild: i64) -> GuildSeal {
        let keyring = Arc::new(Keyring::read(lines).expect("keys"));
        GuildSeal { keyring, guild: GuildId(guild) }
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_guild_alone() {
        let (old, new) = (Keyring::new_key("old"), Keyring::new_key("new"));
        let sealed = seal(&old, 1).seal("The heron sleeps.");
        assert!(!sealed.contains("heron") && sealed.starts_with("\u{1}old:"));
        assert_ne!(sealed, seal(&old, 1).seal("The heron sleeps."), "a fresh nonce each time");
        let both = format!("# the new one seals\n{new}\n\n{old}\n");
        assert_eq!(seal(&both, 1).open(sealed.clone()).expect("opens"), "The heron sleeps.");
        assert!(seal(&both, 1).seal("x").starts_with("\u{1}new:"));
        for (lines, guild) in [(&old, 2), (&new, 1), (&String::new(), 1)] {
            let error = seal(lines, guild).open(sealed.clone()).expect_err("does not open");
            assert!(error.to_string().contains("“old”"), "{error}");
        }
        let mut edited = sealed.clone();
        edited.pop();
        edited.push('A');
        assert!(seal(&old, 1).open(edited).is_err());
        assert!(seal(&old, 1).open(format!("{MARK}old:AAAA")).is_err());
    }

    #[test]
    fn without_keys_texts_stay_and_none_can_pass_for_a_sealed_one() {
        let open = seal("", 1);
        assert_eq!(open.seal("plain"), "plain");
        let forged = open.seal("\u{1}old:AAAA");
        assert_eq!(open.open(forged).expect("a text"), "\u{fffd}old:AAAA");
        assert_eq!(open.seal_json(&json!({ "a": 1 })), json!({ "a": 1 }));
        let sealing = seal(&Keyring::new_key("k"), 1);
        assert_eq!(sealing.seal(""), "");
        assert_eq!(sealing.open("from before".into()).expect("a text"), "from before");
        let value = json!({ "a": ["b", 1] });
        let sealed = sealing.seal_json(&value);
        assert!(sealed.is_string());
        assert_eq!(sealing.open_json(sealed).expect("a value"), value);
    }

    #[test]
    fn files_come_back_to_the_letter_and_bytes_to_the_byte() {
        let (key, odd) = (Keyring::new_key("k"), r#"{ "a":[1.50, "\u0000"] }"#);
        let (open, sealing) = (seal("", 1), seal(&key, 1));
        assert_eq!(open.seal_file(odd), odd);
        let sealed = sealing.seal_file(odd);
        assert!(sealed.starts_with(JSON_MARK) && !sealed.contains("1.50"), "{sealed}");
        assert!(serde_json::from_str::<Value>(&sealed).is_ok_and(|value| value.is_string()));
        assert_eq!(sealing.open_file(sealed.clone()).expect("a text"), odd);
        assert_eq!(sealing.open_file(odd.to_owned()).expect("a text"), odd);
        assert!(seal(&key, 2).open_file(sealed).is_err());

        // Whatever they begin with.
        let bytes = format!("{MARK}k:AAAA");
        assert_eq!(open.seal_bytes(bytes.as_bytes()), (bytes.clone().into_bytes(), None));
        let (sealed, name) = sealing.seal_bytes(bytes.as_bytes());
        assert_eq!(name, Some("k"));
        let opened =
            |seal: &GuildSeal, key: &str| seal.open_bytes(sealed.clone(), Some(key.into()));
        assert_eq!(opened(&sealing, "k").expect("bytes"), bytes.as_bytes());
        for (seal, name) in [(&seal(&key, 2), "k"), (&sealing, "l"), (&open, "k")] {
            assert!(opened(seal, name).is_err());
        }
        assert!(sealing.open_bytes(vec![1; 5], Some("k".into())).is_err());
        assert_eq!(sealing.open_bytes(vec![1; 5], None).expect("bytes"), [1; 5]);
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own_from_the_first() {
        let (one, two) = (Keyring::new_key("one"), Keyring::new_key("two"));
        let key = |lines: &str, purpose| Keyring::read(lines).expect("keys").key_for(purpose);
        let cache = key(&one, "cache");
        assert!(cache.is_some() && key("", "cache").is_none());
        assert_eq!(key(&format!("{one}\n{two}"), "cache"), cache);
        assert_ne!(key(&format!("{two}\n{one}"), "cache"), cache);
        assert_ne!(key(&one, "other"), cache);
    }

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_repeated() {
        let key = Keyring::new_key("a");
        assert_eq!(Keyring::read("x").expect_err("no key"), KeyringError::Line(1));
        assert_eq!(Keyring::read("\na b:AAAA").expect_err("no name"), KeyringError::Line(2));
        assert_eq!(Keyring::read("a:AAAA").expect_err("too short"), KeyringError::Line(1));
        assert_eq!(
            Keyring::read(&format!("{key}\n{key}")).expect_err("twice"),
            KeyringError::Twice(2)
        );
        assert_eq!(format!("{:?}", Keyring::read(&key).expect("a key")), r#"["a"]"#);
    }
}
