//! What a policy's limits would have stopped of what was played, as far as the tables tell.
//!
//! Whatever would have been stopped does not count against what came after it, as it would
//! not have. What was had elsewhere counts as it was had: other limits may hold there.

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{GuildId, PersonId, SceneId, Turn};
use crate::moderation::Limits;
use crate::store::Had;

use super::limits::is_reply;
use super::{Chat, ChatError};

/// The most turns, and the most replies, of a guild that are looked through.
const MAX_HAD: u32 = 20_000;

/// How much each limit would have stopped; 0 where there is no such limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Turns of people, by `turns_per_person_per_hour`.
    pub turns_per_person: usize,
    /// Replies, by `replies_per_person_per_hour`.
    pub replies_per_person: usize,
    /// Replies, by `replies_per_guild_per_hour`.
    pub replies_per_guild: usize,
    /// Scenes, by `scenes_per_person`: the one that was looked at, or none.
    pub scenes_per_person: usize,
    /// Replies, by `replies_in_a_row`.
    pub replies_in_a_row: usize,
}

impl Chat {
    /// What these limits would have stopped in these turns of a scene, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub(super) async fn stopped_by(
        &self,
        guild: GuildId,
        scene: SceneId,
        limits: &Limits,
        turns: &[Turn],
    ) -> Result<Stopped, ChatError> {
        let (Some(first), true) = (turns.first(), *limits != Limits::default()) else {
            return Ok(Stopped::default());
        };
        let said = self.store.list_turns_had(guild, scene, first.id, MAX_HAD).await?;
        let asked = self.store.list_replies_had(guild, scene, first.id, MAX_HAD).await?;
        let mut stopped = hourly(limits, &said, &asked);
        if let Some(most) = limits.replies_in_a_row {
            stopped.replies_in_a_row = in_a_row(most, turns);
        }
        if let Some(most) = limits.scenes_per_person {
            let open = self.store.count_scenes_begun_before(guild, scene).await?;
            stopped.scenes_per_person = usize::from(open >= most);
        }
        Ok(stopped)
    }
}

/// What was had within the last hour, by whom it counts for.
#[derive(Debug, Default)]
struct Hours<Whose>(HashMap<Whose, VecDeque<DateTime<Utc>>>);

impl<Whose: std::hash::Hash + Eq> Hours<Whose> {
    /// How much there was within the hour before that moment.
    fn count(&mut self, whose: &Whose, at: DateTime<Utc>) -> usize {
        let Some(times) = self.0.get_mut(whose) else { return 0 };
        let begin = at - TimeDelta::hours(1);
        while times.front().is_some_and(|time| *time <= begin) {
            times.pop_front();
        }
        times.len()
    }

    fn add(&mut self, whose: Whose, at: DateTime<Utc>) {
        self.0.entry(whose).or_default().push_back(at);
    }
}

/// What the limits of an hour would have stopped; both lists are in the order of time.
fn hourly(limits: &Limits, said: &[Had], asked: &[Had]) -> Stopped {
    let is_full = |count: usize, most: Option<u32>| most.is_some_and(|most| count >= most as usize);
    let mut stopped = Stopped::default();
    let mut unsaid: HashSet<(Option<PersonId>, DateTime<Utc>)> = HashSet::new();
    let mut of_person = Hours::default();
    for Had { person, at, is_here } in said.iter().copied() {
        let count = of_person.count(&person, at);
        if is_here && is_full(count, limits.turns_per_person_per_hour) {
            stopped.turns_per_person += 1;
            unsaid.insert((person, at));
        } else {
            of_person.add(person, at);
        }
    }
    let (mut of_person, mut of_guild) = (Hours::default(), Hours::default());
    for Had { person, at, is_here } in asked.iter().copied() {
        // What was not said asks for nothing.
        if is_here && unsaid.contains(&(person, at)) {
            continue;
        }
        let (by_person, by_all) = (of_person.count(&person, at), of_guild.count(&(), at));
        let is_somebodys = person.is_some();
        if is_here && is_somebodys && is_full(by_person, limits.replies_per_person_per_hour) {
            stopped.replies_per_person += 1;
        } else if is_here && is_full(by_all, limits.replies_per_guild_per_hour) {
            stopped.replies_per_guild += 1;
        } else {
            of_person.add(person, at);
            of_guild.add((), at);
        }
    }
    stopped
}

/// How many replies came after so many without a word of a person.
fn in_a_row(most: u32, turns: &[Turn]) -> usize {
    let (mut row, mut over) = (0, 0);
    for turn in turns {
        row = if is_reply(turn) { row + 1 } else { 0 };
        over += usize::from(row > most as usize);
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: i64 = 1;
    const BEN: i64 = 2;

    fn had(person: i64, minute: i64) -> Had {
        let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minute);
        Had { person: Some(PersonId(person)), at, is_here: true }
    }

    #[test]
    fn what_is_stopped_leaves_its_room_to_what_comes_later() {
        let limits = Limits { turns_per_person_per_hour: Some(2), ..Limits::default() };
        let said =
            [had(ANN, 0), had(BEN, 1), had(ANN, 10), had(ANN, 20), had(ANN, 60), had(ANN, 69)];
        // The third is over; at 60 the first is an hour old, at 69 the second is not.
        assert_eq!(hourly(&limits, &said, &[]).turns_per_person, 2);
        // What was said elsewhere counts, and is not what is asked about.
        let elsewhere = said.map(|it| Had { is_here: it.at == said[2].at, ..it });
        assert_eq!(hourly(&limits, &elsewhere, &[]).turns_per_person, 0);
        let elsewhere = said.map(|it| Had { is_here: it.at == said[3].at, ..it });
        assert_eq!(hourly(&limits, &elsewhere, &[]).turns_per_person, 1);
    }

    #[test]
    fn what_was_not_said_asks_for_no_reply() {
        let limits = Limits {
            turns_per_person_per_hour: Some(2),
            replies_per_person_per_hour: Some(1),
            replies_per_guild_per_hour: Some(2),
            ..Limits::default()
        };
        let said = [had(ANN, 0), had(ANN, 1), had(ANN, 2), had(BEN, 3), had(BEN, 4)];
        let stopped = hourly(&limits, &said, &said);
        let expected = Stopped { turns_per_person: 1, replies_per_person: 2, ..Stopped::default() };
        assert_eq!(stopped, expected);
        let third = [had(ANN, 0), had(BEN, 1), had(3, 2)];
        assert_eq!(hourly(&limits, &third, &third).replies_per_guild, 1);
        assert_eq!(hourly(&Limits::default(), &said, &said), Stopped::default());
    }
}
