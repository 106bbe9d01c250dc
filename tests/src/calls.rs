//! Which operations the scenarios call. Where `GANTRY_CALLS` names a file, every client writes its requests down there.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

use serde_json::Value;

use crate::operations;

/// Writes a request down, where that is wanted.
pub(crate) fn note(method: &str, path: &str, body: Option<&Value>) {
    let Some(file) = std::env::var_os("GANTRY_CALLS") else { return };
    let key = body.and_then(Value::as_object).and_then(|body| body.keys().next()).map_or("", String::as_str);
    // One write, so that lines of several scenarios do not mix.
    let line = format!("{method} {path} {key}\n");
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// The operations that are carried out and that none of the requests in a file called.
///
/// # Errors
/// The file cannot be read.
pub fn uncalled(file: &Path) -> io::Result<Vec<&'static str>> {
    let requests = std::fs::read_to_string(file)?;
    let called: BTreeSet<&str> = requests.lines().filter_map(called_by).collect();
    let names = operations().filter_map(|operation| operation["name"].as_str());
    Ok(names.filter(|name| !called.contains(name)).collect())
}

/// The operation that a request is a call of: the one whose path says it with the fewest parameters.
fn called_by(request: &str) -> Option<&'static str> {
    let mut words = request.split(' ');
    let (method, path, key) = (words.next()?, words.next()?, words.next()?);
    let path = path.split('?').next()?;
    let fitting = operations().filter(|operation| operation["method"] == method).filter_map(|operation| {
        let is_named = method != "PUT" || key.is_empty() || operation["bodyKey"].as_str().is_none_or(|own| own == key);
        let paths = operation["paths"].as_array()?.iter().filter_map(Value::as_str);
        let parameters = paths.filter_map(|declared| parameters_if_same(declared, path)).min()?;
        is_named.then_some((parameters, operation["name"].as_str()?))
    });
    fitting.min().map(|(_, name)| name)
}

/// How many parameters a declared path has, if a path is such a one.
fn parameters_if_same(declared: &str, path: &str) -> Option<usize> {
    let (declared, parts): (Vec<&str>, Vec<&str>) = (declared.split('/').collect(), path.split('/').collect());
    let is_parameter = |part: &str| part.starts_with('{');
    let is_same = declared.len() == parts.len()
        && declared.iter().zip(&parts).all(|(declared, part)| is_parameter(declared) || declared == part);
    is_same.then(|| declared.iter().filter(|part| is_parameter(part)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_method_its_path_and_the_key_of_its_body() {
        assert_eq!(called_by("POST /zones params"), Some("CreateZone"));
        assert_eq!(called_by("GET /zones?q=name=a "), Some("QueryZone"));
        assert_eq!(called_by("GET /zones/1 "), Some("QueryZone"));
        assert_eq!(called_by("PUT /vm-instances/1/actions stopVmInstance"), Some("StopVmInstance"));
        assert_eq!(called_by("GET /hosts/hypervisor-types "), Some("GetHypervisorTypes"));
        assert_eq!(called_by("GET /nothing/such "), None);
    }

    #[test]
    fn what_no_request_called_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "POST /zones params\n").unwrap();
        let uncalled = uncalled(file.path()).unwrap();
        assert!(!uncalled.contains(&"CreateZone") && uncalled.contains(&"QueryZone"));
    }
}
