//! Tests of the graph on real palaces.

use super::*;
use crate::memory::MemoryError;
use crate::palace::{Options, Palace, WriteOptions};
use serde_json::json;
use std::sync::Arc;

fn open(dir: &tempfile::TempDir) -> Memory {
    Memory::new(Palace::open(dir.path().join("palace")).unwrap())
}

fn entity(name: &str, observations: &[&str]) -> Entity {
    let observations = observations.iter().map(|text| (*text).to_owned()).collect();
    Entity { name: name.to_owned(), entity_type: "thing".to_owned(), observations }
}

fn relation(from: &str, to: &str) -> Relation {
    Relation { from: from.to_owned(), to: to.to_owned(), relation_type: "knows".to_owned() }
}

fn addition(name: &str, texts: &[&str]) -> Addition {
    let contents = texts.iter().map(|text| (*text).to_owned()).collect();
    Addition { entity_name: name.to_owned(), contents }
}

#[test]
fn existing_entity_is_skipped_and_deleted_one_created_anew() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    let made = memory.create_entities(&[entity("a", &["1", "1"]), entity("a", &["2"])]).unwrap();
    assert_eq!(made, [entity("a", &["1"])]);
    assert_eq!(memory.create_entities(&[entity("a", &["3"])]).unwrap(), []);
    assert_eq!(memory.read_graph().unwrap().entities, [entity("a", &["1"])]);
    memory.delete_entities(&["a".into()]).unwrap();
    assert_eq!(memory.read_graph().unwrap(), Graph::default());
    assert_eq!(memory.create_entities(&[entity("a", &["4"])]).unwrap().len(), 1);
    assert_eq!(memory.read_graph().unwrap().entities, [entity("a", &["4"])]);
    memory.delete_entities(&["a".into()]).unwrap();
    assert_eq!(memory.create_entities(&[entity("a", &["4"])]).unwrap().len(), 1);
    assert_eq!(memory.read_graph().unwrap().entities, [entity("a", &["4"])]);
}

#[test]
fn relation_needs_both_ends_and_exists_once() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    memory.create_entities(&[entity("a", &[]), entity("b", &[])]).unwrap();
    let error = memory.create_relations(&[relation("a", "b"), relation("a", "c")]).unwrap_err();
    assert!(error.to_string().contains("\"c\""), "{error}");
    assert_eq!(memory.read_graph().unwrap().relations, []);
    let made = memory.create_relations(&[relation("a", "b"), relation("a", "b")]).unwrap();
    assert_eq!(made, [relation("a", "b")]);
    assert_eq!(memory.create_relations(&[relation("a", "b")]).unwrap(), []);
    assert_eq!(memory.delete_relations(&[relation("a", "b"), relation("b", "a")]).unwrap(), 1);
    assert_eq!(memory.read_graph().unwrap().relations, []);
    assert_eq!(memory.create_relations(&[relation("a", "b")]).unwrap().len(), 1);
}

#[test]
fn entity_and_its_relations_are_deleted_in_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    memory.create_entities(&[entity("a", &[]), entity("b", &[]), entity("c", &[])]).unwrap();
    memory.create_relations(&[relation("a", "b"), relation("b", "c"), relation("c", "a")]).unwrap();
    let before = memory.palace().cursor_now().unwrap();
    let deleted = memory.delete_entities(&["a".into(), "x".into()]).unwrap();
    assert_eq!(deleted.deleted, ["a"]);
    assert_eq!(deleted.not_found, ["x"]);
    assert_eq!(memory.palace().changes_since(&before, 10).unwrap().commits.len(), 1);
    memory.create_entities(&[entity("a", &[])]).unwrap();
    assert_eq!(memory.read_graph().unwrap().relations, [relation("b", "c")]);
}

