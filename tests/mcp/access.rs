//! Who comes in over HTTP: tokens that are made, given or refused, Unix sockets, and other users of the machine.

use crate::client::PALACE;
use crate::http::wire::Answer;
use crate::support::{child_program, names};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

const TOKEN: &str = "0123456789abcdef";
/// The user that other processes run as.
const NOBODY: u32 = 65_534;

/// A home directory with a palace in it, which other users cannot enter.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Home(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The directory of the tokens that are made, unless there is a runtime directory.
    fn state(&self) -> PathBuf {
        self.at(".local/state/crdt-palace")
    }

    /// A server of the palace `palace`, whose environment names nothing but this home.
    fn serve(&self, http: &str, options: &[&str]) -> Command {
        let mut command = Command::new(PALACE);
        command.arg("serve").arg("--palace").arg(self.at("palace")).args(["--http", http]);
        for variable in ["CRDT_PALACE_TOKEN", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
            command.env_remove(variable);
        }
        command.args(options).env("HOME", self.0.path()).stdin(Stdio::null());
        command
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.at(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, mode);
        path.to_str().unwrap().to_owned()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A server that listens. Killed when dropped.
struct Server {
    child: Child,
    /// `HOST:PORT`, or `unix:PATH`.
    at: String,
    /// The line about the token.
    said: String,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let (listening, said) = (line(), line());
        let url = listening.strip_prefix("crdt-palace: listening on ").unwrap();
        let at = url.strip_prefix("http://").and_then(|url| url.strip_suffix("/mcp"));
        let at = at.or(url.strip_suffix(", for http://localhost/mcp")).unwrap().to_owned();
        // What it says later stays visible to whoever reads the output of the test.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{}", line.unwrap())));
        Server { child, at, said }
    }

    /// The file that the server names, and the token in it.
    fn token(&self) -> (PathBuf, String) {
        let rest = self.said.strip_prefix("crdt-palace: the token is in ").unwrap();
        let path = rest.strip_suffix("; clients send it as the header Authorization: Bearer TOKEN");
        let path = PathBuf::from(path.unwrap());
        let token = fs::read_to_string(&path).unwrap();
        assert!(!self.said.contains(token.trim_end()));
        (path, token.trim_end().to_owned())
    }

    fn status(&self, path: &str, token: Option<&str>) -> u16 {
        let request = request(path, "localhost", token);
        let answer = match self.at.strip_prefix("unix:") {
            Some(path) => exchange(UnixStream::connect(path).unwrap(), &request),
            None => exchange(TcpStream::connect(&self.at).unwrap(), &request),
        };
        answer.status
    }

    fn end(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn request(path: &str, host: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}\r\n")
}

fn exchange(mut stream: impl Write + std::io::Read, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).unwrap();
    Answer::read(BufReader::new(stream))
}

/// Starts a server that has to end at once, and gives its exit code and what it says.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } = command.output().unwrap();
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// What the server at an address answers to a process of another user, or `None` if there can be none here.
fn asked_by_another_user(address: &str, request: &str) -> Option<String> {
    as_another_user(child_program(), &["ask", address, request])
}

fn as_another_user(program: &str, arguments: &[&str]) -> Option<String> {
    let user = format!("--reuid={NOBODY}");
    let mut command = Command::new("setpriv");
    command.args([&user, "--clear-groups", program]).args(arguments);
    let output = command.output().ok().filter(|output| output.status.success());
    match output.filter(|_| rustix::process::geteuid().is_root()) {
        Some(output) => Some(String::from_utf8(output.stdout).unwrap()),
        None => {
            println!("skipped: no other user can run {program} here");
            None
        }
    }
}

