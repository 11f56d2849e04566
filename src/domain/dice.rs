//! Dice as players write them: `d20`, `2d6+1`, `4d6kh3`.

use std::fmt;
use std::str::FromStr;

use rand::Rng;

/// The most dice of one roll.
const MAX_DICE: u32 = 100;
/// The most sides of a die.
const MAX_SIDES: u32 = 100_000;
/// The most that is added or taken away.
const MAX_BONUS: i32 = 1_000_000;

/// Dice about to be rolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    count: u32,
    sides: u32,
    keep: Option<Keep>,
    bonus: i32,
}

/// Which of the dice count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Highest(u32),
    Lowest(u32),
}

/// Dice that were rolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// What was rolled.
    pub dice: Dice,
    /// Each die, in the order of falling, and whether it counts.
    pub faces: Vec<(u32, bool)>,
}

/// Why a text names no dice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{text}” names no dice; write them like d20, 2d6+1 or 4d6kh3: up to {MAX_DICE} dice of up \
     to {MAX_SIDES} sides, k with h or l keeps the highest or lowest"
)]
pub struct ParseDiceError {
    text: String,
}

impl FromStr for Dice {
    type Err = ParseDiceError;

    /// Reads `[COUNT]dSIDES[kh[N]|kl[N]][+N|-N]` in any letter case; a number alone is
    /// the sides of one die, and `d%` has a hundred.
    fn from_str(text: &str) -> Result<Self, ParseDiceError> {
        let compact: String = text.split_whitespace().collect();
        parse(&compact.to_ascii_lowercase())
            .ok_or_else(|| ParseDiceError { text: text.chars().take(40).collect() })
    }
}

fn parse(text: &str) -> Option<Dice> {
    let (dice, bonus) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], text[at..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (dice, keep) = match dice.split_once('k') {
        Some((dice, keep)) => (dice, Some(keep)),
        None => (dice, None),
    };
    let (count, sides) = dice.split_once('d').unwrap_or(("", dice));
    let count = if count.is_empty() { 1 } else { number(count)? };
    let sides = if sides == "%" { 100 } else { number(sides)? };
    let keep = keep.map(|keep| kept(keep, count)).map_or(Some(None), |keep| keep.map(Some))?;
    let is_sane = (1..=MAX_DICE).contains(&count)
        && (1..=MAX_SIDES).contains(&sides)
        && bonus.unsigned_abs() <= MAX_BONUS.unsigned_abs();
    is_sane.then_some(Dice { count, sides, keep, bonus })
}

/// Digits alone: `parse` would take a sign, too.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn kept(text: &str, count: u32) -> Option<Keep> {
    let (which, number_of): (fn(u32) -> Keep, &str) = match text.split_at_checked(1)? {
        ("h", rest) => (Keep::Highest, rest),
        ("l", rest) => (Keep::Lowest, rest),
        _ => (Keep::Highest, text),
    };
    let number_of = if number_of.is_empty() { 1 } else { number(number_of)? };
    (1..=count).contains(&number_of).then(|| which(number_of))
}

impl Dice {
    /// Lets them fall.
    pub fn roll(self, rng: &mut impl Rng) -> Roll {
        let faces: Vec<u32> = (0..self.count).map(|_| rng.random_range(1..=self.sides)).collect();
        let mut order: Vec<usize> = (0..faces.len()).collect();
        let num_kept = match self.keep {
            None => faces.len(),
            Some(Keep::Highest(kept)) => {
                order.sort_by_key(|&i| std::cmp::Reverse(faces[i]));
                kept as usize
            }
            Some(Keep::Lowest(kept)) => {
                order.sort_by_key(|&i| faces[i]);
                kept as usize
            }
        };
        let counted = &order[..num_kept];
        let faces = faces.iter().enumerate().map(|(i, &face)| (face, counted.contains(&i)));
        Roll { dice: self, faces: faces.collect() }
    }
}

