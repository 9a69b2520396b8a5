//! Tests of spellings, renames, moves of many drawers, and undeletes. Two handles of one palace stand for two processes.

use super::*;
use crate::memory::MemoryError;
use crate::palace::Options;
use crate::palace::compact::CompactOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn open(path: &Path) -> Drawers {
    Drawers::new(Options::default().auto_compact(false).open(path).unwrap())
}

fn place(wing: &str, room: &str) -> Place {
    Place::new(wing, room).unwrap()
}

fn file(drawers: &Drawers, wing: &str, room: &str, content: &str) -> Filed {
    drawers.file(&[Item::new(place(wing, room), content).unwrap()]).unwrap().remove(0)
}

/// The rows of the taxonomy as `wing/room count`.
fn tree(drawers: &Drawers) -> Vec<String> {
    let counts = drawers.counts(None).unwrap();
    let rows = counts.iter().flat_map(|(wing, rooms)| {
        rooms.iter().map(move |(room, count)| format!("{wing}/{room} {count}"))
    });
    rows.collect()
}

/// The places of the drawers of a list.
fn listed(drawers: &Drawers, wing: Option<&str>, room: Option<&str>) -> Vec<String> {
    let page = drawers.list(&DrawerQuery { wing, room, ..DrawerQuery::default() }).unwrap();
    assert_eq!(page.total, page.drawers.len());
    page.drawers.iter().map(|one| format!("{}/{}", one.place.wing, one.place.room)).collect()
}

fn compact(drawers: &Drawers) {
    drawers.palace.compact(CompactOptions::default()).unwrap();
}

#[test]
fn names_fold_case_separators_and_unicode_forms() {
    use super::place::folded;
    for (one, other) in [
        ("Atlas", "aTLAS"),
        ("my app", "My-App"),
        ("my_app", "my app"),
        ("Café", "CAFE\u{301}"),
        ("ΟΔΟΣ", "οδος"),
        ("東京", "東京"),
    ] {
        assert_eq!(folded(one), folded(other), "{one} {other}");
        assert_eq!(folded(&folded(one)), folded(one), "{one}");
    }
    for name in ["Cafe\u{301}", "हिन्दी", "ที่"] {
        assert_eq!(place(name, "r").wing, name, "marks are parts of letters");
    }
    assert!(Place::new("\u{301}", "r").is_err(), "a mark without a letter");
    for (one, other) in [("atlas", "atlas2"), ("my app", "myapp"), ("cafe", "café")] {
        assert_ne!(folded(one), folded(other), "{one} {other}");
    }
}

#[test]
fn spellings_of_two_processes_show_one_wing_in_both() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    file(&a, "My App", "Auth", "one");
    file(&b, "my-app", "auth", "two");
    file(&a, "my_app", "auth", "three");
    file(&b, "my_app", "ops", "four");
    for fold in [false, true] {
        if fold {
            compact(&a);
        }
        for drawers in [&a, &b] {
            assert_eq!(tree(drawers), ["my_app/auth 3", "my_app/ops 1"]);
            for wing in ["My App", "my-app", "my_app", "MY APP"] {
                let rooms = drawers.counts(Some(wing)).unwrap();
                assert_eq!(
                    rooms["my_app"],
                    BTreeMap::from([("auth".into(), 3), ("ops".into(), 1)])
                );
                assert_eq!(listed(drawers, Some(wing), Some("AUTH")), ["my_app/auth"; 3]);
                let search = Search { query: "one", wing: Some(wing), ..Search::default() };
                let found = drawers.search(&search).unwrap().hits.remove(0).drawer;
                assert_eq!(found.place, place("my_app", "auth"));
                assert_eq!(drawers.get(&found.id).unwrap().place, place("my_app", "auth"));
                assert!(drawers.place_note(Some(wing), Some("AUTH")).unwrap().is_none());
            }
            let found = drawers.duplicates("two", 0.9).unwrap();
            assert_eq!(found[0].drawer.place, place("my_app", "auth"));
        }
    }
}

