//! `crdt-palace export --format jsonl`, and `import` that takes it back.

use crate::client::{PALACE, code, run, stderr, stdout};
use crdt_palace::memory::drawers::{Change, DiaryEntry, DrawerQuery, Drawers, Item, Place, Rename};
use crdt_palace::memory::facts::{FactQuery, Facts, Source, Triple};
use crdt_palace::memory::{Entity, Memory, Relation};
use crdt_palace::palace::{Palace, WriteOptions};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Writes something of every kind, by two clients.
fn write(path: &Path) {
    let palace = Palace::open(path).unwrap();
    let by = |name: &str| Some(format!("{name}/1.0 (crdt-palace 0.2.0)"));
    let (ann, bob) =
        (Drawers::new(palace.clone()).by(by("ann")), Drawers::new(palace.clone()).by(by("bob")));
    let item = |wing, room, text| Item::new(Place::new(wing, room).unwrap(), text).unwrap();
    let filed = item("atlas", "decisions", "# Keys\n\u{1b}[31m We sign with RSA.\r\n");
    let filed = filed.said(Some("/home/ann/adr 7.md"), Some("ann")).unwrap();
    let ids = ann.file(&[filed, item("atlas", "decisions", "gone"), item("b", "c", "x")]).unwrap();
    bob.update(&ids[0].id, Change { room: Some("history"), ..Change::default() }).unwrap();
    bob.update(&ids[2].id, Change { content: Some("edited"), ..Change::default() }).unwrap();
    ann.delete(std::slice::from_ref(&ids[1].id)).unwrap();
    ann.rename(&Rename { wing: "b", room: None, to: "Beacon", join: false }).unwrap();
    ann.write_diary(&DiaryEntry::new("ann", "Quiet.", Some("auth"), None).unwrap()).unwrap();
    let facts = Facts::new(palace.clone()).by(by("ann"));
    let signs = Triple::new("atlas", "signs with", "RSA").unwrap();
    let source = Source { file: Some("adr/7.md".into()), ..Source::default() };
    facts.assert(&signs, Some("2026-01-01T00:00:00Z"), None, Some(&source)).unwrap();
    facts.by(by("bob")).replace(&signs, "Ed25519", Some("2026-03-01T10:00:00+09:00")).unwrap();
    let memory = Memory::new(palace.clone()).by(by("bob"));
    let entity = |name: &str| Entity {
        name: name.into(),
        entity_type: "project".into(),
        observations: vec!["is old".into()],
    };
    memory.create_entities(&[entity("atlas"), entity("RSA")]).unwrap();
    let knows = Relation { from: "atlas".into(), to: "RSA".into(), relation_type: "used".into() };
    memory.create_relations(&[knows]).unwrap();
    let shared = palace.with(WriteOptions::new().by("bob/1.0"));
    shared.put("notes/plan", &json!({"title": "Plan", "list": [1, 2.5, null, {"a": ""}]})).unwrap();
}

fn export(path: &Path) -> Vec<Value> {
    let output = run(PALACE, &["export", "--format", "jsonl", "--palace", path.to_str().unwrap()]);
    assert_eq!(stderr(&output), "");
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn import(from: &Path, to: &Path) -> Output {
    run(PALACE, &["import", from.to_str().unwrap(), "--palace", to.to_str().unwrap()])
}

/// The records without the time of the last change, which is history.
fn timeless(mut records: Vec<Value>) -> Vec<Value> {
    for record in &mut records {
        record.as_object_mut().unwrap().remove("time").unwrap();
    }
    records
}

fn save(records: &[Value], file: &Path) {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    fs::write(file, lines.join("\n")).unwrap();
}

#[test]
fn export_is_taken_back_with_texts_ids_places_times_and_authors() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, piped] = ["old", "new", "piped"].map(|name| dir.path().join(name));
    write(&old);
    let (records, file) = (export(&old), dir.path().join("all.jsonl"));
    save(&records, &file);
    let output = import(&file, &new);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("imported {} documents; 0 were", records.len())));
    assert_eq!(timeless(export(&new)), timeless(records.clone()));
    // What a reader sees is the same, also by ways that the records do not show.
    let seen = |path: &Path| {
        let palace = Palace::open(path).unwrap();
        let drawers = Drawers::new(palace.clone());
        let listed = drawers.list(&DrawerQuery::default()).unwrap().drawers.into_iter();
        let listed: Vec<_> = listed
            .map(|it| {
                let by = it.modified.unwrap().by;
                (it.id, it.place, it.content, it.filed_ms, it.source_files, it.added_by, by)
            })
            .collect();
        let mut facts = Facts::new(palace.clone()).about(&FactQuery::default()).unwrap().facts;
        facts.iter_mut().for_each(|fact| fact.etag.clear());
        let graph = Memory::new(palace.clone()).read_graph().unwrap();
        let diary = drawers.read_diary("ann", None, 10).unwrap().entries.remove(0);
        let diary = (diary.id, diary.content, diary.diary, diary.filed_ms);
        (listed, drawers.counts(None).unwrap(), facts, graph, diary)
    };
    assert_eq!(seen(&old), seen(&new));

    let piping = Command::new(PALACE)
        .args(["import", "-", "--palace"])
        .arg(&piped)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut piping = piping.unwrap();
    piping.stdin.take().unwrap().write_all(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(code(&piping.wait_with_output().unwrap()), Some(0));
    assert_eq!(timeless(export(&piped)), timeless(records));
}

