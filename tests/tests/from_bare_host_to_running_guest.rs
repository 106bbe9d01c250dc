//! The first tour: two machines become hosts, and guests on them run, meet, and go through their life.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use gantry_tests::{
    Client, Kind, Lab, LabHost, Management, PASSWORD, Site, published_client_lives_through, text, userdata_tag,
};
use serde_json::json;

/// Reports how often this disk was booted.
const COUNT_BOOTS: &str = "#!/bin/sh
boots=$(( $(cat /data/boots 2>/dev/null || echo 0) + 1 ))
echo $boots >/data/boots
sync
echo \"boot $boots of this disk\"
";

#[test]
fn guests_on_two_hosts_get_what_they_were_promised_and_meet_but_cannot_spoof() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);

    for (host, uuid) in lab.hosts().zip(&site.hosts) {
        let record = client.one("/hosts", uuid);
        assert_eq!((text(&record, "status"), text(&record, "state")), ("Connected".to_owned(), "Enabled".to_owned()));
        assert!(record["totalMemoryCapacity"].as_u64() > Some(1 << 30), "{record}");
        // The network's bridge stands on the interface that the host is managed by, and the host is still reached.
        assert!(host.ssh("ip -4 -o addr show dev br_host0").contains(&host.address().to_string()));
        assert!(host.run("ip -o link show dev host0").contains("master br_host0"));
    }

    let wanted = lab.address(150);
    let server = site.vm_on(
        &client,
        2,
        "server",
        &["hostname::web-b".to_owned(), format!("staticIp::{}::{wanted}", site.l3_network)],
    );
    let stolen = lab.address(99);
    let script = format!(
        "#!/bin/sh
for try in $(seq 60); do timeout 3 wget -q -O - http://{wanted}/ && break; sleep 1; done
ip addr add {stolen}/24 dev eth0
arping -q -c 3 -w 4 -I eth0 -s {stolen} {wanted} && echo 'stolen address: ARP was answered'
ping -q -c 3 -W 1 -I {stolen} {wanted} && echo 'stolen address: ping was answered'
ping -q -c 3 -W 1 {wanted} && echo 'own address: ping was answered'
echo 'tried all'
"
    );
    let visitor = site.vm_on(&client, 1, "visitor", &[userdata_tag(&script)]);

    let (first, second) = (lab.host(1), lab.host(2));
    is_as_recorded(&client, second, &server);
    is_as_recorded(&client, first, &visitor);
    let console = second.console(&server);
    assert_eq!(console.fact("ip").as_deref(), Some(wanted.as_str()));
    assert_eq!(console.fact("hostname").as_deref(), Some("web-b"));
    assert_eq!(console.fact("instance").as_deref(), Some(server.as_str()));

    let console = first.console_shows(&visitor, "the end of the script", |console| {
        console.script_said("tried all").then(|| console.clone())
    });
    // The page that the server hands out names its address.
    let met = console.script_lines().iter().any(|line| line.contains(&format!("ip={wanted}/")));
    assert!(met, "the guests did not meet: {console:?}");
    assert!(console.script_said("own address: ping was answered"), "{console:?}");
    assert!(!console.script_lines().iter().any(|line| line.starts_with("stolen address")), "{console:?}");
    // It holds the stolen address now, and answers to nobody there.
    assert!(answers_to_ping(&console.fact("ip").unwrap()));
    assert!(!answers_to_ping(&stolen));
}

