//! `crdt-palace install`, run as a program with a home directory of its own.

use crate::client::{PALACE, code, stderr};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const FILES: [(&str, &str, &str); 4] = [
    ("claude-code", ".claude.json", "mcpServers"),
    ("claude-desktop", ".config/Claude/claude_desktop_config.json", "mcpServers"),
    ("cursor", ".cursor/mcp.json", "mcpServers"),
    ("vscode", ".config/Code/User/mcp.json", "servers"),
];

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn install(home: &TempDir, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

fn command(home: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(PALACE);
    for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CRDT_PALACE_DIR"] {
        command.env_remove(variable);
    }
    command.env("HOME", home.path()).current_dir(home.path()).arg("install").args(arguments);
    command
}

/// Every file under the home directory and what is in it; of a link, where it leads.
fn everything(home: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut todo) = (Vec::new(), vec![home.path().to_owned()]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => todo.push(path),
                false => found.push((path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn parsed(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn backups(path: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = list
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains("before-crdt-palace"))
        .collect();
    found.sort();
    found
}

#[test]
fn install_writes_the_entry_where_each_client_reads_it() {
    for (client, file, list) in FILES {
        let home = home();
        let output = install(&home, &["--client", client]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        let path = home.path().join(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let entry = parsed(&path)[list]["crdt-palace"].clone();
        assert_eq!(entry["command"], PALACE);
        let palace = home.path().join(".local/share/crdt-palace");
        assert_eq!(entry["args"], json!(["serve", "--palace", palace]));
        let typed = ["claude-code", "vscode"].contains(&client);
        assert_eq!(entry.get("type"), typed.then_some(&json!("stdio")));
        assert_eq!(everything(&home).len(), 1, "no palace, and nothing to back up");
        // What the file says to start is what can be started.
        let arguments = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
        let mut server = Command::new(entry["command"].as_str().unwrap());
        assert!(server.args(arguments).arg("--help").output().unwrap().status.success());
    }
}

#[test]
fn install_follows_settings_kept_elsewhere() {
    let home = home();
    let elsewhere = home.path().join("elsewhere");
    for (client, file) in [
        ("claude-code", ".claude.json"),
        ("claude-desktop", "Claude/claude_desktop_config.json"),
        ("vscode", "Code/User/mcp.json"),
    ] {
        let mut command = command(&home, &["--client", client]);
        command.env("XDG_CONFIG_HOME", &elsewhere).env("CLAUDE_CONFIG_DIR", &elsewhere);
        assert_eq!(code(&command.output().unwrap()), Some(0));
        assert!(elsewhere.join(file).exists(), "{client}");
    }
    assert_eq!(everything(&home).len(), 3);
}

const OTHERS: &str = "{\n    \"numStartups\": 12,\n    \"big\": 1.50e3,\n    \"zeta\": [1,2,  3],\n    \
    \"mcpServers\": {\n        \"github\": {\"command\": \"gh\", \"env\": {\"T\": \"}\\\"{\"}}\n    },\n    \
    \"alpha\": \"\\u00fc\"\n}\n";

#[test]
fn install_keeps_all_other_bytes_and_a_backup() {
    let home = home();
    let path = home.path().join(".claude.json");
    write(&path, OTHERS);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let place = ["--client", "claude-code", "--palace", "p"];
    let tools = ["--tools", "memory,palace", "--tool-prefix", "mempalace_"];
    let output = install(&home, &[&place[..], &tools].concat());
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));

    let new = fs::read_to_string(&path).unwrap();
    let at = OTHERS.find("}}\n    },").unwrap() + 2;
    let (before, after) = OTHERS.split_at(at);
    let added = new.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
    let palace = home.path().join("p");
    let expected = format!(
        ",\n        \"crdt-palace\": {{\n            \"type\": \"stdio\",\n            \"command\": {},\n            \
         \"args\": [\n                \"serve\",\n                \"--palace\",\n                {},\n                \
         \"--tools\",\n                \"memory,palace\",\n                \"--tool-prefix\",\n                \"mempalace_\"\n            ]\n        }}",
        json!(PALACE),
        json!(palace)
    );
    assert_eq!(added, expected);

    let kept = backups(&path);
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), OTHERS);
    for path in [&path, &kept[0]] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
    }
    assert!(stderr(&output).contains(kept[0].to_str().unwrap()), "{}", stderr(&output));
    assert_eq!(everything(&home).len(), 2);
}