#[test]
fn made_tokens_are_private_required_and_kept() {
    let home = Home::new();
    let server = Server::start(&mut home.serve("0", &[]));
    let (file, token) = server.token();
    assert_eq!(file.parent().unwrap(), home.state());
    assert_eq!((mode(&file), mode(&home.state())), (0o600, 0o700));
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    for path in ["/mcp", "/health", "/health/locks", "/"] {
        assert_eq!(server.status(path, None), 401, "{path}");
        assert_eq!(server.status(path, Some(&token.to_uppercase())), 401, "{path}");
    }
    assert_eq!(server.status("/health", Some(&token)), 200);
    assert!(!home.at("palace").exists(), "no file is made before the first write");
    // Every server of the palace at this address has the same token.
    let beside = Server::start(&mut home.serve("127.0.0.1:0", &[]));
    assert_eq!(beside.token(), (file.clone(), token.clone()));
    assert!(server.end(Signal::TERM).success() && beside.end(Signal::TERM).success());
    let again = Server::start(&mut home.serve("0", &[]));
    assert_eq!(again.token(), (file.clone(), token.clone()));
    let other = Server::start(&mut home.serve("localhost:0", &[]));
    assert!(other.token().0 != file && other.token().1 != token, "another address");
    assert_eq!(other.status("/health", Some(&token)), 401);
    assert_eq!(names(home.0.path(), ".local/state/crdt-palace").len(), 2, "nothing else is left");
}

#[test]
fn servers_that_cannot_listen_leave_no_token_behind() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = refused(&mut home.serve(&address, &[]));
    assert!(code == Some(1) && said.contains("cannot listen at that address"), "{code:?} {said}");
    assert!(!home.state().exists());
}

#[test]
fn servers_started_at_once_share_one_made_token() {
    let home = Home::new();
    let start = || Server::start(&mut home.serve("0", &[]));
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (_, token) = servers[0].token();
    for server in &servers {
        assert_eq!(server.status("/health", Some(&token)), 200);
    }
    assert_eq!(names(home.0.path(), ".local/state/crdt-palace").len(), 1);
}

#[test]
fn made_tokens_are_in_the_runtime_directory_if_it_is_private() {
    let home = Home::new();
    let (runtime, state) = (home.at("run"), home.at("state"));
    fs::create_dir(&runtime).unwrap();
    let start = || {
        let mut command = home.serve("0", &[]);
        command.env("XDG_RUNTIME_DIR", &runtime).env("XDG_STATE_HOME", &state);
        Server::start(&mut command).token().0
    };
    for (mode, above) in [(0o700, &runtime), (0o755, &state), (0o770, &state)] {
        set_mode(&runtime, mode);
        assert_eq!(start().parent().unwrap(), above.join("crdt-palace"), "{mode:o}");
    }
    fs::remove_dir_all(&runtime).unwrap();
    assert_eq!(start().parent().unwrap(), state.join("crdt-palace"));
    // A relative path would be another one in each working directory.
    let mut command = home.serve("0", &[]);
    let server = Server::start(command.env("XDG_STATE_HOME", "state"));
    assert_eq!(server.token().0.parent().unwrap(), home.state());
}

#[test]
fn directories_that_are_no_place_for_a_token_are_refused() {
    let home = Home::new();
    fs::create_dir_all(home.state()).unwrap();
    set_mode(&home.state(), 0o755);
    let (code, said) = refused(&mut home.serve("0", &[]));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("run chmod 700 {}", home.state().display())), "{said}");
    set_mode(&home.state(), 0o700);
    drop(Server::start(&mut home.serve("0", &[])));

    let mut in_palace = home.serve("0", &[]);
    let (code, said) = refused(in_palace.env("XDG_STATE_HOME", home.at("palace")));
    assert!(code == Some(2) && said.contains("would be in the palace"), "{said}");
    let (code, said) = refused(home.serve("0", &[]).env_remove("HOME"));
    assert!(code == Some(2) && said.contains("pass --token-file FILE"), "{said}");
    assert!(!home.at("palace").exists());
}

