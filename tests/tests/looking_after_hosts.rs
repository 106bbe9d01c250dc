//! What an operator does to the hosts themselves: scripts on them, another address or login, an upgrade of the cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{ALWAYS, ApiError, Call, Client, Kind, Lab, LabHost, Management, PASSWORD, Site, eventually, text};
use serde_json::{Value, json};

#[test]
fn hosts_run_scripts_move_to_another_address_and_are_upgraded_one_by_one_under_their_guests() {
    let lab = Lab::boot(Kind::Kvm, 2);
    let node = Management::start(&[]);
    let client = node.client();
    let site = Site::set_up(&client, &lab);

    scripts_answer_per_host(&client, &lab, &site);
    a_script_that_is_cancelled_leaves_nothing_running(&client, &lab, &site);
    a_host_is_known_by_what_its_agent_proves(&client, &lab, &site);

    let vm = site.vm_on(&client, 1, "bystander", &[]);
    lab.host(1).console_shows(&vm, "a guest that is up", |console| (console.boots() == 1).then_some(()));
    let pid = lab.host(1).qemu_pid(&vm);
    a_cluster_is_upgraded_wholly_or_not_begun(&client, &lab, &site);
    assert_eq!(lab.host(1).qemu_pid(&vm), pid, "the guest did not come through the upgrade");
    assert_eq!(client.vm_state(&vm), "Running");
}

fn scripts_answer_per_host(client: &Client, lab: &Lab, site: &Site) {
    let script = "hostname; echo careful >&2; exit 3";
    let results = run(client, &site.hosts, script).unwrap();
    for (index, host) in site.hosts.iter().enumerate() {
        let result = &results[host];
        assert_eq!(result["returnCode"], 3, "{result}");
        assert_eq!(result["stderr"], "careful\n");
        assert_eq!(result["stdout"], lab.host(index + 1).run("hostname"));
    }
    // It is not the agent's sandbox that it runs in, and its output has a bound.
    let one = &site.hosts[..1];
    let results = run(client, one, "touch /usr/made && rm /usr/made; head -c 1000000 /dev/zero | tr '\\0' x").unwrap();
    let result = &results[&one[0]];
    assert_eq!(
        (result["returnCode"].as_i64(), text(result, "stdout").len()),
        (Some(0), 64 << 10),
        "{}",
        result["stderr"]
    );
    let error = run(client, &["00000000000000000000000000000000".to_owned()], "true").unwrap_err();
    assert_eq!(error.code, "SYS.1009");
}

fn a_script_that_is_cancelled_leaves_nothing_running(client: &Client, lab: &Lab, site: &Site) {
    let job = Client::new_job();
    let params = json!({ "hostUuids": site.hosts, "script": "touch /run/begun; exec sleep 4242" });
    client.submit(&job, &Call::act("/hosts/kvm/actions", "kvmRunShell", &params));
    eventually("the script runs", ALWAYS, || lab.hosts().all(|host| host.has("/run/begun")).then_some(()));
    client.delete(&format!("/api-jobs/{job}")).unwrap();
    assert_eq!(client.wait_for_job(&job).unwrap_err().code, "SYS.1013");
    for host in lab.hosts() {
        eventually("the script is gone", ALWAYS, || (!host.succeeds("pgrep -f 'sleep 4242'")).then_some(()));
    }
}

fn a_host_is_known_by_what_its_agent_proves(client: &Client, lab: &Lab, site: &Site) {
    let host = &site.hosts[1];
    let path = format!("/hosts/{host}/actions");
    let update = |params: &Value| client.act(&path, "updateHost", params);
    update(&json!({ "name": "second", "description": "in rack 7" })).unwrap();

    // Another host's agent answers there, then nobody's.
    let error = update(&json!({ "managementIp": lab.host(1).address().to_string() })).unwrap_err();
    assert_eq!(error.code, "SYS.1012", "{}", error.details);
    let error = update(&json!({ "managementIp": lab.address(77) })).unwrap_err();
    assert!(error.details.contains(&lab.address(77)), "{}", error.details);

    let address = lab.address(52);
    let device = lab.host(2).run("ip -4 -o addr show to 10.99.0.0/16 | awk '{print $2; exit}'");
    lab.host(2).run(&format!("ip addr add {address}/24 dev {}", device.trim()));
    update(&json!({ "managementIp": address })).unwrap();
    let moved = client.one("/hosts", host);
    assert_eq!((text(&moved, "managementIp"), text(&moved, "status")), (address, "Connected".to_owned()));
    assert_eq!((text(&moved, "name"), text(&moved, "description")), ("second".to_owned(), "in rack 7".to_owned()));

    let login = |params: &Value| client.act(&format!("/hosts/kvm/{host}/actions"), "updateKVMHost", params);
    let wrong = json!({ "name": "third", "username": "operator", "password": "wrong" });
    assert_eq!(login(&wrong).unwrap_err().code, "HOST.1002");
    assert_eq!(text(&client.one("/hosts", host), "name"), "second", "a refused update changed something");
    login(&json!({ "username": "operator", "password": PASSWORD, "sshPort": 22 })).unwrap();
    assert_eq!(text(&client.one("/hosts", host), "username"), "operator");
}