#[test]
fn spelling_of_most_drawers_is_shown_then_of_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    let id = file(&a, "atlas", "r", "one").id;
    assert_eq!(tree(&b), ["atlas/r 1"]);
    let other = file(&b, "Atlas", "r", "two").id;
    for drawers in [&a, &b] {
        assert_eq!(tree(drawers), ["Atlas/r 2"], "the first in the order of bytes");
        assert_eq!(drawers.get(&id).unwrap().place.wing, "Atlas");
    }
    file(&a, "atlas", "s", "three");
    for drawers in [&a, &b] {
        assert_eq!(tree(drawers), ["atlas/r 2", "atlas/s 1"]);
        assert_eq!(drawers.get(&other).unwrap().place.wing, "atlas");
    }
    // Drawers that were moved count where they are.
    let third = file(&a, "elsewhere", "r", "four").id;
    for id in [&third, &file(&a, "elsewhere", "r", "five").id] {
        b.update(id, Change { wing: Some("Atlas"), ..Change::default() }).unwrap();
    }
    assert_eq!(tree(&a), ["Atlas/r 4", "Atlas/s 1"]);
    b.delete(&[third, other]).unwrap();
    assert_eq!(tree(&a), ["atlas/r 2", "atlas/s 1"]);
    assert_eq!(a.get(&id).unwrap().place.wing, "atlas");
}

#[test]
fn counted_spelling_is_counted_anew_when_its_lead_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    let items = |wing: &str, from: usize, to: usize| -> Vec<Item> {
        let item = |n| Item::new(place(wing, "r"), &format!("{wing} {n}")).unwrap();
        (from..to).map(item).collect()
    };
    a.file(&items("Atlas", 0, 1_500)).unwrap();
    let id = a.file(&items("atlas", 0, 2)).unwrap().remove(0).id;
    assert_eq!(b.get(&id).unwrap().place.wing, "Atlas");
    a.file(&items("atlas", 2, 1_499)).unwrap();
    assert_eq!(b.get(&id).unwrap().place.wing, "Atlas");
    a.file(&items("atlas", 1_499, 1_501)).unwrap();
    assert_eq!(b.get(&id).unwrap().place.wing, "atlas");
    assert_eq!(tree(&b), ["atlas/r 3001"]);
}

#[test]
fn same_text_under_another_spelling_is_one_drawer() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    let first = file(&a, "My App", "Auth", "the text");
    let again = file(&b, "my-app", "auth", "the text");
    assert_eq!((again.filed, &again.id, &again.etag), (FiledAs::There, &first.id, &first.etag));
    let items = ["Bosun", "bosun"].map(|wing| Item::new(place(wing, "r"), "twice").unwrap());
    let twice = b.file(&items).unwrap();
    assert_eq!(twice[0], twice[1]);
    // A move to the place where it is writes nothing.
    let change = Change { wing: Some("MY APP"), room: Some("AUTH"), ..Change::default() };
    assert!(!b.update(&first.id, change).unwrap().changed);
    assert_eq!(file(&a, "my app", "other", "the text").filed, FiledAs::New);
    assert_eq!(tree(&b), ["Bosun/r 1", "My App/Auth 1", "My App/other 1"]);
}

#[test]
fn filter_that_names_nothing_gets_the_nearest_names() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(dir.path());
    let unknown = |field, name: &str, nearest: &[&str]| {
        let nearest = nearest.iter().map(|name| (*name).to_owned()).collect();
        Some(PlaceNote::Unknown { field, name: name.to_owned(), nearest })
    };
    assert_eq!(drawers.place_note(Some("x"), None).unwrap(), unknown("wing", "x", &[]));
    for (wing, room) in [("Atlas", "auth"), ("bosun", "ops"), ("carol", "auth"), ("delta", "r")] {
        file(&drawers, wing, room, "text");
    }
    let gone = file(&drawers, "altas", "r", "gone").id;
    drawers.delete(&[gone]).unwrap();
    let note = |wing, room| drawers.place_note(wing, room).unwrap();
    assert_eq!(note(Some("altas"), None), unknown("wing", "altas", &["Atlas", "delta", "bosun"]));
    assert_eq!(note(Some("atlas"), Some("ops")), unknown("room", "ops", &["auth"]));
    assert_eq!(note(None, Some("aut")), unknown("room", "aut", &["auth", "ops", "r"]));
    assert_eq!(note(Some("ATLAS"), Some("Auth")), None);
    assert_eq!(note(None, None), None);
    assert!(listed(&drawers, Some("altas"), None).is_empty());
    assert!(drawers.place_note(Some("../x"), None).is_err());
}

