//! A web server that misbehaves on demand.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// How one request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The content, from where the request's range begins.
    Content(Content),
    /// Something else altogether.
    Other { head: String, body: String },
}

#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) tag: &'static str,
    /// Whether a `Range` is honoured.
    pub(crate) ranges: bool,
    /// Bytes announced beyond those there are.
    pub(crate) excess: usize,
    /// Whether the length is announced.
    pub(crate) length: bool,
    /// The connection ends after so many bytes.
    pub(crate) cut_after: Option<usize>,
    /// Nothing more comes after so many bytes, and the connection stays.
    pub(crate) stall_after: Option<usize>,
}

impl Content {
    pub(crate) fn new(bytes: &Arc<Vec<u8>>) -> Self {
        let bytes = bytes.clone();
        Self { bytes, tag: "\"1\"", ranges: true, excess: 0, length: true, cut_after: None, stall_after: None }
    }
}

pub(crate) fn other(status: &str, kind: &str, body: &str) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    Answer::Other { head, body: body.into() }
}

/// The server and what it was asked.
pub(crate) struct Web {
    pub(crate) address: String,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Serves; `answer` gets the number of the request, from 0.
    pub(crate) async fn serve(answer: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut stream, request) = read_request(stream).await;
                let number = seen.lock().len();
                seen.lock().push(request.clone());
                let answer = answer(number);
                tokio::spawn(async move { write_answer(&mut stream, &request, answer).await });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/image", self.address)
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().len()
    }
}

async fn read_request(stream: TcpStream) -> (TcpStream, String) {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).await.unwrap() > 0 {}
    (reader.into_inner(), request.to_lowercase())
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A client that has seen enough closes the connection, and writing fails then.
async fn write_answer(stream: &mut TcpStream, request: &str, answer: Answer) -> Option<()> {
    let content = match answer {
        Answer::Content(content) => content,
        Answer::Other { head, body } => {
            stream
                .write_all(format!("{}{body}", head.replacen("\r\n", "\r\nConnection: close\r\n", 1)).as_bytes())
                .await
                .ok()?;
            return stream.shutdown().await.ok();
        }
    };
    let same = header(request, "if-range").is_none_or(|tag| tag == content.tag);
    let from = header(request, "range").filter(|_| content.ranges && same);
    let from: Option<usize> =
        from.map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    let total = content.bytes.len() + content.excess;
    let first = from.unwrap_or(0);
    let mut head = if from.is_some() {
        format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{}/{total}\r\n", total - 1)
    } else {
        "HTTP/1.1 200 OK\r\n".to_owned()
    };
    if content.length {
        head += &format!("Content-Length: {}\r\n", total - first);
    }
    head += &format!("ETag: {}\r\nConnection: close\r\n\r\n", content.tag);
    stream.write_all(head.as_bytes()).await.ok()?;
    let rest = &content.bytes[first.min(content.bytes.len())..];
    let sent = content.cut_after.or(content.stall_after).unwrap_or(rest.len()).min(rest.len());
    stream.write_all(&rest[..sent]).await.ok()?;
    stream.flush().await.ok()?;
    if content.stall_after.is_some() {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await.ok()
}
