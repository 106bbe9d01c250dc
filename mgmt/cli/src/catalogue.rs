//! The operations that this client knows: the node's own declarations, as they were when both were built.

use gantry_common::catalogue::{CataloguedAnswer, CataloguedOperation};

/// Written by `make coverage`; a test of the node holds it to the declarations.
const OPERATIONS: &str = include_str!("../operations.json");
/// How many names are offered in place of a wrong one.
const SUGGESTIONS: usize = 3;

/// What every query takes besides conditions.
pub const QUERY_PARAMETERS: [&str; 11] = [
    "q",
    "condition",
    "fields",
    "sort",
    "sortBy",
    "sortDirection",
    "limit",
    "start",
    "count",
    "replyWithCount",
    "groupBy",
];

/// There is no operation of that name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no operation '{name}'{}; `gantry operations` lists them", offer(.near))]
pub struct UnknownOperation {
    name: String,
    near: Vec<String>,
}

/// The operations by name.
#[derive(Debug)]
pub struct Catalogue(Vec<CataloguedOperation>);

impl Catalogue {
    /// The operations.
    pub fn read() -> serde_json::Result<Self> {
        serde_json::from_str(OPERATIONS).map(Self)
    }

    /// The operations in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &CataloguedOperation> {
        self.0.iter()
    }

    /// The operation with this name, in whatever case.
    pub fn find(&self, name: &str) -> Result<&CataloguedOperation, UnknownOperation> {
        self.0.iter().find(|operation| operation.name.eq_ignore_ascii_case(name)).ok_or_else(|| UnknownOperation {
            name: name.to_owned(),
            near: nearest(name, self.0.iter().map(|operation| operation.name.as_str())),
        })
    }
}

/// Whether it answers with the inventories that conditions choose.
pub fn is_query(operation: &CataloguedOperation) -> bool {
    operation.answer == CataloguedAnswer::Query
}

/// The names most like the wrong one, if any are.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wrong = wrong.to_lowercase();
    let mut near: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

/// What an error says of names like the wrong one.
pub fn offer(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(": did you mean {}?", near.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_in_whatever_case() {
        let catalogue = Catalogue::read().unwrap();
        assert_eq!(catalogue.find("createzone").unwrap().name, "CreateZone");
    }

    #[test]
    fn a_wrong_name_brings_the_names_like_it() {
        let error = Catalogue::read().unwrap().find("CreateZones").unwrap_err();
        assert!(error.to_string().contains("did you mean CreateZone"), "{error}");
    }
}
