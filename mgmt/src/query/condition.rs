//! Conditions as callers write them: `name~=web%`, `vmNics.ip=10.0.0.7`, `hostUuid is null`.

use gantry_common::error::ErrorKind;

use crate::failure::Failure;

/// One condition of a query. All conditions of a query must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The relations to follow and, last, the field.
    pub path: Vec<String>,
    /// What is asked of the field.
    pub test: Test,
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It compares so with a value.
    Compare(Comparison, String),
    /// It is one of the values, or with `true`: none of them.
    In(Vec<String>, bool),
    /// It matches the pattern, or with `true`: does not.
    Like(String, bool),
    /// It has no value, or with `true`: has one.
    Null(bool),
}

/// How a field compares with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `<`
    Less,
}

#[derive(Clone, Copy)]
enum Operator {
    Compare(Comparison),
    In(bool),
    Like(bool),
}

/// The operators in the order they are looked for, which decides what `a!?=b` means.
const OPERATORS: [(&str, Operator); 10] = [
    ("!=", Operator::Compare(Comparison::NotEqual)),
    (">=", Operator::Compare(Comparison::GreaterOrEqual)),
    ("<=", Operator::Compare(Comparison::LessOrEqual)),
    ("!?=", Operator::In(true)),
    ("!~=", Operator::Like(true)),
    ("~=", Operator::Like(false)),
    ("?=", Operator::In(false)),
    ("=", Operator::Compare(Comparison::Equal)),
    (">", Operator::Compare(Comparison::Greater)),
    ("<", Operator::Compare(Comparison::Less)),
];

/// How much of a condition an error repeats.
const SHOWN_CHARACTERS: usize = 200;

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = |remedy: &str| {
            let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
            Failure::new(ErrorKind::InvalidQuery, format!("the condition q='{shown}' cannot be read: {remedy}"))
        };
        let (field, test) = split(text).ok_or_else(|| {
            invalid("write field, operator and value without spaces, such as name=web-1; the operators are = != > < >= <= ?= !?= ~= !~=, ' is null' and ' not null'")
        })?;
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        if path.iter().any(|part| part.is_empty() || !part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
            return Err(invalid("a field is letters, digits and '_', with '.' between a relation and its field"));
        }
        Ok(Self { path, test })
    }
}

fn split(text: &str) -> Option<(&str, Test)> {
    // The field ends where the first operator begins. Of the operators that begin there or overlap, the published
    // order decides, so that `a!=b` is not `a!` equal to `b`.
    let Some(start) = text.find(['!', '>', '<', '?', '~', '=']) else { return null_test(text) };
    let (symbol, operator) = OPERATORS.iter().find(|(symbol, _)| text[start..].starts_with(symbol))?;
    let (field, value) = (&text[..start], &text[start + symbol.len()..]);
    let test = match operator {
        Operator::Compare(Comparison::Equal) if value == "null" => Test::Null(false),
        Operator::Compare(Comparison::NotEqual) if value == "null" => Test::Null(true),
        Operator::Compare(comparison) => Test::Compare(*comparison, value.to_owned()),
        Operator::In(negated) => Test::In(value.split(',').map(str::to_owned).collect(), *negated),
        Operator::Like(negated) => Test::Like(value.to_owned(), *negated),
    };
    Some((field, test))
}

/// ` is null` and ` not null` come last in the published order: `name=this is null` asks for a name.
fn null_test(text: &str) -> Option<(&str, Test)> {
    if let Some(field) = text.strip_suffix(" is null") {
        return Some((field, Test::Null(false)));
    }
    let field = text.strip_suffix(" is not null").or_else(|| text.strip_suffix(" not null"))?;
    Some((field, Test::Null(true)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn test_of(text: &str) -> Test {
        Condition::parse(text).unwrap().test
    }

    #[test]
    fn every_operator_is_read() {
        let compare = |comparison| Test::Compare(comparison, "5".to_owned());
        assert_eq!(test_of("cpuNum=5"), compare(Comparison::Equal));
        assert_eq!(test_of("cpuNum!=5"), compare(Comparison::NotEqual));
        assert_eq!(test_of("cpuNum>5"), compare(Comparison::Greater));
        assert_eq!(test_of("cpuNum<5"), compare(Comparison::Less));
        assert_eq!(test_of("cpuNum>=5"), compare(Comparison::GreaterOrEqual));
        assert_eq!(test_of("cpuNum<=5"), compare(Comparison::LessOrEqual));
        assert_eq!(test_of("name?=a,b"), Test::In(vec!["a".into(), "b".into()], false));
        assert_eq!(test_of("name!?=a,b"), Test::In(vec!["a".into(), "b".into()], true));
        assert_eq!(test_of("name~=web%"), Test::Like("web%".into(), false));
        assert_eq!(test_of("name!~=web_"), Test::Like("web_".into(), true));
        assert_eq!(test_of("hostUuid is null"), Test::Null(false));
        assert_eq!(test_of("hostUuid not null"), Test::Null(true));
        assert_eq!(test_of("hostUuid is not null"), Test::Null(true));
        assert_eq!(test_of("hostUuid=null"), Test::Null(false));
        assert_eq!(test_of("hostUuid!=null"), Test::Null(true));
    }

    #[test]
    fn a_value_may_hold_operators_and_a_path_relations() {
        let condition = Condition::parse("vmNics.l3Network.name=a=b>c").unwrap();
        assert_eq!(condition.path, ["vmNics", "l3Network", "name"]);
        assert_eq!(condition.test, Test::Compare(Comparison::Equal, "a=b>c".into()));
        assert_eq!(test_of("name=this is null"), Test::Compare(Comparison::Equal, "this is null".into()));
    }

    #[test]
    fn text_without_a_field_or_an_operator_is_refused() {
        for text in ["", "name", "=x", "na me=x", "a..b=1", "name = x", "name;drop=1", " is null", "a!x=3", "a?b"] {
            assert_eq!(Condition::parse(text).unwrap_err().kind, ErrorKind::InvalidQuery, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = Condition::parse(&text);
        }
    }
}
