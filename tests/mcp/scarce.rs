//! Servers for which the system has no thread, no descriptor or no memory: each call is answered, and when there is
//! something again, the server works again.

use crate::client::{PALACE, serve};
use crate::http::wire::{Client, Server, command};
use crate::raw::{Raw, has_prlimit, limited, memory};
use crdt_palace::palace::Palace;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const SETS: [&str; 2] = ["--tools", "palace,memory,documents"];

/// Sets the soft limit of a process that runs.
fn limit(pid: u32, resource: &str, most: u64) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--{resource}={most}:")]);
    // Root may lack the right to limit processes of others.
    let owner = std::fs::metadata(format!("/proc/{pid}")).unwrap();
    if owner.uid() != rustix::process::geteuid().as_raw() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    assert!(command.status().unwrap().success());
}

/// A user without any process who owns a directory; `None` if that cannot be had here, which is said.
fn another_user(which: u32, dir: &Path) -> Option<u32> {
    let skipped = |why: &str| {
        eprintln!("skipped: {why}");
        None
    };
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can become a user without any process");
    }
    let uid = 200_000 + which * 100_000 + std::process::id() % 100_000;
    std::os::unix::fs::chown(dir, Some(uid), Some(uid)).unwrap();
    match Command::new(PALACE).arg("--version").uid(uid).gid(uid).output() {
        Ok(output) if output.status.success() && has_prlimit() => Some(uid),
        Ok(_) => skipped("there is no prlimit"),
        Err(error) => skipped(&format!("another user cannot run the program: {error}")),
    }
}

/// Runs a command as a user, with no thread but its first one.
fn without_threads(command: &Command, uid: u32) -> Command {
    let id = uid.to_string();
    let mut as_user = Command::new("setpriv");
    as_user.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    as_user.arg(command.get_program()).args(command.get_args());
    limited(&as_user, &["--nproc=1:1000"])
}

fn put(n: usize) -> Value {
    json!({"key": format!("k{n}"), "value": {"n": n}})
}

#[test]
fn stdio_servers_without_threads_answer_and_recover() {
    let dir = tempfile::tempdir().unwrap();
    let Some(uid) = another_user(0, dir.path()) else { return };
    for is_new in [false, true] {
        let path = dir.path().join(is_new.to_string());
        let mut command = without_threads(&serve(&path, &SETS), uid);
        let mut server = Raw::start(command.stderr(Stdio::null()), is_new);
        server.open();
        assert!(server.ask("tools/list", json!({}))["result"]["tools"].is_array());
        for _ in 0..3 {
            let error = server.call("document_put", put(0)).unwrap_err();
            assert!(error.contains("no thread") && error.contains("ulimit -u"), "{error}");
        }
        let read = server.ask("resources/read", json!({"uri": "palace://status"}));
        assert!(read["error"]["message"].as_str().unwrap().contains("no thread"), "{read}");
        limit(server.pid(), "nproc", 1_000);
        assert_eq!(server.call("document_put", put(1)).unwrap()["durable"], true);
        // The thread that it has is enough.
        limit(server.pid(), "nproc", 1);
        for n in 2..6 {
            server.call("document_put", put(n)).unwrap();
        }
        assert_eq!(server.call("document_get", json!({"key": "k5"})).unwrap()["value"]["n"], 5);
        assert_eq!(server.end().code(), Some(0));
    }
}

#[test]
fn http_servers_without_threads_answer_and_recover() {
    let dir = tempfile::tempdir().unwrap();
    let Some(uid) = another_user(1, dir.path()) else { return };
    let mut command = without_threads(&command(&dir.path().join("p"), "0", None), uid);
    let server = Server::of(command.env_remove("CRDT_PALACE_TOKEN"));
    for client in [Client::with_session(&server, "c"), Client::without_session(&server, "c")] {
        let (tool, headers) = ("document_put", [("Mcp-Method", "tools/call")]);
        let headers = [&headers[..], &[("Mcp-Name", tool)], &client.headers()].concat();
        let answer = server.post(&client.request(tool, &put(0)).to_string(), &headers).message();
        let error = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(error.contains("no thread"), "{answer}");
        assert_eq!(server.get("/health", &[]).status, 503);
    }
    limit(server.pid(), "nproc", 1_000);
    Client::with_session(&server, "c").call("document_put", &put(1));
    assert_eq!(server.health()["status"], "ok");
}

