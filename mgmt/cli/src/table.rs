//! Replies as tables.

use comfy_table::{Table, presets::NOTHING};
use serde_json::{Map, Value};

/// The columns of a list unless fields are asked for: of these the ones that there are.
const USUAL: [&str; 16] = [
    "name",
    "uuid",
    "state",
    "status",
    "managementIp",
    "ip",
    "cpuNum",
    "memorySize",
    "size",
    "format",
    "type",
    "hypervisorType",
    "category",
    "value",
    "tag",
    "reason",
];
/// More columns do not fit a terminal.
const MOST_COLUMNS: usize = 7;

/// The reply for people: lists as tables, an inventory as its fields.
pub fn table(reply: &Value, fields: &[String]) -> String {
    let Value::Object(reply) = reply else { return reply.to_string() };
    let mut parts = Vec::new();
    for (name, value) in reply {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                // Its name matters where there are others beside it.
                if name != "inventories" {
                    parts.push(format!("{name}:"));
                }
                parts.push(list(items, fields));
            }
            Value::Array(items) if items.is_empty() && name == "inventories" => parts.push("none".to_owned()),
            Value::Object(inventory) if name == "inventory" => parts.push(one(inventory)),
            _ if name == "schema" => {}
            _ => parts.push(format!("{name}: {}", cell(value))),
        }
    }
    parts.join("\n")
}

fn one(inventory: &Map<String, Value>) -> String {
    let mut table = plain();
    for (name, value) in inventory {
        table.add_row([name.clone(), cell(value)]);
    }
    trimmed(&table)
}

fn list(items: &[Value], fields: &[String]) -> String {
    let columns = if fields.is_empty() { columns(items) } else { fields.to_vec() };
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for item in items {
        table.add_row(columns.iter().map(|column| item.get(column).map(cell).unwrap_or_default()));
    }
    trimmed(&table)
}

/// Those that are usual; if hardly any are, the first plain fields.
fn columns(items: &[Value]) -> Vec<String> {
    let has = |column: &str| items.iter().any(|item| item.get(column).is_some());
    let usual: Vec<String> = USUAL.iter().filter(|column| has(column)).map(|column| (*column).to_owned()).collect();
    let found = if usual.len() > 1 {
        usual
    } else {
        let mut seen = Vec::new();
        for (name, value) in items.iter().filter_map(Value::as_object).flatten() {
            if !seen.contains(name) && !value.is_array() && !value.is_object() {
                seen.push(name.clone());
            }
        }
        seen
    };
    found.into_iter().take(MOST_COLUMNS).collect()
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(",")
        }
        Value::Array(items) => {
            let name = |item: &Value| {
                ["name", "ip", "uuid"].iter().find_map(|field| Some(item.get(field)?.as_str()?.to_owned()))
            };
            let names: Vec<String> = items.iter().map(|item| name(item).unwrap_or_else(|| item.to_string())).collect();
            names.join(",")
        }
        other => other.to_string(),
    };
    // What a resource is called must not move the terminal's cursor.
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_shows_the_usual_columns_or_those_asked_for() {
        let reply = json!({ "inventories": [
            { "uuid": "1", "name": "one", "state": "Enabled", "clusterUuids": ["a", "b"] },
            { "uuid": "2", "name": "two", "state": "Disabled", "clusterUuids": [] },
        ], "total": 2 });
        assert_eq!(table(&reply, &[]), "NAME  UUID  STATE\none   1     Enabled\ntwo   2     Disabled\ntotal: 2");
        let fields = ["name".to_owned(), "clusterUuids".to_owned()];
        assert_eq!(table(&reply, &fields), "NAME  CLUSTERUUIDS\none   a,b\ntwo\ntotal: 2");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[2Jb\nc")), "a [2Jb c");
    }
}
