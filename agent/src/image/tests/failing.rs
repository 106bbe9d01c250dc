//! Adding images that cannot be added: the error says why, and nothing stays.

use std::os::unix::fs::symlink;

use gantry_common::agent::{DigestAlgorithm, ExpectedDigest};

use super::{
    web::{Answer, Content, Web, other},
    *,
};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_server_that_announces_more_than_it_has_is_given_up() {
    let content = Arc::new(noise(2 * MIB));
    let web = Web::serve(move |_| Answer::Content(Content { excess: 10, ..Content::new(&content) })).await;
    let store = Store::new();
    let error = images().add_image(&call(), store.add(&web.url(), ImageFormat::Raw)).await.unwrap_err();
    assert!(matches!(&error, AgentError::Transfer { reason, .. } if reason.contains("gave up")), "{error:?}");
    store.assert_clean();
}

#[tokio::test]
async fn a_digest_that_differs_is_named_with_the_one_expected() {
    let content = Arc::new(noise(MIB));
    let md5 = md5_of(&content);
    let web = Web::serve(move |_| Answer::Content(Content::new(&content))).await;
    let store = Store::new();
    let mut command = store.add(&web.url(), ImageFormat::Raw);
    let expected = "0".repeat(32);
    command.digest = Some(ExpectedDigest { algorithm: DigestAlgorithm::Md5, hex: expected.clone() });
    let error = images().add_image(&call(), command.clone()).await.unwrap_err();
    let AgentError::Corrupt { reason, .. } = error else { panic!("{error:?}") };
    assert!(reason.contains(&md5) && reason.contains(&expected));
    store.assert_clean();

    command.digest = Some(ExpectedDigest { algorithm: DigestAlgorithm::Sha256, hex: md5 });
    let error = images().add_image(&call(), command).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "digest"), "{error:?}");
    assert_eq!(web.count(), 1);
}

#[tokio::test]
async fn a_cancelled_download_leaves_nothing_once_the_call_returns() {
    let content = Arc::new(noise(3 * MIB));
    let web =
        Web::serve(move |_| Answer::Content(Content { stall_after: Some(2 * MIB), ..Content::new(&content) })).await;
    let store = Store::new();
    let call = call();
    let (images, command) = (images(), store.add(&web.url(), ImageFormat::Raw));
    let task = tokio::spawn({
        let call = call.clone();
        async move { images.add_image(&call, command).await }
    });
    let arrived = || {
        let part = tree(store.root()).into_iter().find(|name| name.ends_with(".part"));
        part.and_then(|part| fs::metadata(store.root().join(part)).ok()).map_or(0, |metadata| metadata.len())
    };
    while arrived() < MIB as u64 {
        tokio::task::yield_now().await;
    }
    call.cancelled.cancel();
    assert_eq!(task.await.unwrap(), Err(AgentError::Cancelled));
    store.assert_clean();
}

#[tokio::test]
async fn refusals_of_the_server_are_told_in_its_words() {
    for (answer, expected) in [
        (other("404 Not Found", "text/plain", "no such\x07 image"), "404 Not Found: no such image"),
        (other("403 Forbidden", "text/html", "<html>"), "403 Forbidden"),
        (other("200 OK", "text/html", "<!DOCTYPE html><title>Please log in</title>"), "web page"),
        (other("200 OK", "application/octet-stream", ""), "empty"),
    ] {
        let web = Web::serve(move |_| answer.clone()).await;
        let store = Store::new();
        let error =
            images().add_image(&call(), store.add(&web.url(), ImageFormat::Qcow2)).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(web.count(), 1, "a final answer is not asked for again");
        store.assert_clean();
    }
}

#[tokio::test]
async fn redirects_are_followed_and_not_for_ever() {
    let content = Arc::new(noise(MIB));
    let web = Web::serve(move |_| Answer::Content(Content::new(&content))).await;
    let to = |url: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
        Answer::Other { head, body: String::new() }
    };
    let once = to(&web.url());
    let redirecting = Web::serve(move |_| once.clone()).await;
    let store = Store::new();
    images().add_image(&call(), store.add(&redirecting.url(), ImageFormat::Raw)).await.unwrap();

    let round = to("/image");
    let redirecting = Web::serve(move |_| round.clone()).await;
    let store = Store::new();
    let error = images().add_image(&call(), store.add(&redirecting.url(), ImageFormat::Raw)).await.unwrap_err();
    assert!(error.to_string().contains("more than 10 redirects"), "{error}");
    store.assert_clean();
}

