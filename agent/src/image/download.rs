//! Downloads over HTTP that survive dropped connections.

use std::{cmp::max, error::Error, io, iter, time::Duration};

use gantry_common::agent::{AgentError, Call};
use reqwest::{
    Client, ClientBuilder, Response, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
    },
    redirect::{Attempt, Policy},
};
use rustls::crypto::{CryptoProvider, ring};

use super::sink::Writer;
use crate::storage::{StoragePath, blocking, require_bytes};

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a server may send nothing.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
/// How many attempts in a row may end without having got further.
const MAX_FRUITLESS_ATTEMPTS: u32 = 5;
/// How much further counts as further: a server must not keep the agent busy with a byte at a time.
const FURTHER_BYTES: u64 = 1 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_REASON_CHARS: usize = 200;

/// A file on a web server.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) client: Client,
    pub(crate) url: Url,
    /// How errors name it: without secrets.
    pub(crate) name: String,
}

impl Remote {
    /// What a request that got no answer means for the transfer.
    pub(crate) fn failure(&self, error: reqwest::Error) -> Failure {
        if error.is_redirect() || error.is_builder() || blames_certificate(&error) {
            self.refused(reason(error))
        } else {
            Failure::Passing(reason(error))
        }
    }

    /// What an answer that is none of those wanted means for it.
    pub(crate) async fn unexpected(&self, response: Response) -> Failure {
        let status = response.status();
        let answer = answer(response).await;
        let may_pass =
            status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if may_pass { Failure::Passing(answer) } else { self.refused(answer) }
    }

    /// It will not be otherwise a moment later.
    pub(crate) fn refused(&self, reason: String) -> Failure {
        Failure::Final(AgentError::Transfer { url: self.name.clone(), reason })
    }
}

/// The client images are downloaded with: the system's certificate authorities, the environment's proxies, timeouts for
/// connecting and for silence, a bounded number of redirects.
///
/// # Errors
/// Fails when the system's certificates cannot be read.
pub fn http_client() -> Result<Client, AgentError> {
    http_client_builder()
        .build()
        .map_err(|error| AgentError::Internal { reason: format!("the HTTP client: {}", reason(error)) })
}

pub(crate) fn http_client_builder() -> ClientBuilder {
    if CryptoProvider::get_default().is_none() {
        // Somebody else's at the same time is as good.
        let _ = ring::default_provider().install_default();
    }
    Client::builder()
        .user_agent(concat!("gantry-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
        .redirect(Policy::custom(|attempt| match refusal(&attempt) {
            None => attempt.follow(),
            Some(reason) => attempt.error(reason),
        }))
}

fn refusal(attempt: &Attempt<'_>) -> Option<&'static str> {
    let from_https = attempt.previous().last().is_some_and(|previous| previous.scheme() == "https");
    if attempt.previous().len() > MAX_REDIRECTS {
        Some("more than 10 redirects")
    } else if from_https && attempt.url().scheme() != "https" {
        Some("the server redirects from https to http; use the http URL itself if that is acceptable")
    } else {
        None
    }
}

/// Why an attempt failed.
pub(crate) enum Failure {
    /// Another attempt may succeed.
    Passing(String),
    /// It would fail again.
    Final(AgentError),
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        Self::Final(error)
    }
}

/// Downloads `remote` into `writer`, whose file will be at `target`. Goes on where a dropped connection left off.
pub(crate) async fn download(
    remote: &Remote,
    target: &StoragePath,
    writer: &mut Writer,
    call: &Call,
) -> Result<(), AgentError> {
    let mut transfer = Transfer { remote, target, writer, call, done_bytes: 0, total_bytes: None, validator: None };
    let mut patience = Patience::default();
    loop {
        match transfer.attempt().await {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => patience.wait(&remote.name, transfer.done_bytes, reason).await?,
        }
    }
}

/// Whether a transfer that broke off is worth another attempt.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    furthest_bytes: u64,
    fruitless_attempts: u32,
}

impl Patience {
    /// Waits for the time of the next attempt after one that got as far as `done_bytes`.
    ///
    /// # Errors
    /// `Transfer` after too many attempts in a row that got no further.
    pub(crate) async fn wait(&mut self, name: &str, done_bytes: u64, reason: String) -> Result<(), AgentError> {
        let got_further = done_bytes >= self.furthest_bytes + FURTHER_BYTES;
        self.fruitless_attempts = if got_further { 0 } else { self.fruitless_attempts + 1 };
        self.furthest_bytes = max(self.furthest_bytes, done_bytes);
        if self.fruitless_attempts >= MAX_FRUITLESS_ATTEMPTS {
            let reason = format!("{reason}; gave up after {} attempts that got no further", self.fruitless_attempts);
            return Err(AgentError::Transfer { url: name.to_owned(), reason });
        }
        tracing::info!(source = %name, done_bytes, %reason, "the transfer goes on");
        tokio::time::sleep(FIRST_PAUSE * 2u32.pow(self.fruitless_attempts.saturating_sub(1))).await;
        Ok(())
    }
}

struct Transfer<'a> {
    remote: &'a Remote,
    target: &'a StoragePath,
    writer: &'a mut Writer,
    call: &'a Call,
    done_bytes: u64,
    total_bytes: Option<u64>,
    /// What identifies the file's content to the server, so that two versions are not joined into one.
    validator: Option<HeaderValue>,
}

