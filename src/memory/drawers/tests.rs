//! Tests of drawers on real palaces. Two handles of one palace stand for two processes.

use super::*;
use crate::memory::MemoryError;
use crate::palace::compact::CompactOptions;
use crate::palace::{Options, WriteOptions};
use serde_json::Map;

fn open(dir: &tempfile::TempDir) -> Drawers {
    let options = Options::default().auto_compact(false);
    Drawers::new(options.open(dir.path().join("palace")).unwrap())
}

fn item(wing: &str, room: &str, content: &str) -> Item {
    Item::new(Place::new(wing, room).unwrap(), content).unwrap()
}

fn file(drawers: &Drawers, wing: &str, room: &str, content: &str) -> Filed {
    drawers.file(&[item(wing, room, content)]).unwrap().remove(0)
}

fn counted(drawers: &Drawers) -> Vec<(String, String, usize)> {
    let counts = drawers.counts(None).unwrap().into_iter();
    let rooms = counts.flat_map(|(wing, rooms)| {
        rooms.into_iter().map(move |(room, n)| (wing.clone(), room, n)).collect::<Vec<_>>()
    });
    rooms.collect()
}

fn count(wing: &str, room: &str, n: usize) -> (String, String, usize) {
    (wing.to_owned(), room.to_owned(), n)
}

fn found(drawers: &Drawers, search: &Search<'_>) -> Vec<String> {
    drawers.search(search).unwrap().hits.into_iter().map(|hit| hit.drawer.content).collect()
}

/// Compacts everything that was written so far into a snapshot.
fn compact(drawers: &Drawers) {
    assert!(drawers.palace.compact(CompactOptions::default()).unwrap().published.is_some());
}

#[test]
fn drawer_id_is_the_one_of_mempalace() {
    // sha256("atlasauthWe sign tokens.")[:24]
    let dir = tempfile::tempdir().unwrap();
    let filed = file(&open(&dir), "atlas", "auth", "We sign tokens.");
    assert_eq!(filed.id, "drawer_atlas_auth_dc82df40f460e993bdb1ee85");
}

#[test]
fn same_text_filed_in_one_room_by_two_processes_is_one_drawer() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(&dir), open(&dir));
    let said = |by| item("w", "r", "same").said(Some("notes.md"), Some(by)).unwrap();
    // The commits are concurrent: neither handle has seen the write of the other.
    let first = std::thread::scope(|scope| {
        let other = scope.spawn(|| b.file(&[said("b")]).unwrap());
        let mine = a.file(&[said("a")]).unwrap();
        assert_eq!(mine[0].id, other.join().unwrap()[0].id);
        mine
    });
    let drawer = b.get(&first[0].id).unwrap();
    assert!(drawer.conflicts.is_empty(), "{drawer:?}");
    assert_eq!((drawer.content.as_str(), drawer.added_by), ("same", vec!["a".into(), "b".into()]));
    assert_eq!(drawer.source_files, ["notes.md"]);
    let again = file(&a, "w", "r", "same");
    assert_eq!((again.filed, again.etag), (FiledAs::There, drawer.etag), "nothing was written");
    assert_eq!(counted(&a), [count("w", "r", 1)]);
    // Another room, another drawer; twice in one call, one.
    let items = [item("w", "s", "same"), item("w", "s", "same")];
    let filed = a.file(&items).unwrap();
    assert_eq!(filed[0], filed[1]);
    assert_eq!(counted(&a), [count("w", "r", 1), count("w", "s", 1)]);
}

