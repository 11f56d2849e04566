//! Whether the audit is as it was written.
//!
//! Every row carries the digest of the row before it; `audit_digest` in the database
//! makes them, and here they are made once more, by nothing that the database says of
//! itself. Whoever rewrites the whole chain is noticed only by a head that was kept
//! elsewhere.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use tracing::instrument;

use super::{Noun, Store, StoreError};
use crate::domain::GuildId;

/// How many rows are looked at at once.
const PAGE: i64 = 1_000;
/// What the first row follows.
const ORIGIN: [u8; 32] = [0; 32];

/// The end of a guild's chain at some time: `ORDINAL:HASH`. Kept elsewhere, it tells
/// later whether what was there then is there still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of its last row; 0 before the first.
    pub ordinal: i64,
    /// That row's digest.
    pub hash: [u8; 32],
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { ordinal: 0, hash: ORIGIN }
    }
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.ordinal)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for AuditHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("“{text}” is not ORDINAL:HASH as `dramatis audit head` prints it");
        let (ordinal, digits) = text.split_once(':').ok_or_else(wrong)?;
        let ordinal = ordinal.parse().map_err(|_| wrong())?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = ORIGIN;
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self { ordinal, hash })
    }
}

/// What is wrong with a chain, where it is first noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFault {
    /// A row says something else than when it was written.
    Edited {
        /// Which.
        ordinal: i64,
    },
    /// There is no such row, though later ones or the head tell of it.
    Missing {
        /// Which.
        ordinal: i64,
    },
    /// A row is there that the chain has no place for.
    Added {
        /// The number that it gives itself.
        ordinal: i64,
    },
    /// A row does not follow the one before it: one of the two was written anew.
    Unlinked {
        /// The later one.
        ordinal: i64,
    },
    /// The head tells of another last row, or there is none.
    Head {
        /// The last row.
        ordinal: i64,
    },
    /// What was kept elsewhere is not in the chain: all of it was written anew since, or
    /// its end is gone.
    Anchor {
        /// The row that was kept.
        ordinal: i64,
    },
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { ordinal } => {
                write!(f, "row {ordinal} was edited after it had been written")
            }
            Self::Missing { ordinal } => write!(f, "row {ordinal} was removed"),
            Self::Added { ordinal } => {
                write!(f, "a row numbered {ordinal} was put in past the chain")
            }
            Self::Unlinked { ordinal } => write!(
                f,
                "row {ordinal} does not follow row {}: one of the two was replaced",
                ordinal - 1
            ),
            Self::Head { ordinal } => write!(
                f,
                "the chain ends with row {ordinal}, but its head says otherwise: the last rows \
                 or the head were changed"
            ),
            Self::Anchor { ordinal } => write!(
                f,
                "row {ordinal} is not the one whose digest was kept: the chain was rewritten or \
                 cut off since"
            ),
        }
    }
}

/// What became of looking through a guild's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditVerdict {
    /// The end of the chain as far as it is sound.
    pub head: AuditHead,
    /// What is wrong after that, if anything.
    pub fault: Option<AuditFault>,
}

struct Link {
    guild_id: i64,
    id: i64,
    ordinal: i64,
    person_id: Option<i64>,
    action: String,
    detail: String,
    at: DateTime<Utc>,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl Link {
    /// As `audit_digest` does it.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update("dramatis audit 1");
        digest.update(&self.prev_hash);
        for number in [self.guild_id, self.ordinal, self.id] {
            digest.update(number.to_be_bytes());
        }
        digest.update([u8::from(self.person_id.is_some())]);
        if let Some(person) = self.person_id {
            digest.update(person.to_be_bytes());
        }
        digest.update(self.at.timestamp_micros().to_be_bytes());
        for text in [&self.action, &self.detail] {
            let length = u32::try_from(text.len()).expect("a row holds less than 4 GiB");
            digest.update(length.to_be_bytes());
            digest.update(text);
        }
        digest.finalize().into()
    }
}

/// A chain as far as it was walked.
struct Walk {
    head: AuditHead,
    anchor: Option<AuditHead>,
}