impl Roll {
    /// The dice that count, and what is added.
    pub fn total(&self) -> i64 {
        let counted = self.faces.iter().filter(|(_, counts)| *counts);
        counted.map(|(face, _)| i64::from(*face)).sum::<i64>() + i64::from(self.dice.bonus)
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d{}", self.count, self.sides)?;
        match self.keep {
            Some(Keep::Highest(kept)) => write!(f, "kh{kept}")?,
            Some(Keep::Lowest(kept)) => write!(f, "kl{kept}")?,
            None => {}
        }
        if self.bonus == 0 { Ok(()) } else { write!(f, "{:+}", self.bonus) }
    }
}

/// `2d6+1: 3 + 5 + 1 = 9`; dice that do not count stand in brackets.
impl fmt::Display for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.dice)?;
        if let ([(face, true)], 0) = (&self.faces[..], self.dice.bonus) {
            return write!(f, "{face}");
        }
        for (i, (face, counts)) in self.faces.iter().enumerate() {
            let plus = if i > 0 { " + " } else { "" };
            match counts {
                true => write!(f, "{plus}{face}")?,
                false => write!(f, "{plus}({face})")?,
            }
        }
        match self.dice.bonus {
            0 => {}
            bonus if bonus > 0 => write!(f, " + {bonus}")?,
            bonus => write!(f, " − {}", bonus.unsigned_abs())?,
        }
        write!(f, " = {}", self.total())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn shown(text: &str, faces: &[(u32, bool)]) -> String {
        Roll { dice: text.parse().expect("dice"), faces: faces.to_vec() }.to_string()
    }

    #[test]
    fn dice_are_read_as_players_write_them() {
        for (written, meant) in [
            ("d20", "1d20"),
            ("20", "1d20"),
            ("2D6 + 1", "2d6+1"),
            ("3d8-2", "3d8-2"),
            ("d%", "1d100"),
            ("4d6k3", "4d6kh3"),
            ("4d6kh3+1", "4d6kh3+1"),
            ("2d20kl", "2d20kl1"),
        ] {
            assert_eq!(written.parse::<Dice>().expect(written).to_string(), meant);
        }
        for bad in [
            "",
            "d",
            "x",
            "2d",
            "0d6",
            "d0",
            "101d6",
            "d100001",
            "2d6+",
            "4d6k5",
            "4d6k0",
            "-d6",
            "2d+6",
            "1d6+9999999",
            "4d6kx",
            "4d6ké",
            "99999999999d6",
        ] {
            assert!(bad.parse::<Dice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_face_falls_about_as_often() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let dice: Dice = "100d6".parse().expect("dice");
        let mut counts = [0_u32; 6];
        for _ in 0..100 {
            for (face, _) in dice.roll(&mut rng).faces {
                counts[face as usize - 1] += 1;
            }
        }
        // 10,000 throws: chi-squared with five degrees of freedom, 0.1 % at 20.5.
        let chi: f64 =
            counts.iter().map(|&n| (f64::from(n) - 1e4 / 6.0).powi(2) / (1e4 / 6.0)).sum();
        assert!(chi < 20.5, "{counts:?}");
    }

    #[test]
    fn the_highest_or_the_lowest_count() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..100 {
            let roll = "4d6kh3".parse::<Dice>().expect("dice").roll(&mut rng);
            let mut faces: Vec<u32> = roll.faces.iter().map(|(face, _)| *face).collect();
            faces.sort_unstable();
            assert_eq!(roll.total(), faces[1..].iter().map(|&face| i64::from(face)).sum::<i64>());
            let roll = "4d6kl1+2".parse::<Dice>().expect("dice").roll(&mut rng);
            let lowest = roll.faces.iter().map(|(face, _)| *face).min().expect("four");
            assert_eq!(roll.total(), i64::from(lowest) + 2);
        }
    }

    #[test]
    fn a_roll_shows_every_die() {
        assert_eq!(shown("d20", &[(17, true)]), "1d20: 17");
        assert_eq!(shown("2d6+1", &[(3, true), (5, true)]), "2d6+1: 3 + 5 + 1 = 9");
        assert_eq!(shown("2d20kh-2", &[(4, false), (9, true)]), "2d20kh1-2: (4) + 9 − 2 = 7");
    }
}