#[test]
fn import_changes_nothing_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("p"), dir.path().join("all.jsonl"));
    write(&path);
    let records = export(&path);
    save(&records, &file);
    let again = import(&file, &path);
    let said = format!("imported 0 documents; {} were there already", records.len());
    assert!(stderr(&again).contains(&said), "{}", stderr(&again));
    let drawers = Drawers::new(Palace::open(&path).unwrap());
    let all = drawers.list(&DrawerQuery::default()).unwrap().drawers;
    let [edited, gone] = [&all[0], &all[1]];
    let change = Change { content: Some("newer"), ..Change::default() };
    drawers.update(&edited.id, change).unwrap();
    drawers.delete(std::slice::from_ref(&gone.id)).unwrap();
    let output = import(&file, &path);
    assert_eq!(code(&output), Some(1));
    let said = stderr(&output);
    assert!(said.contains(&format!("{}: it is different here", edited.id)), "{said}");
    assert!(said.contains("imported 1 document; "), "{said}");
    assert_eq!(drawers.get(&edited.id).unwrap().content, "newer");
    assert_eq!(drawers.get(&gone.id).unwrap().content, gone.content);
}

#[test]
fn bad_records_are_named_and_the_others_imported() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("p"), dir.path().join("all.jsonl"));
    let record = |key: &str, value: Value| json!({"schema": 1, "key": key, "value": value});
    let long = "x".repeat(2 << 20);
    let lines = [
        record("notes/a", json!({"a": 1})),
        json!({"schema": 2, "key": "notes/b", "value": {}}),
        record("bad\nkey", json!({})),
        record("notes/long", json!({"a": long})),
        record("notes/c", json!({"c": 3})),
        record("notes/c", json!({"c": 4})),
    ];
    save(&lines, &file);
    let output = import(&file, &path);
    let said = stderr(&output);
    assert_eq!(code(&output), Some(1), "{said}");
    assert!(said.contains("line 2: not imported: its schema is 2"), "{said}");
    assert!(said.contains("line 3: not imported: "), "{said}");
    assert!(said.contains("notes/long: not imported: "), "{said}");
    assert!(said.contains("notes/c: it is different here"), "{said}");
    assert!(said.contains("imported 2 documents; 0 were there already"), "{said}");
    let palace = Palace::open(&path).unwrap();
    assert_eq!(palace.get("notes/c").unwrap().unwrap().value["c"], 3);
}

#[test]
fn markdown_is_taken_back_and_links_entities() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, pages] = ["old", "new", "pages"].map(|name| dir.path().join(name));
    write(&old);
    let drawers = Drawers::new(Palace::open(&old).unwrap());
    // Texts with one title, texts that look like a page, and places that differ in case only.
    let texts = ["Twin\na", "twin\nb", "---\nid: x\ncrdt_palace:\n  - {}\n---\n\nx\n", "\n\nx\n\n"];
    let items = texts.map(|text| Item::new(Place::new("Same", "Room").unwrap(), text).unwrap());
    drawers.file(&items).unwrap();
    let other = Item::new(Place::new("same", "room").unwrap(), "twin\nc").unwrap();
    drawers.file(&[other]).unwrap();
    let to = pages.to_str().unwrap();
    let exported =
        || run(PALACE, &["export", "--format", "markdown", to, "--palace", old.to_str().unwrap()]);
    assert_eq!(
        (stdout(&exported()), stderr(&exported()).contains("it is not empty")),
        (String::new(), true)
    );
    let read = |page: &str| fs::read_to_string(pages.join(page)).unwrap();
    let atlas = read("entities/atlas.md");
    assert!(atlas.contains("\n- signs with [[RSA]], from 2026-01-01"), "{atlas}");
    assert!(atlas.contains("\n- used [[RSA]]\n") && atlas.contains("\n- is old\n"), "{atlas}");
    let drawer = read("drawers/atlas/history/Keys.md");
    assert!(drawer.ends_with("\n---\n\n# Keys\n\u{1b}[31m We sign with RSA.\r\n\n"), "{drawer:?}");
    assert!(drawer.contains("\nadded_by: [\"ann\"]\n"), "{drawer}");
    fs::create_dir(pages.join(".obsidian")).unwrap();
    fs::write(pages.join("mine.md"), "---\ntags: []\n---\nA page of my own.").unwrap();

    let output = import(&pages, &new);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(timeless(export(&new)), timeless(export(&old)));
    let broken = read("entities/RSA.md").replace("\"schema\":1", "\"schema\":9");
    fs::write(pages.join("entities/RSA.md"), broken).unwrap();
    let output = import(&pages, &new);
    assert_eq!(code(&output), Some(1));
    let said = "entities/RSA.md: not imported: its schema is 9";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
}

