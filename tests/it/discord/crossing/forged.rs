//! Ids of another server's things, put where one's own belong.

use dramatis::domain::GuildId;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use sqlx::{AssertSqlSafe, PgPool};

use super::super::custom_id::base36;

/// What there is of a server, by its keys.
pub(super) struct Ids {
    scenes: Vec<i64>,
    turns: Vec<i64>,
    jobs: Vec<i64>,
    posts: Vec<i64>,
    characters: Vec<i64>,
    lorebooks: Vec<i64>,
    boundaries: Vec<i64>,
    people: Vec<i64>,
    cases: Vec<i64>,
}

impl Ids {
    pub(super) async fn of(pool: &PgPool, guild: GuildId) -> Self {
        let of = async |table: &str, key: &str| -> Vec<i64> {
            let sql = format!("SELECT {key} FROM {table} WHERE guild_id = $1 ORDER BY 1");
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(guild.0).fetch_all(pool).await.unwrap()
        };
        let ids = Self {
            scenes: of("scene", "id").await,
            turns: of("turn", "id").await,
            jobs: of("job", "id").await,
            posts: of("outbox", "id").await,
            characters: of("character", "id").await,
            lorebooks: of("lorebook", "id").await,
            boundaries: of("boundary", "id").await,
            people: of("person", "id").await,
            cases: of("moderation_case", "number").await,
        };
        let all = [&ids.scenes, &ids.turns, &ids.posts, &ids.characters, &ids.people, &ids.cases];
        assert!(all.iter().all(|some| !some.is_empty()), "there is something of every kind");
        ids
    }

    /// A number of theirs, as somebody would give it to an option.
    pub(super) fn any(&self, rng: &mut ChaCha8Rng) -> i64 {
        let kinds = [
            &self.scenes,
            &self.turns,
            &self.characters,
            &self.lorebooks,
            &self.boundaries,
            &self.people,
            &self.cases,
        ];
        pick(kinds.choose(rng).unwrap(), rng)
    }

    /// What a button of theirs says when it is pressed.
    pub(super) fn button(&self, rng: &mut ChaCha8Rng) -> String {
        let mut id = |of: &[i64]| base36(pick(of, rng));
        let (scene, turn, post) = (id(&self.scenes), id(&self.turns), id(&self.posts));
        let (job, character, book) = (id(&self.jobs), id(&self.characters), id(&self.lorebooks));
        let (person, case) = (id(&self.people), id(&self.cases));
        match rng.random_range(0..10) {
            0..3 => {
                const ACTIONS: [&str; 7] =
                    ["previous", "next", "again", "continue", "shorter", "longer", "report"];
                format!("d1:{}:{post}:{turn}", ACTIONS.choose(rng).unwrap())
            }
            3 => format!("d1:stop:{post}:{job}"),
            4 => format!("d1:delete:{character}"),
            5 => format!("d1:delore:{book}"),
            6 => format!("d1:end:{scene}"),
            7 => match rng.random_range(0..3) {
                0 => format!("d1:purge:all:{scene}:0:5:0"),
                1 => format!("d1:purge:character:{scene}:{character}:5:0"),
                _ => format!("d1:purge:person:{scene}:{person}:5:0"),
            },
            8 => {
                const DEEDS: [&str; 5] = ["approve", "reject", "warn", "mute", "freeze"];
                format!("d1:case:{}:{case}", DEEDS.choose(rng).unwrap())
            }
            _ => match rng.random() {
                true => format!("d1:agree:{person}:0"),
                false => format!("d1:decline:{person}"),
            },
        }
    }

    /// What a form of theirs says when it is sent.
    pub(super) fn form(&self, rng: &mut ChaCha8Rng) -> String {
        let mut id = |of: &[i64]| base36(pick(of, rng));
        let (turn, character, case) = (id(&self.turns), id(&self.characters), id(&self.cases));
        match rng.random_range(0..4) {
            0 => format!("d1:form:turn:{turn}"),
            1 => format!("d1:form:character:{character}"),
            2 => format!("d1:form:report:{turn}"),
            _ => format!("d1:form:case:{case}"),
        }
    }
}

/// One of these, or what nobody has.
fn pick(of: &[i64], rng: &mut ChaCha8Rng) -> i64 {
    of.choose(rng).copied().unwrap_or(i64::from(u32::MAX))
}
