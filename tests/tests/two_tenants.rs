//! Two accounts each run a VM on the same host, with what the operator offers to all, and do not know of each other. What
//! one has goes to the other; what is offered no more is of no use, nor is an old password.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{Client, Kind, Lab, Management, Site, digest, text};
use serde_json::{Value, json};

fn tenant(operator: &Client, node: &Management, name: &str) -> Client {
    let account = json!({ "name": name, "password": digest(name) });
    assert_eq!(text(&operator.create("/accounts", &account).unwrap(), "type"), "Normal");
    Client::login_as(node.address(), name, name).unwrap()
}

#[test]
fn two_accounts_run_their_vms_on_one_host_and_do_not_see_each_others() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let operator = node.client();
    let site = Site::set_up(&operator, &lab);
    let one = tenant(&operator, &node, "one");
    let two = tenant(&operator, &node, "two");

    // Nothing is offered yet: to them, there is no such image.
    let refused = one.create("/vm-instances", &site.vm_params("early")).unwrap_err();
    assert_eq!(refused.code, "SYS.1009", "{refused:?}");
    assert!(one.query("/images", &[]).is_empty() && one.query("/instance-offerings", &[]).is_empty());
    let offered = json!({ "resourceUuids": [site.image, site.offering, site.l3_network], "toPublic": true });
    operator.act("/accounts/resources/actions", "shareResource", &offered).unwrap();

    let vms: Vec<String> = std::thread::scope(|scope| {
        let making: Vec<_> = [(&one, "web"), (&two, "web")]
            .map(|(tenant, name)| scope.spawn(|| tenant.create("/vm-instances", &site.vm_params(name)).unwrap()))
            .into_iter()
            .collect();
        making.into_iter().map(|vm| text(&vm.join().unwrap(), "uuid")).collect()
    });
    let host = lab.host(1);
    for vm in &vms {
        assert_eq!(host.domain_state(vm).as_deref(), Some("running"));
    }
    for (tenant, own, others) in [(&one, &vms[0], &vms[1]), (&two, &vms[1], &vms[0])] {
        let seen = tenant.query("/vm-instances", &[]);
        assert_eq!(seen.iter().map(|vm| text(vm, "uuid")).collect::<Vec<_>>(), std::slice::from_ref(own));
        assert!(tenant.query("/vm-instances", &[&format!("uuid={others}")]).is_empty());
        assert_eq!(tenant.query("/volumes", &[]).len(), 1);
        assert_eq!(tenant.query("/vm-instances/nics", &[]).len(), 1);
        assert_eq!(text(&tenant.query("/l3-networks", &[])[0], "uuid"), site.l3_network);
        let stop = tenant.act(&format!("/vm-instances/{others}/actions"), "stopVmInstance", &json!({}));
        assert_eq!(stop.unwrap_err().code, "SYS.1009");
        assert_eq!(host.domain_state(others).as_deref(), Some("running"));
    }
    assert_eq!(operator.query("/vm-instances", &[]).len(), 2);

    // Who owns what, and who is logged in, outlives the node.
    node.kill();
    node.start_again(&[]);
    assert_eq!(one.query("/vm-instances", &[]).len(), 1);
    let refused = two.delete(&format!("/vm-instances/{}", vms[0])).unwrap_err();
    assert_eq!(refused.code, "SYS.1009", "{refused:?}");
    one.done("DestroyVmInstance", &json!({ "uuid": vms[0] }));
    one.done("ExpungeVmInstance", &json!({ "uuid": vms[0] }));
    assert!(one.query("/vm-instances", &[]).is_empty() && one.query("/volumes", &[]).is_empty());
    assert_eq!(one.query("/accounts/resources/refs", &[]).len(), 0);

    // The other one goes with what it has: the VM that runs, and the volume.
    let volume = text(&two.query("/volumes", &[])[0], "installPath");
    assert!(host.has(&volume), "{volume}");
    let account = text(&operator.query("/accounts", &["name=two"])[0], "uuid");
    operator.done("DeleteAccount", &json!({ "uuid": account }));
    assert!(host.domains().is_empty() && !host.has(&volume));
    assert!(operator.query("/vm-instances", &[]).is_empty() && operator.query("/volumes", &[]).is_empty());
    assert!(Client::login_as(node.address(), "two", "two").is_err());

    let made = operator.query("/audits", &["apiName=CreateVmInstance", "state=Succeeded"]);
    assert_eq!(made.len(), 2);
    assert!(made.iter().all(|call| vms.iter().any(|vm| text(call, "resourceUuids").contains(vm))), "{made:?}");
    assert_eq!(one.query("/audits", &["apiName=CreateVmInstance"]).len(), 2, "the one that was refused, too");
}