#[test]
fn relation_without_one_of_its_entities_is_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    memory.create_entities(&[entity("a", &[]), entity("b", &[])]).unwrap();
    memory.create_relations(&[relation("a", "b")]).unwrap();
    memory.palace().delete("entity/b").unwrap();
    assert_eq!(memory.read_graph().unwrap().relations, []);
    assert_eq!(memory.open_nodes(&["a".into()]).unwrap().relations, []);
    assert_eq!(memory.search_nodes("a").unwrap().relations, []);
}

#[test]
fn observation_is_added_once_and_deleted_completely() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    memory.create_entities(&[entity("a", &["1"])]).unwrap();
    let added = memory
        .add_observations(&[addition("a", &["1", "2", "2"]), addition("a", &["2", "3"])])
        .unwrap();
    assert_eq!(added[0].added_observations, ["2"]);
    assert_eq!(added[1].added_observations, ["3"]);
    let error = memory.add_observations(&[addition("a", &["4"]), addition("b", &["4"])]);
    assert!(matches!(error, Err(MemoryError::UnknownEntity { name }) if name == "b"));
    assert_eq!(memory.read_graph().unwrap().entities, [entity("a", &["1", "2", "3"])]);
    let deletion = |name: &str| Deletion {
        entity_name: name.to_owned(),
        observations: vec!["2".to_owned(), "9".to_owned()],
    };
    let deleted = memory.delete_observations(&[deletion("a"), deletion("b")]).unwrap();
    assert_eq!(deleted, DeletedObservations { deleted: 1, missing: vec!["b".to_owned()] });
    assert_eq!(memory.read_graph().unwrap().entities, [entity("a", &["1", "3"])]);
}

/// Merges two copies of one palace. That is like writes of two processes at the same moment.
#[test]
fn entity_created_in_two_copies_has_both_observations() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for (path, texts) in [(&one, ["both", "1"]), (&two, ["both", "2"])] {
        let memory = Memory::new(Palace::open(path).unwrap());
        memory.create_entities(&[entity("a", &texts), entity("b", &[])]).unwrap();
        memory.create_relations(&[relation("a", "b")]).unwrap();
    }
    let into = dir.path().join("into");
    let fs = std::sync::Arc::new(crate::fs::os::OsFs);
    crate::palace::into::merge_into(fs, &into, &[one, two], &Default::default()).unwrap();
    let graph = Memory::new(Palace::open(&into).unwrap()).read_graph().unwrap();
    let mut texts = graph.entities[0].observations.clone();
    texts.sort();
    assert_eq!(texts, ["1", "2", "both"]);
    assert_eq!(graph.relations, [relation("a", "b")]);
}

#[test]
fn graph_search_reads_every_field_and_ignores_case() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    memory.create_entities(&[entity("Ada", &["wrote a PROGRAM"]), entity("Bo", &[])]).unwrap();
    memory.create_relations(&[relation("Ada", "Bo")]).unwrap();
    let names = |query: &str| {
        let graph = memory.search_nodes(query).unwrap();
        let names: Vec<String> = graph.entities.into_iter().map(|e| e.name).collect();
        (names, graph.relations.len())
    };
    assert_eq!(names("a prog"), (vec!["Ada".to_owned()], 1));
    assert_eq!(names("BO"), (vec!["Bo".to_owned()], 1));
    assert_eq!(names("THING").0.len(), 2);
    assert_eq!(names("nothing of the kind"), (vec![], 0));
    assert_eq!(memory.open_nodes(&["Bo".into(), "Cy".into()]).unwrap().entities.len(), 1);
    assert_eq!(memory.open_nodes(&["Bo".into()]).unwrap().relations, [relation("Ada", "Bo")]);
}

#[test]
fn invalid_entity_names_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    let longest = "n".repeat(ENTITY_NAME_BYTES_MAX);
    memory.create_entities(&[entity(&longest, &[])]).unwrap();
    for bad in ["", "a\nb", &"n".repeat(ENTITY_NAME_BYTES_MAX + 1)] {
        let error = memory.create_entities(&[entity("good", &[]), entity(bad, &[])]).unwrap_err();
        assert!(matches!(error, MemoryError::Name { .. }), "{error}");
    }
    assert_eq!(memory.read_graph().unwrap().entities.len(), 1);
}

