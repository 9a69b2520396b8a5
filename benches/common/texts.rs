//! Texts of drawers with words of every frequency: some are in every text, most are in few.

use super::{Result, Sequence};
use crdt_palace::memory::drawers::{Item, Place};

/// The words that every text has: for a search the worst ones, because every drawer is a candidate.
pub const EVERYWHERE: [&str; 3] = ["project", "meeting", "notes"];
/// The words of all texts, beside those in every one.
const VOCABULARY: u64 = 20_000;
/// The words of a text, beside those in every one.
const LENGTH: usize = 70;
/// First and last rank of the words that a query mixes. Of all texts they are in about a half, a
/// twelfth, a hundredth and a thousandth.
const RANKS: [(u64, u64); 4] = [(5, 15), (50, 150), (500, 1_500), (5_000, 15_000)];
const CONSONANTS: &[u8; 14] = b"bdfgklmnprstvz";
const VOWELS: &[u8; 5] = b"aeiou";

/// The text with this number. It has the number in it, so no two are the same.
pub fn text(n: u64) -> String {
    let mut sequence = Sequence::new(n);
    let mut text = EVERYWHERE.join(" ");
    for _ in 0..LENGTH {
        // By Zipf's law a word is as frequent as its rank is low.
        let share = sequence.below(1 << 32) as f64 / f64::from(u32::MAX);
        let rank = (VOCABULARY as f64).powf(share) as u64;
        text.push(' ');
        text.push_str(&word(rank));
    }
    format!("{text} {n}")
}

/// The wing and the room of the drawer with this number.
pub fn place(n: u64) -> (String, String) {
    (format!("wing-{}", n % 20), format!("room-{}", n % 7))
}

/// The drawer with this number.
pub fn item(n: u64) -> Result<Item> {
    let (wing, room) = place(n);
    Ok(Item::new(Place::new(&wing, &room)?, &text(n))?)
}

/// Queries of two to four words of mixed frequency, the same in every run.
pub fn queries(count: usize) -> Vec<String> {
    let mut sequence = Sequence::new(0);
    let mut query = || {
        let words = 2 + sequence.below(3);
        let words: Vec<String> = (0..words).map(|_| mixed(&mut sequence)).collect();
        words.join(" ")
    };
    (0..count).map(|_| query()).collect()
}

fn mixed(sequence: &mut Sequence) -> String {
    let class = usize::try_from(sequence.below(5)).unwrap_or(0);
    match RANKS.get(class) {
        Some((first, last)) => word(first + sequence.below(last - first)),
        None => EVERYWHERE.first().copied().unwrap_or_default().to_owned(),
    }
}

/// The word of this rank: at least two syllables, so that it is no word that a query leaves out.
fn word(rank: u64) -> String {
    const SYLLABLES: usize = CONSONANTS.len() * VOWELS.len();
    let mut left = usize::try_from(rank).unwrap_or(0) + SYLLABLES;
    let mut word = String::new();
    while left > 0 {
        let syllable = left % SYLLABLES;
        let consonant = CONSONANTS.get(syllable / VOWELS.len()).copied().unwrap_or(b'x');
        let vowel = VOWELS.get(syllable % VOWELS.len()).copied().unwrap_or(b'y');
        word.extend([consonant, vowel].map(char::from));
        left /= SYLLABLES;
    }
    word
}
