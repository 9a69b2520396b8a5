//! A client over HTTP that may run as another user.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// Sends a request to `HOST:PORT` or `unix:PATH`, and prints the answer, or why the server gave none.
pub fn print_answer(address: &str, request: &str) {
    let answer = match address.strip_prefix("unix:") {
        Some(path) => UnixStream::connect(path).and_then(|stream| exchange(stream, request)),
        None => TcpStream::connect(address).and_then(|stream| exchange(stream, request)),
    };
    match answer {
        Ok(answer) => println!("{answer}"),
        Err(error) => println!("no answer: {:?}", error.kind()),
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    let mut answer = String::new();
    stream.write_all(request.as_bytes())?;
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
