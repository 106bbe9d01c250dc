//! Agents that come and go, and what is left behind.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use gantry_agent::network::NetworkPaths;

use crate::world::{Guest, SERVICE, assert_same, dnsmasq_pids, in_namespaces, network, nic, run, vm, wait_until};

const INSTANCE_ID: &str = "http://169.254.169.254/latest/meta-data/instance-id";

#[test]
fn guests_keep_dhcp_while_no_agent_runs_and_get_user_data_back() {
    in_namespaces("lifecycle::guests_keep_dhcp_while_no_agent_runs_and_get_user_data_back", |world| async move {
        let first_agent = world.networks();
        let vm = vm(9);
        first_agent.attach_vm(&vm).await.unwrap();
        let guest = Guest::boot(&vm.nics[0]);
        assert!(guest.lease().is_some());
        guest.set_address("10.9.1.9");
        guest.run(&format!("ip route add 169.254.169.254/32 via {SERVICE}"));
        assert_eq!(guest.get(INSTANCE_ID).1, vm.uuid.to_string());
        let (pids, rules) = (dnsmasq_pids(), run("nft list ruleset"));

        drop(first_agent);
        wait_until("the server is gone", || !guest.runs(&format!("curl -s --max-time 2 {INSTANCE_ID}")));
        assert!(guest.lease().is_some());

        let second_agent = world.networks();
        second_agent.restore().await.unwrap();
        assert_eq!(guest.get(INSTANCE_ID).1, vm.uuid.to_string());
        assert_eq!(dnsmasq_pids(), pids);
        assert_eq!(run("nft list ruleset"), rules);
        second_agent.restore().await.unwrap();
        assert_eq!(guest.get(INSTANCE_ID).1, vm.uuid.to_string());
    });
}

#[test]
fn what_died_or_was_flushed_is_brought_back() {
    in_namespaces("lifecycle::what_died_or_was_flushed_is_brought_back", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        networks.attach_vm(&vm).await.unwrap();
        let guest = Guest::boot(&vm.nics[0]);
        let rules = run("nft list ruleset");

        let pid = dnsmasq_pids()[0];
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        wait_until("dnsmasq is gone", || dnsmasq_pids().is_empty());
        networks.sweep(&HashSet::from([vm.uuid])).await.unwrap();
        assert!(guest.lease().is_some());

        run("nft flush ruleset");
        networks.sweep(&HashSet::from([vm.uuid])).await.unwrap();
        assert_eq!(run("nft list ruleset"), rules);
        run("nft flush ruleset");
        networks.attach_vm(&vm).await.unwrap();
        assert_eq!(run("nft list ruleset"), rules);

        // Somebody deleted the namespace, dnsmasq in it lives on without an interface.
        run("ip netns delete gantry-8aef7e3a53b3");
        run("ip link delete gsv8aef7e3a53b3");
        networks.attach_vm(&vm).await.unwrap();
        assert!(guest.lease().is_some());
        assert_eq!(dnsmasq_pids().len(), 1);
    });
}

#[test]
fn removal_leaves_nothing() {
    in_namespaces("lifecycle::removal_leaves_nothing", |world| async move {
        let before = world.snapshot();
        let networks = world.networks();
        let vms = [vm(9), vm(10), vm(11)];
        for vm in &vms {
            networks.attach_vm(vm).await.unwrap();
            networks.attach_vm(vm).await.unwrap();
        }
        assert!(networks.remove_network(network().l3_network).await.unwrap_err().to_string().contains("is used by VM"));
        let guest = Guest::boot(&vms[0].nics[0]);
        assert!(guest.lease().is_some());
        guest.shut_down();
        for vm in &vms {
            networks.detach_vm(vm.uuid).await.unwrap();
            networks.detach_vm(vm.uuid).await.unwrap();
        }
        for _ in 0..2 {
            networks.remove_network(network().l3_network).await.unwrap();
            networks.remove_bridge(&network().bridge).await.unwrap();
        }
        assert_same(&world.snapshot(), &before);
    });
}

#[test]
fn only_vms_that_no_longer_run_are_swept() {
    in_namespaces("lifecycle::only_vms_that_no_longer_run_are_swept", |world| async move {
        let networks = world.networks();
        let (running, ended) = (vm(9), vm(10));
        networks.attach_vm(&running).await.unwrap();
        let only_one = world.snapshot();
        networks.attach_vm(&ended).await.unwrap();
        networks.sweep(&HashSet::from([running.uuid])).await.unwrap();
        assert_same(&world.snapshot(), &only_one);
    });
}

#[test]
fn an_attach_that_fails_leaves_what_was_there_before() {
    in_namespaces("lifecycle::an_attach_that_fails_leaves_what_was_there_before", |world| async move {
        let networks = world.networks();
        let mut vm = vm(9);
        let before = world.snapshot();
        vm.networks[0].bridge.physical_interface = "none0".to_owned();
        networks.attach_vm(&vm).await.unwrap_err();
        assert_same(&world.snapshot(), &before);

        vm.networks[0] = network();
        networks.attach_vm(&vm).await.unwrap();
        let attached = world.snapshot();
        let mut changed = vm.clone();
        changed.nics.push(nic(10));
        changed.nics[0].ip = "10.9.1.33".parse().unwrap();
        changed.networks[0].bridge.physical_interface = "none0".to_owned();
        networks.attach_vm(&changed).await.unwrap_err();
        assert_same(&world.snapshot(), &attached);
    });
}

