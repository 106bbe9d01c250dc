//! The files behind a VM's drives.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    time::Duration,
};

use gantry_common::agent::{AgentError, Cdrom, Disk};
use nix::{errno::Errno, fcntl::OFlag};
use tokio::time::timeout;

/// Opening a file takes no time, unless its file system hangs.
const DEADLINE: Duration = Duration::from_secs(10);

/// The disks that can do direct I/O, after a look whether all files are there.
pub async fn inspect(disks: &[Disk], cdroms: &[Cdrom]) -> Result<BTreeSet<String>, AgentError> {
    let disks: Vec<String> = disks.iter().map(|disk| disk.path.clone()).collect();
    let images: Vec<String> = cdroms.iter().filter_map(|drive| drive.path.clone()).collect();
    let inspection = tokio::task::spawn_blocking(move || {
        for image in images {
            fs::File::open(&image).map_err(|error| unusable("ISO image", &image, &error))?;
        }
        let mut direct_io = BTreeSet::new();
        for disk in disks {
            if opens_for_direct_io(&disk).map_err(|error| unusable("volume file", &disk, &error))? {
                direct_io.insert(disk);
            }
        }
        Ok(direct_io)
    });
    match timeout(DEADLINE, inspection).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panicked)) => Err(AgentError::Internal { reason: panicked.to_string() }),
        Err(_) => Err(AgentError::Timeout {
            operation: "opening the VM's disks (is their file system hung?)".into(),
            seconds: DEADLINE.as_secs(),
        }),
    }
}

fn opens_for_direct_io(path: &str) -> io::Result<bool> {
    let open = |flags: OFlag| fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    match open(OFlag::O_DIRECT) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => open(OFlag::empty()).map(|_| false),
        Err(error) => Err(error),
    }
}

fn unusable(what: &str, path: &str, error: &io::Error) -> AgentError {
    match error.kind() {
        ErrorKind::NotFound => AgentError::NotFound { what: what.into(), name: path.into() },
        _ => AgentError::file(path, error),
    }
}