#[tokio::test]
async fn credentials_reach_the_server_and_neither_the_error_nor_the_record() {
    let content = Arc::new(noise(MIB));
    let web = Web::serve(move |number| match number {
        0 => other("401 Unauthorized", "text/plain", "who are you?"),
        _ => Answer::Content(Content::new(&content)),
    })
    .await;
    let store = Store::new();
    let url = format!("http://alice:hunter2@{}/image?token=hunter2", web.address);
    let error = images().add_image(&call(), store.add(&url, ImageFormat::Raw)).await.unwrap_err();
    assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error:?}");
    images().add_image(&call(), store.add(&url, ImageFormat::Raw)).await.unwrap();
    let record = fs::read_to_string(store.path().with_file_name("image.json")).unwrap();
    assert!(record.contains(&web.address) && !record.contains("hunter2") && !record.contains("alice"), "{record}");
    assert!(web.requests.lock()[1].contains("authorization: basic ywxpy2u6ahvudgvymg=="));

    let unreachable = "http://alice:hunter2@127.0.0.1:1/image?token=hunter2";
    let error = images().add_image(&call(), Store::new().add(unreachable, ImageFormat::Raw)).await.unwrap_err();
    assert!(error.to_string().contains("refused") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_disk_too_small_is_refused_ahead_or_when_it_is_full_and_nothing_stays() {
    let content = Arc::new(noise(4 * MIB));
    for length in [true, false] {
        let served = content.clone();
        let web = Web::serve(move |_| Answer::Content(Content { length, ..Content::new(&served) })).await;
        let disk = SmallDisk::new("size=2m");
        let path = disk.path().join("images/image");
        let command = add_image(disk.path(), &path, ImageUuid::random(), &web.url(), ImageFormat::Raw);
        let error = images().add_image(&call(), command).await.unwrap_err();
        assert!(matches!(error, AgentError::NoSpace { .. }), "{error:?}");
        assert_eq!(tree(disk.path()), [STORE_MARKER]);
        assert_eq!(web.count(), 1);
    }
}

#[tokio::test]
async fn an_image_that_would_open_other_files_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("evil.qcow2");
    for options in ["backing_file=/etc/shadow,backing_fmt=raw", "data_file=/tmp/gantry-test-data"] {
        qemu_img(&["create", "-u", "-f", "qcow2", "-o", options, path.to_str().unwrap(), "1M"]);
        let file = public_file(directory.path(), &fs::read(&path).unwrap());
        let store = Store::new();
        let command = store.add(&format!("file://{}", file.display()), ImageFormat::Qcow2);
        let error = images().add_image(&call(), command).await.unwrap_err();
        assert!(matches!(&error, AgentError::Corrupt { reason, .. } if reason.contains("self-contained")), "{error:?}");
        store.assert_clean();
    }
    let _ = fs::remove_file("/tmp/gantry-test-data");
}

#[tokio::test]
async fn what_is_at_the_path_already_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", public_file(directory.path(), &noise(MIB)).display());
    let store = Store::new();
    fs::create_dir_all(store.path().parent().unwrap()).unwrap();
    fs::write(store.path(), "somebody's").unwrap();
    let command = store.add(&url, ImageFormat::Raw);
    let error = images().add_image(&call(), command.clone()).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "path"), "{error:?}");
    assert_eq!(fs::read(store.path()).unwrap(), b"somebody's");

    fs::remove_file(store.path()).unwrap();
    images().add_image(&call(), command.clone()).await.unwrap();
    let other = AddImage { image: ImageUuid::random(), ..command.clone() };
    let error = images().add_image(&call(), other.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&other.image.to_string()) && error.contains(&store.image.to_string()), "{error}");

    fs::remove_file(store.path()).unwrap();
    fs::write(store.path(), "cut off").unwrap();
    let error = images().add_image(&call(), command).await.unwrap_err();
    assert!(matches!(error, AgentError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn paths_and_urls_that_cannot_be_used_are_named() {
    let store = Store::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), store.root().join("out")).unwrap();
    let good = store.add("http://127.0.0.1:1/", ImageFormat::Raw);
    let path = |path: PathBuf| AddImage { path: path.display().to_string(), ..good.clone() };
    for (command, expected) in [
        (AddImage { url: "ftp://example.org/a".into(), ..good.clone() }, "url"),
        (AddImage { url: "file:///etc/shadow".into(), ..good.clone() }, "url"),
        (path(outside.path().join("image")), "path"),
        (path(store.root().join("out/image")), "path"),
        (path(store.root().join("a/../../image")), "path"),
        (AddImage { root: "/usr/share".into(), path: "/usr/share/image".into(), ..good.clone() }, "root"),
    ] {
        let error = images().add_image(&call(), command).await.unwrap_err();
        assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == expected), "{error:?}");
    }
    let absent = AddImage { root: "/gantry-absent".into(), path: "/gantry-absent/image".into(), ..good };
    assert!(matches!(images().add_image(&call(), absent).await.unwrap_err(), AgentError::NotFound { .. }));
    assert_eq!(tree(outside.path()), Vec::<String>::new());
}
