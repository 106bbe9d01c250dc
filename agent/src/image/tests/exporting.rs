//! Exported images, asked for as anybody would.

use gantry_common::agent::{ExportImage, ExportedImage};
use reqwest::{
    StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE},
};

use super::*;

const MIB: usize = 1 << 20;

/// A host with a store that has an image.
struct Host {
    store: Store,
    notes: tempfile::TempDir,
    exports: Exports,
    content: Vec<u8>,
}

impl Host {
    async fn new() -> Self {
        let (store, directory, content) = (Store::new(), tempfile::tempdir().unwrap(), noise(2 * MIB));
        let url = format!("file://{}", public_file(directory.path(), &content).display());
        images().add_image(&call(), store.add(&url, ImageFormat::Raw)).await.unwrap();
        let notes = tempfile::tempdir().unwrap();
        let exports = Exports::new(notes.path().join("exports"), ([127, 0, 0, 1], 0).into());
        Self { store, notes, exports, content }
    }

    async fn export(&self) -> ExportedImage {
        self.exports.export(self.command()).await.unwrap()
    }

    fn command(&self) -> ExportImage {
        ExportImage { root: self.store.root().display().to_string(), path: self.store.path().display().to_string() }
    }
}

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

async fn get(url: &str) -> reqwest::Response {
    reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap()
}

#[tokio::test]
async fn an_exported_image_is_served_whole_and_in_parts_at_one_place_until_that_is_ended() {
    let host = Host::new().await;
    let exported = host.export().await;
    assert_eq!(host.export().await, exported);
    let address = url(exported.port, &exported.url_path);
    assert!(address.ends_with("/image") && exported.url_path.len() > 64, "{address}");
    assert_eq!(get(&address).await.bytes().await.unwrap(), host.content);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let part = client.get(&address).header(RANGE, "bytes=1000-1999").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 1000-1999/{}", 2 * MIB));
    assert_eq!(part.bytes().await.unwrap(), host.content[1000..2000]);
    let head = client.head(&address).send().await.unwrap();
    assert_eq!(head.headers()[CONTENT_LENGTH], (2 * MIB).to_string());
    assert_eq!(client.post(&address).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);

    let token = exported.url_path.split('/').nth(2).unwrap();
    for path in [
        "/".to_owned(),
        "/exports".to_owned(),
        format!("/exports/{token}"),
        format!("/exports/{token}/other"),
        format!("/exports/{}/image", "0".repeat(64)),
        format!("/exports/..%2Fexports%2F{token}/image"),
        format!("/v1/images?path={}", host.store.path().display()),
    ] {
        assert_eq!(get(&url(exported.port, &path)).await.status(), StatusCode::NOT_FOUND, "{path}");
    }

    // A second image keeps the port open, so that its end is an answer.
    let second = Store { directory: tempfile::tempdir().unwrap(), image: ImageUuid::random() };
    let directory = tempfile::tempdir().unwrap();
    let source = format!("file://{}", public_file(directory.path(), &noise(MIB)).display());
    images().add_image(&call(), second.add(&source, ImageFormat::Raw)).await.unwrap();
    let command = ExportImage { root: second.root().display().to_string(), path: second.path().display().to_string() };
    let other = host.exports.export(command.clone()).await.unwrap();
    host.exports.end(&host.command().path).await.unwrap();
    host.exports.end(&host.command().path).await.unwrap();
    assert_eq!(get(&address).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get(&url(other.port, &other.url_path)).await.status(), StatusCode::OK);
    // An image that is gone is served no more.
    fs::remove_file(second.path()).unwrap();
    assert_eq!(get(&url(other.port, &other.url_path)).await.status(), StatusCode::NOT_FOUND);
    host.exports.end(&command.path).await.unwrap();
    assert_eq!(get(&url(other.port, &other.url_path)).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(tree(&host.notes.path().join("exports")), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_exported_is_so_still_after_a_restart_of_the_agent() {
    let host = Host::new().await;
    let exported = host.export().await;
    let listen = ([127, 0, 0, 1], exported.port).into();
    let notes = host.notes.path().join("exports");
    drop(host.exports);
    let again = Exports::new(notes, listen);
    again.resume();
    let address = url(exported.port, &exported.url_path);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = loop {
        match client.get(&address).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => break answer,
            _ => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    assert_eq!(answer.bytes().await.unwrap(), host.content);
}

#[tokio::test]
async fn what_is_no_image_of_a_store_is_not_exported_and_a_taken_port_is_named() {
    let host = Host::new().await;
    let absent = ExportImage { path: format!("{}x", host.command().path), ..host.command() };
    assert!(matches!(host.exports.export(absent).await.unwrap_err(), AgentError::NotFound { .. }));
    let outside = ExportImage { path: "/etc/passwd".into(), ..host.command() };
    let error = host.exports.export(outside).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "path"), "{error:?}");
    assert!(tree(host.notes.path()).is_empty());

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exports = Exports::new(host.notes.path().join("exports"), taken.local_addr().unwrap());
    let error = exports.export(host.command()).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "export_listen"), "{error:?}");
}
