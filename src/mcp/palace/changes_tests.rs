//! Followers of the feed are told everything, whatever clocks, restarts and copies do.

use super::*;
use crate::fs::sim::{SimDisk, SplitMix};
use crate::fs::{Fs, read_from};
use crate::palace::Options;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

fn open(disk: &SimDisk, path: &str) -> Palace {
    Options::default().fs(Arc::new(disk.process())).open(path).unwrap()
}

fn page(palace: &Palace, cursors: &FeedCursors, from: &FeedStart, limit: usize) -> Changes {
    let session = palace.session();
    let reader = Reader { palace, session: &session, client: None, shared: false };
    feed(&reader, cursors, from, limit, false).unwrap()
}

fn ids(page: &Changes) -> impl Iterator<Item = (String, bool)> {
    let commits = page.changes.iter();
    commits.flat_map(|one| one.changed.iter().map(|it| (it.id.clone(), one.may_repeat)))
}

#[test]
fn a_page_of_the_past_is_gone_on_with_by_a_server_that_does_not_know_the_cursor() {
    let disk = SimDisk::new(1);
    let (theirs, ours) = (open(&disk, "/p"), open(&disk, "/p"));
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    for key in &keys {
        theirs.put(key, &serde_json::Map::new()).unwrap();
        disk.advance(10_000);
    }
    let (mut from, mut told, mut pages) =
        (FeedStart { cursor: None, since: Some(readable(0)) }, Vec::new(), 0);
    loop {
        // Each page is asked of a server that was started anew.
        let page = page(&ours, &FeedCursors::default(), &from, 9);
        assert!(!page.approximate, "page {pages}");
        told.extend(ids(&page).map(|(id, _)| id));
        pages += 1;
        if !page.more {
            break;
        }
        from = FeedStart { cursor: Some(page.next_cursor), since: None };
    }
    assert_eq!((told, pages), (keys, 3));
}

/// Returns the keys that a client is told after a restart, and whether each is marked. Two writers have clocks that are two
/// hours behind. Meanwhile one has written once more, and the other for the first time.
fn told_of_slow_clocks(seed: u64, compacted: bool) -> BTreeMap<String, bool> {
    let disk = SimDisk::new(seed);
    let hour = 3_600_000;
    let (slow, right, ours) = (open(&disk, "/p"), open(&disk, "/p"), open(&disk, "/p"));
    let late = |palace: &Palace, key: &str| {
        disk.advance(-2 * hour);
        palace.put(key, &serde_json::Map::new()).unwrap();
        disk.advance(2 * hour);
    };
    for n in 0..10 {
        late(&slow, &format!("slow{n}"));
        right.put(&format!("right{n}"), &serde_json::Map::new()).unwrap();
        disk.advance(hour / 4);
    }
    let start = FeedStart { cursor: None, since: None };
    let cursor = page(&ours, &FeedCursors::default(), &start, 9).next_cursor;
    late(&slow, "late");
    late(&open(&disk, "/p"), "new");
    if compacted {
        right.compact(Default::default()).unwrap();
    }
    let from = FeedStart { cursor: Some(cursor), since: None };
    ids(&page(&ours, &FeedCursors::default(), &from, 100)).collect()
}

#[test]
fn writers_with_slow_clocks_are_told_after_a_restart_and_mostly_only_once() {
    let mut exact = 0;
    for seed in 0..10 {
        for compacted in [false, true] {
            let told = told_of_slow_clocks(seed, compacted);
            assert!(told.contains_key("late") && told.contains_key("new"), "{told:?}");
            let once = BTreeMap::from([("late".to_owned(), false), ("new".to_owned(), false)]);
            // Two writers that share both of their cells are not told apart: then all of their commits come again.
            assert!(told == once || told.values().all(|marked| *marked), "seed {seed}: {told:?}");
            exact += usize::from(told == once);
        }
    }
    assert!(exact >= 12, "{exact} of 20");
}