#[test]
fn drawer_id_stays_when_text_and_place_change() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let id = file(&drawers, "my_wing", "my_room", "the first words").id;
    let other = file(&drawers, "my_wing", "my_room", "something else").id;
    for fold in [false, true] {
        let (wing, content) = if fold { ("w3", "third words") } else { ("w2", "second words") };
        let change = Change { wing: Some(wing), content: Some(content), ..Change::default() };
        let done = drawers.update(&id, change).unwrap();
        assert_eq!((done.drawer.id.as_str(), done.changed), (id.as_str(), true));
        assert!(!drawers.update(&id, change).unwrap().changed, "it is like that");
        if fold {
            compact(&drawers);
        }
        assert_eq!(drawers.get(&id).unwrap().content, content);
        assert_eq!(counted(&drawers), [count("my_wing", "my_room", 1), count(wing, "my_room", 1)]);
        let within = |wing| Search { query: "words", wing: Some(wing), ..Search::default() };
        assert_eq!(found(&drawers, &within(wing)), [content]);
        assert!(found(&drawers, &within("my_wing")).is_empty());
        let listed =
            drawers.list(&DrawerQuery { wing: Some(wing), ..DrawerQuery::default() }).unwrap();
        assert_eq!((listed.total, listed.drawers[0].id.as_str()), (1, id.as_str()));
    }
    // No drawer holds the first text now, so filing it again makes a new drawer.
    let again = file(&drawers, "my_wing", "my_room", "the first words");
    assert_eq!(again.filed, FiledAs::New);
    assert_ne!(again.id, id);
    assert_eq!(drawers.get(&again.id).unwrap().content, "the first words");
    assert_eq!(drawers.get(&id).unwrap().content, "third words");
    assert_eq!(drawers.get(&other).unwrap().content, "something else");
}

#[test]
fn deleted_drawer_filed_again_has_its_first_text() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let id = file(&drawers, "w", "r", "as filed").id;
    drawers.update(&id, Change { content: Some("edited"), ..Change::default() }).unwrap();
    let none = "drawer_w_r_000000000000000000000000".to_owned();
    let done = drawers.delete(&[id.clone(), none.clone(), id.clone()]).unwrap();
    assert_eq!((done.deleted.len(), done.not_found), (1, vec![none]));
    for fold in [false, true] {
        if fold {
            compact(&drawers);
        }
        assert!(matches!(drawers.get(&id), Err(MemoryError::NoDrawer { .. })));
        assert_eq!(counted(&drawers), [], "a deleted drawer is not counted, fold: {fold}");
        assert!(found(&drawers, &Search { query: "edited", ..Search::default() }).is_empty());
    }
    let gone = drawers.update(&id, Change { content: Some("x"), ..Change::default() });
    assert!(matches!(gone, Err(MemoryError::NoDrawer { .. })));
    let again = file(&drawers, "w", "r", "as filed");
    assert_eq!((again.id.as_str(), again.filed), (id.as_str(), FiledAs::New));
    assert_eq!(drawers.get(&id).unwrap().content, "as filed");
    assert_eq!(counted(&drawers), [count("w", "r", 1)]);
}

#[test]
fn text_behind_a_deleted_drawer_is_found_when_filed_again() {
    for fold in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let drawers = open(&dir);
        let first = file(&drawers, "w", "r", "the text").id;
        drawers.update(&first, Change { content: Some("another"), ..Change::default() }).unwrap();
        let second = file(&drawers, "w", "r", "the text").id;
        assert_ne!(first, second);
        drawers.delete(std::slice::from_ref(&first)).unwrap();
        if fold {
            compact(&drawers);
        }
        let again = file(&drawers, "w", "r", "the text");
        assert_eq!((again.id.as_str(), again.filed), (second.as_str(), FiledAs::There));
        assert_eq!(counted(&drawers), [count("w", "r", 1)], "the text is there once");
        drawers.delete(std::slice::from_ref(&second)).unwrap();
        let again = file(&drawers, "w", "r", "the text");
        assert_eq!((again.id.as_str(), again.filed), (first.as_str(), FiledAs::New));
    }
}

