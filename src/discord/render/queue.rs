//! How long it is until a scene is answered.

use std::time::Duration;

use crate::store::{QueuePlace, Standing};

/// A scene's place in the queue, and the queue.
pub(in crate::discord) fn queue(place: &QueuePlace) -> String {
    let QueuePlace { num_in_work, num_ready, .. } = *place;
    let all = format!("Over all, {} and {}.", are(num_in_work, "being written"), wait(num_ready));
    match standing(place) {
        Some(here) => format!("{here}\n{all}"),
        None => format!("Nothing waits to be written here.\n{all}"),
    }
}

/// A scene's place in a sentence; `None` where nothing is to be written.
pub(super) fn standing(place: &QueuePlace) -> Option<String> {
    Some(match place.standing {
        Standing::Idle => return None,
        Standing::InWork => "The reply here is being written.".to_owned(),
        Standing::Behind(before) => {
            let first = match before {
                0 => "The reply here comes next".to_owned(),
                1 => "One reply comes before the one here".to_owned(),
                before => format!("{before} replies come before the one here"),
            };
            match place.begins_in() {
                Some(wait) => format!("{first}; it begins in about {}.", about(wait)),
                None => format!("{first}."),
            }
        }
        Standing::Resting => {
            "The reply here rests: the scene is paused, or it is tried again in a moment."
                .to_owned()
        }
    })
}

fn are(number: u32, what: &str) -> String {
    match number {
        0 => format!("none is {what}"),
        1 => format!("1 reply is {what}"),
        number => format!("{number} replies are {what}"),
    }
}

fn wait(number: u32) -> String {
    match number {
        0 => "none waits".to_owned(),
        1 => "1 waits".to_owned(),
        number => format!("{number} wait"),
    }
}

/// As exactly as a guess deserves.
fn about(wait: Duration) -> String {
    let count = |number: u64, noun| {
        let number = number.max(1);
        format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
    };
    match wait.as_secs() {
        seconds @ 0..10 => count(seconds, "second"),
        seconds @ 10..90 => count(seconds.div_ceil(5) * 5, "second"),
        seconds @ 90..5_400 => count(seconds.div_ceil(60), "minute"),
        seconds => count(seconds.div_ceil(3_600), "hour"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(standing: Standing, mean_reply: Option<u64>) -> QueuePlace {
        let mean_reply = mean_reply.map(Duration::from_secs);
        QueuePlace { standing, num_ready: 9, num_in_work: 4, mean_reply }
    }

    #[test]
    fn the_place_is_told_as_far_as_it_is_known() {
        insta::assert_snapshot!(queue(&place(Standing::Behind(7), Some(20))), @r"
        7 replies come before the one here; it begins in about 40 seconds.
        Over all, 4 replies are being written and 9 wait.
        ");
        insta::assert_snapshot!(queue(&place(Standing::Behind(1), None)), @r"
        One reply comes before the one here.
        Over all, 4 replies are being written and 9 wait.
        ");
        insta::assert_snapshot!(queue(&place(Standing::Idle, Some(20))), @r"
        Nothing waits to be written here.
        Over all, 4 replies are being written and 9 wait.
        ");
        let said = |standing| standing_of(standing);
        assert!(said(Standing::InWork).contains("being written"));
        assert!(said(Standing::Resting).contains("rests"));
        assert!(said(Standing::Behind(0)).starts_with("The reply here comes next; it begins in"));
    }

    fn standing_of(of: Standing) -> String {
        standing(&place(of, Some(20))).expect("something waits")
    }

    #[test]
    fn a_guess_is_no_more_exact_than_it_is() {
        let said = |s| about(Duration::from_secs(s));
        let said = [0, 7, 12, 90, 61 * 60, 7_201].map(said);
        assert_eq!(
            said,
            ["1 second", "7 seconds", "15 seconds", "2 minutes", "61 minutes", "3 hours"]
        );
    }
}
