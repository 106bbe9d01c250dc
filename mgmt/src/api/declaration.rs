//! What an operation's declaration says, and the macros it is written with.

use std::{any::TypeId, ops::RangeInclusive};

use super::{Admits, ParameterKind, ReplyField, chapter_of};

/// One operation of the API: how it is called, what it takes and what it answers.
#[derive(Debug)]
pub struct Declaration {
    /// The operation's published name, such as `CreateZone`.
    pub name: &'static str,
    /// What it does, in one sentence or more.
    pub description: &'static str,
    /// Its section in the published reference.
    pub section: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its paths below `/zstack/v1`, with `{name}` for parameters.
    pub paths: &'static [&'static str],
    /// Further forms that the reference has and its clients do not use.
    pub also: &'static [(Method, &'static str)],
    /// The keys that may wrap its parameters in the body; the first is the published one. Empty where it has no body.
    pub body_keys: Vec<String>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Whether it answers at once or by job.
    pub answer: Answer,
    /// The fields of its reply, or of the result of its job; none where that is `{}`.
    pub reply: &'static [ReplyField],
    /// Whether it can be called without a session.
    pub open: bool,
    /// Whom it admits.
    pub admits: Admits,
    /// Whether it changes anything, and is written down therefore.
    pub writes: bool,
}

impl Declaration {
    /// The first sentence of its description.
    pub fn summary(&self) -> &'static str {
        self.description.split_inclusive(". ").next().unwrap_or_default().trim_end()
    }

    /// The methods and paths it is called by.
    pub fn routes(&self) -> impl Iterator<Item = (Method, &'static str)> {
        self.paths.iter().map(|path| (self.method, *path)).chain(self.also.iter().copied())
    }

    /// Whether it is a query, which takes conditions, paging and the like and can answer `total` and `schema` as well.
    pub fn is_query(&self) -> bool {
        self.method == Method::Get && self.name.starts_with("Query")
    }
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

impl Method {
    /// The method as HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
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
    /// What it means.
    pub description: &'static str,
    /// What it holds.
    pub kind: ParameterKind,
    /// The type of id it holds, where that is one resource's.
    pub id: Option<TypeId>,
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraint {
    /// Characters at most.
    pub max_length: Option<usize>,
    /// Smallest and largest number.
    pub range: Option<RangeInclusive<i64>>,
    /// The texts it may be.
    pub values: Option<&'static [&'static str]>,
    /// Whether it must not be empty.
    pub nonempty: Option<bool>,
    /// Whether only visible ASCII characters may stand in it.
    pub visible_ascii: Option<bool>,
    /// Whether it names what must be the caller's own.
    pub own: Option<bool>,
}