#[test]
fn import_keeps_good_lines_and_names_bad_ones() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    let relation_line =
        json!({"type": "relation", "from": "a", "to": "b", "relationType": "knows"});
    let file = [
        format!("\u{feff}{relation_line}\r"),
        json!({"type": "entity", "name": "a", "entityType": "thing", "observations": ["1"],
            "id": 7, "createdAt": "long ago"})
        .to_string(),
        "not json".to_owned(),
        String::new(),
        json!({"type": "entity", "name": "b", "entityType": "thing", "observations": []})
            .to_string(),
        json!({"type": "relation", "from": "a", "to": "z", "relationType": "knows"}).to_string(),
        json!({"type": "entity", "name": "a", "entityType": "thing", "observations": ["1", "2"]})
            .to_string(),
        json!({"type": "entity", "name": "big", "entityType": "thing",
            "observations": ["x".repeat(2 << 20)]})
        .to_string(),
    ]
    .join("\n");
    let mut told = Vec::new();
    let report = memory.import(file.as_bytes(), &mut |done, of| told.push((done, of))).unwrap();
    let lines: Vec<u64> = report.bad.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [3, 6, 8], "{:?}", report.bad);
    assert_eq!((report.entities, report.relations, report.unchanged), (2, 1, 0));
    assert_eq!(told.last(), Some(&(5, 5)));
    let graph = memory.read_graph().unwrap();
    assert_eq!(graph.entities, [entity("a", &["1", "2"]), entity("b", &[])]);
    assert_eq!(graph.relations, [relation("a", "b")]);

    let again = memory.import(file.as_bytes(), &mut |_, _| {}).unwrap();
    assert_eq!((again.entities, again.relations, again.unchanged), (0, 0, 3));
}

/// docs/MCP.md promises that an import only adds.
#[test]
fn deleted_entity_comes_back_with_an_import() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    memory.create_entities(&[entity("a", &["1", "2"]), entity("b", &[])]).unwrap();
    let mut file = Vec::new();
    memory.export(&mut file).unwrap();
    memory.delete_entities(&["b".to_owned()]).unwrap();
    let entity_name = "a".to_owned();
    memory
        .delete_observations(&[Deletion { entity_name, observations: vec!["1".into()] }])
        .unwrap();
    memory.import(&file[..], &mut |_, _| {}).unwrap();
    let graph = memory.read_graph().unwrap();
    let names: Vec<&str> = graph.entities.iter().map(|entity| entity.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(graph.entities[0].observations, ["2", "1"]);
}

#[test]
fn exported_graph_imports_as_the_same_graph() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    let names: Vec<Entity> = (0..600)
        .map(|n| entity(&format!("näme \"{n}\""), &["1", "zwei\n2", "\u{1f980}"]))
        .collect();
    memory.create_entities(&names).unwrap();
    memory.create_relations(&[relation("näme \"0\"", "näme \"1\"")]).unwrap();
    let mut file = Vec::new();
    assert_eq!(memory.export(&mut file).unwrap(), 601);
    let other = Memory::new(Palace::open(dir.path().join("other")).unwrap());
    assert_eq!(other.import(&file[..], &mut |_, _| {}).unwrap().bad, []);
    assert_eq!(other.read_graph().unwrap(), memory.read_graph().unwrap());
    let mut again = Vec::new();
    other.export(&mut again).unwrap();
    assert!(again == file);
}

#[test]
fn relation_that_cannot_be_stored_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let memory = open(&dir);
    let line = |kind: &str| {
        format!(
            "{{\"type\":\"relation\",\"from\":\"a\",\"to\":\"a\",\"relationType\":\"{kind}\"}}\n"
        )
    };
    let entity = "{\"type\":\"entity\",\"name\":\"a\",\"entityType\":\"t\",\"observations\":[]}\n";
    let long = line(&"x".repeat((1 << 20) + 1));
    let file = [entity, &line("one"), &long, &line("two"), &long].concat();
    for created in [2, 0] {
        let report = memory.import(file.as_bytes(), &mut |_, _| {}).unwrap();
        let bad: Vec<u64> = report.bad.iter().map(|bad| bad.line).collect();
        assert_eq!((report.relations, bad), (created, vec![3, 5]));
        assert!(report.bad[0].why.contains("1048576"), "{}", report.bad[0].why);
    }
    assert_eq!(memory.read_graph().unwrap().relations.len(), 2);
}

