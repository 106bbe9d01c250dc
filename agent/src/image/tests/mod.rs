//! Images, from the caller's side: real files, a real qemu-img, real connections.

mod adding;
mod caching;
mod delta;
mod exporting;
mod failing;
mod moving;
mod peers;
mod tidying;
mod web;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use gantry_common::{
    agent::{AddImage, AgentError, Call, ImageFacts, ImageFormat},
    id::{ImageUuid, OperationId},
};
use md5::{Digest, Md5};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::*;
use crate::image::download::http_client_builder;
pub(crate) use crate::storage::tests::{SmallDisk, qemu_img, tree};

fn call() -> Call {
    Call::detached(OperationId::random())
}

fn md5_of(content: &[u8]) -> String {
    Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Images that know no peers.
fn images() -> Images {
    images_with(http_client_builder())
}

fn images_with(http: reqwest::ClientBuilder) -> Images {
    let nobody = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    // The environment's proxies do not reach this machine's own addresses.
    Images::new(http.no_proxy().build().unwrap(), Arc::new(nobody), PathLocks::default())
}

/// An image store for a test, and where its image goes.
struct Store {
    directory: tempfile::TempDir,
    image: ImageUuid,
}

impl Store {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), image: ImageUuid::random() }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn path(&self) -> PathBuf {
        self.root().join("images").join(self.image.to_string()).join("image")
    }

    fn add(&self, url: &str, format: ImageFormat) -> AddImage {
        add_image(self.root(), &self.path(), self.image, url, format)
    }

    /// Nothing is there but the marker, if even that.
    fn assert_clean(&self) {
        assert!(tree(self.root()).iter().all(|name| name == STORE_MARKER), "{:?}", tree(self.root()));
    }
}

fn add_image(root: &Path, path: &Path, image: ImageUuid, url: &str, format: ImageFormat) -> AddImage {
    AddImage {
        image,
        url: url.into(),
        format,
        digest: None,
        root: root.display().to_string(),
        path: path.display().to_string(),
    }
}

/// A qcow2 image with something in it.
fn qcow2(length: usize) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (raw, path) = (directory.path().join("raw"), directory.path().join("image"));
    fs::write(&raw, noise(length)).unwrap();
    qemu_img(&["convert", "-O", "qcow2", raw.to_str().unwrap(), path.to_str().unwrap()]);
    fs::read(path).unwrap()
}

/// Bytes without repetition, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// A file that every user may read.
fn public_file(directory: &Path, content: &[u8]) -> PathBuf {
    let path = directory.join("public");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

fn assert_facts(facts: &ImageFacts, content: &[u8], size_bytes: u64, format: ImageFormat) {
    let expected = ImageFacts { size_bytes, actual_bytes: content.len() as u64, md5: md5_of(content), format };
    assert_eq!(*facts, expected);
}
