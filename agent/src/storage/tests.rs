//! Volumes, with the real qemu-img.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use gantry_common::id::{OperationId, VolumeUuid};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use super::*;

const GIB: u64 = 1 << 30;

/// A small file system of its own, unmounted when dropped.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn new(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        mount(Some("gantry"), directory.path(), Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

pub(crate) fn qemu_img(arguments: &[&str]) {
    let status = Command::new("qemu-img").args(arguments).stdout(std::process::Stdio::null()).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

/// Everything below `root`, as paths relative to it.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path.clone());
            }
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}

fn call() -> Call {
    Call::detached(OperationId::random())
}

fn volume_path(root: &Path) -> PathBuf {
    root.join("rootVolumes/acct-1/vol-1/1.qcow2")
}

fn create(root: &Path, path: &Path, size_bytes: u64, backing: Option<&Path>) -> CreateVolume {
    CreateVolume {
        volume: VolumeUuid::random(),
        root: root.display().to_string(),
        path: path.display().to_string(),
        size_bytes,
        backing_path: backing.map(|path| path.display().to_string()),
    }
}

fn delete(root: &Path, path: &Path) -> DeleteVolume {
    DeleteVolume { root: root.display().to_string(), path: path.display().to_string() }
}

fn storages() -> Storages {
    Storages::new(PathLocks::default())
}

#[tokio::test]
async fn a_volume_is_made_measured_made_again_and_deleted_with_its_directories() {
    let root = tempfile::tempdir().unwrap();
    let path = volume_path(root.path());
    let storages = storages();
    let made = storages.create_volume(&call(), create(root.path(), &path, GIB, None)).await.unwrap();
    assert_eq!(made.size_bytes, GIB);
    assert!(made.actual_bytes < 1 << 20);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    fs::write(path.with_file_name("1.qcow2.dead.part"), "left by a killed agent").unwrap();
    let again = storages.create_volume(&call(), create(root.path(), &path, GIB, None)).await.unwrap();
    assert_eq!(again, made);
    assert!(!tree(root.path()).iter().any(|name| name.ends_with(".part")));

    let measure = MeasureVolume { root: root.path().display().to_string(), path: path.display().to_string() };
    assert_eq!(storages.measure_volume(&call(), measure.clone()).await.unwrap().size_bytes, GIB);

    fs::write(crate::vm::nvram_path(path.to_str().unwrap()), "boot entries").unwrap();
    for _ in 0..2 {
        storages.delete_volume(&call(), delete(root.path(), &path)).await.unwrap();
        assert_eq!(tree(root.path()), Vec::<String>::new());
    }
    assert!(matches!(storages.measure_volume(&call(), measure).await.unwrap_err(), AgentError::NotFound { .. }));
}

#[tokio::test]
async fn a_volume_on_an_image_is_at_least_as_large_as_the_image_and_names_its_format() {
    let root = tempfile::tempdir().unwrap();
    let qcow2 = root.path().join("image.qcow2");
    let raw = root.path().join("image.raw");
    qemu_img(&["create", "-f", "qcow2", qcow2.to_str().unwrap(), "3G"]);
    qemu_img(&["create", "-f", "raw", raw.to_str().unwrap(), "2G"]);
    let storages = storages();
    for (image, format, image_bytes) in [(&qcow2, "qcow2", 3 * GIB), (&raw, "raw", 2 * GIB)] {
        let small = root.path().join(format!("small-{format}"));
        let large = root.path().join(format!("large-{format}"));
        let made = storages.create_volume(&call(), create(root.path(), &small, GIB, Some(image))).await.unwrap();
        assert_eq!(made.size_bytes, image_bytes);
        let made = storages.create_volume(&call(), create(root.path(), &large, 5 * GIB, Some(image))).await.unwrap();
        assert_eq!(made.size_bytes, 5 * GIB);
        let again = storages.create_volume(&call(), create(root.path(), &small, 0, Some(image))).await.unwrap();
        assert_eq!(again.size_bytes, image_bytes);

        let info = Command::new("qemu-img").args(["info", "--output=json"]).arg(&small).output().unwrap();
        let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
        assert_eq!(info["backing-filename-format"], format);
        assert_eq!(info["backing-filename"], image.to_str().unwrap());
    }
}

