//! The socket that the server listens at: one of TCP, or a Unix socket with its file.
//!
//! Invariants: a Unix socket gives a connection to processes of the server's user alone. Its file replaces another one
//! only if no process listens at that, and is removed only if it is still this server's. Must not know: HTTP.

use crate::fs::{At, FsError};
use crate::mcp::error::{OrCannot, ServeError, SocketError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as TcpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as UnixSocket, UnixStream as UnixClient};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The mode of a Unix socket: only its owner can connect.
const MODE: u32 = 0o600;
/// The times that another server's start in the same directory is waited for, and the pause between them.
const LOCK_TRIES: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A socket that clients can connect to from now on.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpSocket),
    Unix(SocketFile, UnixSocket),
}

/// A socket whose connections can be accepted.
pub(super) enum Listener {
    Tcp(TcpListener),
    // The file is removed before the socket is closed. Until then, no other server takes it for a stale one.
    Unix(#[expect(dead_code, reason = "held until the end")] SocketFile, UnixListener),
}

/// A connection of a client.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Listens at the first of these addresses that is free.
    pub fn tcp(addresses: &[SocketAddr]) -> Result<Self, ServeError> {
        TcpSocket::bind(addresses).map(Socket::Tcp).or_cannot("listen at that address")
    }

    /// Listens at a Unix socket, for this user alone. A stale one is replaced.
    pub fn unix(path: &Path) -> Result<Self, ServeError> {
        let (socket, file) = bind(path)?;
        Ok(Socket::Unix(file, socket))
    }

    /// Returns the URL for clients.
    pub fn url(&self) -> Result<String, ServeError> {
        match self {
            Socket::Tcp(socket) => {
                let address = socket.local_addr().or_cannot("see where it listens")?;
                Ok(format!("http://{address}/mcp"))
            }
            Socket::Unix(file, _) => {
                Ok(format!("unix:{}, for http://localhost/mcp", file.path.display()))
            }
        }
    }

    /// Makes it ready to accept connections. Call it inside of a runtime.
    pub fn listen(self) -> Result<Listener, ServeError> {
        let made = match self {
            Socket::Tcp(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(socket))
                .map(Listener::Tcp),
            Socket::Unix(file, socket) => socket
                .set_nonblocking(true)
                .and_then(|()| UnixListener::from_std(socket))
                .map(|socket| Listener::Unix(file, socket)),
        };
        made.or_cannot("listen")
    }
}

impl Listener {
    /// Waits for the next client.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are small, and clients wait for them. Without it they are later, not wrong.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "answers may be slow");
                }
                Ok(Stream::Tcp(stream))
            }
            Listener::Unix(_, listener) => {
                let (stream, _) = listener.accept().await?;
                check_user(&stream)?;
                Ok(Stream::Unix(stream))
            }
        }
    }
}

/// Checks that the client is a process of this user. The mode keeps all other users out but root, and those that
/// connected in the moment before the socket had its mode.
fn check_user(stream: &UnixStream) -> io::Result<()> {
    let client = stream.peer_cred()?.uid();
    if client == geteuid().as_raw() {
        return Ok(());
    }
    let words = format!("the client belongs to uid {client}, and the server to another user");
    Err(io::Error::new(ErrorKind::PermissionDenied, words))
}

/// The file of a Unix socket. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> Result<Self, FsError> {
        let found = fs::symlink_metadata(path).at("access", path)?;
        Ok(SocketFile { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) == (self.device, self.inode) => {
                fs::remove_file(&self.path)
            }
            // A user has removed it, and perhaps another server listens there now.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %self.path.display(), %error, "the socket is left behind");
        }
    }
}

fn bind(path: &Path) -> Result<(UnixSocket, SocketFile), ServeError> {
    // While this is held, no other server looks for a stale socket here.
    let _lock = lock_own_directory(path.parent().unwrap_or(Path::new("/")))?;
    let bound = match UnixSocket::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(path)?;
            UnixSocket::bind(path)
        }
        bound => bound,
    };
    let socket = bound.or_cannot("listen at that address")?;
    let file = SocketFile::of(path).map_err(SocketError::from)?;
    let private = fs::set_permissions(path, Permissions::from_mode(MODE));
    private.at("change the mode of", path).map_err(SocketError::from)?;
    Ok((socket, file))
}

/// Opens and locks a directory in which no other user can replace the socket.
fn lock_own_directory(directory: &Path) -> Result<File, SocketError> {
    let opened = File::open(directory).at("open", directory)?;
    let found = opened.metadata().at("access", directory)?;
    if found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(SocketError::Directory { directory: directory.to_owned() });
    }
    lock(&opened).at("lock", directory)?;
    Ok(opened)
}

/// Takes the lock, which other servers hold for a moment when they start.
fn lock(directory: &File) -> io::Result<()> {
    for _ in 1..LOCK_TRIES {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            done => return Ok(done?),
        }
    }
    Ok(flock(directory, FlockOperation::NonBlockingLockExclusive)?)
}

/// Removes the socket of a server that was killed.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    if !fs::symlink_metadata(path).at("access", path)?.file_type().is_socket() {
        return Err(SocketError::NoSocket { path: path.to_owned() });
    }
    match UnixClient::connect(path) {
        // Only a socket that no process holds refuses a connection of its owner.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Ok(fs::remove_file(path).at("remove", path)?)
        }
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) => Ok(Err(error).at("connect to", path)?),
    }
}
