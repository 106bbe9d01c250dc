//! A host, its wire, the peer at the other end, and guests.

use std::{
    fs,
    future::Future,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use gantry_agent::network::{NetworkPaths, Networks};
use gantry_common::{
    agent::{Bridge, Firmware, GuestData, HostRoute, Network, Nic, Platform, VmSpec},
    id::{L2NetworkUuid, L3NetworkUuid, NicUuid, VmUuid},
};

const INSIDE: &str = "GANTRY_TEST_INSIDE_NAMESPACES";
pub const BRIDGE: &str = "br_eth0";
pub const SERVICE: &str = "10.9.1.2";
pub const PEER: &str = "10.9.1.200";

/// Runs the test of that name again inside namespaces, and there its body.
pub fn in_namespaces<F: Future<Output = ()>>(name: &str, body: impl FnOnce(World) -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let world = World::new();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(body(world));
        return;
    }
    assert!(nix::unistd::geteuid().is_root(), "the network tests make network namespaces: run them as root");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Runs a program and returns its output whatever its exit status.
pub fn output(command: &str) -> Output {
    let mut words = command.split_whitespace();
    Command::new(words.next().unwrap()).args(words).output().unwrap()
}

/// Runs a program that must succeed.
pub fn run(command: &str) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Compares two snapshots line by line.
pub fn assert_same(found: &str, expected: &str) {
    let missing: Vec<_> = expected.lines().filter(|line| !found.lines().any(|other| other == *line)).collect();
    let added: Vec<_> = found.lines().filter(|line| !expected.lines().any(|other| other == *line)).collect();
    assert!(found == expected, "missing: {missing:#?}\nadded: {added:#?}");
}

pub fn succeeds(command: &str) -> bool {
    output(command).status.success()
}

/// Waits for something that takes a moment.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The host: `eth0` with 10.9.0.1/24 on a wire to the namespace `peer`, which has 10.9.0.2 and, on the guests' subnet,
/// 10.9.1.200.
pub struct World {
    pub paths: NetworkPaths,
}

impl World {
    fn new() -> Self {
        run("mount -t tmpfs tmpfs /run");
        run("mount -t sysfs sysfs /sys");
        run("ip link set lo up");
        run("ip netns add peer");
        run("ip link add eth0 address 02:00:00:00:00:01 type veth peer name wire0 netns peer");
        run("ip address add 10.9.0.1/24 dev eth0");
        run("ip link set eth0 up");
        run("ip -n peer address add 10.9.0.2/24 dev wire0");
        run(&format!("ip -n peer address add {PEER}/24 dev wire0"));
        run("ip -n peer link set wire0 up");
        run("ip -n peer link set lo up");
        wait_until("the wire is plugged in at both ends", || !run("ip -o link show dev eth0").contains("NO-CARRIER"));
        Self { paths: NetworkPaths { run_dir: PathBuf::from("/run/gantry") } }
    }

    pub fn networks(&self) -> Networks {
        Networks::new(self.paths.clone())
    }

    /// Everything on the host that Gantry could leave behind.
    pub fn snapshot(&self) -> String {
        let mut files: Vec<_> = walk(Path::new("/run/gantry"));
        files.sort();
        format!(
            "{}{}{}{}{}{}{:?}",
            run("ip -o link show").lines().map(|line| format!("{}\n", link_summary(line))).collect::<String>(),
            addresses("eth0"),
            run("ip -o -4 route show table all dev eth0"),
            run("nft list ruleset"),
            run("ip netns list"),
            files.iter().map(|file| format!("{}\n", file.display())).collect::<String>(),
            dnsmasq_pids(),
        )
    }
}

fn link_summary(line: &str) -> String {
    line.split_whitespace().skip(1).take_while(|word| *word != "state").collect::<Vec<_>>().join(" ")
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        // Stays: whoever removed it would let go of those that hold it.
        .filter(|entry| entry.file_name() != "programs.lock")
        .flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// The global addresses of an interface.
pub fn addresses(interface: &str) -> String {
    run(&format!("ip -o address show dev {interface} scope global"))
        .lines()
        .map(|line| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ").replace(interface, "IF") + "\n")
        .collect()
}

/// The running dnsmasqs; in the test's process namespace there are only its own.
pub fn dnsmasq_pids() -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "dnsmasq"))
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()))
        .collect()
}

pub fn bridge() -> Bridge {
    Bridge {
        l2_network: "00000000000000000000000000000001".parse::<L2NetworkUuid>().unwrap(),
        name: BRIDGE.to_owned(),
        physical_interface: "eth0".to_owned(),
    }
}

