//! Hosts that cannot be added: each is refused with its own reason, and is left as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a scenario ends where it cannot go on")]

use gantry_tests::{ApiError, Client, IMAGE_STORE, Kind, Lab, LabHost, Management, PASSWORD, Site, text};
use serde_json::{Value, json};

/// Nothing of it may be found anywhere but in the call.
const WRONG_PASSWORD: &str = "wrong-7f3a91c2e5";

#[test]
fn a_host_that_cannot_be_added_is_refused_by_its_reason_and_left_as_it_was() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let node = Management::start(&[]);
    let client = node.client();
    let (_zone, cluster) = Site::empty_cluster(&client);
    let host = lab.host(1);
    let good = Site::host_params(&cluster, &host);
    let with = |changes: &[(&str, Value)]| {
        let mut params = good.clone();
        for (name, value) in changes {
            params[*name] = value.clone();
        }
        params
    };
    let refused = |params: &Value| {
        let error = client.create("/hosts/kvm", params).unwrap_err();
        assert!(client.query("/hosts", &[]).is_empty());
        is_untouched(host);
        error
    };

    let error = refused(&with(&[("password", json!(WRONG_PASSWORD))]));
    is(&error, "HOST.1002", &["'root'", "wrong user name or password"]);
    assert!(!node.has_written(WRONG_PASSWORD), "the node keeps or logs the password");
    let error = refused(&with(&[("managementIp", json!(lab.address(250)))]));
    is(&error, "HOST.1001", &[&lab.address(250)]);
    let error = refused(&with(&[("sshPort", json!(2222))]));
    is(&error, "HOST.1001", &["2222", "refused"]);
    let error = refused(&with(&[("managementIp", json!("no such name"))]));
    is(&error, "SYS.1007", &["managementIp", "no such name"]);
    let error = refused(&with(&[("username", json!("nosudo"))]));
    is(&error, "HOST.1002", &["'nosudo'", "sudo"]);
    let nowhere = Client::new_job();
    let error = refused(&with(&[("clusterUuid", json!(nowhere))]));
    is(&error, "SYS.1009", &["clusterUuid", &nowhere]);

    let strict = Management::start_plain(&[]);
    let strict_client = strict.client();
    let (_zone, strict_cluster) = Site::empty_cluster(&strict_client);
    let error = strict_client.create("/hosts/kvm", &Site::host_params(&strict_cluster, &host)).unwrap_err();
    is(&error, "HOST.1003", &["virtualisation"]);
    assert!(strict_client.query("/hosts", &[]).is_empty());
    is_untouched(host);
}

#[test]
fn a_host_has_one_place_and_one_node() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let host = lab.host(1);
    let node = Management::start(&[]);
    let client = node.client();
    let (_zone, cluster) = Site::empty_cluster(&client);
    let added = client.create("/hosts/kvm", &Site::host_params(&cluster, &host)).unwrap();
    let again = client.create("/hosts/kvm", &Site::host_params(&cluster, &host)).unwrap_err();
    is(&again, "SYS.1012", &[&text(&added, "uuid")]);

    let other = Management::start(&[]);
    let other_client = other.client();
    let (_zone, other_cluster) = Site::empty_cluster(&other_client);
    let taken = other_client.create("/hosts/kvm", &Site::host_params(&other_cluster, &host)).unwrap_err();
    is(&taken, "HOST.1005", &["another management node"]);
    assert!(other_client.query("/hosts", &[]).is_empty());

    // The node that has it was not disturbed.
    assert_eq!(client.query("/hosts", &[]).len(), 1);
    assert_eq!(text(&client.one("/hosts", &text(&added, "uuid")), "status"), "Connected");
    client.act(&format!("/hosts/{}/actions", text(&added, "uuid")), "reconnectHost", &json!({})).unwrap();
}

#[test]
fn a_machine_whose_key_has_changed_is_not_logged_in_to() {
    let lab = Lab::boot(Kind::Kvm, 1);
    let host = lab.host(1);
    let node = Management::start(&[]);
    let client = node.client();
    let (_zone, cluster) = Site::empty_cluster(&client);
    let store = json!({
        "name": "images", "url": IMAGE_STORE, "hostname": host.address(), "username": "root", "password": PASSWORD,
    });
    client.create("/backup-storage/image-store", &store).unwrap();
    // Without its agent it has to be visited, and by then it shows another key.
    host.run(
        "systemctl stop gantry-agent
         rm /etc/ssh/ssh_host_*
         ssh-keygen -q -A
         systemctl restart ssh",
    );
    let logins = || host.run("journalctl --no-pager -o cat -u ssh").matches("Accepted password").count();
    let logins_before = logins();
    let changed = client.create("/hosts/kvm", &Site::host_params(&cluster, &host)).unwrap_err();
    is(&changed, "HOST.1004", &["SSH key", "nothing was sent"]);
    assert!(client.query("/hosts", &[]).is_empty());
    assert_eq!(client.query("/backup-storage", &[]).len(), 1);
    assert_eq!(logins(), logins_before);
}

fn is(error: &ApiError, code: &str, words: &[&str]) {
    assert_eq!(error.code, code, "{error:?}");
    for word in words {
        assert!(error.details.contains(word), "'{word}' is not in: {}", error.details);
    }
}

fn is_untouched(host: LabHost<'_>) {
    for path in ["/etc/gantry", "/usr/local/bin/gantry-agent", "/etc/systemd/system/gantry-agent.service"] {
        assert!(!host.has(path), "{path} is there");
    }
}