#[cfg(feature = "mcp")]
#[test]
fn imported_drawer_is_found_behind_others_of_the_same_text() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let change = |id: &str, content| {
        drawers.update(id, Change { content: Some(content), ..Change::default() }).unwrap();
    };
    let import = || {
        let content = import::ForeignContent::Drawer(item("w", "r", "the text"));
        let (id, known) = ("old".to_owned(), Map::new());
        drawers
            .import(&[import::ForeignDrawer { id, content, filed_ms: None, offset: None, known }])
            .unwrap()
            .remove(0)
    };
    let first = file(&drawers, "w", "r", "the text").id;
    change(&first, "another");
    let import::ImportedDrawer::New(second) = import() else { panic!("it is new here") };
    assert_ne!(first, second);
    change(&second, "edited here");
    let there = import::ImportedDrawer::Known(second.clone());
    change(&first, "the text");
    assert_eq!(import(), there, "noted there, although this is its text");
    drawers.delete(std::slice::from_ref(&first)).unwrap();
    assert_eq!(import(), there, "behind one that was deleted");
    assert_eq!(drawers.get(&second).unwrap().content, "edited here");
    assert_eq!(counted(&drawers), [count("w", "r", 1)]);
    drawers.delete(std::slice::from_ref(&second)).unwrap();
    assert_eq!(
        import(),
        import::ImportedDrawer::New(first),
        "a drawer that was deleted here comes back"
    );
}

#[test]
fn concurrent_texts_are_both_shown_until_one_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let a = open(&dir);
    let id = file(&a, "w", "r", "before").id;
    let key = place::keys_of(&id).remove(0);
    let base = a.palace.get(key.as_str()).unwrap().unwrap().etag;
    // Two processes do the same when neither sees the other's write.
    for content in ["one", "two"] {
        let options = WriteOptions::new().base(base.clone());
        let patch = Map::from_iter([("content".to_owned(), content.into())]);
        open(&dir).palace.with(options.clone()).patch(key.as_str(), &patch).unwrap();
    }
    let drawer = a.get(&id).unwrap();
    let hidden = drawer.conflicts[0].others[0].value.as_str().unwrap().to_owned();
    let mut both = [drawer.content, hidden.clone()];
    both.sort();
    assert_eq!(both, ["one", "two"]);
    let done = a.update(&id, Change { room: Some("s"), ..Change::default() }).unwrap();
    assert_eq!((done.settled.len(), done.drawer.conflicts.len()), (0, 1), "not what it is about");
    let done = a.update(&id, Change { content: Some("both"), ..Change::default() }).unwrap();
    assert_eq!(done.settled[0].others[0].value, hidden.as_str());
    assert!(done.drawer.conflicts.is_empty());
}

#[test]
fn search_pages_rank_by_words_and_have_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    file(&drawers, "w", "one", "the token of the login expires");
    file(&drawers, "w", "two", "token refresh: the login asks for a new token");
    // Three words, and a low score.
    let long = format!("token refresh login {}", "filler ".repeat(2_000));
    file(&drawers, "w", "two", &long);
    compact(&drawers);
    file(&drawers, "w", "one", "refresh the page");
    file(&drawers, "v", "one", "nothing of it");
    for n in 0..7 {
        file(&drawers, "w", "many", &format!("login number{n}"));
    }
    let query = "how does the token refresh after login?";
    let whole = Search { query, limit: 100, ..Search::default() };
    let before = found(&drawers, &whole);
    assert_eq!(before.len(), 11, "{before:?}");
    assert_eq!(before[0], "token refresh: the login asks for a new token");
    assert_eq!(before[1], long);
    assert_eq!(before[2], "the token of the login expires");
    compact(&drawers);
    assert_eq!(found(&drawers, &whole), before, "the rank does not depend on where drawers live");
    let (mut paged, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let search = Search { limit: 3, after: cursor.as_deref(), ..whole };
        let page = drawers.search(&search).unwrap();
        cursor = page.hits.last().map(|hit| hit.next.clone());
        paged.extend(page.hits.into_iter().map(|hit| hit.drawer.content));
        // Drawers that are filed between two pages move none of the older hits.
        file(&drawers, "other", "one", &format!("unrelated {}", paged.len()));
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, before);
    let one = Search { room: Some("one"), wing: Some("w"), ..whole };
    assert_eq!(found(&drawers, &one), [before[2].as_str(), "refresh the page"]);
}