/// The hosts get packages from a repository of their own, so that an upgrade has a known content.
fn a_cluster_is_upgraded_wholly_or_not_begun(client: &Client, lab: &Lab, site: &Site) {
    for host in lab.hosts() {
        offer_packages(host);
    }
    let path = format!("/clusters/{}/actions", site.cluster);
    let upgrade = || client.act(&path, "updateClusterOS", &json!({ "excludePackages": ["gantry-lab-k*"] }));
    let versions = |host: LabHost<'_>| host.run("dpkg-query -W -f '${Package}=${Version} ' 'gantry-lab-*'");

    lab.host(2).run("echo 'deb [trusted=yes] file:/nowhere ./' >/etc/apt/sources.list.d/broken.list");
    let error = upgrade().unwrap_err();
    assert!(
        error.details.contains("host 'second'") && error.details.contains("no host of the cluster was upgraded"),
        "{}",
        error.details
    );
    for host in lab.hosts() {
        assert_eq!(versions(host), "gantry-lab-kept=1 gantry-lab-thing=1 ", "something was upgraded");
    }

    lab.host(2).run("rm /etc/apt/sources.list.d/broken.list");
    let long_job = upgrade().unwrap()["inventory"].clone();
    for host in lab.hosts() {
        assert_eq!(versions(host), "gantry-lab-kept=1 gantry-lab-thing=2 ");
    }
    // One after the other: the second host's began when the first one's was over.
    let times = lab.hosts().map(|host| host.run("cat /run/upgraded").trim().parse::<u128>().unwrap());
    let times: Vec<u128> = times.collect();
    assert!(times[0].abs_diff(times[1]) > 300_000_000, "both hosts at the same time: {times:?}");
    assert_eq!(text(&long_job, "state"), "Succeeded");
    let result: Value = serde_json::from_str(&text(&long_job, "jobResult")).unwrap();
    assert_eq!(result["hosts"][0]["packages"], json!(["gantry-lab-thing"]), "{result}");
    let long_jobs = client.query("/longjobs", &[&format!("targetResourceUuid={}", site.cluster)]);
    let mut states: Vec<String> = long_jobs.iter().map(|long_job| text(long_job, "state")).collect();
    states.sort();
    assert_eq!(states, ["Failed", "Succeeded"]);
    // There is nothing left to do, and no harm in asking.
    upgrade().unwrap();
}

/// Two packages in their first version, and a repository with their second.
fn offer_packages(host: LabHost<'_>) {
    host.run(
        r#"set -e
        rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
        mkdir -p /srv/repository && cd /srv/repository
        for version in 1 2; do
          for name in thing kept; do
            mkdir -p tree/DEBIAN
            printf 'Package: gantry-lab-%s\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: lab\n' \
              $name $version >tree/DEBIAN/control
            printf '#!/bin/sh\nif [ "$2" ]; then date +%%s%%N >/run/upgraded; sleep 0.5; fi\n' >tree/DEBIAN/postinst
            chmod 755 tree/DEBIAN/postinst
            dpkg-deb --build tree gantry-lab-${name}_$version.deb >/dev/null
            if [ $version = 1 ]; then dpkg --install gantry-lab-${name}_1.deb >/dev/null; rm gantry-lab-${name}_1.deb; fi
          done
        done
        for file in *.deb; do
          dpkg-deb --field $file
          printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $(sha256sum $file | cut -d' ' -f1)
        done >Packages
        echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list.d/lab.list"#,
    );
}

fn run(client: &Client, hosts: &[String], script: &str) -> Result<Value, ApiError> {
    let params = json!({ "hostUuids": hosts, "script": script });
    client.act("/hosts/kvm/actions", "kvmRunShell", &params).map(|reply| reply["inventory"].clone())
}
