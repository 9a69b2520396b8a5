//! The everyday commands of `crdt-palace`: search, show, list, facts, diary, add, edit, move, delete.

use crate::client::{Client, LOG, PALACE, code, run, stderr, stdout};
use crdt_palace::memory::drawers::{Change, DiaryEntry, Drawers, Item, Place};
use crdt_palace::memory::facts::{Facts, Triple};
use crdt_palace::palace::Palace;
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const SIGNING: &str = "# Signing keys\nWe sign with RSA.\nSee adr/7.\nRotate yearly.";

/// A palace, and what its commands print.
struct Shell {
    dir: TempDir,
}

impl Shell {
    fn new() -> Self {
        Shell { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("p")
    }

    fn drawers(&self) -> Drawers {
        Drawers::new(Palace::open(self.path()).unwrap())
    }

    /// Files a text in `atlas/decisions`, and returns the id.
    fn file(&self, text: &str) -> String {
        let item = Item::new(Place::new("atlas", "decisions").unwrap(), text).unwrap();
        self.drawers()
            .by(Some("ann/1.0 (crdt-palace 0.2.0)".into()))
            .file(&[item])
            .unwrap()
            .remove(0)
            .id
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PALACE);
        command.args(arguments).arg("--palace").arg(self.path());
        command.env("TZ", "UTC").env("USER", "ada").env_remove("VISUAL").env("EDITOR", "false");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn prints(&self, arguments: &[&str]) -> String {
        stdout(&self.run(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_str(&self.prints(&all)).unwrap()
    }

    /// Runs a command with a text as its standard input.
    fn given(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses its arguments does not read it.
        drop(child.stdin.take().unwrap().write_all(input));
        child.wait_with_output().unwrap()
    }

    /// Writes a script that takes the place of the editor.
    fn editor(&self, script: &str) -> PathBuf {
        let path = self.dir.path().join("editor.sh");
        fs::write(&path, script).unwrap();
        path
    }

    fn edit(&self, id: &str, script: &str, options: &[&str]) -> Output {
        let editor = format!("sh {}", self.editor(script).display());
        let mut arguments = vec!["edit", id];
        arguments.extend(options);
        self.command(&arguments)
            .env("VISUAL", editor)
            .env("TMPDIR", self.dir.path())
            .output()
            .unwrap()
    }

    /// The directories of texts for editors that are left.
    fn drafts(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.display().to_string().contains("crdt-palace-edit")).collect()
    }
}

/// The digits at the end of an id.
fn digits(id: &str) -> &str {
    id.rsplit('_').next().unwrap()
}

fn write(shell: &Shell) -> String {
    let id = shell.file(SIGNING);
    let drawers = shell.drawers();
    drawers.update(&id, Change { room: Some("history"), ..Change::default() }).unwrap();
    let entry = DiaryEntry::new("ann", "Read adr/7 twice.", Some("auth"), None).unwrap();
    drawers.write_diary(&entry).unwrap();
    let facts = Facts::new(Palace::open(shell.path()).unwrap());
    let signs = Triple::new("atlas", "signs with", "RSA").unwrap();
    facts.assert(&signs, Some("2026-01-01"), None, None).unwrap();
    facts.replace(&signs, "Ed25519", Some("2026-03-01")).unwrap();
    id
}

#[tokio::test]
async fn json_of_commands_is_the_answer_of_the_tools() {
    let shell = Shell::new();
    let id = write(&shell);
    let client = Client::start_with(&shell.path(), ClientLifecycleMode::Initialize, &[]).await;
    let short = &digits(&id)[..6];
    let pairs: [(&[&str], &str, Value); 7] = [
        (&["search", "signing", "keys"], "palace_search", json!({"query": "signing keys"})),
        (
            &["search", "adr", "--wing", "atals"],
            "palace_search",
            json!({"query": "adr", "wing": "atals"}),
        ),
        (&["show", short], "palace_get_drawer", json!({"drawer_id": id})),
        (&["list"], "palace_get_taxonomy", json!({})),
        (
            &["list", "atlas/history"],
            "palace_list_drawers",
            json!({"wing": "atlas", "room": "history", "limit": 1}),
        ),
        (&["facts", "Atlas"], "palace_kg_query", json!({"entity": "Atlas"})),
        (&["diary", "ann"], "palace_diary_read", json!({"agent_name": "ann"})),
    ];
    for (command, tool, arguments) in pairs {
        let mut printed = shell.json(command);
        assert_eq!(printed["schema"], 1, "{command:?}");
        printed.as_object_mut().unwrap().remove("schema");
        let answer = client.call(tool, arguments).await.unwrap();
        assert_eq!(printed, answer, "{command:?}");
    }
}

#[test]
fn reading_commands_print_what_people_look_for() {
    let shell = Shell::new();
    let id = write(&shell);
    let short = &digits(&id)[..4];
    let found = shell.prints(&["search", "sign*", "rsa"]);
    assert!(found.starts_with(short), "{found}");
    assert!(found.contains("  just now  atlas/history  Signing keys\n"), "{found}");
    assert!(found.contains("\n    We sign with RSA.\n") && !found.contains("yearly"), "{found}");
    let shown = shell.prints(&["show", short]);
    assert!(shown.contains(&format!("id        {id}\nplace     atlas/history\n")), "{shown}");
    assert!(shown.ends_with(&format!("\n\n{SIGNING}\n")), "{shown}");
    assert_eq!(shell.prints(&["show", &id, "--text"]), format!("{SIGNING}\n"));
    assert_eq!(
        shell.prints(&["list"]),
        "atlas  1 drawer\n  history  1\nwing_ann  1 drawer\n  diary  1\n"
    );
    let listed = shell.prints(&["list", "ATLAS"]);
    assert_eq!(listed, format!("{short}  just now  atlas/history  Signing keys\n"));
    let listed = shell.prints(&["list", "atlas/history", "--utc"]);
    assert!(listed.contains("Z  Signing keys\n"), "{listed}");
    let facts = shell.prints(&["facts", "ATLAS"]);
    let facts: Vec<&str> = facts.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(
        facts,
        [
            "atlas → signs with → RSA  from 2026-01-01 until 2026-03-01",
            "atlas → signs with → Ed25519  since 2026-03-01"
        ]
    );
    let diary = shell.prints(&["diary", "Ann"]);
    assert!(diary.ends_with("  just now  wing_ann  auth\n    Read adr/7 twice.\n"), "{diary}");
    let fact = shell.json(&["facts", "atlas"])["facts"][0]["triple_id"].clone();
    let fact = shell.prints(&["show", digits(fact.as_str().unwrap())]);
    assert!(fact.starts_with("fact      atlas → signs with → RSA\n"), "{fact}");
}

#[test]
fn nothing_found_is_said_on_standard_error() {
    let shell = Shell::new();
    write(&shell);
    for (command, said) in [
        (&["search", "cookies"][..], "no drawer has these words"),
        (&["list", "altas"], "the nearest names are \"atlas\""),
        (&["facts", "Nobody"], "no facts are known of \"Nobody\""),
        (&["diary", "bob"], "no entries of \"bob\""),
    ] {
        let output = shell.run(command);
        assert_eq!((code(&output), output.stdout.len()), (Some(0), 0), "{command:?}");
        assert!(stderr(&output).contains(said), "{command:?}: {}", stderr(&output));
    }
}

#[test]
fn texts_are_filed_from_files_and_standard_input() {
    let shell = Shell::new();
    let file = shell.dir.path().join("note.md");
    fs::write(&file, "A note.\nTwo lines.\n").unwrap();
    let printed = shell.prints(&["add", "Atlas/notes", file.to_str().unwrap()]);
    assert!(printed.ends_with("  filed drawer \"A note.\" in Atlas/notes\n"), "{printed}");
    let again = shell.given(&["add", "atlas/Notes"], b"A note.\nTwo lines.\n");
    assert!(stdout(&again).ends_with("  Atlas/notes has drawer \"A note.\" already\n"));
    let added = shell.given(&["add", "atlas/notes", "-", "--json", "--by", "bob"], b"From a pipe.");
    let added: Value = serde_json::from_str(&stdout(&added)).unwrap();
    assert_eq!((&added["success"], &added["wing"]), (&json!(true), &json!("Atlas")));
    let note = shell.json(&["show", printed.split("  ").next().unwrap(), "--full-source"]);
    assert_eq!(note["content"], "A note.\nTwo lines.");
    assert_eq!(note["metadata"]["added_by"], json!(["ada"]));
    assert_eq!(note["metadata"]["source_files"], json!([file.to_str().unwrap()]));
    let drawer = shell.drawers().get(added["drawer_id"].as_str().unwrap()).unwrap();
    assert_eq!(drawer.content, "From a pipe.");
    let program = concat!("bob (crdt-palace ", env!("CARGO_PKG_VERSION"), ")");
    assert_eq!(drawer.modified.unwrap().by, program);
    for (place, input, exit) in
        [("atlas", &b"x"[..], 2), ("atlas/notes", b"  \n", 2), ("atlas/notes", b"\xff", 1)]
    {
        let refused = shell.given(&["add", place], input);
        assert_eq!(code(&refused), Some(exit), "{}", stderr(&refused));
    }
    assert_eq!(shell.json(&["list"])["taxonomy"], json!({"Atlas": {"notes": 2}}));
}

#[test]
fn edit_keeps_what_others_wrote_meanwhile() {
    let shell = Shell::new();
    let id = shell.file(SIGNING);
    let palace = shell.path();
    // While one editor is open, another command changes another line and moves the drawer.
    let script = format!(
        "export EDITOR='sed -i s/yearly/monthly/'\nunset VISUAL\n\
         {PALACE} edit {id} --by bob --palace {0} >/dev/null\n\
         {PALACE} move {id} atlas/history --by bob --palace {0} >/dev/null\n\
         sed -i s/RSA/Ed25519/ \"$1\"\n",
        palace.display()
    );
    let output = shell.edit(digits(&id), &script, &[]);
    let edited = "edited drawer \"Signing keys\" in atlas/history: +1 −1 lines\n";
    assert_eq!(stdout(&output), edited);
    assert!(stderr(&output).contains("both changes are kept"), "{}", stderr(&output));
    let now = shell.drawers().get(&id).unwrap();
    let both = SIGNING.replace("RSA", "Ed25519").replace("yearly", "monthly");
    assert_eq!((now.content, now.conflicts.len()), (both, 0));
    assert_eq!(shell.drafts(), [] as [PathBuf; 0]);
    let history = stdout(
        &Command::new(LOG)
            .args(["history", &id, "--brief", "--palace"])
            .arg(&palace)
            .output()
            .unwrap(),
    );
    // They are concurrent, so their order is of no account.
    let mut writers: Vec<&str> =
        history.lines().map(|line| line.split("  ").nth(2).unwrap()).collect();
    writers.sort_unstable();
    assert_eq!(writers, ["ada", "ann/1.0", "bob", "bob"], "{history}");
}

#[test]
fn edit_writes_nothing_unless_the_editor_changed_the_text() {
    let shell = Shell::new();
    let id = shell.file(SIGNING);
    let etag = || shell.drawers().get(&id).unwrap().etag;
    let before = etag();
    assert_eq!(stdout(&shell.edit(&id, "true", &[])), "nothing changed\n");
    let failed = shell.edit(&id, "echo lost > \"$1\"; exit 3", &[]);
    assert_eq!(code(&failed), Some(1));
    assert!(stderr(&failed).contains("exit status: 3, so nothing was written"));
    assert_eq!((etag(), shell.drafts().len()), (before, 0));
    let done = shell.edit(&id, "echo 'a line' >> \"$1\"", &["--json"]);
    let done: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!((&done["noop"], &done["merged"]), (&json!(false), &Value::Null));
    assert_eq!(shell.drawers().get(&id).unwrap().content, format!("{SIGNING}\na line"));
    let written =
        shell.drawers().write_diary(&DiaryEntry::new("ann", "Quiet.", None, None).unwrap());
    let refused = shell.edit(&written.unwrap().id, "echo x > \"$1\"", &[]);
    assert_eq!(code(&refused), Some(2));
    assert!(stderr(&refused).contains("is a diary entry"), "{}", stderr(&refused));
}

#[test]
fn text_that_cannot_be_written_stays_in_its_file() {
    let shell = Shell::new();
    let id = shell.file(SIGNING);
    let output = shell.edit(&id, "head -c 100001 /dev/zero | tr '\\0' x > \"$1\"", &[]);
    assert_eq!(code(&output), Some(1));
    let [kept] = shell.drafts().try_into().unwrap();
    let file = kept.join("drawer.md");
    assert!(stderr(&output).contains(file.to_str().unwrap()), "{}", stderr(&output));
    assert_eq!(fs::read(file).unwrap().len(), 100_001);
    assert_eq!(shell.drawers().get(&id).unwrap().content, SIGNING);
}

#[test]
fn drawers_are_moved_and_deleted_by_short_ids() {
    let shell = Shell::new();
    let (one, two) = (shell.file("one"), shell.file("two"));
    let moved = shell.prints(&["move", digits(&one), "Beacon/plans"]);
    assert_eq!(moved, "moved drawer \"one\" to Beacon/plans from atlas/decisions\n");
    assert_eq!(shell.prints(&["move", &one, "beacon/plans"]), "it is there already\n");
    let deleted = shell.prints(&["delete", digits(&one), &two]);
    assert_eq!(
        deleted,
        "deleted drawer \"one\" in Beacon/plans\ndeleted drawer \"two\" in atlas/decisions\n"
    );
    assert_eq!(shell.prints(&["list"]), "");
    let gone = shell.run(&["show", &one]);
    assert_eq!(code(&gone), Some(1));
    assert!(stderr(&gone).contains("deleted"), "{}", stderr(&gone));
    let back = shell.drawers().undelete(&one).unwrap();
    assert!(back.deleted.unwrap().by.starts_with("ada ("));
    let result = shell.json(&["delete", &one]);
    assert_eq!((&result["count"], &result["deleted"][0]["drawer_id"]), (&json!(1), &json!(one)));
}

#[test]
fn names_that_are_none_or_several_are_refused() {
    let shell = Shell::new();
    let (one, _) = (shell.file("one"), shell.file("two"));
    let fails = |arguments: &[&str]| {
        let output = shell.run(arguments);
        assert_eq!(code(&output), Some(1), "{arguments:?}");
        stderr(&output)
    };
    assert!(fails(&["show", "drawer_atlas"]).contains("may be any of "));
    assert!(fails(&["show", "0000ffff"]).contains("is the id of nothing"));
    assert!(fails(&["show", &digits(&one)[..3]]).contains("is the id of nothing"));
    let facts = Facts::new(Palace::open(shell.path()).unwrap());
    let fact = facts.assert(&Triple::new("a", "b", "c").unwrap(), None, None, None).unwrap().fact;
    assert!(fails(&["delete", &fact.id]).contains("is a fact"));
    // `crdt-log` takes the same short ids.
    let log = Command::new(LOG).args(["show", digits(&one), "--palace"]).arg(shell.path()).output();
    assert!(stdout(&log.unwrap()).contains(&one));
}

#[test]
fn missing_palaces_are_made_by_add_alone() {
    let shell = Shell::new();
    for command in [
        &["search", "x"][..],
        &["show", "abcd"],
        &["list"],
        &["facts", "x"],
        &["diary", "x"],
        &["edit", "abcd"],
        &["move", "abcd", "a/b"],
        &["delete", "abcd"],
    ] {
        assert_eq!(code(&shell.run(command)), Some(10), "{command:?}");
        assert!(!shell.path().exists(), "{command:?}");
    }
    stdout(&shell.given(&["add", "a/b"], b"text"));
    assert!(shell.path().exists());
}

#[test]
fn stored_text_cannot_control_the_terminal() {
    let shell = Shell::new();
    let hostile = "\u{1b}[31m title\n\u{1b}]0;x\u{7}\u{202e}body";
    let id = shell.file(hostile);
    let facts = Facts::new(Palace::open(shell.path()).unwrap());
    facts.assert(&Triple::new("a\u{202e}", "b", "c").unwrap(), None, None, None).unwrap();
    let all: [&[&str]; 6] = [
        &["search", "title", "body"],
        &["show", &id],
        &["show", &id, "--text"],
        &["list", "atlas"],
        &["facts", "a\u{202e}"],
        &["show", &id, "--json"],
    ];
    for command in all {
        let printed = shell.prints(command);
        assert!(!printed.is_empty(), "{command:?}");
        let bad = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        assert_eq!(printed.chars().find(bad), None, "{command:?}: {printed:?}");
    }
    let colored = shell.prints(&["list", "atlas", "--color", "always"]);
    assert!(colored.contains("\u{1b}[33m") && colored.contains("\\u{1b}[31m"), "{colored:?}");
}

#[test]
fn closed_output_ends_a_listing_quietly() {
    let shell = Shell::new();
    let items = (0..300).map(|n| {
        let text = format!("{n} {}", "long ".repeat(20));
        Item::new(Place::new("atlas", "notes").unwrap(), &text).unwrap()
    });
    shell.drawers().file(&items.collect::<Vec<_>>()).unwrap();
    let script = format!("{PALACE} list atlas --palace {} | head -n 1", shell.path().display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!((stdout(&output).lines().count(), stderr(&output)), (1, String::new()));
    assert!(Path::new(PALACE).exists());
}

#[test]
fn commands_of_another_program_are_suggested() {
    let tip = |program: &str, name: &str| {
        let output = Command::new(program).arg(name).output().unwrap();
        assert_eq!((code(&output), output.stdout.len()), (Some(2), 0), "{program} {name}");
        let said = stderr(&output);
        said.split_once("did you mean `")
            .map(|(_, rest)| rest.split('`').next().unwrap().to_owned())
    };
    assert_eq!(tip(PALACE, "log").as_deref(), Some("crdt-log dump"));
    assert_eq!(tip(PALACE, "rm").as_deref(), Some("crdt-palace delete"));
    assert_eq!(tip(LOG, "search").as_deref(), Some("crdt-palace search"));
    assert_eq!((tip(PALACE, "xyzzy"), tip(LOG, "xyzzy")), (None, None));
    // What is suggested is there.
    let names =
        ["at", "blame", "cat", "check", "compact", "conflicts", "diff", "dump", "find", "forget"];
    let others = ["gc", "get", "grep", "history", "log", "ls", "merge", "mv", "stats", "verify"];
    for name in names.into_iter().chain(others) {
        let meant = tip(PALACE, name).unwrap();
        let mut words = meant.split(' ');
        let program = Path::new(PALACE).with_file_name(words.next().unwrap());
        let subcommand = words.next().filter(|word| !word.starts_with('-'));
        let help = Command::new(program).args(subcommand).arg("--help").output().unwrap();
        assert_eq!(code(&help), Some(0), "{meant}");
    }
}

#[test]
fn server_takes_its_palace_as_an_argument() {
    let shell = Shell::new();
    let mut server = Command::new(PALACE);
    let server = server.arg("serve").arg(shell.path()).stdin(Stdio::null());
    let output = server.output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (Some(0), String::new()));
    let both = run(PALACE, &["serve", "a", "--palace", "b"]);
    assert_eq!(code(&both), Some(2));
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let commands = ["search", "edit", "export", "completions", "blame", "--dry-run"];
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(PALACE, &["completions", shell]));
        for word in commands {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let script = "eval \"$(\"$0\" completions bash)\"; COMP_WORDS=(crdt-palace dia); COMP_CWORD=1; \
                  $(complete -p crdt-palace | grep -o '_crdt[^ ]*') crdt-palace dia crdt-palace; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").args(["--norc", "-c", script, PALACE]).output().unwrap();
    assert_eq!(stdout(&completed), "diary\n");
    assert!(stdout(&run(PALACE, &["man"])).contains(".TH crdt-palace 1"));
    let dir = tempfile::tempdir().unwrap();
    stdout(&run(PALACE, &["man", dir.path().to_str().unwrap()]));
    for page in ["crdt-palace", "crdt-palace-search", "crdt-log", "crdt-log-blame", "crdt-compact"]
    {
        assert!(dir.path().join(format!("{page}.1")).is_file(), "{page}");
    }
    let missing = dir.path().join("none");
    let refused = run(PALACE, &["man", missing.to_str().unwrap()]);
    assert_eq!(code(&refused), Some(1));
    assert!(stderr(&refused).contains("cannot write man pages to"), "{}", stderr(&refused));
}

#[test]
fn usage_errors_escape_control_characters() {
    let hostile = "\u{9b}2J\u{202e}\u{1b}[31mx";
    let shell = Shell::new();
    for arguments in [
        &["install", "--client", hostile][..],
        &["serve", "--tools", hostile],
        &["serve", &format!("--{hostile}")],
        &[hostile, hostile],
        &["list", "a", hostile, hostile],
        &["search", "x", "-n", hostile],
    ] {
        for program in [PALACE, LOG, crate::client::COMPACT] {
            // As on a terminal, where clap paints what it prints.
            let mut command = Command::new(program);
            command.args(arguments).env("CLICOLOR_FORCE", "1").current_dir(shell.dir.path());
            let output = command.output().unwrap();
            let said = stderr(&output);
            assert_eq!(code(&output), Some(2), "{arguments:?}: {said}");
            let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!said.contains(bad), "{arguments:?}: {said:?}");
        }
    }
    // A usage error without them is painted as before.
    let output = Command::new(PALACE).arg("nothing").env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(stderr(&output).contains("\u{1b}["), "{}", stderr(&output));
}

