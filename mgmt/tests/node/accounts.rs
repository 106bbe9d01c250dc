//! Accounts, what is theirs, and what they see and may do.

use std::any::TypeId;

use gantry_common::id::{HostUuid, JobUuid, SessionUuid};
use gantry_mgmt::{
    api::{Admits, Declaration, Handler, Method, Parameter, ParameterKind},
    failure::Failure,
    operations, resource,
    store::Claim,
};
use serde_json::{Value, json};

use super::{
    api::{Api, details},
    served_node::digest,
    tenants::{Tenant, make_account},
    world::World,
};

async fn two_tenants() -> (Api, World, Tenant, Tenant) {
    let operator = Api::start().await;
    let world = World::with_host(&operator, HostUuid::random()).await;
    let one = Tenant::settle(&operator, world, "one").await;
    let two = Tenant::settle(&operator, world, "two").await;
    (operator, world, one, two)
}

fn uuids(inventories: &[Value]) -> Vec<&str> {
    inventories.iter().map(|inventory| inventory["uuid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_account_sees_its_own_and_nothing_of_another_ones() {
    let (operator, world, one, two) = two_tenants().await;
    for (path, own, others) in [
        ("/vm-instances", one.vm.to_string(), two.vm.to_string()),
        ("/vm-instances/nics", one.nic.clone(), two.nic.clone()),
        ("/volumes", one.volume.to_string(), two.volume.to_string()),
        ("/images", one.image.to_string(), two.image.to_string()),
        ("/user-tags", one.tag.clone(), two.tag.clone()),
        ("/accounts", one.account.to_string(), two.account.to_string()),
    ] {
        assert_eq!(uuids(&one.inventories(path).await), [own.as_str()], "{path}");
        assert_eq!(one.inventories(&format!("{path}/{others}")).await, Vec::<Value>::new(), "{path}");
        assert_eq!(one.get(&format!("{path}?count=true")).await, json!({ "total": 1 }), "{path}");
        let named = format!("{path}?q=uuid?={own},{others}&replyWithCount=true&groupBy=uuid");
        assert_eq!(one.get(&named).await["total"], json!(1), "{path}");
        let all = operator.inventories(path).await;
        assert!(uuids(&all).contains(&own.as_str()) && uuids(&all).contains(&others.as_str()), "{path}");
    }
    // Not through what both see, either.
    let through = |condition: String| format!("/zones?q=vmInstance.{condition}&count=true");
    assert_eq!(one.get(&through(format!("uuid={}", one.vm))).await, json!({ "total": 1 }));
    assert_eq!(one.get(&through(format!("uuid={}", two.vm))).await, json!({ "total": 0 }));
    assert_eq!(one.get(&through("__userTag__=of two".to_owned())).await, json!({ "total": 0 }));
    assert_eq!(one.get("/zones?q=host.managementIp~=%25&count=true").await, json!({ "total": 0 }));
    assert_eq!(one.get(&format!("/zones/{}", world.zone)).await["inventories"][0]["name"], json!("zone"));
}

#[tokio::test]
async fn what_is_shared_is_seen_and_used_and_stays_its_owners_to_change() {
    let (operator, world, one, two) = two_tenants().await;
    let l3 = format!("/l3-networks/{}", world.l3);
    assert!(one.inventories(&l3).await.is_empty() && one.inventories("/l3-networks/ip-ranges").await.is_empty());
    let free = format!("{l3}/ip/free");
    assert_eq!(one.call(http::Method::GET, &free, Value::Null).await.unwrap_err()["code"], json!("SYS.1009"));
    let share = |action: &'static str, params: Value| {
        let operator = operator.clone();
        async move { operator.act("/accounts/resources", action, params).await }
    };
    share("shareResource", json!({ "resourceUuids": [world.l3], "accountUuids": [one.account] })).await.unwrap();
    assert_eq!(uuids(&one.inventories(&l3).await), [world.l3.to_string()]);
    assert_eq!(one.inventories("/l3-networks/ip-ranges").await.len(), 1);
    assert!(two.inventories(&l3).await.is_empty());
    assert_eq!(one.get(&free).await["inventories"].as_array().unwrap().len(), 6);
    // Of the addresses in use, it sees its own.
    assert_eq!(one.inventories("/vm-instances?q=vmNics.usedIp.l3Network.vmNic.ip~=%25").await.len(), 1);
    let tag = json!({ "resourceType": "L3NetworkVO", "resourceUuid": world.l3, "tag": "mine" });
    let refused = one.post("/user-tags", tag).await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1009"), "{refused}");

    share("shareResource", json!({ "resourceUuids": [world.l3], "toPublic": true })).await.unwrap();
    assert_eq!(uuids(&two.inventories(&l3).await), [world.l3.to_string()]);
    assert_eq!(operator.inventories("/accounts/resources").await.len(), 2);
    assert_eq!(one.inventories("/accounts/resources").await.len(), 1);
    share("revokeResourceSharing", json!({ "resourceUuids": [world.l3], "toPublic": true })).await.unwrap();
    assert!(two.inventories(&l3).await.is_empty() && one.inventories(&l3).await.len() == 1);
    share("revokeResourceSharing", json!({ "resourceUuids": [world.l3], "all": true })).await.unwrap();
    assert!(one.inventories(&l3).await.is_empty());

    let refused = share("shareResource", json!({ "resourceUuids": [one.vm], "toPublic": true })).await.unwrap_err();
    assert!(details(&refused).contains("a VmInstance cannot be shared; what can is"), "{refused}");
    let refused = share("shareResource", json!({ "resourceUuids": [world.l3] })).await.unwrap_err();
    assert!(details(&refused).starts_with("accountUuids"), "{refused}");
    let refused = share("shareResource", json!({ "resourceUuids": [world.zone], "toPublic": true })).await.unwrap_err();
    assert!(details(&refused).contains("names nothing that has an owner"), "{refused}");
}

#[tokio::test]
async fn an_account_may_not_do_what_is_the_operators() {
    let (operator, world, one, _) = two_tenants().await;
    for (method, path, body) in [
        (http::Method::GET, "/hosts".to_owned(), Value::Null),
        (http::Method::GET, "/global-configurations".to_owned(), Value::Null),
        (http::Method::POST, "/zones".to_owned(), json!({ "params": { "name": "z" } })),
        (http::Method::DELETE, format!("/zones/{}", world.zone), Value::Null),
        (http::Method::POST, "/accounts".to_owned(), json!({ "params": { "name": "n", "password": digest("n") } })),
        (
            http::Method::POST,
            format!("/account/{}/resources", one.account),
            json!({ "params": { "resourceUuid": world.l3 } }),
        ),
    ] {
        let refused = one.call(method, &path, body).await.unwrap_err();
        assert_eq!(refused["code"], json!("ID.1002"), "{path}: {refused}");
    }
    let refused = one.message("QueryHost", json!({})).await.unwrap_err();
    assert_eq!(refused["code"], json!("ID.1002"), "{refused}");
    // Nor by a long job.
    let job = json!({ "jobName": "CreateZone", "jobData": { "name": "z" } });
    assert_eq!(one.post("/longjobs", job).await.unwrap_err()["code"], json!("ID.1002"));
    let job = json!({ "jobName": "DestroyVmInstance", "jobData": { "uuid": HostUuid::random() } });
    assert_eq!(one.post("/longjobs", job).await.unwrap_err()["code"], json!("SYS.1009"));
    assert_eq!(operator.inventories("/zones").await.len(), 1);
}

#[tokio::test]
async fn the_job_of_another_account_is_as_good_as_none() {
    let (operator, _, one, two) = two_tenants().await;
    let mine = json!({ "jobName": "CreateUserTag",
        "jobData": { "resourceType": "VmInstanceVO", "resourceUuid": one.vm, "tag": "long" } });
    let long_job = one.post("/longjobs", mine).await.unwrap()["inventory"].clone();
    let job = long_job["apiId"].as_str().unwrap().to_owned();
    one.eventually("/longjobs", |found| found[0]["state"] == "Succeeded").await;
    assert_eq!(one.inventories("/user-tags?q=tag=long").await.len(), 1);
    assert_eq!(two.inventories("/longjobs").await, Vec::<Value>::new());
    let poll = format!("/api-jobs/{job}");
    assert_eq!(one.ask(http::Method::GET, &poll).await.0, 200);
    assert_eq!(operator.ask(http::Method::GET, &poll).await.0, 200);
    let unknown = format!("/api-jobs/{}", JobUuid::random());
    for method in [http::Method::GET, http::Method::DELETE] {
        let (status, theirs) = two.ask(method.clone(), &poll).await;
        assert_eq!((status, theirs["error"]["code"].as_str()), (404, Some("SYS.1404")), "{theirs}");
        assert_eq!(two.ask(method, &unknown).await.0, 404);
    }
    assert_eq!(two.inventories(&format!("/task-progresses/{job}")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_new_owner_gets_a_resource_with_its_parts() {
    let (operator, _, one, two) = two_tenants().await;
    let give = |to: &Tenant, what: String| {
        let (operator, path) = (operator.clone(), format!("/account/{}/resources", to.account));
        async move { operator.post(&path, json!({ "resourceUuid": what })).await }
    };
    let refused = give(&two, one.volume.to_string()).await.unwrap_err();
    assert!(details(&refused).contains(&format!("belongs to '{}'", one.vm)), "{refused}");
    let given = give(&two, one.vm.to_string()).await.unwrap()["inventory"].clone();
    assert_eq!(given["accountUuid"], json!(two.account));
    assert_eq!((&given["resourceUuid"], &given["resourceType"]), (&json!(one.vm), &json!("VmInstanceVO")));
    for (path, mine) in [("/vm-instances", 2), ("/vm-instances/nics", 2), ("/volumes", 2), ("/user-tags", 2)] {
        assert_eq!(two.inventories(path).await.len(), mine, "{path}");
        assert!(one.inventories(path).await.is_empty(), "{path}");
    }
    assert_eq!(two.inventories("/accounts/resources/refs?q=resourceType=VmInstanceVO").await.len(), 2);
}

#[tokio::test]
async fn an_account_goes_with_all_that_it_owns_and_nothing_else_does() {
    let (operator, world, one, two) = two_tenants().await;
    for name in ["group", "other group"] {
        let tenant = if name == "group" { &one } else { &two };
        let group = tenant.post("/affinity-groups", json!({ "name": name, "policy": "antiSoft" })).await.unwrap();
        let group = group["inventory"]["uuid"].as_str().unwrap();
        tenant.post(&format!("/affinity-groups/{group}/vm-instances/{}", two.vm), json!({})).await.ok();
    }
    let job = json!({ "jobName": "UpdateVmInstance", "jobData": { "uuid": one.vm, "name": "renamed" } });
    one.post("/longjobs", job).await.unwrap();
    let for_both = json!({ "resourceUuids": [world.l3], "accountUuids": [one.account, two.account] });
    operator.act("/accounts/resources", "shareResource", for_both).await.unwrap();
    let before = two.inventories("/accounts/resources/refs").await;

    operator.delete(&format!("/accounts/{}?deleteMode=Permissive", one.account)).await.unwrap();
    for path in
        ["/accounts", "/vm-instances", "/volumes", "/vm-instances/nics", "/images", "/affinity-groups", "/longjobs"]
    {
        let mine = two.inventories(path).await;
        assert_eq!(operator.inventories(path).await.len(), mine.len() + usize::from(path == "/accounts"), "{path}");
        assert_eq!(mine.is_empty(), path == "/longjobs", "{path}");
    }
    assert_eq!(two.inventories("/accounts/resources/refs").await, before);
    assert_eq!(operator.inventories("/accounts/resources").await.len(), 1);
    let (status, answer) = one.ask(http::Method::GET, "/vm-instances").await;
    assert_eq!((status, answer["error"]["code"].as_str()), (503, Some("ID.1001")));
    assert!(operator.log_in_as("one", "one").await.is_err());

    let refused = operator.delete(&format!("/accounts/{}", operator.node.admin)).await.unwrap_err();
    assert!(details(&refused).contains("cannot be deleted"), "{refused}");
}

#[tokio::test]
async fn an_account_that_is_being_deleted_gets_nothing_more() {
    let (operator, _, one, two) = two_tenants().await;
    let claim = Claim { resource: one.account.to_string(), goes: true };
    let claimed = operator.node.store.write(move |tx| Ok::<_, Failure>(tx.set_claims(JobUuid::random(), &[claim])?));
    claimed.await.unwrap();
    let group = json!({ "name": "late", "policy": "antiSoft" });
    let refused = one.post("/affinity-groups", group.clone()).await.unwrap_err();
    assert!(details(&refused).contains("is being deleted"), "{refused}");
    let to = format!("/account/{}/resources", one.account);
    let refused = operator.post(&to, json!({ "resourceUuid": two.image })).await.unwrap_err();
    assert!(details(&refused).contains("is being deleted"), "{refused}");
    two.post("/affinity-groups", group).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_but_the_one_that_set_it() {
    let operator = Api::start().await;
    let account = make_account(&operator, "one").await.unwrap();
    let refused = make_account(&operator, "one").await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1012"), "{refused}");
    let plain = json!({ "name": "two", "password": "not a digest" });
    let refused = operator.post("/accounts", plain).await.unwrap_err();
    assert!(!refused.to_string().contains("not a digest") && details(&refused).starts_with("password"), "{refused}");

    let (first, second) =
        (operator.log_in_as("one", "one").await.unwrap(), operator.log_in_as("one", "one").await.unwrap());
    let path = format!("/accounts/{account}");
    let change = |params: Value| json!({ "updateAccount": params });
    let new = change(json!({ "password": digest("new"), "description": "changed" }));
    let changed = first.call(http::Method::PUT, &path, new).await.unwrap();
    assert_eq!(changed["inventory"]["description"], json!("changed"));
    assert_eq!(first.inventories("/accounts").await.len(), 1);
    assert_eq!(second.ask(http::Method::GET, "/accounts").await.1["error"]["code"], json!("ID.1001"));
    assert!(operator.log_in_as("one", "one").await.is_err() && operator.log_in_as("one", "new").await.is_ok());
    // Another account's password is not its to change, and that one does not even exist for it.
    let other = format!("/accounts/{}", operator.node.admin);
    let refused = first.call(http::Method::PUT, &other, change(json!({ "password": digest("x") }))).await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1009"), "{refused}");
    let renamed = operator.call(http::Method::PUT, &other, change(json!({ "name": "root" }))).await.unwrap_err();
    assert!(details(&renamed).contains("keeps its name"), "{renamed}");
    operator.call(http::Method::PUT, &path, change(json!({ "password": digest("newer") }))).await.unwrap();
    assert_eq!(first.ask(http::Method::GET, "/accounts").await.1["error"]["code"], json!("ID.1001"));
}

#[tokio::test]
async fn a_session_is_renewed_by_whose_it_is() {
    let operator = Api::start().await;
    make_account(&operator, "one").await.unwrap();
    let one = operator.log_in_as("one", "one").await.unwrap();
    let renew = |session: &str| format!("/accounts/sessions/{session}/renew");
    let body = json!({ "renewSession": { "duration": 100_000 } });
    let renewed = one.call(http::Method::PUT, &renew(one.session()), body.clone()).await.unwrap();
    assert_eq!(renewed["inventory"]["uuid"], json!(one.session()));
    let refused = one.call(http::Method::PUT, &renew(operator.session()), body.clone()).await.unwrap_err();
    assert_eq!(refused["code"], json!("SYS.1009"), "{refused}");
    let unknown = renew(&SessionUuid::random().to_string());
    assert_eq!(operator.call(http::Method::PUT, &unknown, body).await.unwrap_err()["code"], json!("ID.1001"));
}

/// A value that the parameter may have.
fn good(parameter: &Parameter) -> Value {
    match parameter.kind {
        ParameterKind::Text | ParameterKind::Secret => {
            json!(parameter.constraint.values.map_or("x", |values| values[0]))
        }
        ParameterKind::Uuid => json!(HostUuid::random()),
        ParameterKind::UuidList => json!([HostUuid::random()]),
        ParameterKind::Ipv4 => json!("192.0.2.1"),
        ParameterKind::Integer => json!(parameter.constraint.range.as_ref().map_or(1, |range| *range.start())),
        ParameterKind::Number => json!(1.5),
        ParameterKind::Boolean => json!(true),
        ParameterKind::TextList => json!(["x"]),
        ParameterKind::ObjectList => json!([{}]),
        ParameterKind::Map => json!({ "x": ["y"] }),
        ParameterKind::TextMap => json!({ "x": "y" }),
        ParameterKind::Json | ParameterKind::Object => json!({}),
    }
}

/// The ids that a parameter may be given: by the names of the resources that it can name.
fn id_for(parameter: &Parameter, ids: &[(&str, String)]) -> Vec<String> {
    let of = |name: &str| resource::by_name(name).unwrap().id;
    let by_text = parameter.id.is_none()
        && (parameter.name.ends_with("Uuid") || parameter.name.ends_with("Uuids"))
        && matches!(
            parameter.kind,
            ParameterKind::Text | ParameterKind::Uuid | ParameterKind::UuidList | ParameterKind::TextList
        );
    let fits = |(name, _): &&(&str, String)| by_text || parameter.id == Some(of(name));
    ids.iter().filter(fits).map(|(_, id)| id.clone()).collect()
}

fn makes(parameter: &Parameter) -> bool {
    parameter.name == "resourceUuid" && !parameter.required
}

fn admits(declaration: &Declaration) -> bool {
    let reads = declaration.admits == Admits::Readers && declaration.method == Method::Get;
    declaration.admits == Admits::Accounts || reads
}

#[tokio::test]
async fn to_every_operation_what_is_another_accounts_is_not_there() {
    let (_, world, one, two) = two_tenants().await;
    let ids = |tenant: &Tenant| {
        vec![
            ("VmInstance", tenant.vm.to_string()),
            ("VmNic", tenant.nic.clone()),
            ("Volume", tenant.volume.to_string()),
            ("Image", tenant.image.to_string()),
            ("UserTag", tenant.tag.clone()),
            ("Account", tenant.account.to_string()),
            ("Session", tenant.session().to_owned()),
        ]
    };
    let (own, mut others) = (ids(&one), ids(&two));
    // The operator's, too.
    others.extend([("L3Network", world.l3.to_string()), ("Host", world.host.to_string())]);
    let mut tried = 0;
    for operation in operations::all() {
        let declaration = operation.declaration;
        let carried_out = matches!(operation.handler, Handler::Sync(_) | Handler::Job(_));
        if !carried_out || declaration.open || !admits(declaration) {
            continue;
        }
        let mut fields = json!({});
        for parameter in declaration.parameters.iter().filter(|parameter| parameter.required) {
            let list = matches!(parameter.kind, ParameterKind::UuidList | ParameterKind::TextList);
            fields[&parameter.name] = match id_for(parameter, &own).first() {
                Some(id) if list => json!([id]),
                Some(id) => json!(id),
                None => good(parameter),
            };
        }
        for parameter in declaration.parameters.iter().filter(|parameter| !makes(parameter)) {
            let job = parameter.id == Some(TypeId::of::<JobUuid>());
            for id in id_for(parameter, &others).into_iter().filter(|_| !job) {
                let ask = async |id: &str| {
                    let list = matches!(parameter.kind, ParameterKind::UuidList | ParameterKind::TextList);
                    let mut fields = fields.clone();
                    fields[&parameter.name] = if list { json!([id]) } else { json!(id) };
                    let refused = one.message(declaration.name, fields).await;
                    let refused = refused.expect_err(declaration.name);
                    assert!(refused["code"] != "ID.1002", "{}: {refused}", declaration.name);
                    refused.to_string().replace(id, "ID")
                };
                let nothing = HostUuid::random().to_string();
                let (theirs, nothing) = (ask(&id).await, ask(&nothing).await);
                assert_eq!(theirs, nothing, "{}.{}", declaration.name, parameter.name);
                assert!(theirs.contains("SYS.1009"), "{}.{}: {theirs}", declaration.name, parameter.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 30, "only {tried} parameters were tried");
}