fn rename(drawers: &Drawers, wing: &str, room: Option<&str>, to: &str) -> Renamed {
    drawers.rename(&Rename { wing, room, to, join: false }).unwrap()
}

#[test]
fn renamed_wing_is_shown_everywhere_and_found_by_both_names() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    let filed = file(&a, "atlas", "auth", "We sign tokens.");
    let done = rename(&a, "ATLAS", None, "The Bosun");
    assert_eq!((done.from.as_str(), done.to.as_str()), ("atlas", "The Bosun"));
    assert!(done.changed && !done.joined && done.drawers == 1);
    for fold in [false, true] {
        if fold {
            compact(&a);
        }
        assert_eq!(tree(&b), ["The Bosun/auth 1"]);
        for wing in ["atlas", "the bosun", "The-Bosun"] {
            assert_eq!(listed(&b, Some(wing), None), ["The Bosun/auth"], "{wing}");
            let search = Search { query: "tokens", wing: Some(wing), ..Search::default() };
            assert_eq!(b.search(&search).unwrap().hits[0].drawer.place.wing, "The Bosun");
        }
        let drawer = b.get(&filed.id).unwrap();
        assert_eq!((drawer.place.wing.as_str(), drawer.etag), ("The Bosun", filed.etag.clone()));
    }
    let now = || "The Bosun".to_owned();
    let renamed = PlaceNote::Renamed { field: "wing", name: "Atlas".to_owned(), now: now() };
    assert_eq!(b.place_note(Some("Atlas"), None).unwrap(), Some(renamed));
    // What is filed under the old name is there too, and the same text is the same drawer.
    assert_eq!(file(&b, "The Bosun", "auth", "We sign tokens.").id, filed.id);
    file(&b, "atlas", "ops", "another");
    assert_eq!(tree(&a), ["The Bosun/auth 1", "The Bosun/ops 1"]);
    assert!(!rename(&b, "atlas", None, "The Bosun").changed);
}

#[test]
fn renaming_back_shows_the_first_name_again() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(dir.path());
    file(&drawers, "atlas", "auth", "text");
    for to in ["bosun", "carol", "atlas", "bosun", "atlas"] {
        assert_eq!(rename(&drawers, "atlas", None, to).to, to);
        assert_eq!(tree(&drawers), [format!("{to}/auth 1")]);
        assert_eq!(rename(&drawers, "atlas", Some("auth"), "login").to, "login");
        assert_eq!(tree(&drawers), [format!("{to}/login 1")]);
        assert_eq!(rename(&drawers, to, Some("login"), "auth").to, "auth");
        assert_eq!(tree(&drawers), [format!("{to}/auth 1")]);
    }
    assert_eq!(rename(&drawers, "atlas", None, "ATLAS").from, "atlas");
    assert_eq!(tree(&drawers), ["ATLAS/auth 1"], "only the spelling");
}

#[test]
fn renamed_rooms_keep_their_names_when_the_wing_is_renamed() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(dir.path());
    file(&drawers, "atlas", "auth", "text");
    file(&drawers, "other", "auth", "text");
    rename(&drawers, "atlas", Some("auth"), "Login");
    rename(&drawers, "atlas", None, "bosun");
    assert_eq!(tree(&drawers), ["bosun/Login 1", "other/auth 1"]);
    for (wing, room) in [("atlas", "auth"), ("bosun", "auth"), ("bosun", "login")] {
        assert_eq!(listed(&drawers, Some(wing), Some(room)), ["bosun/Login"], "{wing} {room}");
    }
    assert_eq!(listed(&drawers, None, Some("auth")).len(), 2, "an old name, and a name");
    rename(&drawers, "bosun", Some("login"), "auth");
    assert_eq!(tree(&drawers), ["bosun/auth 1", "other/auth 1"]);
    rename(&drawers, "bosun", Some("auth"), "Keys");
    let to = MoveDrawers { wing: Some("bosun"), to_wing: Some("quay"), ..MoveDrawers::default() };
    assert_eq!(drawers.move_all(&to, |_, _| ()).unwrap().moved, 1);
    assert_eq!(tree(&drawers), ["other/auth 1", "quay/Keys 1"]);
    rename(&drawers, "quay", Some("keys"), "Locks");
    let id = drawers.list(&DrawerQuery { wing: Some("quay"), ..DrawerQuery::default() }).unwrap();
    let change = Change { wing: Some("pier"), ..Change::default() };
    drawers.update(&id.drawers[0].id, change).unwrap();
    assert_eq!(tree(&drawers), ["other/auth 1", "pier/Locks 1"]);
}

