//! Two accounts each run a VM on the same host, with what the operator offers to all, and do not know of each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{Client, Kind, Lab, Management, Site, digest, text};
use serde_json::json;

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