#[test]
fn repeated_installs_write_nothing() {
    for (client, file, list) in FILES {
        let home = home();
        install(&home, &["--client", client]);
        let before = everything(&home);
        let output = install(&home, &["--client", client]);
        assert_eq!(code(&output), Some(0));
        assert!(stderr(&output).contains("already"), "{}", stderr(&output));
        assert_eq!(everything(&home), before);

        // What its owner, or the client, added to the entry is none of our business.
        let path = home.path().join(file);
        let mut mine = parsed(&path);
        mine[list]["crdt-palace"]["env"] = json!({"CRDT_PALACE_LOG": "debug"});
        mine[list]["crdt-palace"]["type"] = json!("stdio");
        write(&path, &mine.to_string());
        let output = install(&home, &["--client", client]);
        assert!(stderr(&output).contains("already"), "{}", stderr(&output));
        assert_eq!(parsed(&path), mine);
    }
}

#[test]
fn install_replaces_a_different_entry_only_on_request() {
    let home = home();
    let path = home.path().join(".cursor/mcp.json");
    let other = "{\"mcpServers\": {\"crdt-palace\": {\"url\": \"http://x/\\u001b\"}, \"b\": {}}}";
    write(&path, other);
    let output = install(&home, &["--client", "cursor"]);
    let said = stderr(&output);
    assert_eq!(code(&output), Some(1), "{said}");
    assert!(said.contains("http://x/") && said.contains(PALACE) && said.contains("--replace"));
    assert!(!said.contains('\u{1b}'), "{said}");
    assert_eq!(everything(&home), [(path.clone(), other.as_bytes().to_owned())]);

    let beside = install(&home, &["--client", "cursor", "--name", "mine"]);
    assert_eq!(code(&beside), Some(0));
    assert_eq!(parsed(&path)["mcpServers"]["crdt-palace"]["url"], "http://x/\u{1b}");

    let output = install(&home, &["--client", "cursor", "--replace"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let new = parsed(&path)["mcpServers"].clone();
    assert_eq!((&new["crdt-palace"]["command"], &new["b"]), (&json!(PALACE), &json!({})));
    assert_eq!((&new["crdt-palace"].get("url"), &new["mine"]["command"]), (&None, &json!(PALACE)));
    let kept = backups(&path);
    assert_eq!(kept.len(), 2, "the first backup is not overwritten");
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), other);
}

