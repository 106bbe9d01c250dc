//! Completion in the shell: what may stand next, from the node's declarations.

use clap::ValueEnum;
use gantry_common::catalogue::{CataloguedOperation, CataloguedParameter, ParameterShape};

use crate::catalogue::{Catalogue, QUERY_PARAMETERS, is_query};

/// Flags of every call.
const FLAGS: [&str; 5] = ["--wait", "--output", "--url", "--account", "--help"];

/// A shell that completion is made for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// What the shell is to read at its start.
    pub const fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("completion/gantry.bash"),
            Self::Zsh => include_str!("completion/gantry.zsh"),
            Self::Fish => include_str!("completion/gantry.fish"),
        }
    }
}

/// What the last of these words can become.
pub fn candidates(catalogue: &Catalogue, commands: &[&str], words: &[String]) -> Vec<String> {
    let Some((last, before)) = words.split_last() else { return Vec::new() };
    if before.last().is_some_and(|word| word == "--output") {
        return starting(["table", "json"].into_iter().map(str::to_owned), last);
    }
    let mut plain = before.iter().filter(|word| !word.starts_with('-'));
    let carried_out =
        || catalogue.iter().filter(|operation| !operation.planned).map(|operation| operation.name.clone());
    match plain.next() {
        None => starting(commands.iter().map(|command| (*command).to_owned()).chain(carried_out()), last),
        Some(command) if command == "describe" => starting(carried_out(), last),
        Some(name) => match catalogue.find(name) {
            Ok(operation) if last.starts_with('-') => {
                let _ = operation;
                starting(FLAGS.into_iter().map(str::to_owned), last)
            }
            Ok(operation) => {
                starting(of_operation(operation, last).into_iter().filter(|found| !is_given(found, before)), last)
            }
            Err(_) => Vec::new(),
        },
    }
}

fn of_operation(operation: &CataloguedOperation, last: &str) -> Vec<String> {
    if is_query(operation) {
        if let Some((name @ ("fields" | "sort" | "groupBy" | "sortBy"), chosen)) = last.split_once('=') {
            // Of a list the last item is completed.
            let done = chosen.rfind([',', '+', '-']).map_or("", |end| &chosen[..=end]);
            return operation.fields.iter().map(|field| format!("{name}={done}{field}")).collect();
        }
        let common = QUERY_PARAMETERS.iter().map(|name| format!("{name}="));
        return operation.fields.iter().map(|field| format!("{field}=")).chain(common).collect();
    }
    let values = |parameter: &CataloguedParameter| match parameter.holds {
        ParameterShape::Boolean => vec!["true".to_owned(), "false".to_owned()],
        _ => parameter.values.clone(),
    };
    match last.split_once('=') {
        Some((name, _)) => {
            let parameter = operation.parameters.iter().find(|parameter| parameter.name == name);
            parameter.map(values).unwrap_or_default().iter().map(|value| format!("{name}={value}")).collect()
        }
        None => {
            let own = operation.parameters.iter().map(|parameter| format!("{}=", parameter.name));
            own.chain(["systemTags=".to_owned(), "userTags=".to_owned()]).collect()
        }
    }
}

/// Whether a parameter stands in the line already.
fn is_given(candidate: &str, before: &[String]) -> bool {
    candidate.ends_with('=') && before.iter().any(|word| word.starts_with(candidate))
}

fn starting(candidates: impl Iterator<Item = String>, start: &str) -> Vec<String> {
    let lower = start.to_lowercase();
    candidates.filter(|candidate| candidate.to_lowercase().starts_with(&lower)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&Catalogue::read().unwrap(), &["login", "describe"], &words)
    }

    #[test]
    fn operations_complete_by_their_start_and_parameters_that_are_not_given_yet() {
        assert_eq!(completed("CreateZ"), ["CreateZone"]);
        assert_eq!(completed("log"), ["login", "LogInByAccount", "LogOut"]);
        assert_eq!(completed("CreateZone name=x "), ["description=", "resourceUuid=", "systemTags=", "userTags="]);
        assert_eq!(completed("describe CreateZ"), ["CreateZone"]);
    }

    #[test]
    fn values_complete_where_the_declaration_knows_them() {
        assert_eq!(completed("DeleteZone deleteMode=E"), ["deleteMode=Enforcing"]);
        assert_eq!(completed("CreateZone --w"), ["--wait"]);
    }

    #[test]
    fn a_query_completes_its_fields_in_conditions_and_in_lists() {
        assert_eq!(completed("QueryZone sta"), ["state=", "start="]);
        assert_eq!(completed("QueryZone fields=name,st"), ["fields=name,state"]);
        assert_eq!(completed("QueryZone sort=-na"), ["sort=-name"]);
    }
}
