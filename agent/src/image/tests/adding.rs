//! Adding images that can be added, and deleting them.

use std::{
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use gantry_common::agent::{DeleteImage, DigestAlgorithm, ExpectedDigest, Progress};
use sha2::Sha256;

use super::{
    web::{Answer, Content, Web, other},
    *,
};

const MIB: usize = 1 << 20;

fn delete(store: &Store) -> DeleteImage {
    DeleteImage { root: store.root().display().to_string(), path: store.path().display().to_string() }
}

#[tokio::test]
async fn an_image_is_downloaded_measured_recorded_found_again_and_deleted() {
    let content = Arc::new(qcow2(3 * MIB));
    let served = content.clone();
    let web = Web::serve(move |_| Answer::Content(Content::new(&served))).await;
    let (store, images) = (Store::new(), images());
    let mut command = store.add(&web.url(), ImageFormat::Qcow2);
    let sha256 = Sha256::digest(&*content).iter().map(|byte| format!("{byte:02x}")).collect();
    command.digest = Some(ExpectedDigest { algorithm: DigestAlgorithm::Sha256, hex: sha256 });

    let furthest = Arc::new(AtomicU64::new(0));
    let follow = furthest.clone();
    let progress = move |progress: Progress| {
        assert!(follow.swap(progress.done_bytes, Ordering::SeqCst) <= progress.done_bytes);
    };
    let followed = Call::new(OperationId::random(), Arc::new(progress));
    let facts = images.add_image(&followed, command.clone()).await.unwrap();
    assert_facts(&facts, &content, 3 * MIB as u64, ImageFormat::Qcow2);
    assert!(furthest.load(Ordering::SeqCst) > 0);
    assert_eq!(fs::read(store.path()).unwrap(), *content);
    assert_eq!(fs::metadata(store.path()).unwrap().mode() & 0o777, 0o400);
    let image = format!("images/{}", store.image);
    let beside = ["", ".chunks", ".json"].map(|suffix| format!("{image}/image{suffix}"));
    let expected = [STORE_MARKER, "images", &image, &beside[0], &beside[1], &beside[2]];
    assert_eq!(tree(store.root()), expected);

    assert_eq!(images.add_image(&call(), command).await.unwrap(), facts);
    assert_eq!(web.count(), 1);

    for _ in 0..2 {
        images.delete_image(&call(), delete(&store)).await.unwrap();
        assert_eq!(tree(store.root()), [STORE_MARKER]);
    }
}

#[tokio::test]
async fn a_dropped_download_goes_on_where_it_was() {
    let content = Arc::new(noise(5 * MIB));
    let served = content.clone();
    let web = Web::serve(move |number| {
        Answer::Content(Content { cut_after: (number < 2).then_some(2 * MIB), ..Content::new(&served) })
    })
    .await;
    let store = Store::new();
    let facts = images().add_image(&call(), store.add(&web.url(), ImageFormat::Raw)).await.unwrap();
    assert_facts(&facts, &content, 5 * MIB as u64, ImageFormat::Raw);
    assert_eq!(fs::read(store.path()).unwrap(), *content);
    let requests = web.requests.lock();
    assert_eq!(requests.len(), 3);
    assert!(!requests[0].contains("range:"));
    assert!(
        requests[1].contains("range: bytes=2097152-") && requests[1].contains("if-range: \"1\""),
        "{}",
        requests[1]
    );
    assert!(requests[2].contains("range: bytes=4194304-"), "{}", requests[2]);
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_is_asked_from_the_start() {
    let content = Arc::new(noise(3 * MIB));
    let served = content.clone();
    let web = Web::serve(move |number| {
        let cut_after = (number == 0).then_some(MIB);
        Answer::Content(Content { ranges: false, length: number > 0, cut_after, ..Content::new(&served) })
    })
    .await;
    // Without a length, the cut looks like the end; the digest tells.
    let store = Store::new();
    let mut command = store.add(&web.url(), ImageFormat::Raw);
    command.digest = Some(ExpectedDigest { algorithm: DigestAlgorithm::Md5, hex: md5_of(&content) });
    assert!(matches!(images().add_image(&call(), command.clone()).await, Err(AgentError::Corrupt { .. })));
    store.assert_clean();
    images().add_image(&call(), command).await.unwrap();

    let served = content.clone();
    let web = Web::serve(move |number| {
        Answer::Content(Content { ranges: false, cut_after: (number == 0).then_some(MIB), ..Content::new(&served) })
    })
    .await;
    let store = Store::new();
    let facts = images().add_image(&call(), store.add(&web.url(), ImageFormat::Raw)).await.unwrap();
    assert_facts(&facts, &content, 3 * MIB as u64, ImageFormat::Raw);
}

#[tokio::test]
async fn a_file_that_changes_between_two_attempts_is_not_joined_of_two_versions() {
    let (old, new) = (Arc::new(vec![1; 3 * MIB]), Arc::new(noise(3 * MIB)));
    let latest = new.clone();
    let web = Web::serve(move |number| match number {
        0 => Answer::Content(Content { cut_after: Some(MIB), ..Content::new(&old) }),
        _ => Answer::Content(Content { tag: "\"2\"", ..Content::new(&latest) }),
    })
    .await;
    let store = Store::new();
    let facts = images().add_image(&call(), store.add(&web.url(), ImageFormat::Raw)).await.unwrap();
    assert_facts(&facts, &new, 3 * MIB as u64, ImageFormat::Raw);
    assert_eq!(fs::read(store.path()).unwrap(), *new);
}

#[tokio::test]
async fn a_busy_and_a_silent_server_are_asked_again() {
    let content = Arc::new(noise(2 * MIB));
    let served = content.clone();
    let web = Web::serve(move |number| match number {
        0 => other("503 Service Unavailable", "text/plain", "busy"),
        1 => Answer::Content(Content { stall_after: Some(MIB), ..Content::new(&served) }),
        _ => Answer::Content(Content::new(&served)),
    })
    .await;
    let store = Store::new();
    let images = images_with(http_client_builder().read_timeout(Duration::from_millis(300)));
    let facts = images.add_image(&call(), store.add(&web.url(), ImageFormat::Raw)).await.unwrap();
    assert_facts(&facts, &content, 2 * MIB as u64, ImageFormat::Raw);
    assert!(web.requests.lock()[2].contains("range: bytes="));
}

#[tokio::test]
async fn callers_at_once_share_one_download_and_one_that_leaves_does_not_end_it() {
    let content = Arc::new(noise(2 * MIB));
    let served = content.clone();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    let web = Web::serve(move |number| {
        if number > 0 {
            tokio::task::block_in_place(|| gate.lock().recv().unwrap());
        }
        Answer::Content(Content { cut_after: (number == 0).then_some(MIB), ..Content::new(&served) })
    });
    // The server's own threads: it blocks until the test lets it go on.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let web = runtime.spawn(web).await.unwrap();
    let (store, images) = (Store::new(), images());
    let calls: Vec<_> = (0..3).map(|_| call()).collect();
    let tasks: Vec<_> = calls
        .iter()
        .map(|call| {
            let (images, call, command) = (images.clone(), call.clone(), store.add(&web.url(), ImageFormat::Raw));
            tokio::spawn(async move { images.add_image(&call, command).await })
        })
        .collect();
    while web.count() < 2 {
        tokio::task::yield_now().await;
    }
    calls[0].cancelled.cancel();
    let mut outcomes = tasks.into_iter();
    assert_eq!(outcomes.next().unwrap().await.unwrap(), Err(AgentError::Cancelled));
    release.send(()).unwrap();
    for outcome in outcomes {
        assert_facts(&outcome.await.unwrap().unwrap(), &content, 2 * MIB as u64, ImageFormat::Raw);
    }
    assert_eq!(web.count(), 2);
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_file_of_this_host_is_copied_and_its_zeroes_take_no_space() {
    // A file system of its own, so that no blocks can be shared.
    let disk = SmallDisk::new("size=16m");
    let mut content = vec![0; 8 * MIB];
    content[4 * MIB..4 * MIB + 5].copy_from_slice(b"hello");
    let file = public_file(disk.path(), &content);
    let store = Store::new();
    let command = store.add(&format!("file://{}", file.display()), ImageFormat::Raw);
    let facts = images().add_image(&call(), command).await.unwrap();
    assert_facts(&facts, &content, 8 * MIB as u64, ImageFormat::Raw);
    assert_eq!(fs::read(store.path()).unwrap(), content);
    let taken_bytes = fs::metadata(store.path()).unwrap().blocks() * 512;
    assert!(taken_bytes <= MIB as u64, "{taken_bytes}");
}

#[tokio::test]
async fn what_a_killed_agent_left_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let content = noise(MIB);
    let file = public_file(directory.path(), &content);
    let store = Store::new();
    let command = store.add(&format!("file://{}", file.display()), ImageFormat::Raw);
    // Killed during the transfer, while the record was written, and between the record and the image.
    fs::create_dir_all(store.path().parent().unwrap()).unwrap();
    for (name, left) in [("image.0a.part", "part"), ("image.0a.json.part", "{"), ("image.json", "{}")] {
        fs::write(store.path().with_file_name(name), left).unwrap();
    }
    let facts = images().add_image(&call(), command.clone()).await.unwrap();
    assert_facts(&facts, &content, MIB as u64, ImageFormat::Raw);
    assert_eq!(fs::read_dir(store.path().parent().unwrap()).unwrap().count(), 3);

    // Killed after the image took its name: the repeat finds it, even without its source.
    fs::remove_file(file).unwrap();
    assert_eq!(images().add_image(&call(), command).await.unwrap(), facts);
}
