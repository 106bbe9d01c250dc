//! A client of the API, as a user would write one: it knows the published conventions and nothing of Gantry's code.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use uuid::Uuid;

use crate::{ALWAYS, calls::note, patience::quietly};

const BASE: &str = "/zstack/v1";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// An error the node answered with.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The stable code, such as `SYS.1007`.
    pub code: String,
    /// What was asked, what stood in the way, what to do about it.
    pub details: String,
    /// What led to it, if anything did.
    pub cause: Box<Value>,
}

/// A call that becomes a job.
#[derive(Debug, Clone)]
pub struct Call {
    method: &'static str,
    path: String,
    body: Value,
}

impl Call {
    /// A POST of `params`.
    pub fn create(path: &str, params: &Value) -> Self {
        Self { method: "POST", path: path.to_owned(), body: json!({ "params": params }) }
    }

    /// A PUT of an action.
    pub fn act(path: &str, action: &str, params: &Value) -> Self {
        Self { method: "PUT", path: path.to_owned(), body: json!({ action: params }) }
    }

    /// A DELETE.
    pub fn delete(path: &str) -> Self {
        Self { method: "DELETE", path: path.to_owned(), body: json!({}) }
    }
}

/// A logged-in client.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    address: String,
    session: String,
}

/// What an answer holds: its status and its JSON.
type Answer = (u16, Value);

impl Client {
    /// Logs in as `admin` at `address`, such as `127.0.0.1:8080`.
    ///
    /// # Errors
    /// The connection or the login failed.
    pub fn login(address: &str, password: &str) -> Result<Self, String> {
        Self::login_as(address, "admin", password)
    }

