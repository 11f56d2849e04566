//! PluralKit, Tupperbox and their like: posts in somebody else's name.
//!
//! A proxy deletes what a person wrote and posts it again through a webhook, under
//! another name and without the marks by which it knew what to do. Of the two only
//! the repost counts, in whatever order Discord tells of them. [`Waiting`] holds the
//! messages of one channel back for so long, and puts them into order meanwhile. It
//! is pure: time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serenity::model::id::{ApplicationId, MessageId, UserId};
use tokio::time::Instant;

/// The applications that repost.
const PROXIES: [u64; 2] = [
    // PluralKit.
    466_378_653_216_014_359,
    // Tupperbox.
    431_544_605_209_788_416,
];

/// How long what happened to a message is remembered: longer than a repost takes.
const MEMORY: Duration = Duration::from_secs(60);
/// The most messages of a channel that are remembered.
const MAX_REMEMBERED: usize = 512;
/// The most characters that mark a text for a proxy, before and after it.
const MAX_MARKS: usize = 40;
/// How long a repost may come after a deletion that nothing else explains.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Whether an application reposts what people write.
pub(super) fn is_proxy(application: Option<ApplicationId>) -> bool {
    application.is_some_and(|application| PROXIES.contains(&application.get()))
}

/// Words, on their way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) id: MessageId,
    pub(super) by: By,
    pub(super) content: String,
    pub(super) replies_to: Option<MessageId>,
}

/// Who said them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// A person, under the name that people see.
    Person { id: UserId, name: String },
    /// A proxy, for somebody who may be known.
    Proxy { name: String, owner: Option<UserId> },
    /// We ourselves, another bot, or Discord: nothing goes in, but it was seen.
    Other,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// These words go in, in the place of others that went in already.
    Accept { said: Said, instead_of: Option<MessageId> },
    /// Words that went in say something else now.
    Change { id: MessageId, content: String },
    /// Words that went in are gone.
    Remove(MessageId),
}

/// How long messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holds {
    /// Each, for earlier ones that come late.
    pub(super) order: Duration,
    /// Those of persons, for a repost, where there are proxies.
    pub(super) proxy: Duration,
}

/// The messages of one channel that wait to go in.
#[derive(Debug)]
pub(super) struct Waiting {
    holds: Holds,
    held: BTreeMap<MessageId, Held>,
    past: VecDeque<Past>,
}

#[derive(Debug)]
struct Held {
    said: Said,
    until: Instant,
    /// Whether it waits for a repost.
    is_for_proxy: bool,
    /// For a repost: the original that went in already.
    instead_of: Option<MessageId>,
    /// For a repost: what may be its original, should that be deleted.
    suspect: Option<MessageId>,
}

/// A message that does not wait any more.
#[derive(Debug)]
struct Past {
    id: MessageId,
    since: Instant,
    fate: Fate,
    /// `None` where only its deletion was heard of.
    said: Option<Said>,
}

impl Past {
    fn is_other(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.by == By::Other)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It went in.
    Accepted,
    /// It went in, and was deleted afterwards.
    Removed,
    /// It was deleted before it went in.
    Deleted,
    /// A repost stands for it.
    Reposted,
}

impl Waiting {
    pub(super) fn new(holds: Holds) -> Self {
        Self { holds, held: BTreeMap::new(), past: VecDeque::new() }
    }

    /// Somebody wrote. `has_proxies` tells whether a proxy was ever seen in the guild.
    pub(super) fn arrive(&mut self, said: Said, has_proxies: bool, now: Instant) {
        self.forget(now);
        if self.held.contains_key(&said.id) {
            return;
        }
        if let Some(past) = self.past.iter_mut().find(|past| past.id == said.id) {
            // Heard of its deletion first: it may be what a repost stands for.
            if past.fate == Fate::Deleted && past.said.is_none() {
                past.said = Some(said.clone());
                if let Some(repost) = self.lone_repost_of(&said, true) {
                    self.stands_for(repost, &said, now);
                }
            }
            return;
        }
        match &said.by {
            By::Person { .. } => self.arrive_from_person(said, has_proxies, now),
            By::Proxy { .. } => self.arrive_from_proxy(said, now),
            By::Other => self.hold(said, now + self.holds.order, false),
        }
    }

    fn arrive_from_person(&mut self, said: Said, has_proxies: bool, now: Instant) {
        if let Some(repost) = self.lone_repost_of(&said, false) {
            self.remember(&said, Fate::Reposted, now);
            self.stands_for(repost, &said, now);
            return;
        }
        let hold =
            if has_proxies { self.holds.order.max(self.holds.proxy) } else { self.holds.order };
        self.hold(said, now + hold, has_proxies);
    }

