//! Which operation a request means: by path and method, and for actions by the key in the body.

use gantry_common::error::ErrorKind;
use serde_json::{Map, Value};

use super::{Method, Operation};
use crate::failure::Failure;

/// One path of one operation.
struct Route {
    method: Method,
    segments: Vec<Segment>,
    operation: Operation,
}

enum Segment {
    Literal(&'static str),
    Parameter(&'static str),
}

/// The operations by their paths.
pub struct Router {
    routes: Vec<Route>,
}

/// The parameters found in a path.
pub type PathParameters = Vec<(String, String)>;

impl Router {
    /// A router over these operations.
    pub fn new(operations: &[Operation]) -> Self {
        let mut routes: Vec<Route> = operations
            .iter()
            .flat_map(|operation| {
                operation.declaration.routes().map(|(method, path)| Route {
                    method,
                    segments: split(path).map(segment).collect(),
                    operation: *operation,
                })
            })
            .collect();
        // A literal is more to the point than a parameter: `/vm-instances/nics` is not the VM called `nics`.
        routes.sort_by_key(Route::shape);
        Self { routes }
    }

    /// The operation of that name. Clients and the reference differ in the case of a few letters: `LoginByAccount`.
    pub fn named(&self, name: &str) -> Option<Operation> {
        let named = |route: &&Route| route.operation.declaration.name.eq_ignore_ascii_case(name);
        self.routes.iter().find(named).map(|route| route.operation)
    }

    /// The operation that `method` and `path` mean; of several at one path, the one whose key the body holds.
    pub fn find(
        &self,
        method: Method,
        path: &str,
        body: &Map<String, Value>,
    ) -> Result<(Operation, PathParameters), Failure> {
        let parts: Vec<&str> = split(path).collect();
        let matching = self.matching(&parts);
        if matching.is_empty() {
            return Err(Failure::new(ErrorKind::UnknownPath, format!("there is no operation at '{path}'")));
        }
        let mut candidates: Vec<(&Route, PathParameters)> =
            matching.into_iter().filter(|(route, _)| route.method == method).collect();
        if candidates.is_empty() {
            let (method, allowed) = (method.as_str(), self.allowed(path).unwrap_or_default());
            let details = format!("'{path}' does not take {method}: it takes {allowed}");
            return Err(Failure::new(ErrorKind::WrongMethod, details));
        }
        let keys = |candidates: &[(&Route, PathParameters)]| {
            let keys = candidates.iter().flat_map(|(route, _)| route.operation.declaration.body_keys.first());
            keys.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let key_of = |route: &Route| route.operation.declaration.body_keys.iter().find(|key| body.contains_key(*key));
        let chosen = match candidates.iter().position(|(route, _)| key_of(route).is_some()) {
            Some(chosen) => {
                let route = candidates[chosen].0;
                let alike = |(other, _): &&(&Route, PathParameters)| other.shape() == route.shape();
                let meant = candidates.iter().filter(alike).filter(|(other, _)| key_of(other) == key_of(route)).count();
                if method == Method::Put && meant > 1 {
                    let remedy = format!("several actions take it; name the one to take: {}", keys(&candidates));
                    return Err(Failure::argument("body", key_of(route).map_or("", String::as_str), remedy));
                }
                chosen
            }
            None if method != Method::Put || candidates.len() == 1 => 0,
            None => {
                let given: Vec<&str> = body.keys().map(String::as_str).collect();
                let remedy = format!("name the action to take by its key; here are {}", keys(&candidates));
                return Err(Failure::argument("body", given.join(", "), remedy));
            }
        };
        let (route, parameters) = candidates.swap_remove(chosen);
        Ok((route.operation, parameters))
    }

    /// The routes that a path means: those with literals where others have parameters, whatever their methods, so that
    /// `DELETE /accounts/groups` is not meant for the account called `groups`.
    fn matching(&self, parts: &[&str]) -> Vec<(&Route, PathParameters)> {
        let all = self.routes.iter().filter_map(|route| Some((route, route.matches(parts)?)));
        let mut all: Vec<(&Route, PathParameters)> = all.collect();
        let first = all.first().map(|(route, _)| route.shape());
        all.retain(|(route, _)| Some(route.shape()) == first);
        all
    }

    /// The methods that a path takes, as HTTP's `Allow` lists them; `None` for a path that is not there.
    pub fn allowed(&self, path: &str) -> Option<String> {
        let parts: Vec<&str> = split(path).collect();
        let mut methods: Vec<&str> =
            self.matching(&parts).into_iter().map(|(route, _)| route.method.as_str()).collect();
        methods.sort_unstable();
        methods.dedup();
        (!methods.is_empty()).then(|| methods.join(", "))
    }
}

impl Route {
    /// Which of its segments are parameters.
    fn shape(&self) -> Vec<bool> {
        self.segments.iter().map(|segment| matches!(segment, Segment::Parameter(_))).collect()
    }

    fn matches(&self, parts: &[&str]) -> Option<PathParameters> {
        if parts.len() != self.segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (segment, part) in self.segments.iter().zip(parts) {
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(name) => parameters.push(((*name).to_owned(), (*part).to_owned())),
            }
        }
        Some(parameters)
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn segment(part: &'static str) -> Segment {
    match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => Segment::Parameter(name),
        None => Segment::Literal(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn a_literal_is_not_taken_for_the_name_of_something() {
        let router = Router::new(&operations::all());
        assert_eq!(router.allowed("/accounts/groups").as_deref(), Some("GET, POST"));
        assert_eq!(router.allowed("/zones/8aef7e3a53b34eedaa05027a919156d9").as_deref(), Some("DELETE, GET"));
        assert_eq!(router.allowed("/nowhere"), None);
        let failure = router.find(Method::Delete, "/accounts/groups", &Map::new()).err().unwrap();
        assert_eq!(failure.kind, ErrorKind::WrongMethod);
    }
}
