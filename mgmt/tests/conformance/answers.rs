//! What operations answer is what they declare: names and types of every field, down into inventories and their lists.

use gantry_mgmt::{
    api::{Declaration, ReplyField, ReplyType},
    operations,
};
use serde_json::{Map, Value, json};

use crate::{api::Api, reference::none};

/// Adds in what ways an answer is not the declared one.
pub fn differences(declaration: &Declaration, answer: &Value, found: &mut Vec<String>) {
    let Value::Object(answer) = answer else {
        found.push(format!("{} answers no object", declaration.name));
        return;
    };
    let counted = |name: &str| declaration.is_query() && matches!(name, "total" | "schema");
    let answer = answer.iter().filter(|(name, _)| !counted(name));
    let answer: Map<String, Value> = answer.map(|(name, value)| (name.clone(), value.clone())).collect();
    object(declaration.name, &answer, |name| find(declaration.reply, name), found);
}

fn find(fields: &[ReplyField], name: &str) -> Option<ReplyType> {
    fields.iter().find(|field| field.name == name).map(|field| field.holds)
}

fn object(of: &str, value: &Map<String, Value>, holds: impl Fn(&str) -> Option<ReplyType>, found: &mut Vec<String>) {
    for (name, value) in value {
        match holds(name) {
            Some(holds) => check(&format!("{of}.{name}"), value, holds, found),
            None => found.push(format!("{of} has {name}, which is not declared")),
        }
    }
}

fn check(of: &str, value: &Value, holds: ReplyType, found: &mut Vec<String>) {
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fits = match (holds, value) {
        (ReplyType::Text, value) => value.is_string(),
        (ReplyType::Uuid, value) => value.as_str().is_some_and(hex),
        (ReplyType::Integer, value) => value.is_i64() || value.is_u64(),
        (ReplyType::Number, value) => value.is_number(),
        (ReplyType::Boolean, value) => value.is_boolean(),
        // `Aug 20, 2015 5:46:16 PM`
        (ReplyType::Date, value) => value.as_str().is_some_and(|text| text.ends_with(" AM") || text.ends_with(" PM")),
        (ReplyType::Json, _) => true,
        (ReplyType::Map(item), Value::Object(map)) => {
            map.iter().for_each(|(key, value)| check(&format!("{of}.{key}"), value, *item, found));
            true
        }
        (ReplyType::List(item), Value::Array(items)) => {
            items.iter().for_each(|value| check(of, value, *item, found));
            true
        }
        (ReplyType::Object(fields), Value::Object(value)) => {
            object(of, value, |name| find(fields, name), found);
            true
        }
        (ReplyType::Inventory(name), Value::Object(value)) => {
            inventory(of, name, value, found);
            true
        }
        (ReplyType::Inventories(name), Value::Array(items)) => {
            items.iter().for_each(|value| check(of, value, ReplyType::Inventory(name), found));
            true
        }
        _ => false,
    };
    if !fits {
        found.push(format!("{of} is declared as {holds:?} and is {value}"));
    }
}

fn inventory(of: &str, name: &'static str, value: &Map<String, Value>, found: &mut Vec<String>) {
    let Some(declared) = operations::inventories().get(name) else {
        found.push(format!("{of} is of {name}, which is not declared"));
        return;
    };
    let holds = |name: &str| declared.fields.iter().find(|field| field.name == name).map(|field| field.holds);
    object(&format!("{of} {name}"), value, holds, found);
}

/// Makes what can be made without a host, and asks for all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_is_shown_with_the_declared_fields() {
    let api = Api::start().await;
    let mut found = Vec::new();
    let mut named = Named { api: &api, found: &mut found };
    let zone = named.made("CreateZone", json!({ "name": "zone", "description": "d", "systemTags": ["a::b"] })).await;
    let cluster = json!({ "name": "cluster", "zoneUuid": zone, "hypervisorType": "KVM" });
    let cluster = named.made("CreateCluster", cluster).await;
    named.made("CreateInstanceOffering", json!({ "name": "small", "cpuNum": 1, "memorySize": 268_435_456 })).await;
    named.made("CreateDiskOffering", json!({ "name": "disk", "diskSize": 1_073_741_824 })).await;
    let storage = json!({ "name": "local", "zoneUuid": zone, "url": "/srv/gantry" });
    named.made("AddLocalPrimaryStorage", storage).await;
    let l2 = json!({ "name": "l2", "zoneUuid": zone, "physicalInterface": "eth1" });
    let l2 = named.made("CreateL2NoVlanNetwork", l2).await;
    named.made("AttachL2NetworkToCluster", json!({ "l2NetworkUuid": l2, "clusterUuid": cluster })).await;
    let l3 = json!({ "name": "l3", "l2NetworkUuid": l2, "category": "Private" });
    let l3 = named.made("CreateL3Network", l3).await;
    let range = json!({
        "l3NetworkUuid": l3, "name": "range", "startIp": "192.0.2.10", "endIp": "192.0.2.20",
        "netmask": "255.255.255.0", "gateway": "192.0.2.1",
    });
    named.made("AddIpRange", range).await;
    named.made("AddDnsToL3Network", json!({ "l3NetworkUuid": l3, "dns": "192.0.2.2" })).await;
    for query in operations::all().iter().filter(|operation| operation.declaration.is_query()) {
        named.answered(query.declaration, json!({})).await;
    }
    none(found);
}

struct Named<'a> {
    api: &'a Api,
    found: &'a mut Vec<String>,
}

impl Named<'_> {
    /// Runs an operation that answers with an inventory; the inventory's id.
    async fn made(&mut self, name: &str, parameters: Value) -> String {
        let operation = operations::all().into_iter().find(|operation| operation.declaration.name == name);
        let answer = self.answered(operation.expect("it is declared").declaration, parameters).await;
        answer["inventory"]["uuid"].as_str().unwrap_or_else(|| panic!("{name} answers {answer}")).to_owned()
    }

    /// Runs an operation and compares what it answers, unless it is an error.
    async fn answered(&mut self, declaration: &Declaration, parameters: Value) -> Value {
        let answer = self.api.run(declaration, parameters).await;
        if answer.status == 200 {
            differences(declaration, &answer.body, self.found);
        }
        answer.body
    }
}
