//! What a channel shows, compared with the line of its scene.
//!
//! Pure: the line and the posts go in, what is to be done comes out. Doing it twice
//! does nothing the second time, so that whoever crashes in between begins again.

use std::collections::{HashMap, HashSet};

use crate::domain::{SwipeId, Turn, TurnId};
use crate::store::{OutboxMessage, OutboxState};

/// The most turns that are posted anew at once: what comes back after a long
/// rewind was undone is read further up, not flooded into the channel.
const MAX_POSTED: usize = 10;

/// A turn as this comparison sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineTurn {
    pub(super) turn: TurnId,
    /// Its standing text.
    pub(super) swipe: SwipeId,
    /// Whether its words are posts of ours.
    pub(super) by_character: bool,
}

impl From<&Turn> for LineTurn {
    fn from(turn: &Turn) -> Self {
        Self { turn: turn.id, swipe: turn.swipe.id, by_character: turn.speaker.is_character() }
    }
}

/// What brings a channel in line with its scene, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Redrawing {
    /// Posts that go, by the key of their outbox row.
    pub(super) remove: Vec<i64>,
    /// Turns whose posts show another text than the standing one.
    pub(super) rewrite: Vec<TurnId>,
    /// Turns that are posted, oldest first.
    pub(super) post: Vec<TurnId>,
    /// Posts that lose their buttons.
    pub(super) strip: Vec<i64>,
}

/// Compares. `line` is the newest part of the line, oldest first; `is_whole` says
/// that nothing comes before it. `posts` are the scene's posts that are not
/// deleted. A post that belongs to no turn yet is in `abandoned` if nobody will
/// give it one.
pub(super) fn compare(
    line: &[LineTurn],
    is_whole: bool,
    posts: &[OutboxMessage],
    abandoned: &HashSet<i64>,
) -> Redrawing {
    let oldest = line.first().map(|turn| turn.turn);
    let standing: HashMap<TurnId, SwipeId> =
        line.iter().map(|turn| (turn.turn, turn.swipe)).collect();
    let latest = line.last().filter(|turn| turn.by_character).map(|turn| turn.turn);
    let mut redrawing = Redrawing::default();
    let mut shown: HashSet<TurnId> = HashSet::new();
    for post in posts {
        let Some(turn) = post.turn else {
            if abandoned.contains(&post.id) {
                redrawing.remove.push(post.id);
            }
            continue;
        };
        match standing.get(&turn) {
            // A line only grows: what is older than its newest part is in it still.
            None if !is_whole && oldest.is_some_and(|oldest| turn < oldest) => {}
            None => redrawing.remove.push(post.id),
            Some(standing) => {
                shown.insert(turn);
                if post.state != OutboxState::Sent || post.swipe != Some(*standing) {
                    if !redrawing.rewrite.contains(&turn) {
                        redrawing.rewrite.push(turn);
                    }
                } else if post.has_controls && latest != Some(turn) {
                    redrawing.strip.push(post.id);
                }
            }
        }
    }
    // A latest turn that has no buttons gets them with its text.
    if let Some(latest) = latest
        && shown.contains(&latest)
        && !redrawing.rewrite.contains(&latest)
        && !posts.iter().any(|post| post.turn == Some(latest) && post.has_controls)
    {
        redrawing.rewrite.push(latest);
    }
    redrawing.post = missing(line, &shown);
    redrawing
}

