//! Short cursors: what a caller of the feed has seen, in at most 200 characters.
//!
//! A [`Cursor`] names every instance that ever wrote, which is too long for a model to repeat. A short cursor names a
//! moment. What was written before it counts as seen, and a few *hints* name instances of which that is not so. But
//! clocks differ, and files are copied in. So the short cursor also has digests of what was seen, by which any process
//! can judge that guess. Each instance with its seen commits belongs to two *cells*: one by the age of its last seen
//! commit, and one by its id. A cell is the exclusive or of the digests of its instances.
//!
//! * If a cell has the digest that the cursor says, the guess is right for each of its instances.
//! * If not, one instance of the cell may explain the difference: a guess about it that sets the cell right is taken.
//! * An instance of which both cells still differ counts as unseen, from its first commit on. All its present commits
//!   are then uncertain: the caller may have seen them.
//!
//! Invariant: no commit counts as seen that the caller has not seen, whatever the clocks say. A digest has 56 bits.

use super::commits::{InstanceCommits, commits};
use super::feed::{CommitInfo, Cursor};
use super::short_text::{CELL_MAX, CELLS, HINT_BYTES_MAX, Hint, Short};
use crate::format::id::InstanceId;
use crate::format::sequences::Sequences;
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Cells by age. The first is of commits after the moment, the second of the minutes before it; then eight times as long
/// each, and the last is of all that is older.
const AGES: usize = 8;
/// Cells by instance.
const GROUPS: usize = CELLS - AGES;
/// Time for which commits before the last one are named by hints: they may be in another order than their times.
const OVERLAP_MS: i64 = 60_000;
/// Commits that are read in one step on the way back to the moment.
const STEP: usize = 64;
/// Guesses that are tried to explain a difference: at most, and of one instance.
const GUESSES_MAX: usize = 200_000;
const GUESSES_OF_ONE: usize = 1_000;
/// Most instances of which a guess is replaced.
const EXPLAINED_MAX: usize = 4 * CELLS;

/// A caller's place in the feed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// The commits that it has seen.
    pub seen: Cursor,
    /// Those of which it is not known.
    pub uncertain: Cursor,
}

impl Position {
    /// Returns true if the caller may have seen some of the commits that it will be told.
    pub fn is_approximate(&self) -> bool {
        !self.uncertain.is_within(&self.seen)
    }

    /// Returns true if the caller may have seen this commit before.
    pub fn may_repeat(&self, commit: &CommitInfo) -> bool {
        self.uncertain.contains(commit.instance, commit.sequence)
    }
}

impl From<Cursor> for Position {
    fn from(seen: Cursor) -> Self {
        Position { seen, uncertain: Cursor::default() }
    }
}

impl Palace {
    /// Returns a position as a short cursor. `next_ms` is the time of the next commit that the caller will be told, if
    /// one is known.
    ///
    /// # Errors
    /// As [`Palace::changes_since`].
    pub(crate) fn shorten(&self, position: &Position, next_ms: Option<i64>) -> Result<String> {
        let view = self.last_view();
        let all = commits(&view)?;
        let (seen, whole) = Seen::of(&position.seen, &all)?;
        let newest = seen.0.values().map(|last| last.time_ms).max();
        let recent = newest.map_or(0, |newest| newest.min(self.now_ms()) - OVERLAP_MS);
        let mut best = Outline::of(&seen, &all, recent)?;
        if let Some(next) = next_ms {
            let other = Outline::of(&seen, &all, next)?;
            best = if other.lost < best.lost { other } else { best };
        }
        let uncertain = !whole || best.lost > 0 || position.is_approximate();
        Ok(best.short(seen, &all, uncertain)?.encode())
    }

    /// Returns the position of a short cursor that any process gave, as far as it is certain.
    ///
    /// # Errors
    /// [`Error::Cursor`] if the text is no short cursor; otherwise as [`Palace::changes_since`].
    pub(crate) fn position(&self, text: &str) -> Result<Position> {
        let bad = || Error::Cursor { text: text.to_owned() };
        let short = Short::decode(text).ok_or_else(bad)?;
        let view = self.fresh()?;
        let all = commits(&view)?;
        let mut seen = Seen::guessed(&short, &all)?;
        let mut wrong = seen.cells(&all, short.moment_ms);
        wrong.iter_mut().zip(short.cells).for_each(|(cell, said)| *cell ^= said);
        if wrong != [0; CELLS] {
            explain(&mut seen, &mut wrong, &all, short.moment_ms)?;
        }
        seen.drop_unexplained(&wrong, short.moment_ms);
        // An instance that no guess has left as seen may be one of those that make the cell of its group wrong.
        let is_wrong = |id| wrong.get(group(id)).is_some_and(|cell| *cell != 0);
        let in_doubt = all.iter().filter(|(id, _)| short.uncertain || is_wrong(**id));
        let uncertain = in_doubt.map(|(id, one)| (*id, one.sequences.clone())).collect();
        Ok(Position { seen: seen.cursor(&all), uncertain })
    }
}

