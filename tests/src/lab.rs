//! Real KVM hosts: containers of `tests/lab` with their own systemd, sshd, libvirt and QEMU.

use std::{
    fs::File,
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::{ALWAYS, Console, eventually};

/// The password of every user of a lab host: `root`, `operator` (may use sudo) and `nosudo`.
pub const PASSWORD: &str = "lab";

/// The labs the scenarios use unless `GANTRY_LAB` says otherwise: as many scenarios as there are of these run at a time.
const LABS: [&str; 2] = ["4", "5"];

/// Longer than the scenarios take that may be before this one.
const FREE: Duration = Duration::from_secs(900);

/// What a host has at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// libvirt and QEMU.
    Kvm,
    /// A plain Debian.
    Bare,
}

/// A lab with freshly booted hosts, which no other scenario has. They are gone when it is dropped.
#[derive(Debug)]
pub struct Lab {
    number: String,
    hosts: usize,
    _turn: File,
}

impl Lab {
    /// Boots this many hosts, numbered from 1.
    ///
    /// # Panics
    /// When they do not boot: the lab needs root and Debian 12.
    pub fn boot(kind: Kind, hosts: usize) -> Self {
        let (number, turn) = match std::env::var("GANTRY_LAB") {
            Ok(number) => turn_of(&[&number]),
            Err(_) => turn_of(&LABS),
        };
        let lab = Self { number, hosts, _turn: turn };
        // A scenario that was killed could not tidy up.
        lab.command(&["down"]);
        match kind {
            Kind::Kvm => lab.command(&["up", &hosts.to_string()]),
            Kind::Bare => {
                let numbers: Vec<String> = (1..=hosts).map(|index| index.to_string()).collect();
                let arguments: Vec<&str> = ["up-bare"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
                lab.command(&arguments)
            }
        };
        lab
    }

    /// One of its hosts.
    pub fn host(&self, index: usize) -> LabHost<'_> {
        assert!((1..=self.hosts).contains(&index), "the lab has {} hosts", self.hosts);
        LabHost { lab: self, index }
    }

    /// All of its hosts.
    pub fn hosts(&self) -> impl Iterator<Item = LabHost<'_>> {
        (1..=self.hosts).map(|index| self.host(index))
    }

    /// An address in the lab's network, which this machine and all hosts are in. `.1` is this machine.
    pub fn address(&self, last: u8) -> String {
        format!("10.99.{}.{last}", self.number)
    }

    /// The guest's disk image, built when it is not there.
    pub fn guest_image() -> PathBuf {
        Self::guest_file("guest.qcow2")
    }

    /// The same system on a CD.
    pub fn guest_disc() -> PathBuf {
        Self::guest_file("guest.iso")
    }

    fn guest_file(name: &str) -> PathBuf {
        let output = Command::new(lab_script("guest")).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the guest could not be built");
        Path::new(String::from_utf8(output.stdout).unwrap().trim()).join(name)
    }

    fn command(&self, arguments: &[&str]) -> String {
        let output = self.prepare(arguments).output().unwrap();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            let console = std::fs::read_to_string(format!("/var/tmp/gantry-lab/{}/host1/console.log", self.number));
            panic!(
                "hosts {arguments:?} failed (the lab needs root and Debian 12): {error}{}",
                console.unwrap_or_default()
            );
        }
        String::from_utf8(output.stdout).unwrap()
    }

    fn prepare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(lab_script("hosts"));
        command.args(arguments).env("GANTRY_LAB", &self.number).stdin(Stdio::null());
        command
    }
}

/// Waits for the first of these labs that is free. Its turn ends with the file.
fn turn_of(labs: &[&str]) -> (String, File) {
    eventually("a lab is free", FREE, || {
        labs.iter().find_map(|number| {
            let turn = File::create(format!("/run/lock/gantry-scenarios-{number}")).unwrap();
            turn.try_lock().is_ok().then(|| ((*number).to_owned(), turn))
        })
    })
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in self.hosts() {
                let log = host.try_run("journalctl -u gantry-agent -n 60 --no-pager -o cat; virsh list --all");
                eprintln!("---- host{}\n{}", host.index, String::from_utf8_lossy(&log.stdout));
            }
        }
        if std::env::var_os("GANTRY_LAB_KEEP").is_none() {
            let _ = self.prepare(&["down"]).output();
        }
    }
}

