//! The records of the guests' serial lines. virtlogd keeps each of them short; here they are removed when their VM has
//! not run on this host for a while: until then, they tell why it ended.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use gantry_common::id::VmUuid;

const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes the records that nothing was written to for a week, but those of the VMs that are `here`.
pub fn remove_stale(directory: &Path, here: impl Fn(VmUuid) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // `<vm>.log`, and `<vm>.log.0` and so on, which virtlogd rotated.
        let Some(vm) = entry.file_name().to_str().and_then(|name| name.split_once(".log")?.0.parse().ok()) else {
            continue;
        };
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age > KEPT_FOR && !here(vm) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_records_of_vms_that_are_not_here_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (gone, here, recent) = (VmUuid::random(), VmUuid::random(), VmUuid::random());
        let old = SystemTime::now() - KEPT_FOR - Duration::from_secs(60);
        let names = [format!("{gone}.log"), format!("{gone}.log.0"), format!("{here}.log"), "notes.log".into()];
        for name in &names {
            fs::File::create(directory.path().join(name)).unwrap().set_modified(old).unwrap();
        }
        fs::write(directory.path().join(format!("{recent}.log")), "").unwrap();
        remove_stale(directory.path(), |vm| vm == here).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut expected = vec![format!("{here}.log"), format!("{recent}.log"), "notes.log".into()];
        expected.sort();
        assert_eq!(left, expected);
        remove_stale(Path::new("/nonexistent"), |_| true).unwrap();
    }
}