type Commits<'a> = BTreeMap<InstanceId, InstanceCommits<'a>>;

/// The last seen commit of an instance. All of its present ones up to this are seen.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u64,
    time_ms: i64,
}

/// The last seen commit of each instance of which one is seen.
#[derive(Debug, Default)]
struct Seen(BTreeMap<InstanceId, Last>);

impl Seen {
    /// Returns what is seen of the present commits, and whether that is the whole cursor.
    fn of(cursor: &Cursor, all: &Commits<'_>) -> Result<(Self, bool)> {
        let mut seen = Seen::default();
        let mut whole = true;
        for (id, numbers) in cursor.instances() {
            let Some(one) = all.get(id) else {
                whole &= numbers.is_empty();
                continue;
            };
            let last = one.sequences.last_within(numbers);
            whole &= one.sequences.head(last) == *numbers;
            seen.set(*id, one, last)?;
        }
        Ok((seen, whole))
    }

    /// Returns what a short cursor says before its cells are compared.
    fn guessed(short: &Short, all: &Commits<'_>) -> Result<Self> {
        let mut seen = Seen::default();
        for (id, one) in all {
            let hint = short.hints.iter().find(|hint| hint.fits(*id));
            let last = match hint {
                Some(hint) => one.sequences.head(hint.sequence).last(),
                None => last_before(one, short.moment_ms)?,
            };
            seen.set(*id, one, last)?;
        }
        Ok(seen)
    }

    fn set(&mut self, id: InstanceId, one: &InstanceCommits<'_>, sequence: u64) -> Result<()> {
        match one.time_ms(sequence)?.filter(|_| sequence > 0) {
            Some(time_ms) => self.0.insert(id, Last { sequence, time_ms }),
            None => self.0.remove(&id),
        };
        Ok(())
    }

    fn cells(&self, all: &Commits<'_>, moment_ms: i64) -> [u64; CELLS] {
        let mut cells = [0; CELLS];
        for (id, last) in &self.0 {
            if let Some(one) = all.get(id) {
                let digest = digest(*id, &one.sequences, last.sequence);
                toggle(&mut cells, age(last.time_ms, moment_ms), digest);
                toggle(&mut cells, group(*id), digest);
            }
        }
        cells
    }

    /// Drops the instances of which both cells are wrong.
    fn drop_unexplained(&mut self, wrong: &[u64; CELLS], moment_ms: i64) {
        let is_wrong = |cell: usize| wrong.get(cell).is_some_and(|cell| *cell != 0);
        self.0.retain(|id, last| !(is_wrong(group(*id)) && is_wrong(age(last.time_ms, moment_ms))));
    }

    fn cursor(&self, all: &Commits<'_>) -> Cursor {
        let present = self.0.iter().filter_map(|(id, last)| Some((*id, last, all.get(id)?)));
        present.map(|(id, last, one)| (id, one.sequences.head(last.sequence))).collect()
    }
}

/// What a short cursor of one moment has to say about what is seen.
struct Outline {
    moment_ms: i64,
    hints: Vec<Hint>,
    /// Instances without a hint that the moment shows as less seen than they are: what it shows.
    less: Vec<(InstanceId, u64)>,
    /// Number of commits that are told again if the short cursor has to be read.
    lost: u64,
}

impl Outline {
    fn of(seen: &Seen, all: &Commits<'_>, moment_ms: i64) -> Result<Self> {
        let mut differing = Vec::new();
        for (id, one) in all {
            let guess = last_before(one, moment_ms)?;
            let last = seen.0.get(id).map_or(0, |last| last.sequence);
            if guess != last {
                // What the moment shows as more seen than it is would count as unseen.
                let cost = if guess < last { last - guess } else { last.max(1) };
                differing.push((Reverse(cost), *id, guess, last));
            }
        }
        differing.sort_unstable();
        let mut outline = Outline { moment_ms, hints: Vec::new(), less: Vec::new(), lost: 0 };
        let mut room = HINT_BYTES_MAX;
        for (Reverse(cost), id, guess, last) in differing {
            let hint = Hint::new(id, last);
            if let Some(left) = room.checked_sub(hint.bytes()) {
                room = left;
                outline.hints.push(hint);
                continue;
            }
            outline.lost = outline.lost.saturating_add(cost);
            if guess < last {
                outline.less.push((id, guess));
            }
        }
        Ok(outline)
    }

