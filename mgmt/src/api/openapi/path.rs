//! Which operations share a path and a method: OpenAPI knows one entry for each.

use std::collections::HashMap;

use crate::api::{Answer, Declaration, Handler, Operation, Parameter};

/// A path and a method with the operations that are called there.
pub struct Entry<'a> {
    /// The path below the API's base.
    pub template: String,
    /// The operations: more than one where the body's key chooses.
    pub members: Vec<Member<'a>>,
}

/// One operation at one of its paths.
pub struct Member<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// That path, with the operation's own names for parameters.
    pub path: &'static str,
    /// The key that wraps its parameters here, where it has a body.
    pub body_key: Option<&'a str>,
}

/// All entries, in the order of the operations.
pub fn entries(operations: &[Operation]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut places: HashMap<(String, &'static str), usize> = HashMap::new();
    // Templates that differ only in their parameters' names are one path: the name that comes first stands.
    let mut templates: HashMap<String, String> = HashMap::new();
    for operation in operations {
        for path in operation.declaration.paths {
            let template = templates.entry(shape(path)).or_insert_with(|| (*path).to_owned()).clone();
            let method = operation.declaration.method.as_str();
            let place = *places.entry((template.clone(), method)).or_insert(entries.len());
            if place == entries.len() {
                entries.push(Entry { template, members: Vec::new() });
            }
            let members = &mut entries[place].members;
            let free = |key: &&String| members.iter().all(|other| other.body_key != Some(key.as_str()));
            let body_key = operation.declaration.body_keys.iter().find(free).map(String::as_str);
            members.push(Member { operation, path, body_key });
        }
    }
    entries
}

/// The path without its parameters' names.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// The parameters' names in a path, in order.
pub fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

impl Entry<'_> {
    /// The method.
    pub fn method(&self) -> &'static str {
        self.members[0].declaration().method.as_str()
    }

    /// Whether all its operations can be called without a session.
    pub fn is_open(&self) -> bool {
        self.members.iter().all(|member| member.declaration().open)
    }

    /// An id that no other entry has: the operation's name where there is one only.
    pub fn id(&self) -> String {
        let [member] = self.members.as_slice() else {
            return format!("{}{}", pascal(&self.method().to_lowercase()), pascal_path(&self.template));
        };
        let declaration = member.declaration();
        let first = declaration.paths.first().copied().unwrap_or_default();
        let further: Vec<&str> = names(member.path).filter(|name| names(first).all(|other| other != *name)).collect();
        match further.as_slice() {
            _ if first == member.path => declaration.name.to_owned(),
            [] => format!("{}At{}", declaration.name, pascal_path(member.path)),
            further => format!("{}By{}", declaration.name, further.iter().map(|name| pascal(name)).collect::<String>()),
        }
    }
}

impl Member<'_> {
    /// How the operation is called.
    pub fn declaration(&self) -> &'static Declaration {
        self.operation.declaration
    }

    /// Whether it is carried out by this version.
    pub fn is_planned(&self) -> bool {
        matches!(self.operation.handler, Handler::Planned)
    }

    /// Whether it answers by job.
    pub fn is_job(&self) -> bool {
        self.declaration().answer == Answer::Job
    }

    /// Its parameters that stand in this path.
    pub fn in_path(&self) -> impl Iterator<Item = &'static Parameter> {
        let path = self.path;
        self.declaration().parameters.iter().filter(move |parameter| names(path).any(|name| name == parameter.name))
    }

    /// Its parameters that do not.
    pub fn elsewhere(&self) -> impl Iterator<Item = &'static Parameter> {
        let path = self.path;
        self.declaration().parameters.iter().filter(move |parameter| names(path).all(|name| name != parameter.name))
    }
}

fn pascal(text: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    text.split('-').map(word).collect()
}

fn pascal_path(path: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => format!("By{}", pascal(name)),
        None => pascal(part),
    };
    path.split('/').map(part).collect()
}