#[tokio::test]
async fn another_volume_at_the_path_is_left_alone_and_both_are_named() {
    let root = tempfile::tempdir().unwrap();
    let path = volume_path(root.path());
    let image = root.path().join("image.qcow2");
    qemu_img(&["create", "-f", "qcow2", image.to_str().unwrap(), "1G"]);
    let storages = storages();
    storages.create_volume(&call(), create(root.path(), &path, GIB, None)).await.unwrap();
    let before = fs::read(&path).unwrap();
    for command in [create(root.path(), &path, 2 * GIB, None), create(root.path(), &path, GIB, Some(&image))] {
        let error = storages.create_volume(&call(), command).await.unwrap_err();
        let AgentError::InvalidArgument { field, remedy, .. } = error else { panic!("{error:?}") };
        assert_eq!(field, "path");
        assert!(remedy.contains("1073741824 bytes on no backing file"), "{remedy}");
        assert!(remedy.contains("2147483648 bytes on no") || remedy.contains(image.to_str().unwrap()), "{remedy}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_volume_grows_and_never_shrinks() {
    let root = tempfile::tempdir().unwrap();
    let path = volume_path(root.path());
    let storages = storages();
    let resize = |size_bytes| ResizeVolume {
        volume: VolumeUuid::random(),
        root: root.path().display().to_string(),
        path: path.display().to_string(),
        size_bytes,
        vm: None,
    };
    let absent = storages.resize_volume(&call(), resize(GIB)).await.unwrap_err();
    assert!(matches!(absent, AgentError::NotFound { .. }), "{absent:?}");
    storages.create_volume(&call(), create(root.path(), &path, GIB, None)).await.unwrap();
    for _ in 0..2 {
        storages.resize_volume(&call(), resize(3 * GIB - 1)).await.unwrap();
        let measure = MeasureVolume { root: root.path().display().to_string(), path: path.display().to_string() };
        assert_eq!(storages.measure_volume(&call(), measure).await.unwrap().size_bytes, 3 * GIB);
    }
    let error = storages.resize_volume(&call(), resize(2 * GIB)).await.unwrap_err();
    let AgentError::InvalidArgument { remedy, .. } = error else { panic!("{error:?}") };
    assert!(remedy.contains(&(3 * GIB).to_string()), "{remedy}");
}

#[tokio::test]
async fn callers_at_once_make_one_volume() {
    let root = tempfile::tempdir().unwrap();
    let path = volume_path(root.path());
    let storages = storages();
    let calls = (0..8).map(|_| {
        let (storages, command) = (storages.clone(), create(root.path(), &path, GIB, None));
        tokio::spawn(async move { storages.create_volume(&call(), command).await })
    });
    for outcome in futures_util::future::join_all(calls).await {
        assert_eq!(outcome.unwrap().unwrap().size_bytes, GIB);
    }
    assert_eq!(tree(root.path()).len(), 4);
}

#[tokio::test]
async fn arguments_that_cannot_be_used_are_named_and_nothing_is_made() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    let path = volume_path(root.path());
    let cases = [
        (create(root.path(), &path, 0, None), "size_bytes"),
        (create(root.path(), &path, u64::MAX, None), "size_bytes"),
        (create(root.path(), Path::new("/elsewhere/1.qcow2"), GIB, None), "path"),
        (create(root.path(), &root.path().join("out/1.qcow2"), GIB, None), "path"),
        (create(root.path(), &path, GIB, Some(Path::new("/etc/passwd"))), "backing_path"),
        (create(root.path(), &path, GIB, Some(&path)), "backing_path"),
        (create(Path::new("/etc"), Path::new("/etc/1.qcow2"), GIB, None), "root"),
    ];
    for (command, expected) in cases {
        let error = storages().create_volume(&call(), command).await.unwrap_err();
        let AgentError::InvalidArgument { field, .. } = error else { panic!("{error:?}") };
        assert_eq!(field, expected);
    }
    let absent = create(root.path(), &path, GIB, Some(&root.path().join("absent.qcow2")));
    assert!(matches!(storages().create_volume(&call(), absent).await.unwrap_err(), AgentError::NotFound { .. }));
    let absent = create(&root.path().join("absent"), &root.path().join("absent/1.qcow2"), GIB, None);
    assert!(matches!(storages().create_volume(&call(), absent).await.unwrap_err(), AgentError::NotFound { .. }));
    assert_eq!(tree(root.path()), ["out"]);
    assert_eq!(tree(outside.path()), Vec::<String>::new());
}

#[tokio::test]
async fn deletion_does_not_follow_a_link_out_of_the_root() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "v").unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    symlink(outside.path().join("victim"), root.path().join("link")).unwrap();
    for name in ["out/victim", "link"] {
        let error = storages().delete_volume(&call(), delete(root.path(), &root.path().join(name))).await.unwrap_err();
        assert!(matches!(error, AgentError::InvalidArgument { .. }), "{error:?}");
    }
    assert_eq!(fs::read(outside.path().join("victim")).unwrap(), b"v");
}

#[tokio::test]
async fn a_full_disk_is_reported_and_nothing_partial_stays() {
    let disk = SmallDisk::new("size=1m");
    let path = volume_path(disk.path());
    // The check ahead: 2 PiB need 32 MiB of table.
    let huge = create(disk.path(), &path, 2 << 50, None);
    let error = storages().create_volume(&call(), huge).await.unwrap_err();
    assert!(matches!(error, AgentError::NoSpace { needed_bytes, .. } if needed_bytes > 32 << 20), "{error:?}");
    assert_eq!(tree(disk.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_that_fills_up_while_a_volume_is_made_is_reported_and_nothing_partial_stays() {
    // There are bytes, but no inode for the volume beside its three directories.
    let disk = SmallDisk::new("size=1m,nr_inodes=4");
    let path = volume_path(disk.path());
    let error = storages().create_volume(&call(), create(disk.path(), &path, GIB, None)).await.unwrap_err();
    assert!(matches!(error, AgentError::NoSpace { .. }), "{error:?}");
    assert_eq!(tree(disk.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_storage_is_opened_and_an_unwritable_one_is_refused() {
    let disk = SmallDisk::new("size=1m,mode=0755");
    fs::set_permissions(disk.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let command = OpenStorage { root: disk.path().display().to_string() };
    let capacity = storages().open_storage(&call(), command.clone()).await.unwrap();
    assert_eq!(capacity, StorageCapacity { total_bytes: 1 << 20, available_bytes: 1 << 20 });

    mount(None::<&str>, disk.path(), None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>).unwrap();
    let error = storages().open_storage(&call(), command).await.unwrap_err();
    assert!(matches!(&error, AgentError::File { reason, .. } if reason.contains("Read-only")), "{error:?}");
}

#[tokio::test]
async fn qemu_img_on_a_full_disk_is_understood_as_a_full_disk() {
    let disk = SmallDisk::new("size=64k");
    fs::write(disk.path().join("filler"), vec![1; 60 << 10]).unwrap();
    let error = QemuImg::create(&disk.path().join("volume"), GIB, None).await.unwrap_err();
    assert!(qemu_img::ran_out_of_space(&error), "{error:?}");
}
