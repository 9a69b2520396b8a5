//! A copy of the palace is restored under two running servers, at random moments.

use crate::client::{Client, eras, texts};
use crate::support::Dice;
use crdt_palace::palace::Palace;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Most reads of a document until all that it builds on is found.
const READS: usize = 20;
const ROUNDS: usize = 20;
const PARTS: [&str; 4] = ["palace.json", "open", "sealed", "snap"];

/// What a server acknowledged: the field, and the number of restores that had ended when the call began.
type Acknowledged = Arc<Mutex<Vec<(String, usize)>>>;

#[derive(Clone, Default)]
struct World {
    acknowledged: Acknowledged,
    restores: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    warnings: Arc<AtomicUsize>,
}

impl World {
    /// The fields of the calls that began after so many restores.
    fn since(&self, restores: usize) -> Vec<String> {
        let all = self.acknowledged.lock().unwrap();
        all.iter().filter(|(_, begun)| *begun >= restores).map(|(field, _)| field.clone()).collect()
    }

    async fn until_acknowledged(&self, restores: usize, count: usize) {
        let enough = async {
            while self.since(restores).len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), enough)
            .await
            .expect("no write is acknowledged");
    }
}

/// Writes to one document, so that each write builds on those of both servers.
async fn write(client: Client, name: &'static str, world: World) {
    let mut n = 0;
    while !world.over.load(SeqCst) {
        n += 1;
        let (field, begun) = (format!("{name}{n}"), world.restores.load(SeqCst));
        let patch = Value::Object(Map::from_iter([(field.clone(), json!(n))]));
        let result =
            client.result("document_patch", json!({"key": "shared", "patch": patch})).await;
        let told = texts(&result).iter().any(|text| text.contains("went back to an older state"));
        world.warnings.fetch_add(usize::from(told), SeqCst);
        if result.is_error != Some(true) {
            world.acknowledged.lock().unwrap().push((field, begun));
        }
    }
    client.close().await;
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn back_up(palace: &Path, copy: &Path) {
    // A file may move on while it is copied: then the copy is made again.
    for _ in 0..20 {
        drop(fs::remove_dir_all(copy));
        fs::create_dir(copy).unwrap();
        let parts = PARTS.map(|name| palace.join(name));
        if Command::new("cp").arg("-a").args(parts).arg(copy).status().unwrap().success() {
            return;
        }
    }
    panic!("no copy can be made");
}

/// What `rsync -a --delete` does, file by file: new files in the place of those that differ.
fn replace(copy: &Path, palace: &Path) {
    for directory in &PARTS[1..] {
        let (from, to) = (copy.join(directory), palace.join(directory));
        let names = |path: &Path| -> Vec<_> {
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        for name in names(&to) {
            if !from.join(&name).exists() {
                drop(fs::remove_file(to.join(&name)));
            }
        }
        for name in names(&from) {
            let content = fs::read(from.join(&name)).unwrap();
            if fs::read(to.join(&name)).ok() != Some(content.clone()) {
                let unfinished = palace.join("tmp").join(&name);
                fs::write(&unfinished, content).unwrap();
                fs::rename(unfinished, to.join(&name)).unwrap();
            }
        }
    }
}

/// Restores in a way of its own, and returns true if that deletes what came later.
fn restore(way: usize, copy: &Path, palace: &Path, has_rsync: bool) -> bool {
    match way {
        0 => run(Command::new("cp").arg("-a").arg(copy.join(".")).arg(palace)),
        1 if has_rsync => {
            let from = PARTS.map(|name| copy.join(name));
            run(Command::new("rsync").args(["-a", "--delete"]).args(from).arg(palace));
        }
        _ => replace(copy, palace),
    }
    way != 0
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_under_two_servers_hides_no_later_write() {
    let dir = tempfile::tempdir().unwrap();
    let (palace, copy) = (dir.path().join("palace"), dir.path().join("copy"));
    let has_rsync = Command::new("rsync").arg("--version").output().is_ok();
    if !has_rsync {
        println!("rsync is not installed: what it does to the files is done without it");
    }
    let world = World::default();
    let options = ["--tools", "documents"];
    let [one, two] = eras();
    let one = Client::start_with(&palace, one, &options).await;
    let two = Client::start_with(&palace, two, &options).await;
    let writers = [
        tokio::spawn(write(one, "a", world.clone())),
        tokio::spawn(write(two, "b", world.clone())),
    ];
    let mut dice = Dice::new(7);
    for round in 0..ROUNDS {
        world.until_acknowledged(round, 4 + dice.below(20)).await;
        back_up(&palace, &copy);
        let later = world.since(0).len() + 1 + dice.below(20);
        world.until_acknowledged(0, later).await;
        let deletes = restore(round % 3, &copy, &palace, has_rsync);
        world.restores.fetch_add(1, SeqCst);
        world.until_acknowledged(round + 1, 6).await;
        let acknowledged = world.since(round + 1);
        let read = || Palace::open_read_only(&palace).unwrap().get("shared").unwrap().unwrap();
        let mut found = read();
        // A commit may stand there that is not acknowledged yet. What it builds on may be gone, and is then written again.
        for _ in 0..READS {
            if !deletes || !found.incomplete {
                break;
            }
            world.until_acknowledged(round + 1, world.since(round + 1).len() + 2).await;
            found = read();
        }
        assert!(!deletes || !found.incomplete, "round {round}");
        let lost: Vec<_> =
            acknowledged.iter().filter(|field| !found.value.contains_key(*field)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} of {acknowledged:?}");
    }
    world.over.store(true, SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    let warnings = world.warnings.load(SeqCst);
    assert!(warnings > ROUNDS / 2, "only {warnings} warnings");
}

#[tokio::test]
async fn restored_palace_is_told_once_to_each_client_and_in_the_status() {
    for moves in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (palace, copy) = (dir.path().join("palace"), dir.path().join("copy"));
        let ([one, two], options) = (eras(), ["--tools", "palace"]);
        let one = Client::start_with(&palace, one, &options).await;
        let two = Client::start_with(&palace, two, &options).await;
        let drawer = |text: &str| json!({"wing": "w", "room": "r", "content": text});
        one.result("palace_add_drawer", drawer("before")).await;
        back_up(&palace, &copy);
        one.result("palace_add_drawer", drawer("after")).await;
        assert!(texts(&two.result("palace_list_drawers", json!({})).await)[0].contains("after"));
        if moves {
            // As docs/BACKUP.md says.
            fs::rename(&palace, dir.path().join("old")).unwrap();
            run(Command::new("cp").arg("-a").args([&copy, &palace]));
        } else {
            replace(&copy, &palace);
        }
        for client in [&one, &two] {
            let told = texts(&client.result("palace_list_drawers", json!({})).await);
            assert!(told[0].contains("before") && !told[0].contains("after"), "{told:?}");
            assert!(told[1].contains("1 write that this server knew of is gone"), "{told:?}");
            let again = texts(&client.result("palace_list_drawers", json!({})).await);
            assert_eq!(again.len(), 1, "{again:?}");
            let status = texts(&client.result("palace_status", json!({})).await);
            assert!(status[0].contains("went back to an older state"), "{status:?}");
        }
        one.close().await;
        two.close().await;
    }
}
