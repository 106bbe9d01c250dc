//! What an image store holds, and what nothing needs in it.

use std::{
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use gantry_common::{
    agent::{CreateVolume, FlattenVolume, LabelImage, MeasureImage, ReclaimSpace, SurveyImageStore, SurveyedImage},
    id::VolumeUuid,
};

use super::*;
use crate::storage::Storages;

const MIB: usize = 1 << 20;

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn add(images: &Images, store: &Store) -> ImageFacts {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", public_file(directory.path(), &qcow2(MIB)).display());
    images.add_image(&call(), store.add(&url, ImageFormat::Qcow2)).await.unwrap()
}

#[tokio::test]
async fn reclaiming_takes_orphans_and_leftovers_and_nothing_else() {
    let (images, store) = (images(), Store::new());
    let kept = add(&images, &store).await;
    let orphan = Store { directory: store.directory, image: ImageUuid::random() };
    add(&images, &orphan).await;
    let survey = images.survey_image_store(SurveyImageStore { root: text(orphan.root()) }).await.unwrap();
    let mut found: Vec<String> = survey.images.iter().map(|image| image.path.clone()).collect();
    assert_eq!(found.len(), 2);
    found.retain(|path| *path != text(&orphan.path()));

    // What killed attempts leave of an image that is there, and of one that is not; and what people keep there.
    let gone = orphan.root().join(format!("images/{}", ImageUuid::random()));
    fs::create_dir(&gone).unwrap();
    let whole = found.remove(0);
    let operation = OperationId::random();
    let left = [
        PathBuf::from(format!("{whole}.{operation}.part")),
        gone.join(format!("image.{operation}.part")),
        gone.join(format!("image.{operation}.json.part")),
        gone.join("image.json"),
        gone.join("image.chunks"),
    ];
    for path in &left {
        fs::write(path, vec![1; 100_000]).unwrap();
    }
    let theirs = [orphan.root().join("notes.json"), orphan.root().join("images/film.part"), gone.join("my.part")];
    for path in &theirs {
        fs::write(path, "mine").unwrap();
    }
    let taken = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    let beside = ["", ".json", ".chunks"].map(|suffix| PathBuf::from(format!("{}{suffix}", text(&orphan.path()))));
    let expected: u64 = left.iter().chain(&beside).map(|path| taken(path)).sum();

    // Somebody is at work on the whole image: its part stays.
    let reclaim = ReclaimSpace { root: text(orphan.root()), orphans: vec![text(&orphan.path())] };
    let busy = images.locks.exclusive(&call(), Path::new(&whole)).await.unwrap();
    let part_bytes = taken(&left[0]);
    let reclaimed = images.reclaim_space(&call(), reclaim.clone()).await.unwrap();
    drop(busy);
    assert_eq!((reclaimed.files, reclaimed.bytes), (7, expected - part_bytes));
    assert!(left[0].exists() && !left[1..].iter().chain(&beside).any(|path| path.exists()));
    let reclaimed = images.reclaim_space(&call(), reclaim.clone()).await.unwrap();
    assert_eq!((reclaimed.files, reclaimed.bytes), (1, part_bytes));
    assert_eq!(images.reclaim_space(&call(), reclaim).await.unwrap().files, 0);
    assert!(theirs.iter().all(|path| path.exists()));
    assert_eq!(measure(&images, orphan.root(), &whole).await.unwrap(), kept);
}

#[tokio::test]
async fn a_survey_tells_what_images_are_and_what_the_node_put_down_of_them() {
    let (images, store) = (images(), Store::new());
    let facts = add(&images, &store).await;
    let survey =
        async || images.survey_image_store(SurveyImageStore { root: text(store.root()) }).await.unwrap().images;
    let known = SurveyedImage { path: text(&store.path()), image: store.image, facts: Some(facts), label: None };
    assert_eq!(survey().await, std::slice::from_ref(&known));
    let label = serde_json::json!({ "name": "Debian" });
    let put = |path| LabelImage { root: text(store.root()), path, label: label.clone() };
    for _ in 0..2 {
        images.label_image(&call(), put(text(&store.path()))).await.unwrap();
        assert_eq!(survey().await, [SurveyedImage { label: Some(label.clone()), ..known.clone() }]);
    }
    assert!(!tree(store.root()).iter().any(|name| name.ends_with(".part")));
    let absent = images.label_image(&call(), put(text(&store.root().join("images/absent")))).await;
    assert!(matches!(absent, Err(AgentError::NotFound { .. })), "{absent:?}");

    // One that is cut off is there, and says no more what it is.
    fs::set_permissions(store.path(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(store.path(), "cut off").unwrap();
    assert_eq!(survey().await, [SurveyedImage { facts: None, label: Some(label.clone()), ..known }]);
    let cut_off = images.label_image(&call(), put(text(&store.path()))).await;
    assert!(matches!(cut_off, Err(AgentError::Corrupt { .. })), "{cut_off:?}");
}

async fn measure(images: &Images, root: &Path, path: &str) -> Result<ImageFacts, AgentError> {
    images.measure_image(MeasureImage { root: text(root), path: path.to_owned() }).await
}

#[tokio::test]
async fn an_image_that_is_gone_or_cut_off_is_not_measured() {
    let (images, store) = (images(), Store::new());
    add(&images, &store).await;
    fs::set_permissions(store.path(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(store.path(), "cut off").unwrap();
    let error = measure(&images, store.root(), &text(&store.path())).await.unwrap_err();
    assert!(matches!(error, AgentError::Corrupt { .. }), "{error:?}");
    fs::remove_file(store.path()).unwrap();
    let error = measure(&images, store.root(), &text(&store.path())).await.unwrap_err();
    assert!(matches!(error, AgentError::NotFound { .. }), "{error:?}");
}

/// A volume on an image, into which a guest has written.
async fn volume(storage: &Path) -> PathBuf {
    let image = storage.join("image.qcow2");
    fs::write(&image, qcow2(4 * MIB)).unwrap();
    let path = storage.join("volume.qcow2");
    let create = CreateVolume {
        volume: VolumeUuid::random(),
        root: text(storage),
        path: text(&path),
        size_bytes: 0,
        backing_path: Some(text(&image)),
    };
    Storages::new(PathLocks::default()).create_volume(&call(), create).await.unwrap();
    let wrote = Command::new("qemu-io").args(["-f", "qcow2", "-c", "write -P 0x5a 1M 1M"]).arg(&path).output().unwrap();
    assert!(wrote.status.success());
    path
}

#[tokio::test]
async fn a_flattened_volume_holds_what_the_guest_sees_and_stands_on_nothing() {
    let storage = tempfile::tempdir().unwrap();
    let source = volume(storage.path()).await;
    let flat = storage.path().join("templates/flat.qcow2");
    let command = FlattenVolume { root: text(storage.path()), source_path: text(&source), path: text(&flat) };
    let images = images();
    let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let progress = {
        let told = told.clone();
        Arc::new(move |seen: gantry_common::agent::Progress| told.lock().push(seen.done_bytes))
    };
    let size = images.flatten_volume(&Call::new(OperationId::random(), progress), command.clone()).await.unwrap();
    assert_eq!(size.size_bytes, 4 * MIB as u64);
    assert!(!told.lock().is_empty(), "nothing was told of the progress");
    let same = Command::new("qemu-img").arg("compare").args([&source, &flat]).output().unwrap();
    assert!(same.status.success(), "{same:?}");
    let info = Command::new("qemu-img").args(["info", "--output=json"]).arg(&flat).output().unwrap();
    assert!(!String::from_utf8_lossy(&info.stdout).contains("backing"), "{info:?}");
    // Once more is as once.
    let before = fs::metadata(&flat).unwrap().ino();
    images.flatten_volume(&call(), command.clone()).await.unwrap();
    assert_eq!(fs::metadata(&flat).unwrap().ino(), before);
    fs::remove_file(&flat).unwrap();
    fs::remove_dir(flat.parent().unwrap()).unwrap();

    let before = tree(storage.path());
    let mut vm = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "sleep 600000"])
        .arg(&source)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let opened = || crate::image::evict::is_open_in_qemu(&source).unwrap();
    while !opened() {
        tokio::task::yield_now().await;
    }
    let refused = images.flatten_volume(&call(), command.clone()).await.unwrap_err();
    vm.kill().unwrap();
    vm.wait().unwrap();
    assert!(matches!(&refused, AgentError::InUse { what, .. } if *what == text(&source)), "{refused:?}");
    let cancelled = call();
    cancelled.cancelled.cancel();
    assert_eq!(images.flatten_volume(&cancelled, command.clone()).await, Err(AgentError::Cancelled));
    let absent = FlattenVolume { source_path: text(&storage.path().join("absent")), ..command };
    assert!(matches!(images.flatten_volume(&call(), absent).await.unwrap_err(), AgentError::NotFound { .. }));
    assert_eq!(tree(storage.path()), before);
}

#[tokio::test]
async fn looking_whether_qemu_has_a_volume_open_keeps_no_qemu_from_opening_it() {
    let storage = tempfile::tempdir().unwrap();
    let path = volume(storage.path()).await;
    let (done, looked_at) = (Arc::new(AtomicBool::new(false)), path.clone());
    let looking = {
        let done = done.clone();
        std::thread::spawn(move || {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                seen += u32::from(crate::image::evict::is_open_in_qemu(&looked_at).unwrap());
            }
            seen
        })
    };
    for _ in 0..20 {
        let opened = Command::new("qemu-io").args(["-f", "qcow2", "-c", "read 0 4k"]).arg(&path).output().unwrap();
        assert!(opened.status.success(), "{opened:?}");
    }
    done.store(true, Ordering::Relaxed);
    assert!(looking.join().unwrap() > 0, "it was never seen open");
}
