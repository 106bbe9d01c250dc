//! What an operation's declaration says, and the macro it is written with.

use std::ops::RangeInclusive;

use super::ParameterKind;

/// One operation of the API: how it is called and what it takes.
#[derive(Debug)]
pub struct Declaration {
    /// The operation's published name, such as `CreateZone`.
    pub name: &'static str,
    /// Its section in the published reference.
    pub section: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its paths below `/zstack/v1`, with `{name}` for parameters.
    pub paths: &'static [&'static str],
    /// The keys that may wrap its parameters in the body; the first is the published one. Empty where it has no body.
    pub body_keys: Vec<String>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Whether it answers at once or by job.
    pub answer: Answer,
    /// Whether it can be called without a session.
    pub open: bool,
}

/// An HTTP method that operations use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Changes.
    Put,
    /// Deletes.
    Delete,
}

/// When an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// At once, with its reply.
    Sync,
    /// With the place to poll for its reply.
    Job,
}

/// One parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ParameterKind,
    /// Whether the call must carry it.
    pub required: bool,
    /// Where it stands.
    pub location: Location,
    /// What it may be.
    pub constraint: Constraint,
}

/// Where a parameter stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the path.
    Path,
    /// In the query string.
    Query,
    /// In the body.
    Body,
}

/// What a parameter's value may be.
#[derive(Debug, Clone, Default)]
pub struct Constraint {
    /// Characters at most.
    pub max_length: Option<usize>,
    /// Smallest and largest number.
    pub range: Option<RangeInclusive<i64>>,
    /// The texts it may be.
    pub values: Option<&'static [&'static str]>,
    /// Whether it must not be empty.
    pub nonempty: Option<bool>,
}

/// A type that is one operation's parameters.
pub trait Declared: serde::de::DeserializeOwned + Clone + Send + Sync + 'static {
    /// The operation.
    fn declaration() -> &'static Declaration;
}

/// `CreateZone` as the body key `createZone`.
pub fn action_key(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// Declares an operation: name, section, method and paths, `sync` or `job`, and its parameters.
///
/// A parameter stands in the path where the path names it, else in the body, or in the query string for GET and DELETE.
/// `Option` makes it optional. Its name on the wire is its name in camel case, or follows `as`.
#[macro_export]
macro_rules! operation {
    (
        $(#[$doc:meta])*
        $name:ident, $section:literal, $method:ident $($path:literal)|+, $answer:ident $(, $option:ident $ovalue:expr)* ; {
            $($(#[$fdoc:meta])* $field:ident $(as $json:literal)? : $type:ty $(, $constraint:ident $value:expr)*;)*
        }
    ) => {
        $(#[$doc])*
        // Some published parameters are only checked: this node has one way of doing what they choose.
        #[allow(dead_code)]
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$fdoc])* $(#[serde(rename = $json)])? pub $field: $type,)*
            /// System tags for the resource that is made.
            #[serde(default)]
            pub system_tags: Vec<String>,
            /// User tags for the resource that is made.
            #[serde(default)]
            pub user_tags: Vec<String>,
        }

        impl $crate::api::Declared for $name {
            fn declaration() -> &'static $crate::api::Declaration {
                static DECLARATION: std::sync::LazyLock<$crate::api::Declaration> = std::sync::LazyLock::new(|| {
                    let draft = $crate::api::Draft {
                        name: stringify!($name),
                        section: $section,
                        method: $crate::api::Method::$method,
                        paths: &[$($path),+],
                        answer: $crate::api::Answer::$answer,
                        ..$crate::api::Draft::default()
                    };
                    $(let draft = $crate::api::Draft { $option: $ovalue, ..draft };)*
                    draft.finish(vec![$((
                        None$(.or(Some($json)))?.unwrap_or(stringify!($field)),
                        <$type as $crate::api::ParameterType>::KIND,
                        <$type as $crate::api::ParameterType>::REQUIRED,
                        $crate::api::Constraint { $($constraint: Some($value),)* ..$crate::api::Constraint::default() },
                    ),)*])
                });
                &DECLARATION
            }
        }
    };
}

/// A declaration in the making.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// See [`Declaration::name`].
    pub name: &'static str,
    /// See [`Declaration::section`].
    pub section: &'static str,
    /// See [`Declaration::method`].
    pub method: Method,
    /// See [`Declaration::paths`].
    pub paths: &'static [&'static str],
    /// See [`Declaration::answer`].
    pub answer: Answer,
    /// Further keys that may wrap the body, the published one first.
    pub body_keys: &'static [&'static str],
    /// See [`Declaration::open`].
    pub open: bool,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            name: "",
            section: "",
            method: Method::Get,
            paths: &[],
            answer: Answer::Sync,
            body_keys: &[],
            open: false,
        }
    }
}

impl Draft {
    /// The declaration with these parameters: where each stands follows from the paths and the method.
    pub fn finish(self, parameters: Vec<(&'static str, ParameterKind, bool, Constraint)>) -> Declaration {
        let in_path = |name: &str| self.paths.iter().any(|path| path.contains(&format!("{{{name}}}")));
        let parameters = parameters
            .into_iter()
            .map(|(name, kind, required, constraint)| {
                let name = crate::resource::camel_case(name);
                let location = match self.method {
                    _ if in_path(&name) => Location::Path,
                    Method::Get | Method::Delete => Location::Query,
                    Method::Post | Method::Put => Location::Body,
                };
                Parameter { name, kind, required, location, constraint }
            })
            .collect();
        let mut body_keys: Vec<String> = self.body_keys.iter().map(|key| (*key).to_owned()).collect();
        match self.method {
            Method::Get | Method::Delete => {}
            Method::Post => body_keys.extend(["params".to_owned(), action_key(self.name)]),
            Method::Put => body_keys.push(action_key(self.name)),
        }
        let mut seen = std::collections::HashSet::new();
        body_keys.retain(|key| seen.insert(key.clone()));
        Declaration {
            name: self.name,
            section: self.section,
            method: self.method,
            paths: self.paths,
            body_keys,
            parameters,
            answer: self.answer,
            open: self.open,
        }
    }
}