/// What the resources in a list are called.
fn names(found: &[Value]) -> Vec<String> {
    found.iter().map(|one| text(one, "name")).collect()
}

#[test]
fn what_an_account_has_goes_to_another_one_and_what_it_may_use_comes_to_an_end() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let operator = node.client();
    let site = Site::set_up(&operator, &lab);
    let host = lab.host(1);
    let blank = site.blank_image(&operator, &lab);
    let made = |path: &str, params: Value| text(&operator.create(path, &params).unwrap(), "uuid");
    let disk = made("/disk-offerings", json!({ "name": "disk", "diskSize": 64 << 20 }));
    let vast = made("/instance-offerings", json!({ "name": "vast", "cpuNum": 1, "memorySize": 1_u64 << 40 }));
    let one = tenant(&operator, &node, "one");
    let two = tenant(&operator, &node, "two");
    let account = |name: &str| text(&operator.query("/accounts", &[&format!("name={name}")])[0], "uuid");
    let (account_one, account_two) = (account("one"), account("two"));

    // What is offered to one account alone is there for that one.
    let offered = json!([blank, site.offering, site.l3_network, disk, vast]);
    operator.done("ShareResource", &json!({ "resourceUuids": offered, "accountUuids": [account_one] }));
    let shared = |tenant: &Client| tenant.done("QuerySharedResource", &json!({}))["inventories"].clone();
    assert_eq!((shared(&one).as_array().unwrap().len(), shared(&two)), (5, json!([])));
    let params = |offering: &str| {
        let mut params = site.vm_params("server");
        params["imageUuid"] = json!(blank);
        params["instanceOfferingUuid"] = json!(offering);
        params["dataDiskOfferingUuids"] = json!([disk]);
        params
    };

    // Where no host can take a VM, the operator is told which they are, and the account how many.
    let (name, address) = (format!("host at {}", host.address()), host.address().to_string());
    let told = operator.call("CreateVmInstance", &params(&vast)).unwrap_err();
    assert_eq!(told.code, "HOST_ALLOCATION.1001");
    assert!(told.details.contains(&format!("{name} ({address}): ")), "{told:?}");
    let told = one.call("CreateVmInstance", &params(&vast)).unwrap_err();
    assert_eq!(told.code, "HOST_ALLOCATION.1001");
    assert!(told.details.contains("no host can take it: 1 host: "), "{told:?}");
    assert!(!format!("{told:?}").contains(&address), "{told:?}");

    // A running VM goes to the other account with its volumes and interfaces, and its guest does not notice.
    let vm = text(&one.done("CreateVmInstance", &params(&site.offering))["inventory"], "uuid");
    let process = host.qemu_pid(&vm);
    let has = |tenant: &Client| {
        let count = |path: &str| tenant.query(path, &[]).len();
        (count("/vm-instances"), count("/volumes"), count("/vm-instances/nics"), count("/images"))
    };
    assert_eq!((has(&one), has(&two)), ((1, 2, 1, 1), (0, 0, 0, 0)));
    operator.done("ChangeResourceOwner", &json!({ "accountUuid": account_two, "resourceUuid": vm }));
    assert_eq!((has(&one), has(&two)), ((0, 0, 0, 1), (1, 2, 1, 0)));
    let stop = json!({ "uuid": vm, "type": "cold" });
    let refused = one.call("StopVmInstance", &stop).unwrap_err();
    assert_eq!(refused.code, "SYS.1009", "{refused:?}");
    assert_eq!(host.qemu_pid(&vm), process);
    two.done("StopVmInstance", &stop);
    assert_eq!(host.domain_state(&vm), None);
    two.done("StartVmInstance", &json!({ "uuid": vm }));
    assert_eq!(host.domain_state(&vm).as_deref(), Some("running"), "it needs nothing that is offered");

    // What is offered no more makes no VM, and what was made with it stays.
    operator.done("RevokeResourceSharing", &json!({ "resourceUuids": [site.offering], "accountUuids": [account_one] }));
    let refused = one.call("CreateVmInstance", &params(&site.offering)).unwrap_err();
    assert!(refused.code == "SYS.1009" && refused.details.contains(&site.offering), "{refused:?}");
    assert_eq!(names(&one.query("/instance-offerings", &[])), ["vast"]);
    operator.done("RevokeResourceSharing", &json!({ "resourceUuids": offered, "all": true }));
    assert_eq!((shared(&one), has(&one)), (json!([]), (0, 0, 0, 0)));
    assert_eq!(host.domain_state(&vm).as_deref(), Some("running"));

    // A new password ends the sessions elsewhere, and the old one opens none.
    let elsewhere = Client::login_as(node.address(), "one", "one").unwrap();
    let is_valid =
        |session: &str| operator.done("ValidateSession", &json!({ "sessionUuid": session }))["valid"] == json!(true);
    assert!(is_valid(elsewhere.session()) && is_valid(one.session()));
    let renewed = one.done("RenewSession", &json!({ "sessionUuid": one.session(), "duration": 31_536_000 }));
    let next_year = renewed["inventory"]["expiredDate"].clone();
    let refused = two.call("UpdateAccount", &json!({ "uuid": account_one, "password": digest("two's") })).unwrap_err();
    assert_eq!(refused.code, "SYS.1009", "{refused:?}");
    one.done("UpdateAccount", &json!({ "uuid": account_one, "password": digest("another") }));
    assert!(!is_valid(elsewhere.session()) && is_valid(one.session()));
    assert_eq!(elsewhere.call("QueryVmInstance", &json!({})).unwrap_err().code, "ID.1001");
    assert!(Client::login_as(node.address(), "one", "one").is_err());
    let again = Client::login_as(node.address(), "one", "another").unwrap();
    let until = |client: &Client| client.done("RenewSession", &json!({ "sessionUuid": client.session() }));
    assert_ne!(until(&again)["inventory"]["expiredDate"], next_year, "a new session lasts as long as the setting says");

    let brief = Client::login_as(node.address(), "one", "another").unwrap();
    brief.done("LogOut", &json!({ "sessionUuid": brief.session() }));
    assert!(!is_valid(brief.session()) && is_valid(again.session()));

    // All of it is on record: who asked for what, and what came of it.
    let seen = |client: &Client, api: &str, condition: &str| {
        client.done("QueryAudit", &json!({ "q": [format!("apiName={api}"), condition] }))["inventories"].clone()
    };
    let given = seen(&operator, "ChangeResourceOwner", "state=Succeeded");
    assert!(text(&given[0], "resourceUuids").contains(&vm), "{given}");
    let stops = seen(&operator, "StopVmInstance", &format!("resourceUuids~=%{vm}%"));
    let mut stops: Vec<(String, String)> =
        stops.as_array().unwrap().iter().map(|call| (text(call, "accountUuid"), text(call, "state"))).collect();
    stops.sort_by_key(|(_, state)| state.clone());
    assert_eq!(stops, [(account_one, "Refused".to_owned()), (account_two, "Succeeded".to_owned())]);
    let own = seen(&again, "CreateVmInstance", "state!=Succeeded");
    let codes: Vec<String> = own.as_array().unwrap().iter().map(|call| text(call, "errorCode")).collect();
    assert!(codes.contains(&"HOST_ALLOCATION.1001".to_owned()) && codes.contains(&"SYS.1009".to_owned()), "{own}");
    assert_eq!(seen(&two, "UpdateAccount", "state=Refused")[0]["errorCode"], "SYS.1009");
}