#[test]
fn rename_to_a_name_that_exists_joins_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(dir.path());
    file(&drawers, "atlas", "auth", "one");
    file(&drawers, "bosun", "auth", "two");
    let wanted = Rename { wing: "atlas", to: "Bosun", ..Rename::default() };
    match drawers.rename(&wanted).unwrap_err() {
        MemoryError::PlaceExists { field: "wing", name, drawers: 1 } => assert_eq!(name, "Bosun"),
        other => panic!("{other}"),
    }
    assert_eq!(tree(&drawers), ["atlas/auth 1", "bosun/auth 1"], "nothing was written");
    let done = drawers.rename(&Rename { join: true, ..wanted }).unwrap();
    assert_eq!((done.to.as_str(), done.drawers, done.joined), ("Bosun", 2, true));
    assert_eq!(tree(&drawers), ["Bosun/auth 2"]);
    let missing = drawers.rename(&Rename { wing: "atls", to: "x", ..wanted }).unwrap_err();
    assert!(missing.to_string().contains("nothing was written: the nearest names are \"Bosun\""));
}

/// Copies the files of one palace into another, as a person does who merges two copies.
fn copy(from: &Path, to: &Path) {
    for folder in ["open", "sealed", "snap"] {
        std::fs::create_dir_all(to.join(folder)).unwrap();
        let Ok(files) = std::fs::read_dir(from.join(folder)) else { continue };
        for file in files {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(folder).join(file.file_name())).unwrap();
        }
    }
    std::fs::copy(from.join("palace.json"), to.join("palace.json")).unwrap();
}

#[test]
fn renames_made_in_two_copies_show_one_result_when_merged() {
    let races = [[("atlas", "bosun"), ("bosun", "atlas")], [("atlas", "x"), ("atlas", "y")]];
    for (race, [one, other]) in races.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        let drawers = open(&first);
        file(&drawers, "atlas", "r", "one");
        file(&drawers, "bosun", "r", "two");
        drop(drawers);
        copy(&first, &second);
        for (path, (wing, to)) in [(&first, one), (&second, other)] {
            open(path).rename(&Rename { wing, room: None, to, join: true }).unwrap();
        }
        copy(&first, &second);
        copy(&second, &first);
        let [a, b] = [open(&first), open(&second)];
        assert_eq!(tree(&a), tree(&b));
        match race {
            0 => assert_eq!(tree(&a), ["atlas/r 2"], "a circle ends at its first name"),
            _ => {
                assert_eq!((tree(&a).len(), listed(&a, Some("atlas"), None).len()), (2, 1));
                // Each caller was told its name, so both names find the wing, and both file there.
                for (before, name) in [(1, "x"), (2, "y")] {
                    assert_eq!(listed(&a, Some(name), None).len(), before, "{name}");
                    file(&a, name, "r", name);
                }
                assert_eq!((tree(&a).len(), listed(&a, Some("atlas"), None).len()), (2, 3));
                assert_eq!(a.palace.count_conflicts("").unwrap().documents, 0, "none to settle");
            }
        }
    }
}

