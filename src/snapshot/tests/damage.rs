//! Damaged files: a read returns the truth or an error, never a panic and never anything else.

use super::*;
use crate::fs::sim::SplitMix;

/// A snapshot of few pages with every kind of page in it, and its content.
struct Sample {
    rows: Vec<Row>,
    log: Vec<LogRow>,
    bytes: Vec<u8>,
}

impl Sample {
    /// `count` rows: enough of them give the trees of tables inner pages.
    fn new(count: usize) -> Self {
        let mut rows: Vec<Row> =
            (0..count).map(|n| row(&format!("drawer/{n:04}{}", "k".repeat(60)), n)).collect();
        // These need overflow pages.
        rows[1].document = vec![0x5a; 5000];
        rows[2].view = "overflow ".repeat(500);
        let log: Vec<LogRow> = (1..=12).map(|n| commit(n as u8 % 3, n)).collect();
        let bytes = build(&rows, &log);
        Sample { rows, log, bytes }
    }

    fn pages(&self) -> usize {
        self.bytes.len() / PAGE
    }

    /// Asserts, whatever `bytes` are, that every read returns the truth or an error that blames the file.
    ///
    /// Returns true if reading the documents noticed the damage.
    fn accepts(&self, bytes: Vec<u8>, context: &str) -> bool {
        let snapshot = match open(bytes) {
            Ok(snapshot) => snapshot,
            Err(error) => return blames_the_file(&error, context),
        };
        let mut noticed = false;
        let mut judge = |error: Option<SnapshotError>| {
            noticed |= error.is_some_and(|error| blames_the_file(&error, context));
        };
        for row in &self.rows {
            let name = row.key.as_str();
            judge(is_or_fails(snapshot.get(name), &Some(row.clone()), context));
            judge(is_or_fails(snapshot.get_view(name), &Some(view(row)), context));
            judge(is_or_fails(snapshot.contains(&format!("{name}x")), &false, context));
        }
        let views: Vec<ViewRow> = self.rows.iter().map(view).collect();
        judge(is_or_fails(snapshot.scan("drawer/", None, 1000), &views, context));
        judge(is_or_fails(snapshot.rows_after(None, 1000), &self.rows, context));
        for terms in [Terms::default().whole("wörd"), Terms::default().prefix("d")] {
            let found = snapshot.matching(&terms);
            let real = |key: &Key| self.rows.iter().any(|row| row.key == *key);
            assert!(found.as_ref().is_ok_and(|keys| keys.iter().all(real)) || found.is_err());
            judge(found.err());
        }
        for found in
            [snapshot.log_page(None, 1000), snapshot.log_after(InstanceId([1; 16]), 0, 1000)]
        {
            let real = |row: &LogRow| self.log.contains(row);
            assert!(found.as_ref().is_ok_and(|rows| rows.iter().all(real)) || found.is_err());
            judge(found.err());
        }
        judge(snapshot.log_instances().err());
        noticed
    }
}

const PAGE: usize = schema::PAGE_SIZE as usize;

fn view(row: &Row) -> ViewRow {
    let Row { key, heads, view, absorbed, .. } = row.clone();
    ViewRow { key, heads, view, absorbed, incomplete: !row.waiting.is_empty() }
}

fn is_or_fails<T: PartialEq + std::fmt::Debug>(
    found: Result<T, SnapshotError>,
    truth: &T,
    context: &str,
) -> Option<SnapshotError> {
    match found {
        Ok(found) => {
            assert_eq!(found, *truth, "{context}");
            None
        }
        Err(error) => Some(error),
    }
}

fn blames_the_file(error: &SnapshotError, context: &str) -> bool {
    use SnapshotError::{Damaged, Newer, NotASnapshot};
    let blames = matches!(error, Damaged { .. } | Newer { .. } | NotASnapshot { .. });
    assert!(blames, "{context}: {error:?}");
    true
}

