//! Rolling dice in a scene: everybody sees each die, and the model knows.
//!
//! The dice fall by the operating system's randomness, and what they show is a turn
//! like any other: it can be taken back, but not quietly be another one.

use crate::domain::{Dice, GuildId, Participant, Roll, SceneId};
use crate::store::Accepted;

use super::{Chat, ChatError, Message};

/// The longest reason for a roll, in characters.
const MAX_REASON_CHARS: usize = 200;

/// Dice that fell, and what the story says of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolled {
    /// The dice.
    pub roll: Roll,
    /// The turn's text: `*rolls 2d6 to climb: 3 + 4 = 7*`.
    pub text: String,
}

/// Lets the dice fall that somebody wrote down.
///
/// # Errors
/// The text names no dice; says how they are written.
pub fn roll(dice: &str, reason: Option<&str>) -> Result<Rolled, ChatError> {
    let dice: Dice = dice
        .parse()
        .map_err(|error: crate::domain::ParseDiceError| ChatError::refused(error.to_string()))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "dice are fair only where nobody can foresee them"
    )]
    let roll = dice.roll(&mut rand::rng());
    let text = story(&roll, reason);
    Ok(Rolled { roll, text })
}

fn story(roll: &Roll, reason: Option<&str>) -> String {
    let reason = reason.unwrap_or_default().replace('*', "");
    let reason: String = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
    if reason.is_empty() { format!("*rolls {roll}*") } else { format!("*rolls {roll} ({reason})*") }
}

impl Chat {
    /// Makes a roll a turn of the story. Nobody answers it by itself.
    ///
    /// # Errors
    /// As [`Chat::accept_turn`].
    pub async fn accept_roll(
        &self,
        guild: GuildId,
        scene: SceneId,
        author: &Participant,
        external_id: String,
        rolled: &Rolled,
    ) -> Result<Accepted, ChatError> {
        let text = rolled.text.clone();
        let message = Message { guild, scene, author, external_id, text: &text, answer: None };
        self.take_in(&message, text.clone(), None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_says_what_fell_and_what_for() {
        let rolled = roll("1d1+1", None).expect("dice");
        assert_eq!((rolled.text.as_str(), rolled.roll.total()), ("*rolls 1d1+1: 1 + 1 = 2*", 2));
        let rolled = roll("d1", Some(" to *climb*\nthe wall ")).expect("dice");
        assert_eq!(rolled.text, "*rolls 1d1: 1 (to climb the wall)*");
        assert!(roll("dice", None).expect_err("none").to_string().contains("d20"));
    }
}