/// Takes all descriptors that a process could still open.
fn without_descriptors(pid: u32) {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let numbers = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let most: u64 = numbers.max().unwrap();
    limit(pid, "nofile", most + 1);
}

#[test]
fn servers_without_descriptors_answer_and_recover() {
    if !has_prlimit() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdio");
    let mut server = Raw::start(&mut serve(&path, &SETS), false);
    server.open();
    server.call("document_put", put(0)).unwrap();
    without_descriptors(server.pid());
    // Whether a call needs a descriptor is its own matter: each is answered.
    let mut acknowledged = vec![0];
    for n in 1..4 {
        acknowledged.extend(server.call("document_put", put(n)).map(|_| n));
        let found = server.call("document_get", json!({"key": "k0"}));
        assert!(found.is_err() || found.unwrap()["value"]["n"] == 0);
        let listed = server.call("document_list", json!({}));
        assert!(listed.is_err() || listed.unwrap().to_string().contains("k0"));
    }
    limit(server.pid(), "nofile", 1_000);
    server.call("document_put", put(9)).unwrap();
    for n in acknowledged {
        let found = server.call("document_get", json!({"key": format!("k{n}")})).unwrap();
        assert_eq!(found["value"]["n"], n);
    }
    assert_eq!(server.end().code(), Some(0));

    let server = Server::start(&dir.path().join("http"), None);
    assert_eq!(server.health()["status"], "ok");
    without_descriptors(server.pid());
    std::thread::scope(|scope| {
        // No connection can be accepted now.
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| server.health())).collect();
        limit(server.pid(), "nofile", 1_000);
        for health in waiting {
            assert_eq!(health.join().unwrap()["status"], "ok");
        }
    });
}

#[test]
fn servers_started_with_few_descriptors_never_panic() {
    if !has_prlimit() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut started = 0;
    for most in 3..24 {
        let limits = format!("--nofile={most}");
        let mut command = limited(&serve(&dir.path().join("p"), &SETS), &[&limits]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{most}: {said}");
        let code = output.status.code().unwrap_or_else(|| panic!("{most}: {}", output.status));
        assert!(code == 0 || !said.is_empty(), "{most}: {code} without a word");
        started += usize::from(code == 0);
    }
    assert!(started > 0, "it started with none of them");
}

#[test]
fn servers_that_run_out_of_memory_lose_nothing_acknowledged() {
    if !has_prlimit() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let mut command = serve(&path, &SETS);
    let mut server = Raw::start(command.stderr(Stdio::null()), false);
    server.open();
    let value = |n: usize| json!({"n": n, "text": format!("{n} ").repeat(20_000)});
    let mut acknowledged = Vec::new();
    for n in 0..40 {
        if n == 20 {
            limit(server.pid(), "as", memory(server.pid(), "VmSize") + (1 << 20));
        }
        let arguments = json!({"key": format!("k{n}"), "value": value(n)});
        let call = json!({"name": "document_put", "arguments": arguments});
        let request = server.request(n, "tools/call", call);
        // It may have ended: then nothing is sent, or nothing comes back.
        let sent = std::io::Write::write_all(
            server.input.as_mut().unwrap(),
            format!("{request}\n").as_bytes(),
        );
        if sent.is_err() {
            break;
        }
        let answer = server.receive();
        if answer.is_null() {
            break;
        }
        if answer["result"]["structuredContent"]["durable"] == true {
            acknowledged.push(n);
        }
    }
    drop(server);
    assert!(acknowledged.len() >= 20, "{acknowledged:?}");
    let palace = Palace::open(&path).unwrap();
    for n in acknowledged {
        let found = palace.get(&format!("k{n}")).unwrap().unwrap_or_else(|| panic!("k{n} is lost"));
        assert_eq!(Value::Object(found.value), value(n));
    }
}
