//! A served node, and a client that writes requests byte by byte if need be.

use std::ops::Deref;

use gantry_mgmt::{api::Limits, failure::Failure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::served_node::{ServedNode, login};

/// A served node whose clients' bytes are looked at.
pub struct Front(ServedNode);

impl Deref for Front {
    type Target = ServedNode;

    fn deref(&self) -> &ServedNode {
        &self.0
    }
}

impl Front {
    pub async fn serve(limits: Limits) -> Self {
        Self(ServedNode::start(limits).await)
    }

    pub async fn connect(&self) -> Connection {
        Connection { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new(), session: None }
    }

    /// A connection whose requests carry a session of its own.
    pub async fn log_in(&self) -> Connection {
        let mut connection = self.connect().await;
        let answer = connection.call("PUT", "/zstack/v1/accounts/login", &login()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        connection.session = Some(answer.body["inventory"]["uuid"].as_str().unwrap().to_owned());
        connection
    }

    /// Another connection of the same session.
    pub async fn again(&self, connection: &Connection) -> Connection {
        Connection { session: connection.session.clone(), ..self.connect().await }
    }

    /// Keeps the store's writer busy until what is answered is dropped.
    pub async fn hold_writer(&self) -> std::sync::mpsc::Sender<()> {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (began, begun) = tokio::sync::oneshot::channel();
        let store = self.node.store.clone();
        tokio::spawn(async move {
            let work = store.write(move |_| {
                began.send(()).unwrap();
                let _ = held.recv();
                Ok::<_, Failure>(())
            });
            work.await.unwrap();
        });
        begun.await.unwrap();
        hold
    }
}

pub struct Connection {
    pub stream: TcpStream,
    read: Vec<u8>,
    pub session: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    /// Null where there is none.
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

impl Connection {
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await;
        self.answer().await.unwrap()
    }

    pub async fn call(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[], &body.to_string()).await;
        self.answer().await.unwrap()
    }

    /// Sends a request without waiting for its answer.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.stream.peer_addr().unwrap());
        if let Some(session) = &self.session {
            head.push_str(&format!("Authorization: OAuth {session}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.write(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
    }

    pub async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer; none where the connection ends instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.read.drain(..head_end).collect()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            self.more().await?;
        }
        let body: Vec<u8> = self.read.drain(..length).collect();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Whether the node has closed it, or does so now.
    pub async fn is_cut(&mut self) -> bool {
        self.more().await.is_none()
    }

    /// Waits for a job's end.
    pub async fn ended(&mut self, location: &str) -> Answer {
        loop {
            let answer = self.get(location).await;
            if !matches!(answer.status, 202 | 404) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}