#[test]
fn search_filters_by_prefix_time_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let id = file(
        &drawers,
        "atlas",
        "auth",
        &format!("{} needle {}", "hay ".repeat(300), "straw ".repeat(300)),
    )
    .id;
    let now = drawers.get(&id).unwrap().filed_ms.unwrap();
    let via = |query| {
        let found = drawers.search(&Search { query, ..Search::default() }).unwrap();
        found.hits.into_iter().map(|hit| (hit.matched_via, hit.snippet)).next().unwrap()
    };
    let (place, snippet) = via("needle");
    assert_eq!(place, "content");
    assert!(snippet.contains("needle") && snippet.chars().count() < 450, "{snippet}");
    assert!(snippet.starts_with('…') && snippet.ends_with('…'), "{snippet}");
    assert_eq!(via("auth").0, "metadata");
    assert_eq!(via("atlas needl*").0, "content+metadata");
    let at =
        |since_ms, before_ms| Search { query: "needle", since_ms, before_ms, ..Search::default() };
    assert_eq!(found(&drawers, &at(Some(now), Some(now + 1))).len(), 1);
    assert_eq!(found(&drawers, &at(Some(now + 1), None)).len(), 0);
    assert_eq!(found(&drawers, &at(None, Some(now))).len(), 0);
    let long = "x".repeat(QUERY_CHARS_MAX + 1);
    assert!(drawers.search(&Search { query: &long, ..Search::default() }).is_err());
    let bad = Search { query: "needle", after: Some("nonsense"), ..Search::default() };
    assert!(drawers.search(&bad).unwrap_err().to_string().contains("cursor"));
}

#[test]
fn duplicates_have_the_same_words_or_nearly() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let text: Vec<String> = (0..100).map(|n| format!("word{n}")).collect();
    let id = file(&drawers, "w", "r", &text.join(" ")).id;
    file(&drawers, "w", "r", "word1 of something else entirely");
    let near = |content: &str, threshold| drawers.duplicates(content, threshold).unwrap();
    assert_eq!(near(&text.join(", ").to_uppercase(), 1.0)[0].drawer.id, id);
    let mut changed = text.clone();
    changed[50] = "another".to_owned();
    let found = near(&changed.join(" "), 0.9);
    assert_eq!(found[0].drawer.id, id);
    assert!((0.93..0.95).contains(&found[0].similarity), "{}", found[0].similarity);
    assert!(near(&changed.join(" "), 0.95).is_empty());
    let half = [&text[..50], &changed[50..51]].concat().join(" ");
    assert!(near(&half, 0.9).is_empty() && near(&half, 0.4).len() == 1);
    assert!(drawers.duplicates("x", 0.0).is_err() && drawers.duplicates("x", 1.1).is_err());
    assert_eq!(
        (similarity("a b", "a b"), similarity("", "a"), similarity("a", "b")),
        (1.0, 0.0, 0.0)
    );
}

#[test]
fn drawers_deleted_before_a_compaction_hide_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let texts: Vec<String> = (0..12).map(|n| format!("token token number{n}")).collect();
    let ids: Vec<String> = texts.iter().map(|text| file(&drawers, "w", "r", text).id).collect();
    compact(&drawers);
    drawers.delete(&ids[..11]).unwrap();
    let change = Change { content: Some("words of another kind"), ..Change::default() };
    drawers.update(&ids[11], change).unwrap();
    let live = format!("the only token that is left {}", "filler ".repeat(300));
    file(&drawers, "w", "r", &live);
    for fold in [false, true] {
        if fold {
            compact(&drawers);
        }
        for limit in [1, 10, 13] {
            let search = Search { query: "token", limit, ..Search::default() };
            let hits = drawers.search(&search).unwrap();
            assert!(!hits.more, "fold: {fold}, {limit}");
            assert_eq!(found(&drawers, &search), [live.as_str()], "fold: {fold}, {limit}");
        }
        let kind = Search { query: "another kind", ..Search::default() };
        assert_eq!(found(&drawers, &kind), ["words of another kind"], "once, fold: {fold}");
        let counts = drawers.counts(None).unwrap();
        assert_eq!(counts["w"]["r"], 2, "fold: {fold}");
        assert_eq!(drawers.list(&DrawerQuery::default()).unwrap().drawers.len(), 2);
    }
}