#[test]
fn second_entry_for_one_palace_is_refused() {
    let home = home();
    let path = home.path().join(".cursor/mcp.json");
    write(&path, r#"{"mcpServers": {"palace": {"command": "crdt-palace", "args": ["serve"]}}}"#);
    let before = everything(&home);
    let output = install(&home, &["--client", "cursor"]);
    assert_eq!((code(&output), everything(&home)), (Some(1), before));
    let told = stderr(&output);
    assert!(
        told.contains("already, as palace") && told.contains("--name palace --replace"),
        "{told}"
    );
    let renamed = install(&home, &["--client", "cursor", "--name", "palace", "--replace"]);
    assert_eq!(code(&renamed), Some(0), "{}", stderr(&renamed));
    assert_eq!(parsed(&path)["mcpServers"]["palace"]["command"], PALACE);
    let other = install(&home, &["--client", "cursor", "--palace", "other"]);
    assert_eq!(code(&other), Some(0), "{}", stderr(&other));
    let words = format!("no palace at {} yet", home.path().join("other").display());
    assert!(stderr(&other).contains(&words), "{}", stderr(&other));
}

#[test]
fn places_that_cannot_be_a_palace_are_not_installed() {
    let home = home();
    write(&home.path().join("notes/a.txt"), "text");
    let before = everything(&home);
    for palace in ["notes", "notes/a.txt"] {
        for more in [&[][..], &["--print"]] {
            let output =
                install(&home, &[&["--client", "cursor", "--palace", palace], more].concat());
            assert_eq!((code(&output), output.stdout.len()), (Some(10), 0), "{}", stderr(&output));
        }
    }
    assert_eq!(everything(&home), before);
}

#[test]
fn configuration_that_is_no_regular_file_is_refused() {
    let home = home();
    let (pipe, link) = (home.path().join(".claude.json"), home.path().join(".cursor/mcp.json"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::create_dir(link.parent().unwrap()).unwrap();
    symlink("/dev/null", &link).unwrap();
    for client in ["claude-code", "cursor"] {
        let output = install(&home, &["--client", client]);
        assert_eq!(code(&output), Some(1));
        assert!(stderr(&output).contains("is not a regular file"), "{}", stderr(&output));
    }
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/dev/null"));
}

#[test]
fn read_only_configuration_is_not_replaced() {
    let home = home();
    let path = home.path().join(".claude.json");
    write(&path, OTHERS);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let output = install(&home, &["--client", "claude-code"]);
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("is read-only, so it was not changed"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), OTHERS);
    assert_eq!(everything(&home).len(), 1, "nothing is left beside it");
}

#[test]
fn install_print_writes_nothing() {
    for (client, file, list) in FILES {
        let home = home();
        write(&home.path().join(file), "not even JSON");
        let before = everything(&home);
        let output = install(&home, &["--client", client, "--print", "--name", "mine"]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        let snippet: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(snippet[list]["mine"]["command"], PALACE);
        assert!(stderr(&output).contains(home.path().join(file).to_str().unwrap()));
        assert_eq!(everything(&home), before);
    }
}

#[test]
fn files_that_are_not_plain_json_are_left_alone_with_advice() {
    let texts: [&[u8]; 4] = [
        b"{\n  // my servers\n  \"servers\": {}\n}\n",
        b"{\"servers\": {},}",
        b"{\"servers\": []}",
        b"{\"servers\": {\"x\": \"\xff\"}}",
    ];
    for text in texts {
        let home = home();
        let path = home.path().join(".config/Code/User/mcp.json");
        write(&path, "");
        fs::write(&path, text).unwrap();
        let output = install(&home, &["--client", "vscode", "--replace"]);
        assert_eq!(code(&output), Some(1), "{}", stderr(&output));
        let snippet: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(snippet["servers"]["crdt-palace"]["type"], "stdio");
        assert!(stderr(&output).contains("by hand"), "{}", stderr(&output));
        assert_eq!(everything(&home), [(path, text.to_owned())]);
    }
}

#[test]
fn install_keeps_symbolic_links() {
    let home = home();
    let (link, file) = (home.path().join(".claude.json"), home.path().join("dotfiles/claude.json"));
    write(&file, "{\n  \"a\": 1\n}\n");
    symlink("dotfiles/claude.json", &link).unwrap();
    let output = install(&home, &["--client", "claude-code"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("dotfiles/claude.json"));
    assert!(file.symlink_metadata().unwrap().is_file());
    assert_eq!(parsed(&file)["mcpServers"]["crdt-palace"]["command"], PALACE);
    assert_eq!(backups(&file).len(), 1);

    fs::remove_file(&file).unwrap();
    let output = install(&home, &["--client", "claude-code"]);
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("link to nothing") && !file.exists(), "{}", stderr(&output));
}

#[test]
fn invalid_install_arguments_are_refused() {
    let home = home();
    for arguments in [
        &["--client", "emacs"][..],
        &["--client", "cursor", "--name", "a b"],
        &["--client", "cursor", "--name", ""],
        &["--client", "cursor", "--tools", "nonsense"],
        &[],
    ] {
        assert_eq!(code(&install(&home, arguments)), Some(2), "{arguments:?}");
    }
    let mut homeless = command(&home, &["--client", "cursor", "--palace", "p"]);
    let output = homeless.env_remove("HOME").output().unwrap();
    assert_eq!(code(&output), Some(2), "{}", stderr(&output));
    assert_eq!(everything(&home), []);
}
