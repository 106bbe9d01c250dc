//! Volumes that go to another host or another storage, and what a survey finds.

use std::process::{Command, Stdio};

use axum::Extension;
use gantry_common::{
    agent::{CacheImage, CopyVolume, CreateVolume, OfferFile, Peer},
    id::{HostUuid, VolumeUuid},
    role::Role,
};

use super::{peers::Authority, *};
use crate::{storage::Storages, vm::nvram_path};

const MIB: usize = 1 << 20;
const GUESTS_DATA: &str = "write -P 0x5a 3M 1M";

/// A host with a storage that has a cached image and a volume on it, into which a guest has written.
struct Source {
    host: HostUuid,
    images: Images,
    store: Store,
    storage: tempfile::TempDir,
    facts: ImageFacts,
}

fn cached(storage: &Path) -> PathBuf {
    storage.join("imagecache/template/image.qcow2")
}

fn volume(storage: &Path) -> PathBuf {
    storage.join("rootVolumes/acct-1/vol-1/1.qcow2")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

impl Source {
    async fn new() -> Self {
        let (store, directory, storage) = (Store::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let images = images();
        let url = format!("file://{}", public_file(directory.path(), &qcow2(8 * MIB)).display());
        let facts = images.add_image(&call(), store.add(&url, ImageFormat::Qcow2)).await.unwrap();
        let source = Self { host: HostUuid::random(), images, store, storage, facts };
        source
            .images
            .cache_image(
                &call(),
                source.cache(&text(source.store.root()), &source.store.path(), source.storage.path(), None),
            )
            .await
            .unwrap();
        let create = CreateVolume {
            volume: VolumeUuid::random(),
            root: text(source.storage.path()),
            path: text(&source.volume()),
            size_bytes: 0,
            backing_path: Some(text(&cached(source.storage.path()))),
        };
        Storages::new(PathLocks::default()).create_volume(&call(), create).await.unwrap();
        source.write(GUESTS_DATA);
        fs::write(nvram_path(&text(&source.volume())), "boot entries").unwrap();
        source
    }

    fn volume(&self) -> PathBuf {
        volume(self.storage.path())
    }

    fn write(&self, command: &str) {
        let written = Command::new("qemu-io").args(["-f", "qcow2", "-c", command]).arg(self.volume()).output().unwrap();
        assert!(written.status.success(), "{written:?}");
    }

    fn cache(&self, root: &str, path: &Path, storage: &Path, peer: Option<Peer>) -> CacheImage {
        CacheImage {
            image: self.store.image,
            peer,
            source_root: root.to_owned(),
            source_path: text(path),
            md5: self.facts.md5.clone(),
            format: self.facts.format,
            root: text(storage),
            path: text(&cached(storage)),
        }
    }

    async fn offer(&self, path: &Path, to: HostUuid) -> Result<OfferedFile, AgentError> {
        let command = OfferFile { root: text(self.storage.path()), path: text(path), to };
        self.images.offer_file(&call(), command).await
    }

    fn copy(&self, offered: &OfferedFile, storage: &Path, peer: Option<Peer>) -> CopyVolume {
        CopyVolume {
            volume: VolumeUuid::random(),
            peer,
            source_root: text(self.storage.path()),
            source_path: text(&self.volume()),
            md5: offered.md5.clone(),
            nvram_md5: offered.nvram_md5.clone(),
            root: text(storage),
            path: text(&volume(storage)),
            backing_path: Some(text(&cached(storage))),
        }
    }

    /// Whether a guest sees the same on both volumes.
    fn is_seen_in(&self, storage: &Path) -> bool {
        let compare = Command::new("qemu-img").arg("compare").args([self.volume(), volume(storage)]).output().unwrap();
        compare.status.success()
    }
}

#[tokio::test]
async fn a_volume_comes_from_a_peer_whole_and_stands_on_its_image_there() {
    let source = Source::new().await;
    let (authority, to) = (Authority::new(), HostUuid::random());
    let routes = source.images.serve().layer(Extension(Role::Host(to)));
    let address = authority.serve_routes(source.host, &[b"h2"], routes).await;
    let peer = Some(Peer { host: source.host, address: address.ip().to_string(), port: address.port() });
    let there = Images { peers: authority.client(to), ..images() };
    let storage = tempfile::tempdir().unwrap();

    let image = source.offer(&cached(source.storage.path()), to).await.unwrap();
    assert_eq!((image.image.as_ref(), &image.md5), (Some(&source.facts), &source.facts.md5));
    let root = text(source.storage.path());
    let cache = source.cache(&root, &cached(source.storage.path()), storage.path(), peer.clone());
    there.cache_image(&call(), cache).await.unwrap();

    let offered = source.offer(&source.volume(), to).await.unwrap();
    assert_eq!(offered.backing_path, Some(text(&cached(source.storage.path()))));
    let made = there.copy_volume(&call(), source.copy(&offered, storage.path(), peer)).await.unwrap();
    assert_eq!(made.size_bytes, 8 * MIB as u64);
    assert!(source.is_seen_in(storage.path()));
    assert_eq!(fs::read(nvram_path(&text(&volume(storage.path())))).unwrap(), b"boot entries");
    let check = Command::new("qemu-img").arg("check").arg(volume(storage.path())).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    // It needs nothing of the other host any more, and the repeat fetches nothing.
    drop(source.storage);
    let unreachable = Peer { host: source.host, address: "127.0.0.1".into(), port: 1 };
    let again =
        CopyVolume { peer: Some(unreachable), path: text(&volume(storage.path())), ..again(&offered, storage.path()) };
    assert_eq!(there.copy_volume(&call(), again).await.unwrap(), made);
}

fn again(offered: &OfferedFile, storage: &Path) -> CopyVolume {
    CopyVolume {
        volume: VolumeUuid::random(),
        peer: None,
        source_root: "/gone".into(),
        source_path: "/gone/volume".into(),
        md5: offered.md5.clone(),
        nvram_md5: None,
        root: text(storage),
        path: text(&volume(storage)),
        backing_path: Some(text(&cached(storage))),
    }
}

#[tokio::test]
async fn only_what_is_offered_and_has_not_changed_is_given_out_and_only_to_its_host() {
    let source = Source::new().await;
    let (authority, to) = (Authority::new(), HostUuid::random());
    let offered = source.offer(&source.volume(), to).await.unwrap();
    let storage = tempfile::tempdir().unwrap();
    fs::create_dir_all(cached(storage.path()).parent().unwrap()).unwrap();
    fs::copy(cached(source.storage.path()), cached(storage.path())).unwrap();
    let before = tree(storage.path());
    let copy_as = async |host: HostUuid| {
        let routes = source.images.serve().layer(Extension(Role::Host(host)));
        let address = authority.serve_routes(source.host, &[b"h2"], routes).await;
        let peer = Peer { host: source.host, address: address.ip().to_string(), port: address.port() };
        let there = Images { peers: authority.client(host), ..images() };
        there.copy_volume(&call(), source.copy(&offered, storage.path(), Some(peer))).await
    };
    for host in [HostUuid::random(), to] {
        if host == to {
            source.write("write -P 0x11 0 64k");
        }
        let error = copy_as(host).await.unwrap_err();
        assert!(matches!(&error, AgentError::Transfer { reason, .. } if reason.contains("404")), "{error:?}");
        assert_eq!(tree(storage.path()), before);
    }
}

#[tokio::test]
async fn a_copy_in_another_storage_of_the_host_stands_on_the_image_there() {
    let source = Source::new().await;
    let storage = tempfile::tempdir().unwrap();
    let root = text(source.storage.path());
    let cache = source.cache(&root, &cached(source.storage.path()), storage.path(), None);
    source.images.cache_image(&call(), cache).await.unwrap();
    let offered = source.offer(&source.volume(), source.host).await.unwrap();
    let wrong = CopyVolume { md5: "0".repeat(32), ..source.copy(&offered, storage.path(), None) };
    assert!(matches!(source.images.copy_volume(&call(), wrong).await.unwrap_err(), AgentError::Corrupt { .. }));
    assert!(!storage.path().join("rootVolumes/acct-1/vol-1/1.qcow2").exists());

    source.images.copy_volume(&call(), source.copy(&offered, storage.path(), None)).await.unwrap();
    assert!(source.is_seen_in(storage.path()));
    let info = Command::new("qemu-img").args(["info", "--output=json"]).arg(volume(storage.path())).output().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["backing-filename"], text(&cached(storage.path())));
    assert_eq!(info["backing-filename-format"], "qcow2");
}

#[tokio::test]
async fn a_volume_that_a_vm_has_open_is_not_offered() {
    let source = Source::new().await;
    let mut vm = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "sleep 600000"])
        .arg(source.volume())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let refused = loop {
        match source.offer(&source.volume(), source.host).await {
            // It has not opened it yet.
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    vm.kill().unwrap();
    vm.wait().unwrap();
    assert!(matches!(&refused, AgentError::InUse { what, .. } if *what == text(&source.volume())), "{refused:?}");
    source.offer(&source.volume(), source.host).await.unwrap();
}

#[tokio::test]
async fn a_survey_counts_as_du_does_and_lists_the_cached_images() {
    let source = Source::new().await;
    let root = source.storage.path();
    // A file with two names counts once, a sparse one by what it takes.
    fs::hard_link(source.volume(), root.join("second name")).unwrap();
    fs::File::create(root.join("sparse")).unwrap().set_len(1 << 30).unwrap();
    let survey = source.images.survey_storage(SurveyStorage { root: text(root) }).await.unwrap();
    let du = Command::new("du").args(["-s", "-x", "-B1"]).arg(root).output().unwrap();
    let du: u64 = String::from_utf8(du.stdout).unwrap().split('\t').next().unwrap().parse().unwrap();
    assert_eq!(survey.used_bytes, du);
    let vfs = nix::sys::statvfs::statvfs(root).unwrap();
    assert_eq!(survey.capacity.total_bytes, vfs.blocks() * vfs.fragment_size());
    let image = gantry_common::agent::CachedImage {
        image: source.store.image,
        path: text(&cached(root)),
        actual_bytes: source.facts.actual_bytes,
    };
    assert_eq!(survey.cached_images, [image]);
    let absent = source.images.survey_storage(SurveyStorage { root: text(&root.join("absent")) }).await;
    assert!(matches!(absent.unwrap_err(), AgentError::NotFound { .. }));
}
