//! The operations as the command-line client carries them with it.

use gantry_common::catalogue::{
    CataloguedAnswer, CataloguedOperation, CataloguedParameter, ParameterLocation, ParameterShape,
};

use crate::api::{Answer, Declaration, Handler, Location, Operation, Parameter, ParameterKind, chapter_of};

/// Every operation, by name.
pub fn catalogue() -> Vec<CataloguedOperation> {
    let mut all: Vec<CataloguedOperation> = super::all().iter().map(catalogued).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// [`catalogue`] as JSON, an operation a line.
pub fn catalogue_json() -> serde_json::Result<String> {
    let lines = catalogue().iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

fn catalogued(operation: &Operation) -> CataloguedOperation {
    let declaration = operation.declaration;
    CataloguedOperation {
        name: declaration.name.to_owned(),
        chapter: chapter_of(declaration.section).map_or_else(String::new, |chapter| chapter.title.to_owned()),
        description: declaration.description.to_owned(),
        method: declaration.method.as_str().to_owned(),
        paths: declaration.paths.iter().map(|path| (*path).to_owned()).collect(),
        body_key: declaration.body_keys.first().cloned(),
        answer: answer_of(declaration),
        open: declaration.open,
        planned: matches!(operation.handler, Handler::Planned),
        parameters: declaration.parameters.iter().map(parameter_of).collect(),
        fields: match operation.handler {
            Handler::Query(resource) => resource.fields().map(str::to_owned).collect(),
            _ => Vec::new(),
        },
    }
}

fn answer_of(declaration: &Declaration) -> CataloguedAnswer {
    match declaration.answer {
        Answer::Job => CataloguedAnswer::Job,
        Answer::Sync if declaration.is_query() => CataloguedAnswer::Query,
        Answer::Sync => CataloguedAnswer::Sync,
    }
}

fn parameter_of(parameter: &Parameter) -> CataloguedParameter {
    CataloguedParameter {
        name: parameter.name.clone(),
        description: parameter.description.to_owned(),
        holds: match parameter.kind {
            ParameterKind::Text | ParameterKind::Uuid | ParameterKind::Ipv4 => ParameterShape::Text,
            ParameterKind::Secret => ParameterShape::Secret,
            ParameterKind::Integer | ParameterKind::Number => ParameterShape::Number,
            ParameterKind::Boolean => ParameterShape::Boolean,
            ParameterKind::TextList | ParameterKind::UuidList => ParameterShape::List,
            ParameterKind::TextMap => ParameterShape::Map,
            ParameterKind::Map => ParameterShape::MapOfLists,
            ParameterKind::Json | ParameterKind::Object | ParameterKind::ObjectList => ParameterShape::Json,
        },
        location: match parameter.location {
            Location::Path => ParameterLocation::Path,
            Location::Query => ParameterLocation::Query,
            Location::Body => ParameterLocation::Body,
        },
        required: parameter.required,
        values: parameter.constraint.values.unwrap_or_default().iter().map(|value| (*value).to_owned()).collect(),
    }
}
