//! Whatever restarts, guests go on; whatever ends, the inventory says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::time::Duration;

use gantry_tests::{ALWAYS, AS_AN_EVENT, Client, Kind, Lab, LabHost, Management, Site, eventually, text, userdata_tag};
use serde_json::json;

#[test]
fn guests_go_on_while_agent_and_libvirtd_and_node_restart() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let mut node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let vm = site.vm_on(&client, 1, "lasting", &[]);
    let doomed = site.vm_on(&client, 1, "doomed", &[]);
    make_foreign_domain(host);
    is_up(host, &vm);
    let (pid, foreign_pid) = (host.qemu_pid(&vm), host.qemu_pid("foreign"));

    host.run("systemctl restart gantry-agent");
    follows_the_domain(&client, host, &site, &vm);
    // Killed in the middle, it is started again by systemd.
    host.run("systemctl kill --signal=KILL gantry-agent");
    follows_the_domain(&client, host, &site, &vm);
    host.run("systemctl restart libvirtd");
    follows_the_domain(&client, host, &site, &vm);
    host.run("systemctl restart libvirtd gantry-agent");
    follows_the_domain(&client, host, &site, &vm);

    node.kill();
    host.run(&format!("virsh destroy {doomed}"));
    node.start_again(&[]);
    let client = node.client();
    state_becomes(&client, &doomed, "Stopped", AS_AN_EVENT);
    follows_the_domain(&client, host, &site, &vm);
    assert!(node.terminate().success());
    node.start_again(&[]);
    follows_the_domain(&client, host, &site, &vm);

    assert_eq!((host.qemu_pid(&vm), host.qemu_pid("foreign")), (pid, foreign_pid));
    assert_eq!(host.console(&vm).boots(), 1);
    assert_eq!(host.domain_state("foreign").as_deref(), Some("running"));
    // The domain that somebody else made is nobody's VM.
    assert_eq!(client.query("/vm-instances", &[]).len(), 2);
}

#[test]
fn a_guest_that_ends_without_the_node_is_seen_to_end() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let free = client.one("/hosts", &site.hosts[0])["availableMemoryCapacity"].clone();

    let script = "#!/bin/sh\n[ -e /data/ended ] && exit\ntouch /data/ended\nsync\npoweroff -f\n";
    let vm = site.vm_on(&client, 1, "mortal", &[userdata_tag(script)]);
    is_up(host, &vm);
    state_becomes(&client, &vm, "Stopped", AS_AN_EVENT);
    assert_eq!(client.one("/hosts", &site.hosts[0])["availableMemoryCapacity"], free);

    client.act(&format!("/vm-instances/{vm}/actions"), "startVmInstance", &json!({})).unwrap();
    eventually("the guest is up again", ALWAYS, || (host.console(&vm).boots() == 2).then_some(()));
    host.run(&format!("virsh suspend {vm}"));
    state_becomes(&client, &vm, "Paused", AS_AN_EVENT);
    host.run(&format!("virsh destroy {vm}"));
    state_becomes(&client, &vm, "Stopped", AS_AN_EVENT);
    assert_eq!(client.one("/hosts", &site.hosts[0])["availableMemoryCapacity"], free);
}

#[test]
fn a_host_that_is_lost_is_seen_and_taken_up_again() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let vm = site.vm_on(&client, 1, "guest", &[]);
    is_up(host, &vm);
    let pid = host.qemu_pid(&vm);

    host.cut();
    host_becomes(&client, &site, "Disconnected");
    state_becomes(&client, &vm, "Unknown", AS_AN_EVENT);
    let refused = client.create("/vm-instances", &site.vm_params("homeless")).unwrap_err();
    assert_eq!(refused.code, "HOST_ALLOCATION.1001", "{refused:?}");
    assert!(refused.details.contains("Disconnected"), "{refused:?}");
    host.join();
    host_becomes(&client, &site, "Connected");
    state_becomes(&client, &vm, "Running", AS_AN_EVENT);
    assert_eq!((host.qemu_pid(&vm), host.console(&vm).boots()), (pid, 1));

    host.power_off();
    host_becomes(&client, &site, "Disconnected");
    state_becomes(&client, &vm, "Unknown", AS_AN_EVENT);
    host.power_on();
    host_becomes(&client, &site, "Connected");
    state_becomes(&client, &vm, "Stopped", ALWAYS);
    assert!(host.domains().is_empty());
    client.act(&format!("/vm-instances/{vm}/actions"), "startVmInstance", &json!({})).unwrap();
    eventually("the guest is up again", ALWAYS, || (host.console(&vm).boots() == 2).then_some(()));
}

/// The host's record is right, its agent answers, and what happens to the domain is heard of.
fn follows_the_domain(client: &Client, host: LabHost<'_>, site: &Site, vm: &str) {
    host_becomes(client, site, "Connected");
    state_becomes(client, vm, "Running", AS_AN_EVENT);
    // It alone knows that the console has no port.
    eventually("the agent answers", ALWAYS, || {
        let refused = client.get(&format!("/vm-instances/{vm}/console-addresses")).unwrap_err();
        refused.details.contains("without a port").then_some(())
    });
    host.run(&format!("virsh suspend {vm}"));
    state_becomes(client, vm, "Paused", AS_AN_EVENT);
    host.run(&format!("virsh resume {vm}"));
    state_becomes(client, vm, "Running", AS_AN_EVENT);
}

fn host_becomes(client: &Client, site: &Site, status: &str) {
    eventually(&format!("the host is {status}"), ALWAYS, || {
        (text(&client.one("/hosts", &site.hosts[0]), "status") == status).then_some(())
    });
}

fn state_becomes(client: &Client, vm: &str, state: &str, within: Duration) {
    eventually(&format!("the VM is {state}"), within, || (client.vm_state(vm) == state).then_some(()));
}

fn is_up(host: LabHost<'_>, vm: &str) {
    host.console_shows(vm, "that it is ready", |console| (console.boots() > 0).then_some(()));
}

/// A domain that somebody starts by hand.
fn make_foreign_domain(host: LabHost<'_>) {
    let xml = "<domain type='qemu'><name>foreign</name><memory unit='MiB'>32</memory>\
               <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
    host.run(&format!("cat >/root/foreign.xml <<'XML'\n{xml}\nXML\nvirsh create /root/foreign.xml"));
}