#[test]
fn commits_before_those_that_were_told_are_told_when_their_file_comes() {
    let disk = SimDisk::new(3);
    let writer = open(&disk, "/p");
    writer.put("a", &serde_json::Map::new()).unwrap();
    writer.seal().unwrap();
    writer.put("b", &serde_json::Map::new()).unwrap();
    writer.seal().unwrap();
    let fs = disk.process();
    let sealed = fs.list(Path::new("/p/sealed")).unwrap();
    let length = |name: &String| read_file(&disk, &format!("/p/sealed/{name}")).len();
    assert_eq!((sealed.len(), length(&sealed[0]) > 0), (2, true));
    for first in &sealed {
        // One of the two comes before the other one.
        let to = format!("/copy-{first}");
        copy(&disk, "/p", &to, |name| name == first);
        let ours = open(&disk, &to);
        let cursors = FeedCursors::default();
        let since = FeedStart { cursor: None, since: Some(readable(0)) };
        let one = page(&ours, &cursors, &since, 9);
        copy(&disk, "/p", &to, |_| true);
        for cursors in [cursors, FeedCursors::default()] {
            let from = FeedStart { cursor: Some(one.next_cursor.clone()), since: None };
            let two = page(&ours, &cursors, &from, 9);
            let told: BTreeSet<String> = ids(&one).chain(ids(&two)).map(|(id, _)| id).collect();
            assert_eq!(told, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        }
    }
}

fn read_file(disk: &SimDisk, path: &str) -> Vec<u8> {
    read_from(&*disk.process().open(Path::new(path)).unwrap(), 0).unwrap()
}

/// Copies the finished files of a palace into another one, which is made if need be.
fn copy(disk: &SimDisk, from: &str, to: &str, wanted: impl Fn(&str) -> bool) {
    let fs = disk.process();
    let place = |file: &str| {
        let to = format!("{to}/{file}");
        if fs.stat(Path::new(&to)).is_err() {
            let content = read_file(disk, &format!("{from}/{file}"));
            fs.create(Path::new(&to)).unwrap().write_at(&content, 0).unwrap();
        }
    };
    if fs.stat(Path::new(to)).is_err() {
        for directory in ["", "open", "sealed", "snap", "tmp", "trash", "quarantine"] {
            fs.create_dir(&Path::new(to).join(directory)).unwrap();
        }
    }
    place("palace.json");
    for directory in ["sealed", "snap"] {
        for name in fs.list(Path::new(&format!("{from}/{directory}"))).unwrap() {
            if wanted(&name) {
                place(&format!("{directory}/{name}"));
            }
        }
    }
}

/// Returns a time of up to so many hours before or after now, in milliseconds.
fn hours(dice: &mut SplitMix, most: i64) -> i64 {
    let minutes = dice.below(usize::try_from(120 * most).unwrap());
    (i64::try_from(minutes).unwrap() - 60 * most) * 60_000
}

/// A client that follows the feed, and the server that it asks.
struct Follower {
    palace: Palace,
    cursors: FeedCursors,
    clock: i64,
    from: FeedStart,
    told: HashSet<String>,
    again: usize,
}

impl Follower {
    fn new(disk: &SimDisk, clock: i64) -> Self {
        let from = FeedStart { cursor: None, since: Some(readable(0)) };
        let (palace, cursors) = (open(disk, "/a"), FeedCursors::default());
        Follower { palace, cursors, clock, from, told: HashSet::new(), again: 0 }
    }

    /// Asks for a page, and returns whether there is more.
    fn ask(&mut self, disk: &SimDisk, limit: usize, seed: u64) -> bool {
        disk.advance(self.clock);
        let page = page(&self.palace, &self.cursors, &self.from, limit);
        disk.advance(-self.clock);
        for (id, may_repeat) in ids(&page) {
            let before = !self.told.insert(id.clone());
            assert!(!before || may_repeat, "{id} comes twice without a mark, seed {seed}");
            assert!(!may_repeat || page.approximate, "{id} is marked in a page that is not");
            self.again += usize::from(before);
        }
        assert!(page.next_cursor.len() <= 200, "{} characters", page.next_cursor.len());
        self.from = FeedStart { cursor: Some(page.next_cursor), since: None };
        page.more
    }

    fn restart(&mut self, disk: &SimDisk) {
        (self.palace, self.cursors) = (open(disk, "/a"), FeedCursors::default());
    }
}

/// Sessions with clocks of their own write into two copies of a palace, and followers are told.
fn random_story(seed: u64) -> usize {
    let (disk, mut dice) = (SimDisk::new(seed), SplitMix::new(seed));
    let mut written = HashSet::new();
    let mut put = |palace: &Palace, clock: i64| {
        let key = format!("k{}", written.len());
        disk.advance(clock);
        palace.put(&key, &serde_json::Map::new()).unwrap();
        disk.advance(-clock);
        written.insert(key);
    };
    let first = open(&disk, "/a");
    put(&first, 0);
    first.seal().unwrap();
    copy(&disk, "/a", "/b", |_| true);
    let mut sessions = vec![("/a", first, 0)];
    let mut followers: Vec<Follower> =
        (0..3).map(|_| Follower::new(&disk, hours(&mut dice, 5))).collect();
    for _ in 0..120 {
        match dice.below(12) {
            0 | 1 => {
                let place = if dice.below(3) == 0 { "/b" } else { "/a" };
                sessions.push((place, open(&disk, place), hours(&mut dice, 5)));
            }
            2..=6 => {
                let n = dice.below(sessions.len());
                let (_, palace, clock) = &sessions[n];
                put(palace, *clock);
            }
            7 => disk.advance(i64::try_from(dice.below(10_000_000)).unwrap()),
            8 if dice.below(2) == 0 => {
                let n = dice.below(sessions.len());
                sessions[n].1.compact(Default::default()).unwrap();
            }
            8 if dice.below(3) == 0 => {
                for (_, palace, _) in sessions.iter().filter(|(place, ..)| *place == "/b") {
                    palace.seal().unwrap();
                }
                copy(&disk, "/b", "/a", |_| true);
            }
            _ => {
                let follower = &mut followers[dice.below(3)];
                if dice.below(3) == 0 {
                    follower.restart(&disk);
                }
                let limit = 1 + dice.below(20);
                follower.ask(&disk, limit, seed);
            }
        }
    }
    sessions.iter().for_each(|(_, palace, _)| palace.seal().unwrap());
    copy(&disk, "/b", "/a", |_| true);
    for follower in &mut followers {
        follower.restart(&disk);
        while follower.ask(&disk, 100, seed) {}
        let missing: Vec<_> = written.iter().filter(|id| !follower.told.contains(*id)).collect();
        assert!(missing.is_empty(), "never told: {missing:?}, seed {seed}");
    }
    followers.iter().map(|follower| follower.again).sum()
}

#[test]
fn every_commit_is_told_to_every_follower_and_repeats_are_marked() {
    let again: usize = (0..30).map(random_story).sum();
    assert!(again > 0, "no seed has a follower that is told something twice");
}