#[test]
fn token_files_that_others_could_read_are_refused() {
    let home = Home::new();
    let serve = |file: &str| home.serve("0", &["--token-file", file]);
    let good = home.file("good", &format!("{TOKEN}\n"), 0o600);
    symlink(&good, home.at("link")).unwrap();
    for file in [&*good, "~/good", "~/link"] {
        let server = Server::start(&mut serve(file));
        assert_eq!(server.status("/health", Some(TOKEN)), 200);
        assert_eq!(server.status("/health", None), 401);
        assert_eq!(server.token().1, TOKEN);
    }
    for mode in [0o640, 0o604, 0o620, 0o602] {
        let (code, said) = refused(&mut serve(&home.file("open", TOKEN, mode)));
        assert!(code == Some(2) && said.contains("run chmod 600 "), "{mode:o}: {said}");
    }
    let (code, said) = refused(&mut serve(&home.file("short", "short\n", 0o600)));
    assert!(code == Some(2) && said.contains("short has no token: "), "{said}");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for (name, word) in [("pipe", "a pipe"), (".", "a directory"), ("none", "no such file")] {
        let (code, said) = refused(&mut serve(home.at(name).to_str().unwrap()));
        assert!(code == Some(1) && said.to_lowercase().contains(word), "{said}");
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file to another user");
        return;
    }
    chown(&good, Some(NOBODY), None).unwrap();
    let (code, said) = refused(&mut serve(&good));
    assert!(code == Some(2) && said.contains("belongs to uid 65534"), "{said}");
}

#[test]
fn servers_without_a_token_have_to_be_asked_for() {
    let home = Home::new();
    let server = Server::start(&mut home.serve("0", &["--no-token"]));
    assert_eq!(server.status("/health", None), 200);
    assert!(server.said.contains("every user of this machine can read and write"));
    assert!(!home.state().exists());
    let mut both = home.serve("0", &["--no-token"]);
    let (code, said) = refused(both.env("CRDT_PALACE_TOKEN", TOKEN));
    assert!(code == Some(2) && said.contains("unset the variable"), "{said}");
    let file = home.file("token", TOKEN, 0o600);
    let (code, _) = refused(&mut home.serve("0", &["--no-token", "--token-file", &file]));
    assert_eq!(code, Some(2));
    // The file that is named counts, not the variable.
    let mut named = home.serve("0", &["--token-file", &file]);
    let server = Server::start(named.env("CRDT_PALACE_TOKEN", "another-token-of-the-user"));
    assert_eq!(server.status("/health", Some(TOKEN)), 200);
}