    fn arrive_from_proxy(&mut self, said: Said, now: Instant) {
        let (repost, soon) = (said.id, now + self.holds.order);
        let waiting = self.held.values().map(|held| &held.said);
        if let Some(original) = best_original(waiting, &said).cloned() {
            self.held.remove(&original.id);
            self.remember(&original, Fate::Reposted, now);
            self.hold(said, soon, false);
            return self.stands_for(repost, &original, now);
        }
        if let Some(original) = self.deleted_original_of(&said, now) {
            self.hold(said, soon, false);
            return self.stands_for(repost, &original, now);
        }
        let past = |fate: Fate| self.past.iter().filter(move |past| past.fate == fate);
        let removed = past(Fate::Removed).filter_map(|past| past.said.as_ref());
        let accepted = past(Fate::Accepted).filter_map(|past| past.said.as_ref());
        if let Some(original) = best_original(removed, &said).cloned() {
            self.hold(said, soon, false);
            self.stands_for(repost, &original, now);
        } else if let Some(suspect) = best_original(accepted, &said).map(|original| original.id) {
            // Likely, but words are not taken out on likelihood: proxies delete what
            // they repost.
            self.hold(said, now + self.holds.order.max(self.holds.proxy), false);
            if let Some(held) = self.held.get_mut(&repost) {
                held.suspect = Some(suspect);
            }
        } else {
            self.hold(said, soon, false);
        }
    }

    /// Somebody changed a message.
    pub(super) fn change(&mut self, id: MessageId, content: String) -> Option<Step> {
        if let Some(held) = self.held.get_mut(&id) {
            held.said.content = content;
            return None;
        }
        match self.past.iter().find(|past| past.id == id) {
            Some(past) if past.fate != Fate::Accepted || past.is_other() => None,
            _ => Some(Step::Change { id, content }),
        }
    }

    /// A message was deleted.
    pub(super) fn delete(&mut self, id: MessageId, now: Instant) -> Option<Step> {
        self.forget(now);
        if let Some(held) = self.held.remove(&id) {
            let said = held.said;
            let is_person = matches!(said.by, By::Person { .. });
            match self.lone_repost_of(&said, true).filter(|_| is_person) {
                Some(repost) => {
                    self.remember(&said, Fate::Reposted, now);
                    self.stands_for(repost, &said, now);
                }
                None => self.remember(&said, Fate::Deleted, now),
            }
            return None;
        }
        let Some(past) = self.past.iter_mut().find(|past| past.id == id) else {
            self.push(Past { id, since: now, fate: Fate::Deleted, said: None });
            return Some(Step::Remove(id));
        };
        if past.fate != Fate::Accepted {
            return None;
        }
        past.fate = Fate::Removed;
        let said = past.said.clone();
        let repost = self.held.values().find(|held| held.suspect == Some(id));
        let repost = repost.map(|held| held.said.id);
        match (repost, said) {
            (Some(repost), Some(said)) => {
                self.stands_for(repost, &said, now);
                None
            }
            _ => Some(Step::Remove(id)),
        }
    }