#[test]
fn a_vm_goes_through_its_life_and_leaves_nothing() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = node.client();
    client.set("vm", "stop.gracePeriod", "20");
    client.set("console", "vnc.listen", "managementIp");
    let site = Site::set_up(&client, &lab);
    let host = lab.host(1);
    let capacity_before = capacity(&client, &site);
    let files_before = host.files("/var/lib/gantry");

    let vm = site.vm_on(&client, 1, "tourist", &[userdata_tag(COUNT_BOOTS)]);
    let act = |action: &str| client.act(&format!("/vm-instances/{vm}/actions"), action, &json!({})).unwrap();
    let boots = |count: usize| {
        host.console_shows(&vm, &format!("boot {count}"), |console| {
            console.script_said(&format!("boot {count} of this disk")).then_some(())
        });
        assert_eq!(host.console(&vm).boots(), count);
    };
    boots(1);
    let ip = is_as_recorded(&client, host, &vm);
    console_greets(&client, &vm);
    let path = text(&client.query("/volumes", &[&format!("vmInstanceUuid={vm}")])[0], "installPath");
    assert!(host.has(&path));
    assert_ne!(capacity(&client, &site), capacity_before);

    act("stopVmInstance");
    assert_eq!((client.vm_state(&vm).as_str(), host.domain_state(&vm)), ("Stopped", None));
    act("startVmInstance");
    assert_eq!((client.vm_state(&vm).as_str(), host.domain_state(&vm)), ("Running", Some("running".to_owned())));
    // The guest counts its boots on its own disk, which was kept.
    boots(2);
    assert_eq!(is_as_recorded(&client, host, &vm), ip);

    act("rebootVmInstance");
    boots(3);
    act("pauseVmInstance");
    assert_eq!((client.vm_state(&vm).as_str(), host.domain_state(&vm)), ("Paused", Some("paused".to_owned())));
    act("resumeVmInstance");
    assert_eq!((client.vm_state(&vm).as_str(), host.domain_state(&vm)), ("Running", Some("running".to_owned())));

    client.delete(&format!("/vm-instances/{vm}")).unwrap();
    assert_eq!((client.vm_state(&vm).as_str(), host.domain_state(&vm)), ("Destroyed", None));
    let refused = client.act(&format!("/vm-instances/{vm}/actions"), "startVmInstance", &json!({})).unwrap_err();
    assert_eq!(refused.code, "SYS.1010", "{refused:?}");
    assert!(host.has(&path));
    act("recoverVmInstance");
    act("startVmInstance");
    boots(4);

    client.delete(&format!("/vm-instances/{vm}")).unwrap();
    act("expungeVmInstance");
    let of_vm = format!("vmInstanceUuid={vm}");
    assert!(client.query("/vm-instances", &[&format!("uuid={vm}")]).is_empty());
    assert!(client.query("/vm-instances/nics", &[&of_vm]).is_empty());
    assert!(client.query("/volumes", &[&of_vm]).is_empty());
    // The same by the other door leaves as little.
    published_client_lives_through(&node, &site.vm_params("commuter"));
    assert!(host.domains().is_empty());
    assert_eq!(capacity(&client, &site), capacity_before);
    // What remains is the image that the next VM starts from.
    let left: Vec<String> = host.files("/var/lib/gantry").into_iter().filter(|f| !files_before.contains(f)).collect();
    assert!(left.iter().all(|file| file.contains("/imagecache/")), "{left:?}");
}

#[test]
fn a_plain_debian_becomes_a_host() {
    let lab = Lab::boot(Kind::Bare, 1);
    let node = Management::start(&[]);
    let client = node.client();
    let (_zone, cluster) = Site::empty_cluster(&client);
    let mut params = Site::host_params(&cluster, &lab.host(1));
    params["username"] = json!("operator");
    params["password"] = json!(PASSWORD);
    let host = client.create("/hosts/kvm", &params).unwrap();
    assert_eq!(text(&host, "status"), "Connected");
    assert_eq!(
        lab.host(1).run("systemctl is-active gantry-agent libvirtd").split_whitespace().collect::<Vec<_>>(),
        ["active", "active"]
    );
}

/// Waits until the guest is up, and compares what it has with the inventory. Answers its address.
fn is_as_recorded(client: &Client, host: LabHost<'_>, vm: &str) -> String {
    host.console_shows(vm, "that it is ready", |console| (console.boots() > 0).then_some(()));
    let console = host.console(vm);
    let nic = &client.query("/vm-instances/nics", &[&format!("vmInstanceUuid={vm}")])[0];
    assert_eq!(console.fact("ip"), Some(text(nic, "ip")));
    assert_eq!(console.fact("mac"), Some(text(nic, "mac")));
    assert_eq!(client.vm_state(vm), "Running");
    text(nic, "ip")
}

/// The screen that the API names speaks VNC.
fn console_greets(client: &Client, vm: &str) {
    let console = client.get(&format!("/vm-instances/{vm}/console-addresses")).unwrap();
    let address = format!("{}:{}", text(&console, "hostIp"), console["port"]);
    let address: SocketAddr = address.parse().unwrap();
    let mut banner = [0; 4];
    let mut screen = TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap();
    screen.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    screen.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"RFB ");
}

/// What may still be promised: of the host, of its storage, of the network's addresses.
fn capacity(client: &Client, site: &Site) -> (u64, u64, usize) {
    let host = client.one("/hosts", &site.hosts[0]);
    let used = client.query("/vm-instances/nics", &[]).len();
    (host["availableCpuCapacity"].as_u64().unwrap(), host["availableMemoryCapacity"].as_u64().unwrap(), used)
}

fn answers_to_ping(address: &str) -> bool {
    Command::new("ping").args(["-q", "-c", "2", "-W", "1", address]).output().unwrap().status.success()
}