#[test]
fn absence_in_an_answer_is_durable() {
    use crate::fs::sim::SimDisk;
    type Delete = fn(&Memory);
    let delete: [(&str, Delete); 2] = [
        ("entities", |memory| {
            let done = memory.delete_entities(&["a".to_owned()]).unwrap();
            assert_eq!((done.deleted, done.not_found), (vec![], vec!["a".to_owned()]));
        }),
        ("observations", |memory| {
            let deletion =
                Deletion { entity_name: "a".to_owned(), observations: vec!["1".to_owned()] };
            let done = memory.delete_observations(&[deletion]).unwrap();
            assert_eq!(done, DeletedObservations { deleted: 0, missing: vec!["a".to_owned()] });
        }),
    ];
    for (seed, (name, delete)) in (0..40).zip(delete.into_iter().cycle()) {
        let disk = SimDisk::new(seed);
        let on = || {
            let options = Options::default().fs(Arc::new(disk.process()));
            Memory::new(options.auto_compact(false).open("/p").unwrap())
        };
        let (ann, bob) = (on(), on());
        ann.create_entities(&[entity("a", &["1"])]).unwrap();
        let buffered = WriteOptions::new().buffered();
        bob.palace().with(buffered.clone()).delete("entity/a").unwrap();
        delete(&ann);
        disk.power_cut(seed);
        assert_eq!(on().read_graph().unwrap().entities, [], "{name}, {seed}");
    }
}

#[test]
fn failed_import_reports_how_far_it_came() {
    use crate::fs::sim::SimDisk;
    let entity = |n: usize| {
        format!(
            "{{\"type\":\"entity\",\"name\":\"{n}\",\"entityType\":\"t\",\"observations\":[]}}\n"
        )
    };
    let file: String = (0..300).map(entity).collect();
    let mut partial = 0;
    for n in 1.. {
        let disk = SimDisk::new(n);
        let on = || {
            let options = Options::default().fs(Arc::new(disk.process()));
            Memory::new(options.auto_compact(false).open("/p").unwrap())
        };
        let memory = on();
        disk.stop_after(n);
        let mut report = ImportReport::default();
        let failed = memory.import_reporting(file.as_bytes(), &mut report, &mut |_, _| {}).is_err();
        disk.power_cut(n);
        if !failed {
            break;
        }
        partial += usize::from(report.entities == 256);
        let again = on().import(file.as_bytes(), &mut |_, _| {}).unwrap();
        assert_eq!(again.entities + again.unchanged, 300);
        assert!(again.unchanged >= report.entities, "{again:?} {report:?}");
    }
    assert!(partial > 0, "none failed halfway");
}

#[test]
fn lines_with_half_a_character_are_imported_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::new(crate::palace::Palace::open(dir.path().join("palace")).unwrap());
    let file = concat!(
        r#"{"type":"entity","name":"Ada","entityType":"person","observations":["whole \ud83d\ude00"]}"#,
        "\n",
        r#"{"type":"entity","name":"Bo","entityType":"person","observations":["half \ud83d"]}"#,
    );
    let report = memory.import(file.as_bytes(), &mut |_, _| {}).unwrap();
    assert_eq!((report.entities, &report.bad[..], &report.repaired[..]), (2, &[][..], &[2][..]));
    let texts = memory.read_graph().unwrap().entities.into_iter().map(|it| it.observations);
    let expected = [vec!["whole \u{1f600}".to_owned()], vec!["half \u{fffd}".to_owned()]];
    assert_eq!(texts.collect::<Vec<_>>(), expected);
}