#[test]
fn duplicates_are_searched_in_present_texts() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let text = "we sign tokens with RSA";
    let id = file(&drawers, "w", "r", text).id;
    // There are more of these than are compared, and each ranks above the drawer.
    let similar = |n| format!("sign tokens tokens {n}");
    let others: Vec<_> = (0..60).map(|n| item("w", "r", &similar(n))).collect();
    let others = drawers.file(&others).unwrap();
    compact(&drawers);
    let others: Vec<String> = others.into_iter().map(|filed| filed.id).collect();
    drawers.delete(&others).unwrap();
    drawers.update(&id, Change { room: Some("s"), ..Change::default() }).unwrap();
    compact(&drawers);
    for asked in [text, "sign tokens"] {
        let found = drawers.duplicates(asked, 0.01).unwrap();
        let found: Vec<_> =
            found.into_iter().map(|like| (like.drawer.id, like.similarity)).collect();
        assert_eq!(found.len(), 1, "{asked}: {found:?}");
        assert_eq!(found[0].0, id);
    }
}

#[test]
fn list_pages_have_no_gap_while_drawers_are_filed() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let mut ids: Vec<String> =
        (0..9).map(|n| file(&drawers, "w", "r", &format!("text {n}")).id).collect();
    compact(&drawers);
    ids.push(file(&drawers, "w", "r", "in the tail").id);
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = drawers
            .list(&DrawerQuery {
                wing: Some("w"),
                after: cursor.as_deref(),
                limit: 4,
                ..DrawerQuery::default()
            })
            .unwrap();
        seen.extend(page.drawers.into_iter().map(|drawer| drawer.id));
        file(&drawers, "a", "before all", &format!("new {}", seen.len()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    ids.sort();
    assert_eq!(seen, ids);
    let page = drawers
        .list(&DrawerQuery { room: Some("r"), offset: 8, ..DrawerQuery::default() })
        .unwrap();
    assert_eq!((page.drawers.len(), page.total), (2, 10));
    assert!(
        drawers.list(&DrawerQuery { after: Some("nonsense"), ..DrawerQuery::default() }).is_err()
    );
}

#[test]
fn diary_keeps_every_entry_and_is_searchable() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(&dir), open(&dir));
    let entry = |text, wing| DiaryEntry::new("Scout", text, None, wing).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..5).for_each(|_| drop(a.write_diary(&entry("the same", None)).unwrap())));
        scope.spawn(|| (0..5).for_each(|_| drop(b.write_diary(&entry("the same", None)).unwrap())));
    });
    let id = a.write_diary(&entry("elsewhere", Some("atlas"))).unwrap().id;
    assert!(id.starts_with("diary_atlas_2"), "{id}");
    a.write_diary(&DiaryEntry::new("Other", "not mine", Some("t"), Some("atlas")).unwrap())
        .unwrap();
    let page = b.read_diary("Scout", None, 3).unwrap();
    assert_eq!((page.total, page.entries.len()), (11, 3));
    assert_eq!(page.entries[0].id, id, "the newest first");
    assert_eq!(b.read_diary("Scout", Some("wing_scout"), 100).unwrap().entries.len(), 10);
    assert_eq!(counted(&b), [count("atlas", "diary", 2), count("wing_scout", "diary", 10)]);
    let hit = &b.search(&Search { query: "elsewhere", ..Search::default() }).unwrap().hits[0];
    assert_eq!(hit.drawer.diary, Some(("Scout".to_owned(), "general".to_owned())));
    assert!(a.update(&id, Change { content: Some("x"), ..Change::default() }).is_err());
    assert_eq!(a.delete(std::slice::from_ref(&id)).unwrap().deleted.len(), 1);
    assert_eq!(b.read_diary("Scout", None, 100).unwrap().total, 10);
}

