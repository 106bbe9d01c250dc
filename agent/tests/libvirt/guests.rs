//! Guests that start, end, hang and stall.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use gantry_common::agent::{AgentError, CpuPin, Firmware, ImageFormat, Platform, StopMode, VmSpec, VmState};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    fixture::{Fixture, processors_of, qemu_pid, run, type_in, virsh},
    lab_host::on_a_lab_host,
};

#[test]
fn a_guest_starts_on_its_processors_pauses_resumes_and_shuts_down() {
    on_a_lab_host("guests::a_guest_starts_on_its_processors_pauses_resumes_and_shuts_down", async {
        let mut fixture = Fixture::new("lifecycle").await;
        let spec = fixture.spec(Platform::Linux, Firmware::Bios);
        let pin = CpuPin { vcpu: 1, cpus: "0".parse().unwrap() };
        let spec = VmSpec { cpu_num: 2, cpu_pins: vec![pin], ..spec };
        let vm = spec.uuid;
        assert_eq!(fixture.vms.start(spec.clone()).await.unwrap().state, VmState::Running);
        assert_eq!(fixture.vms.start(spec.clone()).await.unwrap().state, VmState::Running);
        assert_eq!(processors_of(vm, 1), "0");
        fixture.until_booted(vm).await;
        // What cloud-init goes by.
        let terminal = type_in(vm, "cat /sys/class/dmi/id/product_serial");
        fixture.until_printed(vm, "ds=nocloud;dsmode=net;s=http://169.254.169.254/").await;
        drop(terminal);

        assert_eq!(fixture.vms.pause(vm).await.unwrap().state, VmState::Paused);
        assert!(matches!(fixture.vms.start(spec).await, Err(AgentError::VmState { state: VmState::Paused, .. })));
        assert_eq!(fixture.vms.resume(vm).await.unwrap().state, VmState::Running);

        let stopped = fixture.vms.stop(vm, StopMode::Grace { timeout_seconds: 150 });
        let began = Instant::now();
        assert_eq!(stopped.await.unwrap().state, VmState::Absent);
        assert!(began.elapsed() < Duration::from_secs(150), "the guest did not shut down by itself");
        fixture.finish().await;
    });
}

#[test]
fn a_console_is_opened_whether_it_listens_or_not_and_ends_with_its_guest() {
    on_a_lab_host("guests::a_console_is_opened_whether_it_listens_or_not_and_ends_with_its_guest", async {
        let mut fixture = Fixture::new("console").await;
        let quiet = fixture.spec(Platform::Linux, Firmware::Bios);
        let listening = fixture.spec(Platform::Linux, Firmware::Bios);
        let listening = VmSpec { console_listen: Some("127.0.0.1".parse().unwrap()), ..listening };
        let absent = fixture.vms.open_console(quiet.uuid).await;
        assert!(matches!(absent, Err(AgentError::VmState { state: VmState::Absent, .. })), "{absent:?}");

        fixture.vms.start(quiet.clone()).await.unwrap();
        assert_eq!(fixture.vms.console_address(quiet.uuid).await.unwrap(), None);
        assert!(!std::fs::read_to_string("/proc/net/tcp").unwrap().contains(":170C "), "5900 is open");
        fixture.vms.start(listening.clone()).await.unwrap();
        let address = fixture.vms.console_address(listening.uuid).await.unwrap().unwrap();
        greets(&mut TcpStream::connect((address.listen, address.port)).await.unwrap()).await;

        for vm in [quiet.uuid, listening.uuid] {
            let (mut one, mut other) =
                (fixture.vms.open_console(vm).await.unwrap(), fixture.vms.open_console(vm).await.unwrap());
            greets(&mut one).await;
            greets(&mut other).await;
            fixture.vms.stop(vm, StopMode::Force).await.unwrap();
            let mut rest = Vec::new();
            one.read_to_end(&mut rest).await.unwrap();
        }
        fixture.finish().await;
    });
}

/// A console speaks RFB and asks for no password.
async fn greets(console: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut version = [0; 12];
    console.read_exact(&mut version).await.unwrap();
    assert_eq!(&version, b"RFB 003.008\n");
    console.write_all(&version).await.unwrap();
    let mut kinds = vec![0; console.read_u8().await.unwrap().into()];
    console.read_exact(&mut kinds).await.unwrap();
    assert_eq!(kinds, [1], "security types");
}

#[test]
fn every_platform_and_firmware_starts() {
    on_a_lab_host("guests::every_platform_and_firmware_starts", async {
        let mut fixture = Fixture::new("platforms").await;
        let kinds = [
            (Platform::Linux, Firmware::Uefi),
            (Platform::Windows, Firmware::Bios),
            (Platform::WindowsVirtio, Firmware::Uefi),
            (Platform::Other, Firmware::Bios),
            (Platform::Paravirtualization, Firmware::Bios),
        ];
        for (platform, firmware) in kinds {
            let spec = fixture.spec(platform, firmware);
            let nvram = PathBuf::from(format!("{}.nvram", spec.disks[0].path));
            assert_eq!(
                fixture.vms.start(spec.clone()).await.unwrap().state,
                VmState::Running,
                "{platform:?} {firmware:?}"
            );
            assert_eq!(nvram.exists(), firmware == Firmware::Uefi);
            fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
            // It holds the guest's boot entries, and is used again.
            assert_eq!(nvram.exists(), firmware == Firmware::Uefi);
            assert_eq!(
                fixture.vms.start(spec.clone()).await.unwrap().state,
                VmState::Running,
                "{platform:?} {firmware:?}"
            );
            fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
        }
        fixture.finish().await;
    });
}