fn lab_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab").join(name)
}

/// A host of a lab.
#[derive(Debug, Clone, Copy)]
pub struct LabHost<'a> {
    lab: &'a Lab,
    index: usize,
}

impl LabHost<'_> {
    /// Its address in the management network.
    pub fn address(&self) -> IpAddr {
        self.lab.command(&["addr", &self.index.to_string()]).trim().parse().unwrap()
    }

    /// Runs a script as root, without the network: it works whatever became of that. Answers its standard output.
    ///
    /// # Panics
    /// When the script fails.
    pub fn run(&self, script: &str) -> String {
        let output = self.try_run(script);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "host{}: {script}\n{out}{err}", self.index);
        out.into_owned()
    }

    /// Runs a script that may fail.
    pub fn try_run(&self, script: &str) -> Output {
        let mut child = self
            .lab
            .prepare(&["enter", &self.index.to_string(), "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Whether a script succeeds.
    pub fn succeeds(&self, script: &str) -> bool {
        self.try_run(script).status.success()
    }

    /// Copies a file to it.
    ///
    /// # Panics
    /// When that fails.
    pub fn copy(&self, from: &Path, to: &str) {
        let from = from.to_str().expect("the path of a build is text");
        self.lab.command(&["copy", &self.index.to_string(), from, to]);
    }

    /// Runs a command over SSH, logged in with the password.
    ///
    /// # Panics
    /// When it fails.
    pub fn ssh(&self, command: &str) -> String {
        self.lab.command(&["ssh", &self.index.to_string(), command])
    }

    /// The domains that libvirt runs, by name.
    pub fn domains(&self) -> Vec<String> {
        self.run("virsh list --all --name").split_whitespace().map(str::to_owned).collect()
    }

    /// What libvirt calls the state of a VM's domain, if there is one.
    pub fn domain_state(&self, vm: &str) -> Option<String> {
        let output = self.try_run(&format!("virsh domstate {vm}"));
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The process that runs a VM: the same number before and after means that the guest went on.
    pub fn qemu_pid(&self, vm: &str) -> u32 {
        self.run(&format!("cat /run/libvirt/qemu/{vm}.pid")).trim().parse().unwrap()
    }

    /// Whether a file or directory is there.
    pub fn has(&self, path: &str) -> bool {
        self.succeeds(&format!("test -e '{path}'"))
    }

    /// The files below a directory, sorted; none where there is no directory.
    pub fn files(&self, directory: &str) -> Vec<String> {
        self.run(&format!("find '{directory}' -type f 2>/dev/null | sort || true")).lines().map(str::to_owned).collect()
    }

    /// What a VM's guest wrote to its serial console, as the host recorded it.
    pub fn console(&self, vm: &str) -> Console {
        let output = self.try_run(&format!("cat /var/log/gantry/serial/{vm}.log"));
        Console::new(&String::from_utf8_lossy(&output.stdout))
    }

    /// Waits until the console shows something.
    pub fn console_shows<T>(&self, vm: &str, what: &str, look: impl Fn(&Console) -> Option<T>) -> T {
        eventually(&format!("the console of {vm} shows {what}"), ALWAYS, || look(&self.console(vm)))
    }

    /// Takes the host off the network.
    pub fn cut(&self) {
        self.lab.command(&["cut", &self.index.to_string()]);
    }

    /// Puts it back.
    pub fn join(&self) {
        self.lab.command(&["join", &self.index.to_string()]);
    }

    /// Cuts its power: it and its guests are gone at once.
    pub fn power_off(&self) {
        self.lab.command(&["kill", &self.index.to_string()]);
    }

    /// Boots it again, with the disk it had.
    pub fn power_on(&self) {
        self.lab.command(&["start", &self.index.to_string()]);
    }
}