impl Constraint {
    /// Anything its kind allows.
    pub const NONE: Self =
        Self { max_length: None, range: None, values: None, nonempty: None, visible_ascii: None, own: None };
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

/// Declares an operation: what it does, name, section, method and paths, `Sync` or `Job`, what it answers, and its
/// parameters.
///
/// `-> Zone` answers `{"inventory": …}`, `-> [Zone]` answers `{"inventories": […]}`, and `-> { version: String }` names
/// the fields as they are on the wire; see [`reply_fields!`](crate::reply_fields). Without an arrow the answer is `{}`.
///
/// A parameter stands in the path where the path names it, else in the body, or in the query string for GET and DELETE.
/// `Option` makes it optional. Its name on the wire is its name in camel case, or follows `as`.
#[macro_export]
macro_rules! operation {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $section:literal, $method:ident $($path:literal)|+, $answer:ident $(-> $reply:tt)? $(, $option:ident $ovalue:expr)* ; {
            $($(#[doc = $fdoc:literal])* $field:ident $(as $json:literal)? : $type:ty $(, $constraint:ident $value:expr)*;)*
        }
    ) => {
        $(#[doc = $doc])*
        // Some published parameters are only checked: this node has one way of doing what they choose.
        #[allow(dead_code)]
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[doc = $fdoc])* $(#[serde(rename = $json)])? pub $field: $type,)*
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
                    const DRAFT: $crate::api::Draft = $crate::draft! {
                        $(#[doc = $doc])*
                        $name, $section, $method $($path)|+, $answer $(-> $reply)? $(, $option $ovalue)* ; {
                            $($(#[doc = $fdoc])* $field $(as $json)? : $type $(, $constraint $value)*;)*
                        }
                    };
                    DRAFT.finish()
                });
                &DECLARATION
            }
        }
    };
}

/// Declares operations that are not carried out yet, each written as in [`operation!`](crate::operation), as `PLANNED`.
#[macro_export]
macro_rules! planned {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident, $section:literal, $method:ident $($path:literal)|+, $answer:ident $(-> $reply:tt)? $(, $option:ident $ovalue:expr)* ; {
            $($(#[doc = $fdoc:literal])* $field:ident $(as $json:literal)? : $type:ty $(, $constraint:ident $value:expr)*;)*
        }
    )*) => {
        /// The operations of this file that are not carried out yet.
        pub const PLANNED: &[$crate::api::Draft] = &[$($crate::draft! {
            $(#[doc = $doc])*
            $name, $section, $method $($path)|+, $answer $(-> $reply)? $(, $option $ovalue)* ; {
                $($(#[doc = $fdoc])* $field $(as $json)? : $type $(, $constraint $value)*;)*
            }
        }),*];
    };
}

/// The [`Draft`] of one operation, written as in [`operation!`](crate::operation).
#[macro_export]
macro_rules! draft {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $section:literal, $method:ident $($path:literal)|+, $answer:ident $(-> $reply:tt)? $(, $option:ident $ovalue:expr)* ; {
            $($(#[doc = $fdoc:literal])* $field:ident $(as $json:literal)? : $type:ty $(, $constraint:ident $value:expr)*;)*
        }
    ) => {{
        let draft = $crate::api::Draft {
            name: stringify!($name),
            description: concat!($($doc),*).trim_ascii(),
            section: $section,
            method: $crate::api::Method::$method,
            paths: &[$($path),+],
            answer: $crate::api::Answer::$answer,
            reply: $crate::reply_fields!($($reply)?),
            parameters: &[$($crate::api::DraftParameter {
                name: stringify!($field),
                json: $crate::draft!(@json $($json)?),
                description: concat!($($fdoc),*).trim_ascii(),
                kind: <$type as $crate::api::ParameterType>::KIND,
                id: <$type as $crate::api::ParameterType>::ID,
                required: <$type as $crate::api::ParameterType>::REQUIRED,
                constraint: $crate::api::Constraint { $($constraint: Some($value),)* ..$crate::api::Constraint::NONE },
            }),*],
            also: &[],
            body_keys: &[],
            open: false,
            admits: None,
            writes: None,
        };
        $(let draft = $crate::api::Draft { $option: $ovalue, ..draft };)*
        draft
    }};
    (@json) => { None };
    (@json $json:literal) => { Some($json) };
}

/// A declaration as it is written, known when the program is compiled.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// See [`Declaration::name`].
    pub name: &'static str,
    /// See [`Declaration::description`].
    pub description: &'static str,
    /// See [`Declaration::section`].
    pub section: &'static str,
    /// See [`Declaration::method`].
    pub method: Method,
    /// See [`Declaration::paths`].
    pub paths: &'static [&'static str],
    /// See [`Declaration::also`].
    pub also: &'static [(Method, &'static str)],
    /// See [`Declaration::answer`].
    pub answer: Answer,
    /// See [`Declaration::reply`].
    pub reply: &'static [ReplyField],
    /// See [`Declaration::parameters`].
    pub parameters: &'static [DraftParameter],
    /// Further keys that may wrap the body, the published one first.
    pub body_keys: &'static [&'static str],
    /// See [`Declaration::open`].
    pub open: bool,
    /// See [`Declaration::admits`]; `None` where its chapter says it.
    pub admits: Option<Admits>,
    /// See [`Declaration::writes`]; `None` where its method says it.
    pub writes: Option<bool>,
}

/// A parameter as it is written.
#[derive(Debug)]
pub struct DraftParameter {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its name on the wire, where that does not follow from `name`.
    pub json: Option<&'static str>,
    /// See [`Parameter::description`].
    pub description: &'static str,
    /// See [`Parameter::kind`].
    pub kind: ParameterKind,
    /// See [`Parameter::id`].
    pub id: Option<TypeId>,
    /// See [`Parameter::required`].
    pub required: bool,
    /// See [`Parameter::constraint`].
    pub constraint: Constraint,
}

impl Draft {
    /// The declaration: where each parameter stands follows from the paths and the method.
    pub fn finish(&self) -> Declaration {
        let parameters = self
            .parameters
            .iter()
            .map(|draft| {
                let name = draft.json.map_or_else(|| crate::resource::camel_case(draft.name), str::to_owned);
                Parameter {
                    location: self.location(&name),
                    name,
                    description: draft.description,
                    kind: draft.kind,
                    id: draft.id,
                    required: draft.required,
                    constraint: draft.constraint.clone(),
                }
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
            description: self.description,
            section: self.section,
            method: self.method,
            paths: self.paths,
            also: self.also,
            body_keys,
            parameters,
            answer: self.answer,
            reply: self.reply,
            open: self.open,
            writes: self.writes.unwrap_or(self.method != Method::Get),
            admits: self.admits.unwrap_or_else(|| {
                // What no chapter speaks for is the operator's.
                chapter_of(self.section).map_or(Admits::Operator, |chapter| chapter.admits)
            }),
        }
    }

    fn location(&self, name: &str) -> Location {
        let mut parts = self.paths.iter().flat_map(|path| path.split('/'));
        let in_path = parts.any(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(name));
        match self.method {
            _ if in_path => Location::Path,
            Method::Get | Method::Delete => Location::Query,
            Method::Post | Method::Put => Location::Body,
        }
    }
}
