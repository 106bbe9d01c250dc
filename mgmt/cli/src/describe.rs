//! What an operation does and takes, for people.

use comfy_table::{Table, presets::NOTHING};
use gantry_common::catalogue::{CataloguedAnswer, CataloguedOperation, CataloguedParameter, ParameterShape};

use crate::catalogue::{Catalogue, QUERY_PARAMETERS, is_query};

/// One operation in full.
pub fn operation(operation: &CataloguedOperation) -> String {
    let required = operation.parameters.iter().filter(|parameter| parameter.required);
    let required: String = required.map(|parameter| format!(" {}=…", parameter.name)).collect();
    let rest = if is_query(operation) { " [CONDITION…]" } else { " [name=value…]" };
    let mut lines =
        vec![operation.description.clone(), String::new(), format!("gantry {}{required}{rest}", operation.name)];
    if operation.planned {
        lines.push("This version does not carry it out yet: the node checks a call, then refuses it.".to_owned());
    }
    if operation.answer == CataloguedAnswer::Job {
        lines.push("It is done by a job: --wait waits for its end.".to_owned());
    }
    lines.push(format!("{} {}", operation.method, operation.paths.join(" | ")));
    if is_query(operation) {
        lines.push(format!("\nfields: {}", operation.fields.join(", ")));
        lines.push(format!("besides conditions: {}", QUERY_PARAMETERS.join(", ")));
    } else if !operation.parameters.is_empty() {
        lines.push(String::new());
        lines.push(parameters(&operation.parameters));
    }
    lines.join("\n")
}

fn parameters(parameters: &[CataloguedParameter]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    for parameter in parameters {
        let need = if parameter.required { "required" } else { "" };
        let values =
            if parameter.values.is_empty() { String::new() } else { format!(" ({})", parameter.values.join(", ")) };
        table.add_row([
            format!("  {}", parameter.name),
            shape(parameter.holds).to_owned(),
            need.to_owned(),
            format!("{}{values}", parameter.description),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

const fn shape(shape: ParameterShape) -> &'static str {
    match shape {
        ParameterShape::Text => "text",
        ParameterShape::Secret => "secret: @FILE, @- or ?",
        ParameterShape::Number => "number",
        ParameterShape::Boolean => "true or false",
        ParameterShape::List => "list: a,b",
        ParameterShape::Map => "map: name.key=value",
        ParameterShape::MapOfLists => "map: name.key=a,b",
        ParameterShape::Json => "JSON",
    }
}

/// The operations whose name, chapter or description holds the text, by chapter.
pub fn list(catalogue: &Catalogue, text: &str, planned_too: bool) -> String {
    let text = text.to_lowercase();
    let holds = |part: &str| part.to_lowercase().contains(&text);
    let shown = catalogue.iter().filter(|operation| planned_too || !operation.planned);
    let mut found: Vec<&CataloguedOperation> =
        shown.filter(|found| holds(&found.name) || holds(&found.chapter) || holds(&found.description)).collect();
    found.sort_by(|one, other| (&one.chapter, &one.name).cmp(&(&other.chapter, &other.name)));
    let mut table = Table::new();
    table.load_preset(NOTHING);
    for operation in found {
        let planned = if operation.planned { "planned: " } else { "" };
        let sentence = operation.description.split_inclusive(". ").next().unwrap_or_default().trim_end();
        table.add_row([operation.chapter.clone(), operation.name.clone(), format!("{planned}{sentence}")]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
