//! 3.1: VM instances.

mod attachable;
mod blueprint;
mod caching;
mod capabilities;
mod create;
mod destroy;
mod devices;
mod isos;
mod life;
mod nics;
mod plan;
mod reimage;
mod resize;
mod run;
mod start;
mod static_ip;
mod update;

pub use blueprint::NewVm;
pub use caching::Caching;
pub use destroy::ExpungeVmInstance;
pub use devices::unplug_nics;
use gantry_common::{
    agent::ConsoleAddressOf,
    error::ErrorKind,
    id::{OperationId, VmUuid},
};
pub use run::{set_off, set_state};
use serde_json::{Value, json};
pub use start::{demand as start_demand, discs_to_bring};

use super::{changing::change, making::require};
use crate::{
    api::{Caller, Operation, SyncOperation, job, query, sync},
    console::screen_host,
    failure::Failure,
    operation,
    resource::{Host, VmInstance, VmNic},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<create::CreateVmInstance>(),
        job::<start::StartVmInstance>(),
        job::<life::StopVmInstance>(),
        job::<life::RebootVmInstance>(),
        job::<life::PauseVmInstance>(),
        job::<life::ResumeVmInstance>(),
        job::<reimage::ReimageVmInstance>(),
        job::<destroy::DestroyVmInstance>(),
        job::<destroy::RecoverVmInstance>(),
        job::<destroy::ExpungeVmInstance>(),
        job::<isos::AttachIsoToVmInstance>(),
        job::<isos::DetachIsoFromVmInstance>(),
        job::<nics::AttachL3NetworkToVm>(),
        job::<nics::DetachL3NetworkFromVm>(),
        job::<static_ip::SetVmStaticIp>(),
        job::<static_ip::DeleteVmStaticIp>(),
        sync::<attachable::GetCandidateIsoForAttachingVm>(),
        sync::<attachable::GetCandidateVmForAttachingIso>(),
        sync::<attachable::GetVmAttachableL3Network>(),
        change::<update::UpdateVmInstance>(),
        job::<resize::ChangeInstanceOffering>(),
        sync::<capabilities::GetVmCapabilities>(),
        sync::<GetVmConsoleAddress>(),
        query::<QueryVmInstance>(VmInstance::declaration),
        query::<QueryVmNic>(VmNic::declaration),
    ]
}

operation! {
    /// Queries VM instances.
    QueryVmInstance, "3.1.5", Get "/vm-instances" | "/vm-instances/{uuid}", Sync -> [VmInstance]; {}
}

operation! {
    /// Queries VM instances' network interfaces.
    QueryVmNic, "3.1.24", Get "/vm-instances/nics" | "/vm-instances/nics/{uuid}", Sync -> [VmNic]; {}
}

operation! {
    /// Where VNC viewers reach a running VM's console, if it was started with a port for them.
    GetVmConsoleAddress, "3.1.36",
        Get "/vm-instances/{uuid}/console-addresses",
        Sync -> { hostIp: String, port: i64, protocol: String, success: bool }; {
        /// The VM.
        uuid: VmUuid;
    }
}

impl SyncOperation for GetVmConsoleAddress {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let uuid = self.uuid;
        let (vm, host) = caller
            .node
            .store
            .read(move |tx| {
                let vm = require::<VmInstance>(tx, "uuid", uuid)?;
                let host = require::<Host>(tx, "hostUuid", screen_host(&vm)?)?;
                Ok::<_, Failure>((vm, host))
            })
            .await?;
        let found = caller.node.call(host.uuid, OperationId::random(), ConsoleAddressOf { vm: vm.uuid }).await?;
        let found = found.ok_or_else(|| {
            let remedy = "open it with RequestConsoleAccess; for VNC viewers set console vnc.listen to managementIp and start the VM anew";
            Failure::new(ErrorKind::StateForbids, format!("VM '{}' was started without a port for its console: {remedy}", vm.name))
        })?;
        let host_ip = if found.listen.is_unspecified() { host.management_ip } else { found.listen.to_string() };
        Ok(json!({ "hostIp": host_ip, "port": found.port, "protocol": "vnc", "success": true }))
    }
}
