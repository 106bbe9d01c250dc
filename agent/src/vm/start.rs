//! Starting a VM: networks first, then the domain; whatever fails takes back what came before it.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gantry_common::{
    agent::{AgentError, Observation, VmSpec, VmState},
    id::VmUuid,
};
use virt::domain::Domain;

use super::{Host, files, look::Sight, stop::destroy, turn::Turn, wrong_state};
use crate::{
    host::online_cpus,
    libvirt::{
        domain_xml::{self, Placement},
        failed,
    },
};

/// libvirt gives QEMU half a minute to answer, and more where it has a lot of memory to prepare.
const CREATE_DEADLINE: Duration = Duration::from_secs(120);

/// Starts the VM. The turn is kept for as long as it is not certain whether the domain will come up.
pub async fn start(host: &Arc<Host>, turn: Turn, spec: &VmSpec) -> Result<Observation, AgentError> {
    let vm = spec.uuid;
    domain_xml::check(spec)?;
    match host.observer.sight(vm).await? {
        Sight::Nothing => {}
        Sight::Ours(VmState::Running) => return host.observer.observe(vm).await,
        Sight::Ours(state) => return Err(wrong_state(vm, state, "resume or stop it")),
        Sight::Foreign { name } => {
            return Err(AgentError::InUse {
                what: format!("the uuid {}", vm.hyphenated()),
                user: format!("the domain '{name}', which Gantry did not make; undefine or destroy it by virsh first"),
            });
        }
    }
    let xml = check(host, spec).await?;
    host.attachments.remember(vm)?;
    if let Err(error) = host.networks.attach_vm(spec).await {
        take_back(host, vm).await;
        return Err(error);
    }
    create(host, turn, vm, xml).await?;
    let observation = host.observer.observe(vm).await?;
    if observation.state == VmState::Absent {
        // The guest powered itself off at once. Its end may have been seen before anybody knew the VM.
        take_back(host, vm).await;
    }
    Ok(observation)
}

/// The domain's XML, once everything it names was found usable on this host.
pub async fn check(host: &Host, spec: &VmSpec) -> Result<String, AgentError> {
    domain_xml::check(spec)?;
    has_the_processors(spec)?;
    let placement = Placement {
        hypervisor: host.hypervisor,
        direct_io: files::inspect(&spec.disks, &spec.cdroms).await?,
        serial_log: host.settings.serial_logs.join(format!("{}.log", spec.uuid)),
        nvram: spec.disks.first().map(|root| nvram_path(&root.path)),
    };
    make_private_directory(&host.settings.serial_logs)
        .map_err(|error| AgentError::file(&host.settings.serial_logs, error))?;
    domain_xml::render(spec, &placement)
}

/// The kernel passes over those that it does not have, and libvirt says of none at all nothing that helps.
fn has_the_processors(spec: &VmSpec) -> Result<(), AgentError> {
    if spec.cpu_pins.is_empty() {
        return Ok(());
    }
    let here = online_cpus();
    let lacking = spec.cpu_pins.iter().map(|pin| pin.cpus.without(&here)).find(|lacking| !lacking.is_empty());
    lacking.map_or(Ok(()), |lacking| {
        let remedy =
            format!("the processors of this host are {here}: pin the VM to these, or start it on another host");
        Err(AgentError::invalid("vm.cpuPins.cpus", lacking, remedy))
    })
}

async fn create(host: &Arc<Host>, turn: Turn, vm: VmUuid, xml: String) -> Result<(), AgentError> {
    const OPERATION: &str = "virDomainCreateXML";
    let creating = host.commands.submit(OPERATION, move |connection| {
        Domain::create_xml(connection, &xml, 0).map(drop).map_err(failed(OPERATION))
    });
    let mut creating = match creating {
        Ok(creating) => creating,
        Err(error) => {
            take_back(host, vm).await;
            return Err(error);
        }
    };
    let outcome = creating.wait(CREATE_DEADLINE).await;
    match &outcome {
        Ok(()) => {}
        // The domain may have come up before the connection broke: what is attached is taken away, or not, when
        // libvirtd is back and can tell.
        Err(AgentError::LibvirtUnavailable { .. }) => {}
        // It may still come up. The caller is told that it did not, so it must not stay.
        Err(AgentError::Timeout { .. }) => {
            let host = host.clone();
            tokio::spawn(async move {
                let _turn = turn;
                if creating.join().await.is_ok()
                    && let Err(error) = destroy(&host, vm).await
                {
                    tracing::error!(%vm, %error, "a VM that started too late is still running");
                    return;
                }
                take_back(&host, vm).await;
            });
        }
        Err(_) => take_back(host, vm).await,
    }
    outcome
}

/// What cannot be taken back now stays remembered, and is taken back later.
async fn take_back(host: &Host, vm: VmUuid) {
    if let Err(error) = host.release(vm).await {
        tracing::warn!(%vm, %error, "cleaning up after a VM that does not run; it will be tried again");
    }
}

/// Where the UEFI variables of a VM with this root disk are kept. They hold the boot entries of the system on that disk:
/// they stay beside it while the VM is stopped, and go when it is deleted.
pub fn nvram_path(root_disk: &str) -> PathBuf {
    PathBuf::from(format!("{root_disk}.nvram"))
}

/// What guests write to their serial line is nobody's business but root's.
fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