/// The turns of characters that nobody can see: those after the newest that is
/// shown; where none is (a new scene, a branch), those with which the line ends.
fn missing(line: &[LineTurn], shown: &HashSet<TurnId>) -> Vec<TurnId> {
    let newest = line.iter().rposition(|turn| shown.contains(&turn.turn));
    let from = match newest {
        Some(newest) => newest + 1,
        None => line.iter().rposition(|turn| !turn.by_character).map_or(0, |person| person + 1),
    };
    let unseen: Vec<TurnId> =
        line[from..].iter().filter(|turn| turn.by_character).map(|turn| turn.turn).collect();
    unseen[unseen.len().saturating_sub(MAX_POSTED)..].to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::SceneId;
    use crate::store::PostRoute;

    fn turn(id: i64, swipe: i64, by_character: bool) -> LineTurn {
        LineTurn { turn: TurnId(id), swipe: SwipeId(swipe), by_character }
    }

    fn post(id: i64, text: Option<(i64, i64)>, has_controls: bool) -> OutboxMessage {
        OutboxMessage {
            id,
            scene_id: SceneId(1),
            job: None,
            turn: text.map(|(turn, _)| TurnId(turn)),
            swipe: text.map(|(_, swipe)| SwipeId(swipe)),
            part: 0,
            channel: "1".into(),
            route: PostRoute::Bot,
            state: OutboxState::Sent,
            attempts: 1,
            sending_for: None,
            external_id: Some(id.to_string()),
            has_controls,
        }
    }

    fn turns(ids: &[i64]) -> Vec<TurnId> {
        ids.iter().copied().map(TurnId).collect()
    }

    #[test]
    fn a_new_scene_shows_its_greeting() {
        let line = [turn(1, 1, true)];
        let redrawing = compare(&line, true, &[], &HashSet::new());
        assert_eq!(redrawing, Redrawing { post: turns(&[1]), ..Redrawing::default() });
    }

    #[test]
    fn a_branch_shows_only_how_its_line_ends() {
        let line = [turn(1, 1, true), turn(2, 2, false), turn(3, 3, true), turn(4, 4, true)];
        assert_eq!(compare(&line, true, &[], &HashSet::new()).post, turns(&[3, 4]));
    }

    #[test]
    fn what_left_the_line_goes_and_what_came_back_is_posted() {
        let line = [turn(1, 1, true), turn(5, 5, false), turn(6, 6, true)];
        let posts = [post(10, Some((1, 1)), false), post(11, Some((3, 3)), true)];
        let redrawing = compare(&line, true, &posts, &HashSet::new());
        assert_eq!(redrawing.remove, [11]);
        assert_eq!(redrawing.post, turns(&[6]));
    }

    #[test]
    fn another_text_is_written_over_the_old_one() {
        let line = [turn(1, 8, true)];
        let posts = [post(10, Some((1, 1)), true), post(11, Some((1, 1)), false)];
        let redrawing = compare(&line, true, &posts, &HashSet::new());
        assert_eq!(redrawing, Redrawing { rewrite: turns(&[1]), ..Redrawing::default() });
    }

    #[test]
    fn what_was_not_sent_for_sure_or_is_half_written_over_is_written_again() {
        let line = [turn(1, 1, true)];
        let unsent = OutboxMessage { state: OutboxState::Waiting, ..post(10, Some((1, 1)), true) };
        assert_eq!(compare(&line, true, &[unsent], &HashSet::new()).rewrite, turns(&[1]));
        let half = OutboxMessage { swipe: None, ..post(10, Some((1, 1)), true) };
        assert_eq!(compare(&line, true, &[half], &HashSet::new()).rewrite, turns(&[1]));
    }

    #[test]
    fn only_the_latest_reply_keeps_its_buttons() {
        let line = [turn(1, 1, true), turn(2, 2, false)];
        let posts = [post(10, Some((1, 1)), true)];
        assert_eq!(compare(&line, true, &posts, &HashSet::new()).strip, [10]);
        let redrawing =
            compare(&line[..1], true, &[post(10, Some((1, 1)), false)], &HashSet::new());
        assert_eq!(redrawing.rewrite, turns(&[1]), "undone, it is the latest again");
    }

    #[test]
    fn what_is_older_than_the_part_looked_at_stays() {
        let line = [turn(50, 50, true)];
        let posts = [post(1, Some((3, 3)), false), post(2, Some((50, 50)), true)];
        assert_eq!(compare(&line, false, &posts, &HashSet::new()), Redrawing::default());
        assert_eq!(compare(&line, true, &posts, &HashSet::new()).remove, [1]);
    }

    #[test]
    fn placeholders_of_dead_jobs_go_and_those_of_living_ones_stay() {
        let posts = [post(1, None, true), post(2, None, true)];
        let redrawing = compare(&[], true, &posts, &HashSet::from([2]));
        assert_eq!(redrawing, Redrawing { remove: vec![2], ..Redrawing::default() });
    }

    proptest! {
        /// Whatever a channel shows, doing what is said leaves nothing to do.
        #[test]
        fn once_done_nothing_is_left(
            speakers in prop::collection::vec(any::<bool>(), 0..12),
            posted in prop::collection::vec((0i64..16, any::<bool>(), any::<bool>()), 0..12),
        ) {
            let line: Vec<LineTurn> = speakers
                .iter()
                .enumerate()
                .map(|(i, &by_character)| turn(i as i64, i as i64, by_character))
                .collect();
            let mut posts: Vec<OutboxMessage> = posted
                .iter()
                .enumerate()
                .filter(|(_, (id, ..))| line.get(*id as usize).is_none_or(|turn| turn.by_character))
                .map(|(i, &(id, is_old, controls))| {
                    post(i as i64, Some((id, if is_old { 99 } else { id })), controls)
                })
                .collect();
            let redrawing = compare(&line, true, &posts, &HashSet::new());
            posts.retain(|post| !redrawing.remove.contains(&post.id));
            let latest = line.last().filter(|turn| turn.by_character).map(|turn| turn.turn);
            for turn in &redrawing.post {
                posts.push(post(1_000 + turn.0, Some((turn.0, turn.0)), latest == Some(*turn)));
            }
            for post in &mut posts {
                let turn = post.turn.unwrap();
                if redrawing.rewrite.contains(&turn) {
                    post.swipe = Some(SwipeId(turn.0));
                    post.has_controls = latest == Some(turn);
                }
                if redrawing.strip.contains(&post.id) {
                    post.has_controls = false;
                }
            }
            prop_assert_eq!(
                compare(&line, true, &posts, &HashSet::new()),
                Redrawing::default()
            );
        }
    }
}
