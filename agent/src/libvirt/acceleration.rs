//! Whether this host runs guests by hardware virtualisation.

use std::{fs, io};

use gantry_common::agent::Acceleration;

/// How guests run on this host. [`Acceleration::Kvm`] takes a processor that shows hardware virtualisation and a
/// `/dev/kvm` that can be opened: on a virtual machine without nested virtualisation, the device may be there all the
/// same and an ordinary guest hangs on it.
pub fn acceleration() -> io::Result<Acceleration> {
    let virtualises = shows_virtualisation(&fs::read_to_string("/proc/cpuinfo")?);
    let usable = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    Ok(if virtualises && usable { Acceleration::Kvm } else { Acceleration::Emulation })
}

/// Whether `cpuinfo` lists Intel's `vmx` or AMD's `svm`.
fn shows_virtualisation(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.trim() == "flags")
        .any(|(_, flags)| flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmx_or_svm_among_the_flags_is_hardware_virtualisation() {
        assert!(shows_virtualisation("processor\t: 0\nflags\t\t: fpu vme vmx sse\n"));
        assert!(shows_virtualisation("processor\t: 0\nflags\t\t: fpu svm\n"));
    }

    #[test]
    fn other_words_are_not() {
        assert!(!shows_virtualisation("model name\t: vmx svm\nflags\t\t: fpu svm_lock\nvmx flags\t: vnmi\n"));
        assert!(!shows_virtualisation(""));
    }
}