#[test]
fn lines_with_what_no_value_keeps_are_reported_and_not_imported() {
    let dir = tempfile::tempdir().unwrap();
    let (file, palace) = (dir.path().join("e.jsonl"), dir.path().join("palace"));
    let line = |key: &str, value: &str| {
        format!(
            r#"{{"schema":1,"kind":"document","id":"{key}","key":"{key}","by":"a","value":{value}}}"#
        )
    };
    let lines = [
        line("good", r#"{"n":18446744073709551615,"f":0.1}"#),
        line("large", r#"{"n":12345678901234567890123}"#),
        line("twice", r#"{"n":1,"n":2}"#),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let imported = import(&file, &palace);
    let said = stderr(&imported);
    assert_eq!(code(&imported), Some(1), "{said}");
    let large = "value.n is 12345678901234567890123, which would be kept as 1.2345678901234568e+22";
    assert!(said.contains(large) && said.contains("value.n stands there twice"), "{said}");
    let keys: Vec<Value> = export(&palace).into_iter().map(|it| it["key"].clone()).collect();
    assert_eq!(keys, ["good"]);
}

/// Imports files as editors, cut texts and broken copies leave them.
#[test]
fn damaged_lines_of_an_export_do_not_stop_the_others() {
    let good = |n: u32| json!({"schema": 1, "key": format!("notes/{n}"), "value": {"n": n}});
    let half = r#"{"schema":1,"key":"notes/half","value":{"text":"cut \ud83d"}}"#;
    let (one, two) = (good(1).to_string(), good(2).to_string());
    let cut = &one[..one.len() - 9];
    // The beginning of a file, the number of bad lines and what is said of each.
    let cases = [
        (String::new(), 0, vec![]),
        ("\u{feff}".to_owned(), 0, vec![]),
        ("\n \r\n\u{feff}\n".to_owned(), 0, vec![]),
        (format!("{half}\n"), 0, vec!["line 1: it has half a character", "U+FFFD was taken"]),
        (format!("\u{feff}{half}\n"), 0, vec!["line 1: it has half a character"]),
        (format!("{cut}\n"), 1, vec!["line 1: not imported: ", "is no JSON"]),
        ("garbage\n{}\n".to_owned(), 2, vec!["line 1: not imported: \"garbage\" is no JSON"]),
        (format!("{}\n", "x".repeat(200)), 1, vec!["line 1: not imported: "]),
    ];
    for (begin, bad, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("p"), dir.path().join("all.jsonl"));
        fs::write(&file, format!("{begin}{one}\n\n{half}\n{two}\n")).unwrap();
        let output = import(&file, &path);
        let said = stderr(&output);
        assert_eq!(code(&output), Some(i32::from(bad > 0)), "{begin:?}: {said}");
        assert_eq!(said.matches("not imported: ").count(), bad, "{begin:?}: {said}");
        assert!(words.iter().all(|it| said.contains(it)), "{begin:?}: {said}");
        assert!(said.contains(": it has half a character, such as \"\\ud83d\""), "{said}");
        let palace = Palace::open(&path).unwrap();
        for n in 1..3 {
            assert_eq!(palace.get(&format!("notes/{n}")).unwrap().unwrap().value["n"], n);
        }
        assert_eq!(palace.get("notes/half").unwrap().unwrap().value["text"], "cut \u{fffd}");
    }
}

/// The first line that tells anything decides, and one of another form stays a bad line.
#[test]
fn first_line_that_tells_decides_what_a_file_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("p"), dir.path().join("some.jsonl"));
    let record = json!({"schema": 1, "key": "notes/a", "value": {}}).to_string();
    let entity = r#"{"type":"entity","name":"a","entityType":"t","observations":[]}"#;
    fs::write(&file, format!("\n\u{feff}garbage\n{entity}\n{record}\n")).unwrap();
    let said = stderr(&import(&file, &path));
    assert!(said.contains(":4: not imported: ") && said.contains("imported 1 entity"), "{said}");
    fs::write(&file, format!("\u{feff}\n{record}\n{entity}\n")).unwrap();
    let said = stderr(&import(&file, &path));
    assert!(said.contains("line 3: not imported: missing field `schema`"), "{said}");
    assert!(said.contains("imported 1 document;"), "{said}");
}

#[test]
fn pages_take_halves_of_characters_and_marks_too() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, pages] = ["old", "new", "pages"].map(|name| dir.path().join(name));
    Palace::open(&old).unwrap().put("notes/a", &json!({"text": "half"})).unwrap();
    let to = pages.to_str().unwrap();
    let export = ["export", "--format", "markdown", to, "--palace", old.to_str().unwrap()];
    stdout(&run(PALACE, &export));
    let page = fs::read_dir(pages.join("documents")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&page).unwrap();
    let record = text.replace(r#"{"text":"half"}"#, r#"{"text":"\ud83d"}"#);
    assert_ne!(record, text);
    fs::write(&page, format!("\u{feff}{record}")).unwrap();
    let output = import(&pages, &new);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(".md: it has half a character"), "{}", stderr(&output));
    let found = Palace::open(&new).unwrap().get("notes/a").unwrap().unwrap();
    assert_eq!(found.value["text"], "\u{fffd}");
}
