//! A node that serves its API, and a client that is logged in.

use std::{ops::Deref, sync::Arc, time::Duration};

use gantry_mgmt::api::Limits;
use http::Method;
use serde_json::{Value, json};

use super::served_node::{ServedNode, digest, login};

/// Longer than anything here takes, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Api {
    served: Arc<ServedNode>,
    base: String,
    session: String,
    http: reqwest::Client,
}

impl Deref for Api {
    type Target = ServedNode;

    fn deref(&self) -> &ServedNode {
        &self.served
    }
}

impl Api {
    pub async fn start() -> Self {
        let served = Arc::new(ServedNode::start(Limits::default()).await);
        let base = format!("http://{}/zstack/v1", served.address);
        let mut api = Self { served, base, session: String::new(), http: reqwest::Client::new() };
        let reply = api.log_in().await.unwrap();
        api.session = reply["inventory"]["uuid"].as_str().unwrap().to_owned();
        api
    }

    /// The client as a typed one, which asks for the classes of what it gets.
    pub fn typed(mut self) -> Self {
        let headers = [(http::HeaderName::from_static("x-json-schema"), http::HeaderValue::from_static("true"))];
        self.http = reqwest::Client::builder().default_headers(headers.into_iter().collect()).build().unwrap();
        self
    }

    pub async fn log_in(&self) -> Result<Value, Value> {
        self.call(Method::PUT, "/accounts/login", login()).await
    }

    /// The same node as another account sees it.
    pub async fn log_in_as(&self, name: &str, password: &str) -> Result<Self, Value> {
        let body = json!({ "logInByAccount": { "accountName": name, "password": digest(password) } });
        let reply = self.call(Method::PUT, "/accounts/login", body).await?;
        Ok(Self { session: reply["inventory"]["uuid"].as_str().unwrap().to_owned(), ..self.clone() })
    }

    pub fn session(&self) -> &str {
        &self.session
    }

    /// One answer, be it that of a job or not.
    pub async fn ask(&self, method: Method, path: &str) -> (u16, Value) {
        self.authorized(self.http.request(method, format!("{}{path}", self.base))).await
    }

    /// A call as a message of the classic protocol, which takes parameters by their names alone: its reply or its error.
    pub async fn message(&self, operation: &str, mut fields: Value) -> Result<Value, Value> {
        fields["session"] = json!({ "uuid": self.session });
        let (url, class) = (self.base.replace("/v1", "/api"), format!("org.zstack.API{operation}Msg"));
        let request = self.http.post(&url).body(json!({ class: fields }).to_string());
        let (_, mut answer) = self.authorized(request).await;
        while answer["state"] == "Processing" {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let uuid = answer["uuid"].as_str().unwrap();
            answer = self.authorized(self.http.get(format!("{url}/result/{uuid}"))).await.1;
        }
        let result: Value = serde_json::from_str(answer["result"].as_str().unwrap_or("null")).unwrap();
        let reply = result.as_object().and_then(|result| result.values().next()).unwrap_or(&answer).clone();
        if reply["success"] == true { Ok(reply) } else { Err(reply["error"].clone()) }
    }

    pub async fn log_out(&self) {
        self.delete(&format!("/accounts/sessions/{}", self.session)).await.unwrap();
    }

    /// Makes a call and waits for its job: the reply, or the error.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if body != Value::Null {
            request = request.body(body.to_string());
        }
        let mut response = self.authorized(request).await;
        while response.0 == 202 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let location = response.1["location"].as_str().unwrap().to_owned();
            response = self.authorized(self.http.get(location)).await;
        }
        match response {
            (200, reply) => Ok(reply),
            (_, reply) => Err(reply["error"].clone()),
        }
    }

    async fn authorized(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.header("authorization", format!("OAuth {}", self.session)).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await.unwrap()
    }

    pub async fn inventories(&self, path: &str) -> Vec<Value> {
        self.get(path).await["inventories"].as_array().unwrap().clone()
    }

    pub async fn post(&self, path: &str, params: Value) -> Result<Value, Value> {
        self.call(Method::POST, path, json!({ "params": params })).await
    }

    pub async fn act(&self, path: &str, action: &str, params: Value) -> Result<Value, Value> {
        self.call(Method::PUT, &format!("{path}/actions"), json!({ action: params })).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Value> {
        self.call(Method::DELETE, path, Value::Null).await
    }

    pub async fn set(&self, category: &str, name: &str, value: &str) -> Result<Value, Value> {
        self.act(&format!("/global-configurations/{category}/{name}"), "updateGlobalConfig", json!({ "value": value }))
            .await
    }

    /// Asks until the answer passes.
    pub async fn eventually(&self, path: &str, passes: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let seen = async {
            loop {
                let found = self.inventories(path).await;
                if passes(&found) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{path} never came to what is expected"))
    }
}

/// An error's text.
pub fn details(error: &Value) -> &str {
    error["details"].as_str().unwrap()
}
