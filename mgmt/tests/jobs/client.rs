//! A client of the API.

use std::{net::SocketAddr, time::Duration};

use gantry_common::id::JobUuid;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

pub const PASSWORD: &str = "a password of the tests";

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    session: String,
}

/// An answer's status and JSON.
pub type Answer = (u16, Value);

/// A call that becomes a job.
#[derive(Clone)]
pub struct Call {
    pub method: reqwest::Method,
    pub path: String,
    pub body: Value,
    pub job: JobUuid,
    pub webhook: Option<String>,
}

impl Call {
    pub fn post(path: &str, params: Value) -> Self {
        let body = json!({ "params": params });
        Self { method: reqwest::Method::POST, path: path.to_owned(), body, job: JobUuid::random(), webhook: None }
    }

    pub fn put(path: &str, action: &str) -> Self {
        Self { method: reqwest::Method::PUT, body: json!({ action: {} }), ..Self::post(path, Value::Null) }
    }

    pub fn put_with(path: &str, action: &str, params: Value) -> Self {
        Self { method: reqwest::Method::PUT, body: json!({ action: params }), ..Self::post(path, Value::Null) }
    }

    pub fn delete(path: &str) -> Self {
        Self { method: reqwest::Method::DELETE, body: Value::Null, ..Self::post(path, Value::Null) }
    }

    pub fn webhook(self, url: &str) -> Self {
        Self { webhook: Some(url.to_owned()), ..self }
    }

    pub fn job(self, job: JobUuid) -> Self {
        Self { job, ..self }
    }
}

impl Client {
    pub async fn login(address: SocketAddr) -> reqwest::Result<Self> {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut client = Self { http, base: format!("http://{address}/zstack/v1"), session: String::new() };
        let digest: String = Sha512::digest(PASSWORD).iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({ "logInByAccount": { "accountName": "admin", "password": digest } });
        let (_, reply) =
            client.send(client.request(reqwest::Method::PUT, "/accounts/login").body(body.to_string())).await?;
        client.session = reply["inventory"]["uuid"].as_str().unwrap().to_owned();
        Ok(client)
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.session.is_empty() {
            request
        } else {
            request.header("authorization", format!("OAuth {}", self.session))
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// Sends a call; the node may be killed meanwhile.
    pub async fn try_submit(&self, call: &Call) -> reqwest::Result<Answer> {
        let mut request = self.request(call.method.clone(), &call.path).header("x-job-uuid", call.job.to_string());
        if let Some(url) = &call.webhook {
            request = request.header("x-web-hook", url);
        }
        if !call.body.is_null() {
            request = request.body(call.body.to_string());
        }
        self.send(request).await
    }

    pub async fn submit(&self, call: &Call) -> Answer {
        self.try_submit(call).await.unwrap()
    }

    /// Sends a call that must be accepted, and waits for its job.
    pub async fn run(&self, call: &Call) -> Answer {
        let (status, reply) = self.submit(call).await;
        assert_eq!(status, 202, "{reply}");
        self.end_of(call.job).await
    }

    /// POSTs and answers the uuid of what was made.
    pub async fn make(&self, path: &str, params: Value) -> String {
        let (status, reply) = self.run(&Call::post(path, params)).await;
        assert_eq!(status, 200, "{reply}");
        reply["inventory"]["uuid"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await.unwrap()
    }

    pub async fn query(&self, path: &str) -> Vec<Value> {
        let (status, reply) = self.get(path).await;
        assert_eq!(status, 200, "{reply}");
        reply["inventories"].as_array().unwrap().clone()
    }

    pub async fn poll(&self, job: JobUuid) -> Answer {
        self.get(&format!("/api-jobs/{job}")).await
    }

    pub async fn end_of(&self, job: JobUuid) -> Answer {
        eventually(&format!("job {job} ends"), async || Some(self.poll(job).await).filter(|(status, _)| *status != 202))
            .await
    }

    pub async fn cancel(&self, job: JobUuid) -> Answer {
        self.send(self.request(reqwest::Method::DELETE, &format!("/api-jobs/{job}"))).await.unwrap()
    }

    /// What is known of the progress of a job, all of its steps or the one being done.
    pub async fn progress(&self, job: JobUuid, all: bool) -> Vec<Value> {
        self.query(&format!("/task-progresses/{job}?all={all}")).await
    }
}

/// Looks until there is something to see.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("{what}: it never happened"))
}

/// The code of an error's answer.
pub fn code(reply: &Value) -> &str {
    reply["error"]["code"].as_str().unwrap_or_else(|| panic!("no error: {reply}"))
}

/// The details of an error's answer.
pub fn details(reply: &Value) -> &str {
    reply["error"]["details"].as_str().unwrap_or_else(|| panic!("no error: {reply}"))
}
