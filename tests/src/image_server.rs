//! A web server with one file: where images come from.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
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

/// Serves whoever asks first an image of twice so many bytes, the second half of it when it is told to go on. Answers where
/// the image is.
///
/// # Panics
/// When the address is not this machine's.
pub fn serve_by_halves(address: &str, half_bytes: u64) -> (String, Sender<()>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap());
    let (go_on, told) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        if let Err(error) = answer_by_halves(stream, half_bytes, &told) {
            eprintln!("image server: {error}");
        }
    });
    (url, go_on)
}

fn answer_by_halves(mut stream: TcpStream, half_bytes: u64, told: &Receiver<()>) -> io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", 2 * half_bytes)?;
    let mut half = || io::copy(&mut io::repeat(b'x').take(half_bytes), &mut stream);
    half()?;
    told.recv().map_err(io::Error::other)?;
    half().map(drop)
}