    /// When the next message may go in.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(_, held)| held.until)
    }

    /// The next message that may go in by now. Later ones wait for earlier ones.
    pub(super) fn due(&mut self, now: Instant) -> Option<Step> {
        let first = self.held.first_entry().filter(|first| first.get().until <= now)?;
        let Held { said, instead_of, .. } = first.remove();
        self.remember(&said, Fate::Accepted, now);
        Some(Step::Accept { said, instead_of })
    }

    /// Lets everything in that does not wait for a repost, nor for something that
    /// does: it is read again by whoever starts next.
    pub(super) fn hurry(&mut self, now: Instant) {
        for held in self.held.values_mut().filter(|held| !held.is_for_proxy) {
            held.until = held.until.min(now);
        }
    }

    /// Whether nothing waits and nothing is remembered.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget(now);
        self.held.is_empty() && self.past.is_empty()
    }

    fn hold(&mut self, said: Said, until: Instant, is_for_proxy: bool) {
        let id = said.id;
        let held = Held { said, until, is_for_proxy, instead_of: None, suspect: None };
        self.held.insert(id, held);
    }

    fn remember(&mut self, said: &Said, fate: Fate, now: Instant) {
        self.push(Past { id: said.id, since: now, fate, said: Some(said.clone()) });
    }

    fn push(&mut self, past: Past) {
        if self.past.len() == MAX_REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    fn forget(&mut self, now: Instant) {
        while self.past.front().is_some_and(|past| now - past.since > MEMORY) {
            self.past.pop_front();
        }
    }

    /// A repost that waits, or went in, without anybody knowing for whom.
    fn lone_repost_of(&self, original: &Said, is_deleted: bool) -> Option<MessageId> {
        let waiting = self.held.values().filter(|held| held.suspect.is_none());
        let waiting = waiting.map(|held| &held.said);
        let past = self.past.iter().filter(|past| past.fate == Fate::Accepted);
        let lone = waiting.chain(past.filter_map(|past| past.said.as_ref())).filter(|said| {
            matches!(said.by, By::Proxy { owner: None, .. }) && said.id > original.id
        });
        let lone: Vec<&Said> = lone.collect();
        let fits = |repost: &&Said| marks(&original.content, &repost.content).is_some();
        match lone.iter().copied().find(fits) {
            Some(repost) => Some(repost.id),
            // A proxy may change more than marks; that something was deleted speaks
            // for it.
            None if is_deleted => match &lone[..] {
                [only] if delay(original.id, only.id) <= MAX_DELAY => Some(only.id),
                _ => None,
            },
            None => None,
        }
    }

    /// What was deleted before it went in, and is what a repost repeats.
    fn deleted_original_of(&mut self, repost: &Said, now: Instant) -> Option<Said> {
        let deleted = self.past.iter().filter(|past| past.fate == Fate::Deleted);
        let deleted: Vec<&Said> = deleted
            .filter_map(|past| past.said.as_ref())
            .filter(|said| matches!(said.by, By::Person { .. }) && said.id < repost.id)
            .collect();
        let original = best_original(deleted.iter().copied(), repost).or(match &deleted[..] {
            [only] if delay(only.id, repost.id) <= MAX_DELAY => Some(only),
            _ => None,
        })?;
        let original = original.clone();
        self.past.retain(|past| past.id != original.id);
        self.remember(&original, Fate::Reposted, now);
        Some(original)
    }

    /// Notes for whom a repost stands.
    fn stands_for(&mut self, repost: MessageId, original: &Said, now: Instant) {
        let past = self.past.iter_mut().find(|past| past.id == original.id);
        // It may have been answered already, before or after it was deleted.
        let went_in = past.is_some_and(|past| {
            let went_in = matches!(past.fate, Fate::Accepted | Fate::Removed);
            past.fate = Fate::Reposted;
            went_in
        });
        let By::Person { id: author, .. } = &original.by else { return };
        if let Some(held) = self.held.get_mut(&repost) {
            held.suspect = None;
            held.until = held.until.min(now + self.holds.order);
            held.instead_of = went_in.then_some(original.id);
            held.said.replies_to = held.said.replies_to.or(original.replies_to);
            own(&mut held.said, *author);
        } else if let Some(past) = self.past.iter_mut().find(|past| past.id == repost)
            && let Some(said) = &mut past.said
        {
            own(said, *author);
        }
    }
}

fn own(said: &mut Said, author: UserId) {
    if let By::Proxy { owner, .. } = &mut said.by {
        *owner = Some(author);
    }
}

/// The message of a person that a repost repeats with the fewest marks taken off.
fn best_original<'a>(said: impl Iterator<Item = &'a Said>, repost: &Said) -> Option<&'a Said> {
    said.filter(|said| matches!(said.by, By::Person { .. }) && said.id < repost.id)
        .filter_map(|said| Some((marks(&said.content, &repost.content)?, said)))
        .min_by_key(|(marks, said)| (*marks, said.id))
        .map(|(_, said)| said)
}

/// How many characters of marks stand around the repost's text in the original;
/// `None` where it is another text.
fn marks(original: &str, repost: &str) -> Option<usize> {
    let (original, repost) = (original.trim(), repost.trim());
    if repost.is_empty() {
        return None;
    }
    let around = original.len().checked_sub(repost.len())?;
    let fits = original.starts_with(repost)
        || original.ends_with(repost)
        || original
            .match_indices(repost)
            .any(|(at, _)| at <= MAX_MARKS && original.len() - at - repost.len() <= MAX_MARKS);
    (fits && around <= 2 * MAX_MARKS).then_some(around)
}

/// How long after a message another was written.
fn delay(from: MessageId, to: MessageId) -> Duration {
    // The milliseconds are above the 22 lowest bits.
    Duration::from_millis((to.get() >> 22).saturating_sub(from.get() >> 22))
}

#[cfg(test)]
mod tests;
