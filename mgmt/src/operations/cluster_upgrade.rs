//! 4.2.6: the upgrade of the operating systems of a cluster's hosts, one host after the other.

use gantry_common::{
    agent::{ObserveVm, PlanUpgrade, Upgrade, UpgradePackages, VmState},
    error::ErrorKind,
    id::{ClusterUuid, HostUuid, LongJobUuid, VmUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    long_job::message_name,
    making::{make, put_tags, require},
};
use crate::{
    api::{Operation, job},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Part, Recording, Run, Step},
    operation,
    query::inventory_reply,
    resource::{Cluster, Host, LongJob, LongJobState, VmInstance},
    store::{SqlValue, Tx},
};

/// The operations of this file.
pub fn operations() -> Vec<Operation> {
    vec![job::<UpdateClusterOS>()]
}

operation! {
    /// Upgrades the packages of a cluster's hosts, one host after the other, while their guests run on. It begins only
    /// if nothing stands in the way on any of the hosts, and goes no further where a guest or an agent does not come
    /// through. No package is removed, and no host restarted. Cancelled, it ends after the host it is at; what is upgraded
    /// stays so.
    UpdateClusterOS, "4.2.6", Put "/clusters/{uuid}/actions", Job -> LongJob; {
        /// The cluster.
        uuid: ClusterUuid;
        /// Packages that are not upgraded: names, in which `*` and `?` stand for any letters.
        exclude_packages: Option<Vec<String>>, nonempty true;
        /// The id the long job gets.
        resource_uuid: Option<LongJobUuid>;
    }
}

/// The hosts, and the long job by which this job is known.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Upgrading {
    long_job: Option<LongJobUuid>,
    hosts: Vec<(HostUuid, String)>,
    upgraded: Vec<(HostUuid, Upgrade)>,
}

impl UpdateClusterOS {
    fn exclude(&self) -> Vec<String> {
        self.exclude_packages.clone().unwrap_or_default()
    }
}

impl JobOperation for UpdateClusterOS {
    type State = Upgrading;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("record the long job", record),
            Step::remote("look for what stands in the way", |run: Run<Self>| async move {
                check_all(&run).await?;
                Ok(run.state)
            })
            .cancellable(),
            Step::remote("upgrade one host after the other", upgrade_all).cancellable(),
            Step::record("note what was done", |tx, run| {
                let Some(mut long_job) = tx.long_job_of(run.job)? else { return Ok(()) };
                long_job.state = LongJobState::Succeeded;
                long_job.job_result = Some(result(run.state).to_string());
                tx.save(&long_job)?;
                Ok(())
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Upgrading) -> Result<Value, Failure> {
        match state.long_job {
            Some(long_job) => inventory_reply::<LongJob>(tx, long_job),
            None => Err(Failure::new(ErrorKind::Internal, "the long job was not recorded")),
        }
    }
}

/// The job is a long job, unless it was submitted as one.
fn record(tx: &Tx<'_>, run: &mut Recording<'_, UpdateClusterOS>) -> Result<(), Failure> {
    let params = run.params;
    let cluster = require::<Cluster>(tx, "uuid", params.uuid)?;
    let mut hosts = tx.find::<Host>(&[("cluster_uuid", cluster.uuid.to_sql())])?;
    hosts.sort_by(|one, other| one.name.cmp(&other.name));
    run.state.hosts = hosts.into_iter().map(|host| (host.uuid, host.name)).collect();
    if let Some(submitted) = tx.long_job_of(run.job)? {
        run.state.long_job = Some(submitted.uuid);
        return Ok(());
    }
    let (uuid, now) = (params.resource_uuid.unwrap_or_else(LongJobUuid::random), Timestamp::now());
    let data = json!({ "uuid": params.uuid, "excludePackages": params.exclude_packages });
    make(
        tx,
        &LongJob {
            uuid,
            name: Some(format!("upgrade of cluster '{}'", cluster.name)),
            description: None,
            api_id: run.job,
            job_name: message_name("UpdateClusterOS"),
            job_data: data.to_string(),
            job_result: None,
            target_resource_uuid: Some(cluster.uuid.to_string()),
            management_node_uuid: run.node.uuid,
            create_date: now,
            last_op_date: now,
            state: LongJobState::Running,
        },
    )?;
    put_tags::<LongJob>(tx, uuid, &params.system_tags, &params.user_tags)?;
    run.state.long_job = Some(uuid);
    Ok(())
}

/// Asks every host before any is touched, and names all that stands in the way.
async fn check_all(run: &Run<UpdateClusterOS>) -> Result<(), Failure> {
    let plan = PlanUpgrade { exclude: run.params.exclude() };
    let plans = run.state.hosts.iter().map(async |(host, name)| {
        let found = match run.call(*host, &host.to_string(), plan.clone()).await {
            Ok(upgrade) => upgrade.obstacles,
            Err(failure) => vec![failure.details],
        };
        found.into_iter().map(|obstacle| format!("host '{name}': {obstacle}")).collect::<Vec<_>>()
    });
    let found: Vec<String> = futures_util::future::join_all(plans).await.into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(());
    }
    let details = format!("no host of the cluster was upgraded, for something stands in the way: {}", found.join("; "));
    Err(Failure::new(ErrorKind::Refused, details))
}