impl Walk {
    /// Takes the next row, or says what is wrong with it.
    fn step(&mut self, link: &Link) -> Result<(), AuditFault> {
        let (ordinal, due) = (link.ordinal, self.head.ordinal + 1);
        if ordinal < due {
            return Err(AuditFault::Added { ordinal });
        }
        if ordinal > due {
            return Err(AuditFault::Missing { ordinal: due });
        }
        let hash = link.digest();
        if link.hash != hash {
            return Err(AuditFault::Edited { ordinal });
        }
        if link.prev_hash != self.head.hash {
            return Err(AuditFault::Unlinked { ordinal });
        }
        if self.anchor.is_some_and(|kept| kept.ordinal == ordinal && kept.hash != hash) {
            return Err(AuditFault::Anchor { ordinal });
        }
        self.head = AuditHead { ordinal, hash };
        Ok(())
    }

    /// The rows are at their end; so should be what the head says.
    fn end(&self, head: AuditHead) -> Option<AuditFault> {
        let ordinal = self.head.ordinal;
        if ordinal < head.ordinal {
            return Some(AuditFault::Missing { ordinal: ordinal + 1 });
        }
        if self.head != head {
            return Some(AuditFault::Head { ordinal });
        }
        // One before the first row was never passed on the way; only the origin is there.
        let unmet = |kept: &AuditHead| kept.ordinal > ordinal || kept.ordinal < 1;
        let kept = self.anchor.filter(|kept| unmet(kept) && *kept != AuditHead::default())?;
        Some(AuditFault::Anchor { ordinal: kept.ordinal })
    }
}

impl Store {
    /// The end of a guild's chain, as it is kept.
    #[instrument(name = "db.audit.get_head", skip(self), err(level = "debug"))]
    pub async fn get_audit_head(&self, guild: GuildId) -> Result<AuditHead, StoreError> {
        head(&mut *self.read(guild).await?, guild).await
    }

    /// Walks a guild's chain from its first row, all of one moment, and says where it
    /// is broken. With a head that was kept elsewhere, also whether that row still is
    /// what it was.
    #[instrument(name = "db.audit.verify", skip(self), err(level = "debug"))]
    pub async fn verify_audit(
        &self,
        guild: GuildId,
        kept: Option<AuditHead>,
    ) -> Result<AuditVerdict, StoreError> {
        let mut conn = self.read(guild).await?;
        let last = head(&mut conn, guild).await?;
        let mut walk = Walk { head: AuditHead::default(), anchor: kept };
        let mut after = None;
        loop {
            let page = links(&mut conn, guild, after).await?;
            for link in &page {
                if let Err(fault) = walk.step(link) {
                    return Ok(AuditVerdict { head: walk.head, fault: Some(fault) });
                }
            }
            match page.last() {
                Some(link) => after = Some(link.ordinal),
                None => return Ok(AuditVerdict { head: walk.head, fault: walk.end(last) }),
            }
        }
    }
}

async fn head(conn: &mut PgConnection, guild: GuildId) -> Result<AuditHead, StoreError> {
    let row = sqlx::query!("SELECT ordinal, hash FROM audit_head WHERE guild_id = $1", guild.0)
        .fetch_optional(conn)
        .await?;
    row.map_or(Ok(AuditHead::default()), |row| {
        Ok(AuditHead { ordinal: row.ordinal, hash: hash(row.hash)? })
    })
}

/// The next rows by their numbers.
async fn links(
    conn: &mut PgConnection,
    guild: GuildId,
    after: Option<i64>,
) -> Result<Vec<Link>, StoreError> {
    Ok(sqlx::query_as!(
        Link,
        r#"SELECT guild_id, id, ordinal, person_id, action, detail::text AS "detail!", at,
                  prev_hash, hash
           FROM audit WHERE guild_id = $1 AND ($2::bigint IS NULL OR ordinal > $2)
           ORDER BY ordinal LIMIT $3"#,
        guild.0,
        after,
        PAGE,
    )
    .fetch_all(conn)
    .await?)
}

/// A digest as a row holds it.
pub(super) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| StoreError::Unreadable {
        noun: Noun::AuditEntry,
        reason: format!("its digest has {} bytes", bytes.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_is_written() {
        let head = AuditHead { ordinal: 41, hash: [0xa7; 32] };
        assert_eq!(head.to_string().parse(), Ok(head));
        for nonsense in ["", "41", "41:", "x:00", "41:é", &format!("1:{}", "+f".repeat(32))] {
            assert!(nonsense.parse::<AuditHead>().is_err(), "{nonsense}");
        }
    }
}