pub fn network() -> Network {
    Network {
        l3_network: "8aef7e3a53b34eedaa05027a919156d9".parse::<L3NetworkUuid>().unwrap(),
        bridge: bridge(),
        subnet: "10.9.1.0/24".parse().unwrap(),
        gateway: Some(Ipv4Addr::new(10, 9, 1, 1)),
        service_address: Some(SERVICE.parse().unwrap()),
        dhcp: true,
        userdata: true,
        dns: vec![Ipv4Addr::new(9, 9, 9, 9)],
        dns_domain: Some("lab.example".to_owned()),
        mtu: Some(1450),
        host_routes: vec![HostRoute { prefix: "10.8.0.0/16".parse().unwrap(), next_hop: Ipv4Addr::new(10, 9, 1, 7) }],
    }
}

/// A VM with one interface `vnic<number>.0` with the MAC fa:00:00:00:00:<number> and the address 10.9.1.<number>.
pub fn vm(number: u8) -> VmSpec {
    VmSpec {
        uuid: VmUuid::random(),
        name: format!("vm-{number}"),
        cpu_num: 1,
        cpu_pins: vec![],
        memory_bytes: 64 << 20,
        platform: Platform::Linux,
        firmware: Firmware::Bios,
        disks: Vec::new(),
        cdroms: Vec::new(),
        boot_order: Vec::new(),
        nics: vec![nic(number)],
        networks: vec![network()],
        console_listen: None,
        guest_data: GuestData {
            hostname: Some(format!("web-{number}")),
            userdata: Some(format!("#cloud-config\n# {number}\n")),
            ssh_keys: vec!["ssh-ed25519 AAAA user@example".to_owned()],
        },
    }
}

pub fn nic(number: u8) -> Nic {
    Nic {
        uuid: NicUuid::random(),
        device_id: 0,
        l3_network: network().l3_network,
        tap: format!("vnic{number}.0"),
        mac: format!("fa:00:00:00:00:{number:02}").parse().unwrap(),
        ip: Ipv4Addr::new(10, 9, 1, number),
        is_default: true,
        anti_spoofing: true,
    }
}

/// What plays a guest: a namespace with an `eth0` whose other end is the interface's tap, on the bridge.
pub struct Guest(String);

impl Guest {
    pub fn boot(nic: &Nic) -> Self {
        Self::on(&nic.tap, &nic.mac.to_string())
    }

    pub fn on(tap: &str, mac: &str) -> Self {
        let name = format!("guest-{tap}");
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add {tap} type veth peer name eth0 address {mac} netns {name}"));
        run(&format!("ip link set {tap} master {BRIDGE} up"));
        run(&format!("ip -n {name} link set eth0 up"));
        run(&format!("ip -n {name} link set lo up"));
        Self(name)
    }

    pub fn shut_down(self) {
        // The namespace's own end is gone with the tap at once, with the namespace only some time after.
        run(&format!("ip link delete {}", self.0.trim_start_matches("guest-")));
        run(&format!("ip netns delete {}", self.0));
    }

    pub fn runs(&self, command: &str) -> bool {
        succeeds(&format!("ip netns exec {} {command}", self.0))
    }

    pub fn run(&self, command: &str) -> String {
        run(&format!("ip netns exec {} {command}", self.0))
    }

    pub fn pings(&self, address: &str) -> bool {
        self.runs(&format!("busybox ping -c 1 -W 1 {address}"))
    }

    /// Sets the address by hand, as a guest that does not ask.
    pub fn set_address(&self, address: &str) {
        self.run(&format!("ip address replace {address}/24 dev eth0"));
    }

    /// Asks for a lease and returns what the DHCP client told its script, or `None` without an answer.
    pub fn lease(&self) -> Option<String> {
        let script = PathBuf::from(format!("/run/{}.script", self.0));
        let answer = PathBuf::from(format!("/run/{}.lease", self.0));
        let _ = fs::remove_file(&answer);
        fs::write(&script, format!("#!/bin/sh\n[ \"$1\" = bound ] && env >{}\nexit 0\n", answer.display())).unwrap();
        run(&format!("chmod 755 {}", script.display()));
        let asked = self.runs(&format!(
            "busybox udhcpc -f -i eth0 -n -q -t 3 -T 1 -O 121 -O mtu -O hostname -O domain -s {}",
            script.display()
        ));
        asked.then(|| fs::read_to_string(&answer).unwrap())
    }

    /// The body and status of an HTTP request.
    pub fn get(&self, url: &str) -> (String, String) {
        let text = self.run(&format!("curl -s --max-time 5 -w \\n%{{http_code}} {url}"));
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }
}