async fn upgrade_all(mut run: Run<UpdateClusterOS>) -> Result<Upgrading, Failure> {
    let hosts = run.state.hosts.clone();
    let mut upgraded = Vec::new();
    for (index, (host, name)) in hosts.iter().enumerate() {
        let stopped = |failure: Failure| {
            let done: Vec<&str> = hosts[..index].iter().map(|(_, name)| name.as_str()).collect();
            let done = if done.is_empty() { "no host".to_owned() } else { done.join(", ") };
            let details =
                format!("host '{name}': {}; upgraded before it: {done}; the others were not touched", failure.details);
            Failure::new(failure.kind, details)
        };
        if run.cancelled.is_cancelled() {
            return Err(stopped(Failure::new(ErrorKind::Cancelled, "the upgrade was cancelled before it")));
        }
        let part = Part { index, of: hosts.len() };
        if let Some(done) = upgrade(&run, *host, part).await.map_err(stopped)? {
            upgraded.push((*host, done));
        }
    }
    run.state.upgraded = upgraded;
    Ok(run.state)
}

/// Upgrades one host and sees that its guests and its agent have come through. A host that has left is left alone.
async fn upgrade(run: &Run<UpdateClusterOS>, host: HostUuid, part: Part) -> Result<Option<Upgrade>, Failure> {
    let guests = move |tx: &Tx<'_>| -> Result<Option<Vec<VmInstance>>, Failure> {
        if tx.get::<Host>(host)?.is_none() {
            return Ok(None);
        }
        Ok(Some(tx.find::<VmInstance>(&[("host_uuid", host.to_sql())])?))
    };
    let Some(before) = run.node.store.read(guests).await? else { return Ok(None) };
    let mut running = Vec::new();
    for vm in before {
        if is_running(run, host, vm.uuid, "before").await? {
            running.push(vm);
        }
    }
    let command = UpgradePackages { exclude: run.params.exclude() };
    let done = run.call_part(host, &format!("{host} upgrade"), command, part).await?;
    if !done.obstacles.is_empty() {
        return Err(Failure::new(ErrorKind::Refused, done.obstacles.join("; ")));
    }
    for vm in running {
        // One that its user has stopped in the meantime has not suffered by the upgrade.
        let wanted = move |tx: &Tx<'_>| {
            Ok::<_, Failure>(tx.get::<VmInstance>(vm.uuid)?.is_some_and(|now| now.host_uuid == Some(host)))
        };
        if !is_running(run, host, vm.uuid, "after").await? && run.node.store.read(wanted).await? {
            let details = format!("VM '{}' ({}) runs no more after the upgrade", vm.name, vm.uuid);
            return Err(Failure::new(ErrorKind::HostCommand, details));
        }
    }
    Ok(Some(done))
}

async fn is_running(run: &Run<UpdateClusterOS>, host: HostUuid, vm: VmUuid, when: &str) -> Result<bool, Failure> {
    let seen = run.call(host, &format!("{vm} {when}"), ObserveVm { vm }).await?;
    Ok(matches!(seen.state, VmState::Running | VmState::Paused))
}

fn result(state: &Upgrading) -> Value {
    let hosts: Vec<Value> = state
        .upgraded
        .iter()
        .map(|(host, upgrade)| {
            json!({ "hostUuid": host, "packages": upgrade.packages, "restartNeeded": upgrade.restart_needed })
        })
        .collect();
    json!({ "hosts": hosts })
}