#[test]
fn many_vms_attach_and_detach_at_once() {
    in_namespaces("lifecycle::many_vms_attach_and_detach_at_once", |world| async move {
        let networks = std::sync::Arc::new(world.networks());
        let before = world.snapshot();
        let vms: Vec<_> = (10..40).map(vm).collect();
        for attach in [true, false] {
            let mut tasks = tokio::task::JoinSet::new();
            for vm in vms.clone() {
                let networks = networks.clone();
                tasks.spawn(async move {
                    if attach { networks.attach_vm(&vm).await } else { networks.detach_vm(vm.uuid).await }
                });
            }
            while let Some(outcome) = tasks.join_next().await {
                outcome.unwrap().unwrap();
            }
            if attach {
                let guest = Guest::boot(&vms[7].nics[0]);
                assert!(guest.lease().unwrap().contains("ip=10.9.1.17\n"));
                guest.shut_down();
            }
        }
        networks.remove_bridge(&network().bridge).await.unwrap();
        assert_same(&world.snapshot(), &before);
    });
}

#[test]
fn a_caller_that_gives_up_does_not_leave_half_a_network() {
    in_namespaces("lifecycle::a_caller_that_gives_up_does_not_leave_half_a_network", |world| async move {
        let networks = world.networks();
        let vm = vm(9);
        // The first poll starts the work; then the caller goes away.
        assert!(futures_util::FutureExt::now_or_never(networks.attach_vm(&vm)).is_none());
        // Attaching again waits for the first to end.
        networks.attach_vm(&vm).await.unwrap();
        assert!(Guest::boot(&vm.nics[0]).lease().is_some());
        assert_eq!(dnsmasq_pids().len(), 1);
    });
}

/// Attaches and detaches for ever, in the namespaces of the test that starts it and kills it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test kills"]
async fn agent_to_be_killed() {
    let networks = gantry_agent::network::Networks::new(NetworkPaths::default());
    let vms = [vm(9), vm(10)];
    networks.restore().await.unwrap();
    loop {
        for vm in &vms {
            networks.attach_vm(vm).await.unwrap();
        }
        networks.sweep(&HashSet::from([vms[1].uuid])).await.unwrap();
        networks.sweep(&HashSet::new()).await.unwrap();
        networks.remove_bridge(&network().bridge).await.unwrap();
    }
}

/// Starts [`agent_to_be_killed`]. It looks for programs in `directory` first.
fn start_agent_to_be_killed(directory: &str) -> Child {
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
    Command::new(std::env::current_exe().unwrap())
        .args(["lifecycle::agent_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env("PATH", path.trim_start_matches(':'))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn an_agent_killed_at_any_moment_leaves_what_the_next_one_can_clear() {
    in_namespaces("lifecycle::an_agent_killed_at_any_moment_leaves_what_the_next_one_can_clear", |world| async move {
        let before = world.snapshot();
        for round in 0..40u64 {
            let mut agent = start_agent_to_be_killed("");
            // Moments spread over more than one turn of the agent's loop.
            std::thread::sleep(Duration::from_millis(5 + 13 * round % 250));
            assert!(agent.try_wait().unwrap().is_none(), "the agent failed by itself in round {round}");
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
        let networks = world.networks();
        networks.restore().await.unwrap();
        networks.sweep(&HashSet::new()).await.unwrap();
        networks.remove_bridge(&network().bridge).await.unwrap();
        assert_same(&world.snapshot(), &before);
    });
}

#[test]
fn programs_that_outlive_their_agent_are_waited_for() {
    in_namespaces("lifecycle::programs_that_outlive_their_agent_are_waited_for", |world| async move {
        let before = world.snapshot();
        for program in ["nft", "ip", "dnsmasq"] {
            // Stands in for the program, says that it was started, and becomes the program when told to.
            let slow = tempfile::tempdir_in("/run").unwrap();
            let (started, go) = (slow.path().join("started"), slow.path().join("go"));
            let script = format!(
                "#!/bin/sh\nPATH=${{PATH#*:}}\n: >{}\nuntil [ -e {} ]; do sleep 0.01; done\nexec {program} \"$@\"\n",
                started.display(),
                go.display()
            );
            let path = slow.path().join(program);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();

            let mut agent = start_agent_to_be_killed(slow.path().to_str().unwrap());
            wait_until("the program was started", || started.exists());
            agent.kill().unwrap();
            agent.wait().unwrap();
            let networks = std::sync::Arc::new(world.networks());
            let mut restoring = tokio::spawn({
                let networks = networks.clone();
                async move { networks.restore().await }
            });
            let early = tokio::time::timeout(Duration::from_millis(500), &mut restoring).await;
            assert!(early.is_err(), "restored while {program} was under way: {early:?}");
            fs::write(&go, "").unwrap();
            restoring.await.unwrap().unwrap();
            networks.sweep(&HashSet::new()).await.unwrap();
            networks.remove_bridge(&network().bridge).await.unwrap();
            assert_same(&world.snapshot(), &before);
        }
    });
}