    fn short(self, mut seen: Seen, all: &Commits<'_>, uncertain: bool) -> Result<Short> {
        let Outline { moment_ms, hints, less, .. } = self;
        for (id, last) in less {
            if let Some(one) = all.get(&id) {
                seen.set(id, one, last)?;
            }
        }
        Ok(Short { moment_ms, cells: seen.cells(all, moment_ms), hints, uncertain })
    }
}

/// Returns the last commit of an instance from before a moment; 0 if there is none.
fn last_before(one: &InstanceCommits<'_>, moment_ms: i64) -> Result<u64> {
    let mut upto = one.sequences.last();
    if one.time_ms(upto)?.is_some_and(|time_ms| time_ms < moment_ms) {
        return Ok(upto);
    }
    loop {
        let times = one.times_back_from(upto, STEP)?;
        if let Some((sequence, _)) = times.iter().find(|(_, time_ms)| *time_ms < moment_ms) {
            return Ok(*sequence);
        }
        match times.last() {
            Some((first, _)) if *first > 1 => upto = first - 1,
            _ => return Ok(0),
        }
    }
}

/// Returns the cell by age of a last seen commit.
fn age(time_ms: i64, moment_ms: i64) -> usize {
    let minutes = u64::try_from(moment_ms.saturating_sub(time_ms)).map_or(0, |ms| ms / 60_000);
    if time_ms >= moment_ms {
        return 0;
    }
    let eighths = usize::try_from((minutes + 1).ilog2() / 3).unwrap_or(AGES);
    (1 + eighths).min(AGES - 1)
}

/// Returns the cell by instance.
fn group(instance: InstanceId) -> usize {
    let [.., last] = instance.0;
    AGES + usize::from(last) % GROUPS
}

/// Returns the digest of the commits of an instance up to `last`.
fn digest(instance: InstanceId, sequences: &Sequences, last: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&instance.0);
    for run in sequences.head(last).runs() {
        hasher.update(&run.start().to_le_bytes()).update(&run.end().to_le_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) & CELL_MAX
}

fn toggle(cells: &mut [u64; CELLS], cell: usize, digest: u64) {
    cells.iter_mut().skip(cell).take(1).for_each(|cell| *cell ^= digest);
}

/// Another guess: the commits of an instance are seen up to this one, or none is.
struct Guess {
    instance: InstanceId,
    last: Option<Last>,
}

impl Guess {
    /// Returns by which digest each cell changes if this guess takes the place of the present one.
    fn changes(&self, seen: &Seen, all: &Commits<'_>, moment_ms: i64) -> [u64; CELLS] {
        let mut cells = [0; CELLS];
        let Some(one) = all.get(&self.instance) else { return cells };
        for last in seen.0.get(&self.instance).into_iter().chain(&self.last) {
            let digest = digest(self.instance, &one.sequences, last.sequence);
            toggle(&mut cells, age(last.time_ms, moment_ms), digest);
            toggle(&mut cells, group(self.instance), digest);
        }
        cells
    }
}

/// Replaces guesses by others that set a wrong cell right, as long as there are any.
fn explain(
    seen: &mut Seen,
    wrong: &mut [u64; CELLS],
    all: &Commits<'_>,
    moment_ms: i64,
) -> Result<()> {
    let guesses = guesses(wrong, all)?;
    let mut left = EXPLAINED_MAX;
    loop {
        let before = left;
        for guess in &guesses {
            let changes = guess.changes(seen, all, moment_ms);
            let mut cells = changes.iter().zip(wrong.iter());
            if !cells.any(|(change, wrong)| *wrong != 0 && change == wrong) {
                continue;
            }
            wrong.iter_mut().zip(changes).for_each(|(cell, change)| *cell ^= change);
            match guess.last {
                Some(last) => seen.0.insert(guess.instance, last),
                None => seen.0.remove(&guess.instance),
            };
            left -= 1;
            if left == 0 || *wrong == [0; CELLS] {
                return Ok(());
            }
        }
        if left == before {
            return Ok(());
        }
    }
}

/// Returns the guesses about instances of which a cell is wrong: the last commits of each, and none.
fn guesses(wrong: &[u64; CELLS], all: &Commits<'_>) -> Result<Vec<Guess>> {
    let wrong = |id: InstanceId| wrong.get(group(id)).is_some_and(|cell| *cell != 0);
    let suspects: Vec<_> = all.iter().filter(|(id, _)| wrong(**id)).collect();
    let of_one = (GUESSES_MAX / suspects.len().max(1)).min(GUESSES_OF_ONE);
    let mut guesses = Vec::new();
    for (id, one) in suspects {
        guesses.push(Guess { instance: *id, last: None });
        let times = one.times_back_from(one.sequences.last(), of_one)?;
        guesses.extend(times.into_iter().map(|(sequence, time_ms)| Guess {
            instance: *id,
            last: Some(Last { sequence, time_ms }),
        }));
    }
    Ok(guesses)
}
