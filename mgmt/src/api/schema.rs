//! `schema`: of which published class each object of an answer is. Queries always say so; for other answers, typed
//! clients ask with `X-JSON-Schema: true`.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Inventories, ReplyField, ReplyType};

/// Whether the caller wants to be told.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get("x-json-schema").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Tells the classes of an answer's objects by their places in it, such as `inventory.vmNics[0]`.
pub fn add(inventories: &Inventories, reply: &[ReplyField], answer: &mut Value) {
    let Value::Object(fields) = answer else { return };
    let mut classes = Classes { inventories, found: Map::new() };
    for field in reply {
        if let Some(value) = fields.get(field.name) {
            classes.look(field.name.to_owned(), field.holds, value);
        }
    }
    let found = classes.found;
    fields.insert("schema".to_owned(), Value::Object(found));
}

struct Classes<'a> {
    inventories: &'a Inventories,
    found: Map<String, Value>,
}

impl Classes<'_> {
    fn look(&mut self, place: String, holds: ReplyType, value: &Value) {
        match (holds, value) {
            (ReplyType::Inventory(name), Value::Object(shown)) => {
                let Some(inventory) = self.inventories.get(name) else { return };
                for field in &inventory.fields {
                    if let Some(value) = shown.get(&field.name) {
                        self.look(format!("{place}.{}", field.name), field.holds, value);
                    }
                }
                if let Some(class) = inventory.class.filter(|class| !class.is_empty()) {
                    self.found.insert(place, class.into());
                }
            }
            (ReplyType::Inventories(name), Value::Array(items)) => {
                self.look_at_each(&place, ReplyType::Inventory(name), items);
            }
            (ReplyType::List(item), Value::Array(items)) => self.look_at_each(&place, *item, items),
            (ReplyType::Map(item), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.look(format!("{place}.{key}"), *item, value);
                }
            }
            (ReplyType::Object(fields), Value::Object(shown)) => {
                for field in fields {
                    if let Some(value) = shown.get(field.name) {
                        self.look(format!("{place}.{}", field.name), field.holds, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn look_at_each(&mut self, place: &str, item: ReplyType, items: &[Value]) {
        for (index, value) in items.iter().enumerate() {
            self.look(format!("{place}[{index}]"), item, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operations::inventories;

    #[test]
    fn every_object_is_told_by_its_place() {
        let reply: &[ReplyField] = crate::reply_fields!(VmInstance);
        let mut answer = json!({ "inventory": { "name": "web", "vmNics": [{ "ip": "10.0.0.7" }], "allVolumes": [] } });
        add(inventories(), reply, &mut answer);
        assert_eq!(
            answer["schema"],
            json!({
                "inventory": "org.zstack.header.vm.VmInstanceInventory",
                "inventory.vmNics[0]": "org.zstack.header.vm.VmNicInventory",
            })
        );
    }

    #[test]
    fn an_answer_without_objects_has_an_empty_schema() {
        let mut answer = json!({ "version": "3.0.0" });
        add(inventories(), crate::reply_fields!({ version: String }), &mut answer);
        assert_eq!(answer, json!({ "version": "3.0.0", "schema": {} }));
    }

    #[test]
    fn it_is_wanted_where_the_header_is_true() {
        let mut headers = HeaderMap::new();
        assert!(!is_wanted(&headers));
        headers.insert("X-JSON-Schema", http::HeaderValue::from_static("True"));
        assert!(is_wanted(&headers));
        headers.insert("X-JSON-Schema", http::HeaderValue::from_static("false"));
        assert!(!is_wanted(&headers));
    }
}