#[test]
fn sources_are_shown_by_name_unless_asked_for() {
    use crdt_palace::memory::facts::Source;
    const SOURCE: &str = "/home/ann/secret-project/notes.md";
    let shell = Shell::new();
    let palace = Palace::open(shell.path()).unwrap();
    let item = Item::new(Place::new("atlas", "keys").unwrap(), "We sign with RSA.").unwrap();
    let item = item.said(Some(SOURCE), None).unwrap();
    let drawer = Drawers::new(palace.clone()).file(&[item]).unwrap().remove(0).id;
    let (file, closet) = (Some(SOURCE.to_owned()), Some(SOURCE.to_owned()));
    let source = Source { file, closet, ..Source::default() };
    let signs = Triple::new("Ann", "signs", "keys").unwrap();
    let facts = Facts::new(palace);
    let fact = facts.assert(&signs, None, None, Some(&source)).unwrap().fact.id;
    let log = |arguments: &[&str]| {
        let mut command = Command::new(LOG);
        stdout(&command.args(arguments).arg("--palace").arg(shell.path()).output().unwrap())
    };
    let commit = log(&["dump", "--json", "--key", &fact]);
    let commit: Value = serde_json::from_str(commit.lines().next().unwrap()).unwrap();
    let commit = commit["commit"].as_str().unwrap();
    let shown = [
        shell.prints(&["show", &drawer]),
        shell.prints(&["show", &drawer, "--json"]),
        shell.prints(&["show", &fact]),
        shell.prints(&["show", &fact, "--json"]),
        shell.prints(&["facts", "Ann", "--json"]),
        log(&["show", &fact]),
        log(&["blame", &fact]),
        log(&["show", commit]),
    ];
    for text in shown {
        assert!(text.contains("notes.md") && !text.contains("secret-project"), "{text}");
    }
    let dump = Command::new(LOG).args(["dump", "--patch"]).arg(shell.path()).output().unwrap();
    assert!(stdout(&dump).contains("notes.md") && !stdout(&dump).contains("secret-project"));
    let whole = [
        shell.prints(&["show", &drawer, "--full-source"]),
        shell.prints(&["show", &drawer, "--json", "--full-source"]),
        shell.prints(&["show", &fact, "--full-source"]),
        shell.prints(&["show", &fact, "--json", "--full-source"]),
        shell.prints(&["facts", "Ann", "--json", "--full-source"]),
        // The stored value, for programs.
        log(&["show", &fact, "--json"]),
    ];
    for text in whole {
        assert!(text.contains(SOURCE), "{text}");
    }
}