#[test]
fn bad_names_and_texts_are_refused_with_a_remedy() {
    let long = "n".repeat(129);
    for (wing, room, word) in [
        ("", "r", "empty"),
        ("w", "a/b", "letters"),
        ("w", "a\nb", "letters"),
        ("w", "..", "letters"),
        ("w", "a..b", "letters"),
        ("_w", "r", "letter or digit at both ends"),
        (long.as_str(), "r", "128"),
    ] {
        let error = Place::new(wing, room).unwrap_err().to_string();
        assert!(error.contains(word), "{wing:?} {room:?}: {error}");
    }
    let (wide, place) = ("語".repeat(128), Place::new(" Ада's wing-2 ", "r").unwrap());
    assert_eq!(place.wing, "Ада's wing-2");
    assert!(Place::new(&wide, &wide).unwrap_err().to_string().contains("shorten"));
    let fits = Item::new(place.clone(), &"ö".repeat(CONTENT_CHARS_MAX));
    assert!(fits.is_ok());
    let error = Item::new(place.clone(), &"x".repeat(CONTENT_CHARS_MAX + 1)).unwrap_err();
    assert!(error.to_string().contains("split it"), "{error}");
    assert!(Item::new(place, " \n").is_err());
}

#[test]
fn longest_place_and_largest_drawer_are_filed_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let drawers = open(&dir);
    let (wing, room) = ("w".repeat(128), "r_".repeat(63) + "rr");
    let filed = file(&drawers, &wing, &room, &"ö\"".repeat(CONTENT_CHARS_MAX / 2));
    assert_eq!(drawers.get(&filed.id).unwrap().place, Place::new(&wing, &room).unwrap());
    let many: Vec<Item> =
        (0..60).map(|n| item("w", "r", &format!("{n}{}", "x".repeat(99_000)))).collect();
    assert!(drawers.file(&many).unwrap_err().to_string().contains("several calls"));
    assert_eq!(drawers.file(&many[..40]).unwrap().len(), 40);
}

/// An answer may rest on the write of another process that is not durable yet. Before the answer, it must be.
#[test]
fn drawer_answers_rest_on_durable_state() {
    use crate::fs::sim::SimDisk;
    use crate::palace::{Palace, WriteOptions};
    use std::sync::Arc;

    let disk = SimDisk::new(1);
    let open = || -> Palace {
        Options::default().fs(Arc::new(disk.process())).auto_compact(false).open("/p").unwrap()
    };
    let (theirs, ours) = (open(), Drawers::new(open()));
    let kept = ours.file(&[item("w", "r", "kept"), item("w", "r", "deleted")]).unwrap();
    let [kept, deleted] = &kept[..] else { panic!("two were filed") };
    let key = |id: &str| ours.document(id).unwrap().unwrap().key;
    let (kept_key, deleted_key) = (key(&kept.id), key(&deleted.id));
    let buffered = WriteOptions::new().buffered();
    let each_cut = |holds: &dyn Fn(&Drawers) -> bool| {
        (0..20).all(|cut| {
            let fork = disk.fork();
            fork.power_cut(cut);
            let options = Options::default().fs(Arc::new(fork.process())).auto_compact(false);
            holds(&Drawers::new(options.open("/p").unwrap()))
        })
    };
    theirs.with(buffered.clone()).delete(deleted_key.as_str()).unwrap();
    assert!(!each_cut(&|found| found.get(&deleted.id).is_err()), "the cuts cut nothing off");
    let gone = ours.delete(std::slice::from_ref(&deleted.id)).unwrap();
    assert_eq!(gone.not_found, std::slice::from_ref(&deleted.id));
    assert!(each_cut(&|found| found.get(&deleted.id).is_err()), "what was said to be gone is back");
    let more = serde_json::json!({"content": "kept, changed"});
    theirs.with(buffered.clone()).patch(kept_key.as_str(), more.as_object().unwrap()).unwrap();
    let is_changed = |found: &Drawers| found.get(&kept.id).unwrap().content == "kept, changed";
    assert!(!each_cut(&is_changed), "the cuts cut nothing off");
    ours.await_durable(std::slice::from_ref(&kept.id)).unwrap();
    assert!(each_cut(&is_changed));
}