#[test]
fn many_drawers_are_moved_in_whole_commits_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    let item = |n| Item::new(place("Atlas", "notes"), &format!("text {n}")).unwrap();
    let items: Vec<Item> = (0..1_201).map(item).collect();
    let filed = a.file(&items).unwrap();
    a.write_diary(&DiaryEntry::new("ada", "a day", None, Some("atlas")).unwrap()).unwrap();
    let to = MoveDrawers { wing: Some("atlas"), to_wing: Some("bosun"), ..MoveDrawers::default() };
    let dry = a.move_all(&MoveDrawers { dry_run: true, ..to }, |_, _| panic!()).unwrap();
    assert_eq!((dry.moved, dry.there, dry.entries), (1_201, 0, 1));
    // Another process deletes one while they are moved, and moves another one there.
    let (gone, there) = (filed[1_200].id.clone(), filed[1_199].id.clone());
    let mut steps = Vec::new();
    let last = |filed: &[Filed]| {
        let mut ids: Vec<&String> = filed.iter().map(|one| &one.id).collect();
        ids.sort();
        ids[filed.len() - 1].clone()
    };
    let late = last(&filed);
    let done = a
        .move_all(&to, |done, all| {
            if steps.is_empty() {
                b.delete(std::slice::from_ref(&late)).unwrap();
            }
            steps.push((done, all));
        })
        .unwrap();
    assert_eq!(steps, [(500, 1_201), (1_000, 1_201), (1_201, 1_201)]);
    assert_eq!((done.moved, done.not_found, done.more), (1_200, vec![late], false));
    assert_eq!(tree(&b), ["atlas/diary 1", "bosun/notes 1200"]);
    let again = b.move_all(&to, |_, _| panic!("nothing is left")).unwrap();
    assert_eq!((again.moved, again.there, again.entries), (0, 0, 1));
    let ids = [gone, there];
    let named = MoveDrawers { ids: &ids, wing: None, ..to };
    assert_eq!(b.move_all(&named, |_, _| {}).unwrap().moved, 0);
    let wrong = MoveDrawers { ids: &ids, ..to };
    assert!(matches!(b.move_all(&wrong, |_, _| {}), Err(MemoryError::Argument { .. })));
    let nowhere = MoveDrawers { to_wing: None, ..to };
    assert!(matches!(b.move_all(&nowhere, |_, _| {}), Err(MemoryError::Argument { .. })));
}

#[test]
fn undeleted_drawer_is_as_it_was_with_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()).by(Some("bob/1".into())));
    let filed = file(&a, "atlas", "auth", "first words");
    let change =
        Change { content: Some("second words"), room: Some("history"), ..Change::default() };
    let edited = a.update(&filed.id, change).unwrap().drawer;
    for fold in [false, true] {
        b.delete(std::slice::from_ref(&filed.id)).unwrap();
        assert_eq!(tree(&a), Vec::<String>::new());
        if fold {
            compact(&a);
        }
        let back = a.undelete(&filed.id).unwrap();
        assert_eq!(back.deleted.map(|written| written.by), Some("bob/1".into()));
        assert_eq!(back.drawer.etag, b.get(&filed.id).unwrap().etag);
        let drawer = b.get(&filed.id).unwrap();
        assert_eq!((&drawer.content, &drawer.place), (&edited.content, &edited.place));
        assert_eq!(tree(&a), ["atlas/history 1"]);
        let first = b.get_at(&filed.id, &filed.etag.parse().unwrap()).unwrap();
        assert_eq!(first.content, "first words");
    }
    let again = b.undelete(&filed.id).unwrap();
    assert!(again.deleted.is_none() && again.drawer.content == "second words");
    let none = b.undelete("drawer_w_r_000000000000000000000000");
    assert!(matches!(none, Err(MemoryError::NoDrawer { .. })));
}

#[test]
fn undelete_keeps_conflicts_and_edits_made_beside_the_delete() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(dir.path());
    let filed = file(&drawers, "w", "r", "one\ntwo");
    let base: crate::palace::Etag = filed.etag.parse().unwrap();
    for text in ["one\nTWO", "one\nzwei"] {
        let change = Change { content: Some(text), base: Some(&base), ..Change::default() };
        drawers.update(&filed.id, change).unwrap();
    }
    let before = drawers.get(&filed.id).unwrap();
    assert_eq!(before.conflicts.len(), 1);
    drawers.delete(std::slice::from_ref(&filed.id)).unwrap();
    drawers.undelete(&filed.id).unwrap();
    let after = drawers.get(&filed.id).unwrap();
    assert_eq!((&after.content, after.conflicts.len()), (&before.content, 1));
    // An edit that did not see the delete brings the drawer back itself.
    drawers.delete(std::slice::from_ref(&filed.id)).unwrap();
    let change = Change { content: Some("one!\ntwo"), base: Some(&base), ..Change::default() };
    drawers.update(&filed.id, change).unwrap();
    let now = drawers.undelete(&filed.id).unwrap();
    assert!(now.deleted.is_none() && now.drawer.content.starts_with("one!"));
    let ids: BTreeSet<String> = [now.drawer.id].into();
    assert_eq!(ids, BTreeSet::from([filed.id]));
}
