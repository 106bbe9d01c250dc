//! The image cache on the image store's own host, and eviction.

use std::{
    os::unix::fs::MetadataExt,
    process::{Child, Command, Stdio},
};

use gantry_common::{
    agent::{CacheImage, CreateVolume, DeleteVolume, EvictImage},
    id::VolumeUuid,
};
use tokio::{io::AsyncReadExt, net::UnixStream};

use super::*;
use crate::storage::Storages;

const MIB: usize = 1 << 20;

/// An image store with an image, and an empty primary storage.
struct Setting {
    store: Store,
    primary: tempfile::TempDir,
    locks: PathLocks,
    images: Images,
    facts: ImageFacts,
}

impl Setting {
    async fn new(content: &[u8], format: ImageFormat) -> Self {
        let (store, directory, locks) = (Store::new(), tempfile::tempdir().unwrap(), PathLocks::default());
        let images = Images { locks: locks.clone(), ..images() };
        let url = format!("file://{}", public_file(directory.path(), content).display());
        let facts = images.add_image(&call(), store.add(&url, format)).await.unwrap();
        Self { store, primary: tempfile::tempdir().unwrap(), locks, images, facts }
    }

    fn cached(&self) -> PathBuf {
        self.primary.path().join("imagecache").join(self.store.image.to_string()).join("image")
    }

    fn cache(&self) -> CacheImage {
        CacheImage {
            image: self.store.image,
            peer: None,
            source_root: self.store.root().display().to_string(),
            source_path: self.store.path().display().to_string(),
            md5: self.facts.md5.clone(),
            format: self.facts.format,
            root: self.primary.path().display().to_string(),
            path: self.cached().display().to_string(),
        }
    }

    fn evict(&self) -> EvictImage {
        EvictImage { root: self.primary.path().display().to_string(), path: self.cached().display().to_string() }
    }
}

#[tokio::test]
async fn a_cached_image_is_a_read_only_file_of_its_own() {
    let content = qcow2(2 * MIB);
    let setting = Setting::new(&content, ImageFormat::Qcow2).await;
    let facts = setting.images.cache_image(&call(), setting.cache()).await.unwrap();
    assert_eq!(facts, setting.facts);
    assert_eq!(fs::read(setting.cached()).unwrap(), content);
    let metadata = fs::metadata(setting.cached()).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.nlink()), (0o400, 1));

    // The repeat needs no source.
    fs::remove_file(setting.store.path()).unwrap();
    assert_eq!(setting.images.cache_image(&call(), setting.cache()).await.unwrap(), facts);
}

#[tokio::test]
async fn an_image_that_is_damaged_missing_or_another_is_not_cached() {
    let setting = Setting::new(&noise(MIB), ImageFormat::Raw).await;
    let cache = setting.cache();
    let other = CacheImage { md5: "0".repeat(32), ..cache.clone() };
    assert!(matches!(setting.images.cache_image(&call(), other).await.unwrap_err(), AgentError::Corrupt { .. }));
    let missing = CacheImage { source_path: format!("{}2", cache.source_path), ..cache.clone() };
    assert!(matches!(setting.images.cache_image(&call(), missing).await.unwrap_err(), AgentError::NotFound { .. }));
    let outside = CacheImage { source_path: "/etc/shadow".into(), ..cache.clone() };
    let error = setting.images.cache_image(&call(), outside).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "source_path"), "{error:?}");
    assert_eq!(tree(setting.primary.path()), Vec::<String>::new());

    setting.images.cache_image(&call(), cache.clone()).await.unwrap();
    let another = CacheImage { image: ImageUuid::random(), ..cache };
    let error = setting.images.cache_image(&call(), another).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "path"), "{error:?}");
}

#[tokio::test]
async fn an_image_a_volume_stands_on_is_not_evicted() {
    let setting = Setting::new(&qcow2(MIB), ImageFormat::Qcow2).await;
    setting.images.cache_image(&call(), setting.cache()).await.unwrap();
    let storages = Storages::new(setting.locks.clone());
    let root = setting.primary.path().display().to_string();
    let volume = setting.primary.path().join("rootVolumes/acct-1/vol-1/1.qcow2").display().to_string();
    let create = CreateVolume {
        volume: VolumeUuid::random(),
        root: root.clone(),
        path: volume.clone(),
        size_bytes: 0,
        backing_path: Some(setting.cached().display().to_string()),
    };
    storages.create_volume(&call(), create).await.unwrap();

    let error = setting.images.evict_image(&call(), setting.evict()).await.unwrap_err();
    let AgentError::InUse { what, user } = error else { panic!("{error:?}") };
    assert!(what == setting.cached().display().to_string() && user.ends_with("1.qcow2"));
    assert!(setting.cached().exists());

    storages.delete_volume(&call(), DeleteVolume { root, path: volume }).await.unwrap();
    for _ in 0..2 {
        setting.images.evict_image(&call(), setting.evict()).await.unwrap();
        assert_eq!(tree(setting.primary.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_volume_that_names_the_image_by_a_relative_path_counts_and_a_damaged_one_is_reported() {
    let setting = Setting::new(&qcow2(MIB), ImageFormat::Qcow2).await;
    setting.images.cache_image(&call(), setting.cache()).await.unwrap();
    let volume = setting.primary.path().join("volume.qcow2");
    let relative = format!("imagecache/{}/image", setting.store.image);
    qemu_img(&["create", "-f", "qcow2", "-F", "qcow2", "-b", &relative, volume.to_str().unwrap()]);
    let error = setting.images.evict_image(&call(), setting.evict()).await.unwrap_err();
    assert!(matches!(error, AgentError::InUse { .. }), "{error:?}");

    fs::write(&volume, b"QFI\xfb\0\0\0\x03cut off").unwrap();
    let error = setting.images.evict_image(&call(), setting.evict()).await.unwrap_err();
    assert!(matches!(&error, AgentError::Corrupt { what, .. } if what.ends_with("volume.qcow2")), "{error:?}");
    assert!(setting.cached().exists());
}

/// QEMU with a disc open, ended when dropped.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_disc_that_qemu_has_open_is_not_evicted() {
    let mut content = vec![0; 40_000];
    content[32769..32774].copy_from_slice(b"CD001");
    let setting = Setting::new(&content, ImageFormat::Iso).await;
    setting.images.cache_image(&call(), setting.cache()).await.unwrap();
    let socket = setting.store.root().join("nbd");
    let qemu = Qemu(
        Command::new("qemu-nbd")
            .args(["-r", "-t", "-f", "raw", "-k"])
            .args([socket.as_path(), &setting.cached()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    // It listens before it opens the disc, and greets after.
    let mut greeting = [0; 8];
    UnixStream::connect(&socket).await.unwrap().read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"NBDMAGIC");
    let error = setting.images.evict_image(&call(), setting.evict()).await.unwrap_err();
    assert!(matches!(&error, AgentError::InUse { user, .. } if user.contains("VM")), "{error:?}");
    drop(qemu);
    setting.images.evict_image(&call(), setting.evict()).await.unwrap();
    assert_eq!(tree(setting.primary.path()), Vec::<String>::new());
}
