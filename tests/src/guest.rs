//! What a test guest says on its console, and how it is told what to do.

use base64::{Engine, engine::general_purpose::STANDARD};

/// A guest's console so far.
#[derive(Debug, Clone)]
pub struct Console {
    lines: Vec<String>,
}

impl Console {
    pub(crate) fn new(text: &str) -> Self {
        Self { lines: text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect() }
    }

    /// Whether the guest wrote this, as a line of its own or after a shell's prompt and whatever that has its terminal do.
    pub fn says(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.ends_with(text))
    }

    /// How often the guest has come up.
    pub fn boots(&self) -> usize {
        self.ready_lines().count()
    }

    /// A fact such as `ip` of the latest time it came up.
    pub fn fact(&self, name: &str) -> Option<String> {
        let line = self.ready_lines().last()?;
        line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    }

    /// The lines that the script in its user data wrote.
    pub fn script_lines(&self) -> Vec<String> {
        let said = |line: &String| Some(line.split_once("USERDATA: ")?.1.to_owned());
        self.lines.iter().filter_map(said).collect()
    }

    /// Whether that script wrote this line.
    pub fn script_said(&self, line: &str) -> bool {
        self.script_lines().iter().any(|said| said == line)
    }

    fn ready_lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| line.split_once("GUEST READY ").map(|(_, facts)| facts))
    }
}

/// The system tag that hands a guest a script to run.
pub fn userdata_tag(script: &str) -> String {
    format!("userdata::{}", STANDARD.encode(script))
}
