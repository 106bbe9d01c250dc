//! A real browser without a window, told what to do by its own protocol (Chrome DevTools).

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

use crate::{
    ALWAYS,
    patience::{eventually, quietly},
};

/// The programs that Debian's packages have for it.
const PROGRAMS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-headless-shell"];

/// A browser, which ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    profile: TempDir,
}

/// A page in it.
#[derive(Debug)]
pub struct Page {
    devtools: WebSocket<MaybeTlsStream<TcpStream>>,
    last_call: u64,
    /// What the browser complained about: what the page's policy forbids, scripts that failed.
    complaints: Vec<String>,
}

impl Browser {
    /// Starts one with a profile of its own.
    ///
    /// # Panics
    /// When there is none.
    pub fn start() -> Self {
        let program = PROGRAMS.iter().find(|path| Path::new(path).exists());
        let program = program.expect("no browser: run `tests/lab/packages.sh browser`");
        let profile = tempfile::tempdir().unwrap();
        // Should the test be killed, the browser must not stay.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", program])
            // Tests run as root, which Chromium's sandbox does not; a machine may have little shared memory.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            // It has nothing to ask of anybody but the node.
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"])
            .args(["--remote-debugging-port=0", "--window-size=1000,800"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, profile }
    }

    /// Opens a page.
    ///
    /// # Panics
    /// When the browser does not answer.
    pub fn open(&self, url: &str) -> Page {
        let port_file = self.profile.path().join("DevToolsActivePort");
        let port: u16 = eventually("the browser is there", ALWAYS, || {
            std::fs::read_to_string(&port_file).ok()?.lines().next()?.parse().ok()
        });
        let mut made = ureq::put(format!("http://127.0.0.1:{port}/json/new?about:blank")).send_empty().unwrap();
        let made: Value = serde_json::from_str(&made.body_mut().read_to_string().unwrap()).unwrap();
        let (devtools, _) = tungstenite::connect(made["webSocketDebuggerUrl"].as_str().unwrap()).unwrap();
        let mut page = Page { devtools, last_call: 0, complaints: Vec::new() };
        for domain in ["Log", "Runtime", "Page"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        page.call("Page.navigate", &json!({ "url": url }));
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page {
    /// The value of an expression in the page.
    ///
    /// # Panics
    /// When it has none.
    pub fn value_of(&mut self, expression: &str) -> Value {
        self.try_value_of(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until an expression is true; in a page that is still being loaded it may have no value.
    pub fn becomes(&mut self, expression: &str) {
        quietly(&format!("the page: {expression}"), ALWAYS, || {
            (self.try_value_of(expression) == Ok(json!(true))).then_some(())
        });
    }

    /// Presses and releases the keys of a text, on an American keyboard.
    pub fn type_in(&mut self, text: &str) {
        for character in text.chars() {
            let (code, shift) = key(character);
            let name = if character == '\n' { "Enter".to_owned() } else { character.to_string() };
            let modifiers = if shift { 8 } else { 0 };
            if shift {
                self.press("rawKeyDown", "Shift", "ShiftLeft", modifiers);
            }
            self.press("rawKeyDown", &name, &code, modifiers);
            self.press("keyUp", &name, &code, modifiers);
            if shift {
                self.press("keyUp", "Shift", "ShiftLeft", 0);
            }
        }
    }

    /// What the browser complained about so far.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Keeps a picture of the page below `target/browser`, and answers where.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn keep_picture(&mut self, name: &str) -> PathBuf {
        self.try_picture(name).unwrap()
    }

    fn try_picture(&mut self, name: &str) -> Result<PathBuf, String> {
        let taken = self.try_call("Page.captureScreenshot", &json!({ "format": "png" }))?;
        let picture = STANDARD.decode(taken["data"].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/browser");
        let path = directory.join(format!("{name}.png"));
        let written = std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&path, picture));
        written.map(|()| path).map_err(|error| error.to_string())
    }

    fn try_value_of(&mut self, expression: &str) -> Result<Value, Value> {
        let evaluated = self.call("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        match evaluated.get("exceptionDetails") {
            Some(exception) => Err(exception.clone()),
            None => Ok(evaluated["result"]["value"].clone()),
        }
    }

    fn press(&mut self, kind: &str, name: &str, code: &str, modifiers: u8) {
        let event = json!({ "type": kind, "key": name, "code": code, "modifiers": modifiers });
        self.call("Input.dispatchKeyEvent", &event);
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.last_call += 1;
        let call = json!({ "id": self.last_call, "method": method, "params": params });
        self.devtools.send(Message::text(call.to_string())).map_err(|error| error.to_string())?;
        loop {
            let Message::Text(text) = self.devtools.read().map_err(|error| error.to_string())? else { continue };
            let said: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            if said["id"] == json!(self.last_call) {
                return if said.get("error").is_some() { Err(said.to_string()) } else { Ok(said["result"].clone()) };
            }
            let complaint = match said["method"].as_str() {
                Some("Log.entryAdded") if said["params"]["entry"]["level"] == "error" => &said["params"]["entry"],
                Some("Runtime.exceptionThrown") => &said["params"]["exceptionDetails"],
                _ => continue,
            };
            self.complaints.push(complaint.to_string());
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- page: {:?}; the browser complained: {:?}", self.try_picture("failed"), self.complaints);
        }
    }
}

/// The key on which a character is, and whether Shift is held.
fn key(character: char) -> (String, bool) {
    let named = |name: &str| name.to_owned();
    match character {
        'a'..='z' => (format!("Key{}", character.to_ascii_uppercase()), false),
        'A'..='Z' => (format!("Key{character}"), true),
        '0'..='9' => (format!("Digit{character}"), false),
        ' ' => (named("Space"), false),
        '\n' => (named("Enter"), false),
        '-' => (named("Minus"), false),
        '.' => (named("Period"), false),
        '>' => (named("Period"), true),
        '/' => (named("Slash"), false),
        other => panic!("'{other}' is on no key that is known here"),
    }
}