#[test]
fn a_guest_killed_from_outside_is_seen() {
    on_a_lab_host("guests::a_guest_killed_from_outside_is_seen", async {
        let mut fixture = Fixture::new("killed").await;
        let spec = fixture.spec(Platform::Linux, Firmware::Bios);
        fixture.vms.start(spec.clone()).await.unwrap();
        assert!(virsh(&["suspend", &spec.uuid.to_string()]));
        fixture.until_state(spec.uuid, VmState::Paused).await;
        assert!(virsh(&["destroy", &spec.uuid.to_string()]));
        fixture.until_state(spec.uuid, VmState::Absent).await;

        fixture.vms.start(spec.clone()).await.unwrap();
        assert!(run("kill", &["-9", &qemu_pid(spec.uuid)]));
        fixture.until_state(spec.uuid, VmState::Absent).await;
        fixture.finish().await;
    });
}

#[test]
fn a_hung_guest_delays_no_other_and_can_be_ended() {
    on_a_lab_host("guests::a_hung_guest_delays_no_other_and_can_be_ended", async {
        let mut fixture = Fixture::new("hung").await;
        let (hung, other) =
            (fixture.spec(Platform::Linux, Firmware::Bios), fixture.spec(Platform::Linux, Firmware::Bios));
        fixture.vms.start(hung.clone()).await.unwrap();
        fixture.vms.start(other.clone()).await.unwrap();
        assert!(run("kill", &["-STOP", &qemu_pid(hung.uuid)]));
        let vms = fixture.vms.clone();
        let pausing = tokio::spawn(async move { vms.pause(hung.uuid).await });
        let began = Instant::now();
        for _ in 0..5 {
            assert_eq!(fixture.vms.pause(other.uuid).await.unwrap().state, VmState::Paused);
            assert_eq!(fixture.vms.resume(other.uuid).await.unwrap().state, VmState::Running);
            assert_eq!(fixture.vms.observe(hung.uuid).await.unwrap().state, VmState::Running);
        }
        println!("ten commands beside a hung guest: {:?}", began.elapsed());
        assert!(!pausing.is_finished());
        assert!(pausing.await.unwrap().is_err());
        assert_eq!(fixture.vms.stop(hung.uuid, StopMode::Force).await.unwrap().state, VmState::Absent);
        fixture.finish().await;
    });
}

#[test]
fn pulling_the_plug_ends_a_graceful_stop_that_waits() {
    on_a_lab_host("guests::pulling_the_plug_ends_a_graceful_stop_that_waits", async {
        let mut fixture = Fixture::new("plug").await;
        let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
        // Without a system, nothing listens to the power button.
        std::fs::write(&spec.disks[0].path, vec![0; 1 << 20]).unwrap();
        spec.disks[0].format = ImageFormat::Raw;
        fixture.vms.start(spec.clone()).await.unwrap();
        let vms = fixture.vms.clone();
        let graceful =
            tokio::spawn(async move { vms.stop(spec.uuid, StopMode::Grace { timeout_seconds: 3600 }).await });
        while !graceful.is_finished() {
            assert_eq!(fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap().state, VmState::Absent);
        }
        assert_eq!(graceful.await.unwrap().unwrap().state, VmState::Absent);
        fixture.finish().await;
    });
}

#[test]
fn a_guest_whose_storage_is_full_stalls_and_goes_on_when_there_is_room() {
    on_a_lab_host("guests::a_guest_whose_storage_is_full_stalls_and_goes_on_when_there_is_room", async {
        let mut fixture = Fixture::new("full").await;
        let mut spec = fixture.spec(Platform::Linux, Firmware::Bios);
        let small = fixture.directory.join("small");
        std::fs::create_dir_all(&small).unwrap();
        assert!(run("mount", &["-t", "tmpfs", "-o", "size=32m,mode=755", "tmpfs", small.to_str().unwrap()]));
        let disk = small.join("disk.qcow2");
        std::fs::copy(&spec.disks[0].path, &disk).unwrap();
        spec.disks[0].path = disk.to_str().unwrap().into();
        fixture.vms.start(spec.clone()).await.unwrap();
        fixture.until_booted(spec.uuid).await;

        let _terminal = type_in(spec.uuid, "dd if=/dev/urandom of=/data/fill bs=1M count=64; sync");
        fixture.until_state(spec.uuid, VmState::Stalled).await;
        let refused = fixture.vms.pause(spec.uuid).await;
        assert!(matches!(refused, Err(AgentError::VmState { state: VmState::Stalled, .. })), "{refused:?}");

        assert!(run("mount", &["-o", "remount,size=256m", small.to_str().unwrap()]));
        assert_eq!(fixture.vms.resume(spec.uuid).await.unwrap().state, VmState::Running);
        fixture.vms.stop(spec.uuid, StopMode::Force).await.unwrap();
        assert!(run("umount", &[small.to_str().unwrap()]));
        fixture.finish().await;
    });
}
