//! A web server with one file: where images come from.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
};

/// Serves a file to whoever asks for it, for as long as the test runs.
#[derive(Debug)]
pub struct ImageServer {
    url: String,
}

impl ImageServer {
    /// Serves `file` on a free port of `address`.
    ///
    /// # Panics
    /// When the address is not this machine's.
    pub fn start(address: &str, file: &Path) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("http://{}/guest.qcow2", listener.local_addr().unwrap());
        let file: PathBuf = file.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(error) = answer(stream, &file) {
                    eprintln!("image server: {error}");
                }
            }
        });
        Self { url }
    }

    /// Where the file is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn answer(mut stream: TcpStream, path: &Path) -> io::Result<()> {
    let request = BufReader::new(stream.try_clone()?);
    // The request ends with an empty line; whatever it asks for, it gets the file.
    for line in request.lines() {
        if line?.is_empty() {
            break;
        }
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    io::copy(&mut file, &mut stream)?;
    Ok(())
}