impl Transfer<'_> {
    async fn attempt(&mut self) -> Result<(), Failure> {
        let mut request = self.remote.client.get(self.remote.url.clone()).header(ACCEPT_ENCODING, "identity");
        if self.done_bytes > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.done_bytes));
            if let Some(validator) = &self.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = request.send().await.map_err(|error| self.remote.failure(error))?;
        let mut response = self.accept(response).await?;
        if let Some(total_bytes) = self.total_bytes {
            let (directory, needed_bytes) =
                (self.target.root().to_owned(), total_bytes.saturating_sub(self.done_bytes));
            blocking(move || require_bytes(&directory, needed_bytes)).await?;
        }
        while let Some(bytes) = response.chunk().await.map_err(|error| Failure::Passing(reason(error)))? {
            self.done_bytes += bytes.len() as u64;
            self.writer.push(bytes).await?;
            self.call.report(self.done_bytes, self.total_bytes);
        }
        match self.total_bytes {
            Some(total_bytes) if total_bytes != self.done_bytes => {
                Err(Failure::Passing(format!("the connection ended after {} of {total_bytes} bytes", self.done_bytes)))
            }
            _ => Ok(()),
        }
    }

    /// Decides by the status and the headers what the body is.
    async fn accept(&mut self, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        match status {
            StatusCode::OK => {
                if self.done_bytes > 0 {
                    self.start_over().await?;
                }
                self.total_bytes = response.content_length();
                self.validator = validator(response.headers());
                Ok(response)
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let Some((first_byte, total_bytes)) = range.and_then(content_range) else {
                    return Err(self.remote.refused("the server answered with a part and did not say which".into()));
                };
                let same_length =
                    self.total_bytes.is_none() || total_bytes.is_none() || self.total_bytes == total_bytes;
                if first_byte != self.done_bytes || !same_length {
                    return Err(self.remote.refused("the file changed on the server while it was downloaded".into()));
                }
                self.total_bytes = self.total_bytes.or(total_bytes);
                Ok(response)
            }
            StatusCode::RANGE_NOT_SATISFIABLE if self.done_bytes > 0 => {
                self.start_over().await?;
                Err(Failure::Passing("the server does not have the rest of the file".into()))
            }
            _ => Err(self.remote.unexpected(response).await),
        }
    }

    async fn start_over(&mut self) -> Result<(), AgentError> {
        self.done_bytes = 0;
        self.total_bytes = None;
        self.validator = None;
        self.writer.restart().await
    }
}

/// The strong entity tag, or else the date of the last change.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = |tag: &&HeaderValue| !tag.as_bytes().starts_with(b"W/");
    headers.get(ETAG).filter(strong).or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// The first byte and the length of the whole from `bytes 10-19/20`.
pub(crate) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, total))
}

/// A refusal in words: the status, and what the server wrote where that is plain text.
async fn answer(mut response: Response) -> String {
    let status = response.status();
    let plain = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let text = if plain { response.chunk().await.ok().flatten().unwrap_or_default() } else { Default::default() };
    let text: String =
        String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
    if text.is_empty() {
        format!("the server answered {status}")
    } else {
        format!("the server answered {status}: {text}")
    }
}

/// The error and what led to it. An I/O error hides what it wraps from `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// Whether the server's certificate was not accepted; it will not be a moment later either.
fn blames_certificate(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// An HTTP error with its causes and without its URL, which may hold secrets.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let mut text = String::new();
    for cause in causes(&error.without_url()).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_and_nonsense_is_not() {
        assert_eq!(content_range("bytes 10-19/20"), Some((10, Some(20))));
        assert_eq!(content_range("bytes 10-19/*"), Some((10, None)));
        for text in ["", "bytes */20", "bytes 10", "items 1-2/3", "bytes a-b/c"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    #[test]
    fn a_weak_entity_tag_is_not_trusted_to_join_two_parts() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("W/\"1\""));
        assert_eq!(validator(&headers), None);
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(validator(&headers), Some(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")));
        headers.insert(ETAG, HeaderValue::from_static("\"1\""));
        assert_eq!(validator(&headers), Some(HeaderValue::from_static("\"1\"")));
    }
}