    /// Logs in as this account.
    ///
    /// # Errors
    /// The connection or the login failed.
    pub fn login_as(address: &str, account: &str, password: &str) -> Result<Self, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            // A node that was killed must not leave a dead connection to the next one.
            .max_idle_connections(0)
            .build()
            .into();
        let mut client = Self { agent, address: address.to_owned(), session: String::new() };
        let body = json!({ "logInByAccount": { "accountName": account, "password": digest(password) } });
        let (status, reply) = client.send("PUT", "/accounts/login", &[], Some(&body), None)?;
        if status != 200 {
            return Err(reply.to_string());
        }
        client.session = text(&reply["inventory"], "uuid");
        Ok(client)
    }

    /// The session's id.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// POSTs `params` and answers the inventory of what the job made.
    ///
    /// # Errors
    /// What the node answered.
    pub fn create(&self, path: &str, params: &Value) -> Result<Value, ApiError> {
        self.call_as(&Self::new_job(), &Call::create(path, params)).map(|reply| reply["inventory"].clone())
    }

    /// PUTs an action, such as `stopVmInstance`, and answers the reply of its job.
    ///
    /// # Errors
    /// What the node answered.
    pub fn act(&self, path: &str, action: &str, params: &Value) -> Result<Value, ApiError> {
        self.call_as(&Self::new_job(), &Call::act(path, action, params))
    }

    /// Gives a global setting a value.
    ///
    /// # Panics
    /// When the node refuses it.
    pub fn set(&self, category: &str, name: &str, value: &str) {
        let path = format!("/global-configurations/{category}/{name}/actions");
        self.act(&path, "updateGlobalConfig", &json!({ "value": value })).unwrap();
    }

    /// DELETEs and waits for the job.
    ///
    /// # Errors
    /// What the node answered.
    pub fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.delete_by(path, &[("deleteMode", "Permissive")])
    }

    /// The same with these query parameters.
    ///
    /// # Errors
    /// What the node answered.
    pub fn delete_by(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        self.request("DELETE", path, query, None, Some(&Self::new_job()))
    }

    /// DELETEs whatever is in the way, and waits for the job.
    ///
    /// # Errors
    /// What the node answered.
    pub fn delete_enforcing(&self, path: &str) -> Result<Value, ApiError> {
        self.delete_by(path, &[("deleteMode", "Enforcing")])
    }

    /// Sends a call without waiting for anything; the connection may break, as it does when the node is killed.
    pub fn submit(&self, job: &str, call: &Call) {
        let _ = self.send(call.method, &call.path, &[], Some(&call.body), Some(job));
    }

    /// Sends a call, perhaps once more, and waits for its job.
    ///
    /// # Errors
    /// What the node answered.
    pub fn call_as(&self, job: &str, call: &Call) -> Result<Value, ApiError> {
        self.request(call.method, &call.path, &[], Some(&call.body), Some(job))
    }

    /// The inventories that meet all conditions, such as `uuid=…`.
    ///
    /// # Panics
    /// When the node does not answer the query.
    pub fn query(&self, path: &str, conditions: &[&str]) -> Vec<Value> {
        let pairs: Vec<(&str, &str)> = conditions.iter().map(|condition| ("q", *condition)).collect();
        let (status, reply) = self.send("GET", path, &pairs, None, None).unwrap();
        assert_eq!(status, 200, "GET {path} {conditions:?}: {reply}");
        reply["inventories"].as_array().unwrap_or_else(|| panic!("GET {path}: {reply}")).clone()
    }

    /// The one resource at a path.
    ///
    /// # Panics
    /// When it is not there.
    pub fn one(&self, path: &str, uuid: &str) -> Value {
        let mut found = self.query(path, &[&format!("uuid={uuid}")]);
        assert_eq!(found.len(), 1, "{path} {uuid}: {found:?}");
        found.remove(0)
    }

    /// A VM's state by its record.
    pub fn vm_state(&self, vm: &str) -> String {
        text(&self.one("/vm-instances", vm), "state")
    }

    /// Reads what is answered at once.
    ///
    /// # Errors
    /// What the node answered.
    pub fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.request("GET", path, &[], None, None)
    }

    /// A job id to use once.
    pub fn new_job() -> String {
        Uuid::new_v4().simple().to_string()
    }

    /// Whether the job has ended; not, if the node does not answer.
    pub fn has_ended(&self, job: &str) -> bool {
        let polled = self.send("GET", &format!("/api-jobs/{job}"), &[], None, None);
        polled.is_ok_and(|(status, _)| matches!(status, 200 | 503))
    }

    /// Waits for a job's end.
    ///
    /// # Errors
    /// What the job failed with.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait_for_job(&self, job: &str) -> Result<Value, ApiError> {
        let path = format!("/api-jobs/{job}");
        settled(quietly(&format!("job {job} ends"), ALWAYS, || {
            self.send("GET", &path, &[], None, None).ok().filter(|(status, _)| *status != 202)
        }))
    }

    /// Sends a request and waits for the job that it becomes, if it becomes one.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        job: Option<&str>,
    ) -> Result<Value, ApiError> {
        let sent = self.send(method, path, query, body, job);
        let (status, reply) = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let Some(job) = job.filter(|_| status == 202) else { return settled((status, reply)) };
        let location = text(&reply, "location");
        assert_eq!(location, format!("http://{}{BASE}/api-jobs/{job}", self.address));
        self.wait_for_job(job)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        job: Option<&str>,
    ) -> Result<Answer, String> {
        note(method, path, body);
        let url = format!("http://{}{BASE}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method);
        if !self.session.is_empty() {
            request = request.header("Authorization", format!("OAuth {}", self.session));
        }
        if let Some(job) = job {
            request = request.header("X-Job-UUID", job);
        }
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let url = if pairs.is_empty() { url } else { format!("{url}?{}", pairs.join("&")) };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request =
            request.uri(url).header("Content-Type", "application/json").body(body).map_err(|e| e.to_string())?;
        let mut response = self.agent.run(request).map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let reply = serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))?;
        Ok((status, reply))
    }
}

/// A reply's field that must be a text.
///
/// # Panics
/// When it is not.
pub fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("no text '{field}' in {object}")).to_owned()
}

fn settled((status, reply): Answer) -> Result<Value, ApiError> {
    if status == 200 {
        return Ok(reply);
    }
    let error = &reply["error"];
    Err(ApiError {
        status,
        code: text(error, "code"),
        details: text(error, "details"),
        cause: Box::new(error["cause"].clone()),
    })
}

fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// What clients send for a password.
pub fn digest(password: &str) -> String {
    Sha512::digest(password.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