#[test]
fn processes_of_another_user_are_not_let_in() {
    let home = Home::new();
    let server = Server::start(&mut home.serve("0", &[]));
    let (file, token) = server.token();
    for path in ["/health", "/mcp"] {
        let request = request(path, "localhost", None);
        let Some(answer) = asked_by_another_user(&server.at, &request) else { return };
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    // Neither the file nor its directory helps, wherever the home directory is.
    set_mode(home.0.path(), 0o755);
    for path in [&file, &home.state()] {
        let read = format!("cat {0} || ls {0} || echo refused", path.display());
        let found = as_another_user("sh", &["-c", &read]).unwrap();
        assert_eq!(found, "refused\n", "{}", path.display());
    }
    assert_eq!(server.status("/health", Some(&token)), 200);
    let open = Server::start(&mut home.serve("0", &["--no-token"]));
    let answer = asked_by_another_user(&open.at, &request("/health", "localhost", None)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "without a token they come in: {answer}");
}

#[test]
fn unix_sockets_let_in_their_own_user_only() {
    let home = Home::new();
    let socket = home.at("s");
    let server = Server::start(&mut home.serve("unix:~/s", &[]));
    assert_eq!(server.at, format!("unix:{}", socket.display()));
    assert_eq!(
        server.said,
        "crdt-palace: no token is needed: only processes of this user can connect"
    );
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(server.status("/health", None), 200);
    let foreign = request("/health", "evil.example", None);
    assert_eq!(exchange(UnixStream::connect(&socket).unwrap(), &foreign).status, 403);
    // The mode alone keeps them out, and so does the server.
    set_mode(home.0.path(), 0o755);
    let asked = || asked_by_another_user(&server.at, &request("/health", "localhost", None));
    let Some(answer) = asked() else { return };
    assert_eq!(answer, "no answer: PermissionDenied\n");
    set_mode(&socket, 0o666);
    let answer = asked().unwrap();
    let unanswered = ["\n", "no answer: ConnectionReset\n", "no answer: BrokenPipe\n"];
    assert!(unanswered.contains(&&*answer), "{answer}");
    assert_eq!(server.status("/health", None), 200, "the next client is served");
    drop(server);

    let mut with_token = home.serve("unix:~/t", &[]);
    let server = Server::start(with_token.env("CRDT_PALACE_TOKEN", TOKEN));
    assert_eq!(server.status("/health", None), 401, "a token that is given counts here too");
    assert_eq!(server.status("/health", Some(TOKEN)), 200);
}

#[test]
fn unix_sockets_are_removed_at_exit_and_stale_ones_replaced() {
    let home = Home::new();
    let socket = home.at("s");
    let serve = || home.serve("unix:~/s", &[]);
    for signal in [Signal::TERM, Signal::INT] {
        assert_eq!(Server::start(&mut serve()).end(signal).code(), Some(0));
        assert!(!socket.exists(), "{signal:?}");
    }
    assert_eq!(Server::start(&mut serve()).end(Signal::KILL).code(), None);
    assert!(socket.exists(), "a killed server removes nothing");
    let server = Server::start(&mut serve());
    let (code, said) = refused(&mut serve());
    assert!(code == Some(1) && said.contains("another server listens at"), "{said}");
    assert_eq!(server.status("/health", None), 200, "the first server goes on");
    // A server removes no socket but its own.
    fs::remove_file(&socket).unwrap();
    let second = Server::start(&mut serve());
    assert_eq!(server.end(Signal::TERM).code(), Some(0));
    assert_eq!(second.status("/health", None), 200);
    assert!(second.end(Signal::TERM).success() && !socket.exists());
}

#[test]
fn paths_that_are_no_place_for_a_socket_are_refused() {
    let home = Home::new();
    let serve = |path: &str| home.serve(&format!("unix:{}", home.at(path).display()), &[]);
    home.file("note", "text", 0o600);
    let (code, said) = refused(&mut serve("note"));
    assert!(code == Some(1) && said.contains("is there already and is no socket"), "{said}");
    assert_eq!(fs::read_to_string(home.at("note")).unwrap(), "text");
    // Another program listens.
    let other = UnixListener::bind(home.at("other")).unwrap();
    let (code, said) = refused(&mut serve("other"));
    assert!(code == Some(1) && said.contains("another server listens"), "{said}");
    drop(other);
    drop(Server::start(&mut serve("other")));

    fs::create_dir(home.at("shared")).unwrap();
    for mode in [0o770, 0o1777] {
        set_mode(&home.at("shared"), mode);
        let (code, said) = refused(&mut serve("shared/s"));
        assert!(code == Some(1) && said.contains("other users can change the files in"), "{said}");
    }
    let (code, said) = refused(&mut serve("missing/s"));
    assert!(code == Some(1) && said.to_lowercase().contains("no such file"), "{said}");
    let (code, said) = refused(&mut home.serve("unix:", &[]));
    assert!(code == Some(2) && said.contains("unix:PATH"), "{said}");
}

#[test]
fn servers_started_at_once_at_one_socket_leave_one() {
    let home = Home::new();
    let socket = home.at("s");
    drop(UnixListener::bind(&socket).unwrap());
    let mut starting: Vec<Child> = (0..5)
        .map(|_| home.serve("unix:~/s", &[]).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let first_lines: Vec<String> = starting
        .iter_mut()
        .map(|child| {
            let mut line = String::new();
            BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
            line
        })
        .collect();
    let count = |word: &str| first_lines.iter().filter(|line| line.contains(word)).count();
    assert_eq!((count("listening on"), count("another server listens")), (1, 4), "{first_lines:?}");
    let request = request("/health", "localhost", None);
    assert_eq!(exchange(UnixStream::connect(&socket).unwrap(), &request).status, 200);
    for child in &mut starting {
        // Most have ended already.
        drop(child.kill());
        child.wait().unwrap();
    }
}