/// One bit of every byte, a quarter of the file at a time so that the quarters can run side by side.
fn flip_a_bit_in_every_byte(quarter: usize) {
    let sample = Sample::new(8);
    assert!((10..=30).contains(&sample.pages()), "{} pages", sample.pages());
    let mut dice = SplitMix::new(1);
    let mut noticed = 0;
    for at in 0..sample.bytes.len() {
        let bit = dice.below(8);
        if at % 4 != quarter {
            continue;
        }
        let mut bytes = sample.bytes.clone();
        bytes[at] ^= 1 << bit;
        noticed += usize::from(sample.accepts(bytes, &format!("byte {at}, bit {bit}")));
    }
    assert!(noticed > 2000, "only {noticed} flips were noticed");
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless_1() {
    flip_a_bit_in_every_byte(0);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless_2() {
    flip_a_bit_in_every_byte(1);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless_3() {
    flip_a_bit_in_every_byte(2);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless_4() {
    flip_a_bit_in_every_byte(3);
}

#[test]
fn a_lost_page_is_noticed_or_harmless() {
    let sample = Sample::new(150);
    for page in 0..sample.pages() {
        for filler in [0, 0xff, 0x0d] {
            let mut bytes = sample.bytes.clone();
            bytes[page * PAGE..(page + 1) * PAGE].fill(filler);
            let context = format!("page {page} filled with {filler}");
            let noticed = sample.accepts(bytes.clone(), &context);
            let listed = open(bytes).map_or(1, |snapshot| snapshot.verify().unwrap().len());
            assert!(noticed || listed > 0, "{context}: nobody noticed");
        }
    }
}

/// A disk that writes a page to the wrong place leaves pages that are valid by themselves.
#[test]
fn a_page_in_the_place_of_another_is_noticed() {
    let sample = Sample::new(150);
    let mut dice = SplitMix::new(2);
    for round in 0..400 {
        let (from, to) = (dice.below(sample.pages()), dice.below(sample.pages()));
        let mut bytes = sample.bytes.clone();
        bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
        if bytes == sample.bytes {
            continue;
        }
        let context = format!("round {round}: page {from} written over page {to}");
        let noticed = sample.accepts(bytes.clone(), &context);
        let listed = open(bytes).map_or(1, |snapshot| snapshot.verify().unwrap().len());
        assert!(noticed || listed > 0, "{context}: nobody noticed");
    }
}

#[test]
fn random_garbage_is_noticed_or_harmless() {
    let sample = Sample::new(150);
    for seed in 0..600 {
        let mut dice = SplitMix::new(seed);
        let mut bytes = sample.bytes.clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            let end = (at + 1 + dice.below(40)).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
        }
        sample.accepts(bytes, &format!("seed {seed}"));
    }
}

/// `verify` finds what reading cannot: a changed word index, missing commits.
#[test]
fn verify_finds_every_change_that_matters() {
    let sample = Sample::new(20);
    let terms = ["wörd", "drawer", "overflow", "5"].map(|word| Terms::default().whole(word));
    let search = |snapshot: &Snapshot| -> Vec<_> {
        terms.iter().map(|terms| snapshot.matching(terms).ok()).collect()
    };
    let truth = search(&open(sample.bytes.clone()).unwrap());
    let (mut dice, mut missed) = (SplitMix::new(3), 0);
    for round in 0..3000 {
        let (at, bit) = (dice.below(sample.bytes.len()), dice.below(8));
        let mut bytes = sample.bytes.clone();
        bytes[at] ^= 1 << bit;
        let Ok(snapshot) = open(bytes) else { continue };
        if snapshot.verify().unwrap().is_empty() {
            let context = format!("round {round}, byte {at}, bit {bit}: verify found nothing");
            assert_eq!(search(&snapshot), truth, "{context}");
            assert_eq!(snapshot.log_page(None, 99).unwrap().len(), sample.log.len(), "{context}");
        } else {
            missed += usize::from(search(&snapshot) == truth);
        }
    }
    assert!(missed > 100, "verify found hardly anything that reading does not: {missed}");
}
