use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use gantry_agent::server::{
    identity::{Identity, IdentityError, pending_request},
    tls_files::TlsFiles,
};
use gantry_common::{
    agent::{Event, InstallCertificate, Snapshot},
    certificate::CertificateFacts,
    id::HostUuid,
    role::Role,
};
use gantry_mgmt::hosts::{
    fleet::{Fleet, FleetObserver},
    pki::Authority,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::wire::{RunningAgent, authority};

const HOUR: Duration = Duration::from_secs(3600);

struct Nobody;

#[async_trait]
impl FleetObserver for Nobody {
    async fn connected(&self, _: HostUuid, _: &Snapshot) {}
    async fn event(&self, _: HostUuid, _: Event) {}
    async fn disconnected(&self, _: HostUuid, _: &str) {}
}

/// TLS files of `host` whose certificate lasts `life` from now.
fn files(authority: &Authority, host: HostUuid, life: Duration, directory: &Path) -> TlsFiles {
    let files = TlsFiles::new(directory);
    let csr = pending_request(&files).unwrap();
    let certificate = authority.sign_request_for(&csr, host, life).unwrap();
    files.install(&certificate, authority.ca_pem()).unwrap();
    files
}

fn facts(directory: &Path) -> CertificateFacts {
    let pem = fs::read(directory.join("cert.pem")).unwrap();
    CertificateFacts::from_der(&CertificateDer::from_pem_slice(&pem).unwrap()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_certificate_near_its_end_is_renewed_upon_connecting() {
    let (_pki, authority) = authority();
    let directory = tempfile::tempdir().unwrap();
    let host = HostUuid::random();
    let files = files(&authority, host, HOUR, directory.path());
    let before = facts(directory.path());
    let identity = Arc::new(Identity::from_files(host, files).unwrap());
    let agent = RunningAgent::start_as(identity, "127.0.0.1:0".parse().unwrap()).await;
    let fleet = Fleet::new(Arc::clone(&authority), Arc::new(Nobody), Arc::default()).unwrap();
    fleet.watch(agent.endpoint());
    fleet.wait_connected(host, HOUR).await.unwrap();
    // The key is the last file that a renewal puts in place.
    while facts(directory.path()) == before || names(directory.path()).contains(&"key.pending.pem".to_owned()) {
        tokio::task::yield_now().await;
    }
    let renewed = facts(directory.path());
    assert_eq!(renewed.role, Role::Host(host));
    assert!(renewed.not_after > before.not_after + 300 * 24 * HOUR);
    assert_eq!(names(directory.path()), ["ca.pem", "cert.pem", "key.pem"]);
    for name in names(directory.path()) {
        let mode = fs::metadata(directory.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(fleet.is_connected(host), "the connection went on");
    assert_eq!(*agent.link(&authority).await.certificate(), renewed, "the next one uses the new certificate");
}

#[tokio::test]
async fn files_that_somebody_replaces_are_used_without_a_restart_and_bad_ones_are_not() {
    let (_pki, authority) = authority();
    let directory = tempfile::tempdir().unwrap();
    let host = HostUuid::random();
    let identity = Arc::new(Identity::from_files(host, files(&authority, host, 100 * HOUR, directory.path())).unwrap());
    let agent = RunningAgent::start_as(identity, "127.0.0.1:0".parse().unwrap()).await;
    let first = *agent.link(&authority).await.certificate();
    files(&authority, host, 200 * HOUR, directory.path());
    let second = *agent.link(&authority).await.certificate();
    assert!(second.not_after > first.not_after);
    fs::write(directory.path().join("cert.pem"), "nonsense").unwrap();
    assert_eq!(*agent.link(&authority).await.certificate(), second);
    let other = HostUuid::random();
    files(&authority, other, 300 * HOUR, directory.path());
    assert_eq!(*agent.link(&authority).await.certificate(), second, "another host's files are not taken");
}

#[test]
fn a_renewal_interrupted_between_certificate_and_key_is_finished_by_who_reads_next() {
    let (_pki, authority) = authority();
    let directory = tempfile::tempdir().unwrap();
    let host = HostUuid::random();
    let tls = files(&authority, host, HOUR, directory.path());
    let old_key = fs::read(directory.path().join("key.pem")).unwrap();
    let csr = pending_request(&tls).unwrap();
    assert_eq!(facts(directory.path()), *tls.load().unwrap().facts(), "until then the former pair counts");
    let certificate = authority.sign_request(&csr, host).unwrap();
    fs::write(directory.path().join("cert.pem"), &certificate).unwrap();
    let renewed = Identity::from_files(host, tls).unwrap();
    assert_eq!(*renewed.keys().facts(), facts(directory.path()));
    assert_ne!(fs::read(directory.path().join("key.pem")).unwrap(), old_key);
    assert_eq!(names(directory.path()), ["ca.pem", "cert.pem", "key.pem"]);
}

#[test]
fn certificates_that_do_not_answer_the_request_are_refused_and_change_nothing() {
    let (_pki, authority) = authority();
    let (_other_pki, other) = super::wire::authority();
    let directory = tempfile::tempdir().unwrap();
    let host = HostUuid::random();
    let identity = Identity::from_files(host, files(&authority, host, HOUR, directory.path())).unwrap();
    let csr = identity.request_certificate().unwrap().csr_pem;
    let before = fs::read(directory.path().join("cert.pem")).unwrap();
    let ca = authority.ca_pem().to_owned();
    let good = authority.sign_request(&csr, host).unwrap();
    for (certificate_pem, ca_pem) in [
        (authority.issue_host(host).unwrap().certificate_pem, ca.clone()),
        (authority.sign_request(&csr, HostUuid::random()).unwrap(), ca.clone()),
        (other.sign_request(&csr, host).unwrap(), ca.clone()),
        (good.clone(), String::new()),
        (String::new(), ca.clone()),
    ] {
        assert!(identity.install_certificate(&InstallCertificate { certificate_pem, ca_pem }).is_err());
        assert_eq!(fs::read(directory.path().join("cert.pem")).unwrap(), before);
    }
    let install = InstallCertificate { certificate_pem: good, ca_pem: ca };
    identity.install_certificate(&install).unwrap();
    identity.install_certificate(&install).unwrap();
    assert_eq!(*identity.keys().facts(), facts(directory.path()));
}

#[test]
fn an_identity_of_another_host_or_without_files_is_refused() {
    let (_pki, authority) = authority();
    let directory = tempfile::tempdir().unwrap();
    let missing = Identity::from_files(HostUuid::random(), TlsFiles::new(directory.path())).err().unwrap();
    assert!(missing.to_string().contains("cert.pem"), "{missing}");
    let files = files(&authority, HostUuid::random(), HOUR, directory.path());
    let other = Identity::from_files(HostUuid::random(), files).err().unwrap();
    assert!(matches!(other, IdentityError::OtherHost { .. }), "{other}");
}
