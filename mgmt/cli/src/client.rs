//! Calls over HTTP.

use std::time::Duration;

use gantry_common::error::{ErrorCode, ErrorKind};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{arguments::Request, credentials::Credentials, secret, session::SessionFile};

const BASE: &str = "/zstack/v1";
/// A node that does not answer in this time is not there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The node refused the call, or the operation failed.
    #[error("{}", shown(.0))]
    Api(Box<ErrorCode>),
    /// The node did not answer.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// The node.
        url: String,
        /// Why.
        reason: String,
    },
    /// What answered is no management node.
    #[error("{url} answered with HTTP {status} and no JSON: is it a management node?")]
    NotTheNode {
        /// The node.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// No session, and nothing to begin one with.
    #[error(
        "{account} is not logged in at {url}: use `gantry login`, or set GANTRY_PASSWORD, or write \
         ~/.config/gantry/credentials.toml"
    )]
    NotLoggedIn {
        /// The account.
        account: String,
        /// The node.
        url: String,
    },
}

/// The error with what led to it.
fn shown(error: &ErrorCode) -> String {
    let mut text = format!("{} ({})", error.details, error.code);
    let mut cause = error.cause.as_deref();
    while let Some(inner) = cause {
        text.push_str(&format!("\n  because: {} ({})", inner.details, inner.code));
        cause = inner.cause.as_deref();
    }
    text
}

/// What the node answered at once.
#[derive(Debug)]
pub enum Answer {
    /// The reply.
    Reply(Value),
    /// The job goes on.
    Job,
}

/// A caller of one node.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    credentials: Credentials,
    kept: SessionFile,
    session: tokio::sync::Mutex<Option<String>>,
}

impl Client {
    /// A caller with these credentials, and the session that it had before.
    pub fn new(credentials: Credentials) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // A session must not follow the answer elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let kept = SessionFile::of(&credentials);
        let session = tokio::sync::Mutex::new(kept.read());
        Ok(Self { http, credentials, kept, session })
    }

    /// Begins a session with this password, and keeps it.
    pub async fn log_in(&self, password: &str) -> anyhow::Result<()> {
        let session = self.new_session(password).await?;
        self.kept.write(Some(&session))?;
        *self.session.lock().await = Some(session);
        Ok(())
    }

    /// Ends the session that is kept. Without one nothing happens.
    pub async fn log_out(&self) -> anyhow::Result<()> {
        let Some(session) = self.session.lock().await.take() else { return Ok(()) };
        let request = Request::new(Method::DELETE, format!("/accounts/sessions/{session}"));
        let ended = self.send(&request, Some(&session), None).await;
        self.kept.write(None)?;
        match ended {
            Err(CallError::Api(error)) if is_session_error(&error) => Ok(()),
            ended => ended.map(drop).map_err(Into::into),
        }
    }

    /// Calls an operation. With `job`, that is the id the job gets.
    pub async fn call(&self, request: &Request, open: bool, job: Option<&str>) -> Result<Answer, CallError> {
        if open {
            return self.send(request, None, job).await;
        }
        let kept = self.session.lock().await.clone();
        if let Some(session) = kept {
            match self.send(request, Some(&session), job).await {
                // The session has ended; a new one is begun below, if that is possible.
                Err(CallError::Api(error)) if is_session_error(&error) => {}
                answer => return answer,
            }
        }
        let session = self.renewed().await?;
        self.send(request, Some(&session), job).await
    }

    async fn renewed(&self) -> Result<String, CallError> {
        let Credentials { url, account, password } = &self.credentials;
        let Some(password) = password else {
            return Err(CallError::NotLoggedIn { account: account.clone(), url: url.clone() });
        };
        let session = self.new_session(password.expose()).await?;
        // The call can go on where the session cannot be kept.
        if let Err(error) = self.kept.write(Some(&session)) {
            eprintln!("gantry: the session is not kept: {error:#}");
        }
        *self.session.lock().await = Some(session.clone());
        Ok(session)
    }

    async fn new_session(&self, password: &str) -> Result<String, CallError> {
        let login = json!({
            "accountName": self.credentials.account, "password": secret::password_digest(password),
        });
        let mut request = Request::new(Method::PUT, "/accounts/login");
        request.body = Some(json!({ "logInByAccount": login }));
        match self.send(&request, None, None).await? {
            Answer::Reply(reply) if reply["inventory"]["uuid"].is_string() => {
                Ok(reply["inventory"]["uuid"].as_str().unwrap_or_default().to_owned())
            }
            _ => Err(CallError::NotTheNode { url: self.credentials.url.clone(), status: 200 }),
        }
    }

    async fn send(&self, request: &Request, session: Option<&str>, job: Option<&str>) -> Result<Answer, CallError> {
        let url = &self.credentials.url;
        let unreachable = |error: reqwest::Error| {
            let innermost =
                std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).last();
            let reason = innermost.map_or_else(|| error.to_string(), ToString::to_string);
            CallError::Unreachable { url: url.clone(), reason }
        };
        let method = request.method.parse().unwrap_or(Method::GET);
        let mut call = self.http.request(method, format!("{url}{BASE}{}", request.path)).query(&request.query);
        if let Some(session) = session {
            call = call.header("Authorization", format!("OAuth {session}"));
        }
        if let Some(job) = job {
            call = call.header("X-Job-UUID", job);
        }
        if let Some(body) = &request.body {
            call = call.json(body);
        }
        let answer = call.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let reply: Value = serde_json::from_slice(&body)
            .map_err(|_| CallError::NotTheNode { url: url.clone(), status: status.as_u16() })?;
        if let Ok(error) = serde_json::from_value::<ErrorCode>(reply["error"].clone()) {
            return Err(CallError::Api(Box::new(error)));
        }
        match status {
            StatusCode::ACCEPTED => Ok(Answer::Job),
            status if status.is_success() => Ok(Answer::Reply(reply)),
            status => Err(CallError::NotTheNode { url: url.clone(), status: status.as_u16() }),
        }
    }
}

fn is_session_error(error: &ErrorCode) -> bool {
    error.code == ErrorKind::InvalidSession.code()
}
