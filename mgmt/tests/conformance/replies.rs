//! Every operation declares the published reply, field by field.

use std::collections::BTreeMap;

use gantry_mgmt::{
    api::{InventoryField, ReplyField, ReplyType},
    operations,
};

use crate::{
    differences::{EXCLUSIONS, REPLIES_OTHERWISE, UNSERVED_FIELDS, right_field},
    reference::{none, served},
};

type Structures = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn every_operation_answers_with_the_published_fields() {
    let mut found = Vec::new();
    for (operation, entry) in served() {
        let declaration = operation.declaration;
        let name = declaration.name;
        if REPLIES_OTHERWISE.iter().any(|(of, _)| *of == name) {
            continue;
        }
        let Some(reply) = entry.reply.get("reply") else { continue };
        for (field, published) in reply.iter().filter(|(field, _)| *field != "error" && *field != "success") {
            let served = declaration.reply.iter().find(|served| served.name == right_field(field));
            match served {
                None => found.push(format!("{name} does not answer {field}")),
                Some(ReplyField { holds, .. }) => {
                    compare(&format!("{name}: {field}"), field, *holds, published, &entry.reply, 0, &mut found);
                }
            }
        }
        for served in declaration.reply.iter().filter(|served| served.name != "success") {
            if !reply.keys().any(|field| right_field(field) == served.name) && *served != EXCLUSIONS {
                found.push(format!("{name} answers {}, which is not published", served.name));
            }
        }
    }
    none(found);
}

#[test]
fn every_inventory_that_a_reply_names_is_declared() {
    fn names(holds: ReplyType, into: &mut Vec<&'static str>) {
        match holds {
            ReplyType::Inventory(name) | ReplyType::Inventories(name) => into.push(name),
            ReplyType::List(item) | ReplyType::Map(item) => names(*item, into),
            ReplyType::Object(fields) => fields.iter().for_each(|field| names(field.holds, into)),
            _ => {}
        }
    }
    let mut named = Vec::new();
    for operation in operations::all() {
        operation.declaration.reply.iter().for_each(|field| names(field.holds, &mut named));
    }
    for inventory in operations::inventories().values() {
        inventory.fields.iter().for_each(|field| names(field.holds, &mut named));
    }
    let known = operations::inventories();
    none(named.into_iter().filter(|name| !known.contains_key(name)).map(|name| format!("{name} is unknown")).collect());
}

#[test]
fn an_inventory_is_declared_in_one_place() {
    let mut found = Vec::new();
    for inventory in operations::planned_inventories() {
        if gantry_mgmt::resource::by_name(inventory.name).is_some() {
            found.push(format!("{} is a declared resource: its planned inventory can go", inventory.name));
        }
    }
    none(found);
}

/// Whether a declared type is the published one. Structures follow by the field's name, as the reference prints them.
fn compare(
    of: &str,
    field: &str,
    holds: ReplyType,
    published: &str,
    structures: &Structures,
    depth: usize,
    found: &mut Vec<String>,
) {
    let published = published.replace(' ', "");
    let structure = structures.get(field).filter(|structure| !structure.contains_key("ordinal"));
    let fits = match holds {
        ReplyType::Inventory(name) | ReplyType::Inventories(name) => {
            if let (Some(structure), true) = (structure, depth < 3) {
                inventory(of, name, structure, structures, depth, found);
            }
            match holds {
                ReplyType::Inventories(_) => matches!(published.as_str(), "List" | "Set"),
                _ => !matches!(published.as_str(), "List" | "Set" | "String" | "Long" | "Integer"),
            }
        }
        ReplyType::List(ReplyType::Inventory(name)) => {
            if let (Some(structure), true) = (structure, depth < 3) {
                inventory(of, name, structure, structures, depth, found);
            }
            matches!(published.as_str(), "List" | "Set")
        }
        ReplyType::List(_) => matches!(published.as_str(), "List" | "Set"),
        ReplyType::Uuid => published == "String",
        // Enumerations of the reference are texts on the wire.
        ReplyType::Text => published == "String" || !is_plain(&published),
        ReplyType::Integer => matches!(published.to_lowercase().as_str(), "long" | "int" | "integer"),
        ReplyType::Number => published.eq_ignore_ascii_case("double"),
        ReplyType::Boolean => published.eq_ignore_ascii_case("boolean"),
        ReplyType::Date => published == "Timestamp",
        ReplyType::Map(_) => published == "Map",
        ReplyType::Object(_) => matches!(published.as_str(), "Map" | "LinkedHashMap") || !is_plain(&published),
        ReplyType::Json => true,
    };
    if !fits && !published.is_empty() {
        found.push(format!("{of} is declared as {holds:?}, published as {published}"));
    }
}

fn is_plain(published: &str) -> bool {
    let plain = ["string", "long", "int", "integer", "boolean", "double", "timestamp", "list", "set", "map"];
    plain.contains(&published.to_lowercase().as_str())
}

fn inventory(
    of: &str,
    name: &'static str,
    structure: &BTreeMap<String, String>,
    structures: &Structures,
    depth: usize,
    found: &mut Vec<String>,
) {
    let Some(declared) = operations::inventories().get(name) else { return };
    for (field, published) in structure {
        let right = right_field(field);
        if UNSERVED_FIELDS
            .iter()
            .any(|(inventory, unserved)| (*inventory == name || *inventory == "*") && *unserved == right)
        {
            continue;
        }
        match declared.fields.iter().find(|declared| declared.name == right) {
            None => found.push(format!("{of}: {name} has no {field}")),
            Some(InventoryField { holds, .. }) => {
                compare(&format!("{of}.{field}"), field, *holds, published, structures, depth + 1, found);
            }
        }
    }
}
