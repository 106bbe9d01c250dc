//! Images: the image store on this host and the image caches of its primary storages.
//!
//! Beside every image lies its record (`<image>.json`), written before the image takes its name. An image without one was
//! not put there by Gantry; a record without its image is what a killed agent leaves, and means nothing. Beside an image of
//! a store lies the list of its chunks as well (`<image>.chunks`), which can be made again from the image.

mod add;
mod cache;
mod chunk;
mod delta;
mod digest;
mod download;
mod evict;
mod expected;
mod export;
mod fetch;
mod flatten;
mod format;
mod local;
mod offer;
mod peer;
mod qcow2;
mod record;
mod serve;
mod shared_job;
mod sink;
mod source;
mod store;
mod survey;
mod volume_copy;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use gantry_common::agent::{
    AddImage, AgentError, CacheImage, Call, CopyVolume, DeleteImage, EvictImage, FetchImage, FetchedImage,
    FlattenVolume, ImageFacts, ImageStoreSurvey, LabelImage, MeasureImage, OfferFile, OfferedFile, ReclaimSpace,
    ReclaimedSpace, StorageSurvey, SurveyImageStore, SurveyStorage, VolumeSize,
};
use rustls::ClientConfig;

pub use self::{download::http_client, export::Exports};
use self::{offer::Offers, shared_job::SharedJobs};
use crate::storage::{PathLocks, StoragePath, StorageRoot, blocking};

/// The file that marks a directory as an image store, whose images other agents may fetch.
const STORE_MARKER: &str = ".gantry-image-store";

/// The images of this host.
#[derive(Clone)]
pub struct Images {
    http: reqwest::Client,
    peers: Arc<ClientConfig>,
    locks: PathLocks,
    jobs: SharedJobs<ImageFacts>,
    copies: SharedJobs<VolumeSize>,
    fetches: SharedJobs<FetchedImage>,
    offers: Offers,
}

impl Images {
    /// Images that are fetched with `http` (see [`http_client`]) and, from other agents, with the identity and the
    /// authority in `peers`. The `locks` must be the storages' own.
    pub fn new(http: reqwest::Client, peers: Arc<ClientConfig>, locks: PathLocks) -> Self {
        let (jobs, copies, fetches) = (SharedJobs::default(), SharedJobs::default(), SharedJobs::default());
        Self { http, peers, locks, jobs, copies, fetches, offers: Offers::default() }
    }

    /// Brings an image from a URL into this host's image store: downloaded, checked, measured. The same call at the same
    /// time shares one download; the same call again finds the image there.
    pub async fn add_image(&self, call: &Call, command: AddImage) -> Result<ImageFacts, AgentError> {
        let (http, locks) = (self.http.clone(), self.locks.clone());
        self.jobs.join(call, &command.clone(), |call| add::add(http, locks, call, command)).await
    }

    /// Deletes an image from this host's image store. An image that is not there is a success.
    pub async fn delete_image(&self, call: &Call, command: DeleteImage) -> Result<(), AgentError> {
        let target = StoragePath::prove(command.root, command.path).await?;
        let guard = self.locks.exclusive(call, target.as_path()).await?;
        blocking(move || {
            let _guard = guard;
            record::delete_image(&target)
        })
        .await
    }

    /// Brings an image from an image store, here or on a peer, into a primary storage's image cache. The same call at the
    /// same time shares one transfer.
    pub async fn cache_image(&self, call: &Call, command: CacheImage) -> Result<ImageFacts, AgentError> {
        let (peers, locks) = (self.peers.clone(), self.locks.clone());
        self.jobs.join(call, &command.clone(), |call| cache::cache(peers, locks, call, command)).await
    }

    /// Deletes an image from a primary storage's image cache, unless a volume stands on it or a VM has it open.
    pub async fn evict_image(&self, call: &Call, command: EvictImage) -> Result<(), AgentError> {
        let (root, target) = blocking(move || {
            let root = StorageRoot::parse("root", &command.root)?;
            let target = root.below("path", &command.path)?;
            Ok((root, target))
        })
        .await?;
        let guard = self.locks.exclusive(call, target.as_path()).await?;
        blocking(move || {
            let _guard = guard;
            evict::evict(&root, &target)
        })
        .await
    }

    /// What a storage holds: its capacity, what its files take, the images in its cache.
    pub async fn survey_storage(&self, command: SurveyStorage) -> Result<StorageSurvey, AgentError> {
        blocking(move || survey::survey(&StorageRoot::existing(&command.root)?)).await
    }

    /// Lets one host fetch a volume or a cached image, and tells what is to be expected of it.
    pub async fn offer_file(&self, call: &Call, command: OfferFile) -> Result<OfferedFile, AgentError> {
        offer::offer(self.offers.clone(), self.locks.clone(), call.clone(), command).await
    }

    /// Makes a copy of an offered volume, of this host or of a peer. The same call at the same time shares one copy.
    pub async fn copy_volume(&self, call: &Call, command: CopyVolume) -> Result<VolumeSize, AgentError> {
        let (peers, locks) = (self.peers.clone(), self.locks.clone());
        self.copies.join(call, &command.clone(), |call| volume_copy::copy(peers, locks, call, command)).await
    }

    /// Makes a self-contained copy of a volume that no VM has open. The same call at the same time shares one copy.
    pub async fn flatten_volume(&self, call: &Call, command: FlattenVolume) -> Result<VolumeSize, AgentError> {
        let locks = self.locks.clone();
        self.copies.join(call, &command.clone(), |call| flatten::flatten(locks, call, command)).await
    }

    /// Brings a file of a storage, here or on a peer, into this host's image store; only what is missing travels. The same
    /// call at the same time shares one transfer.
    pub async fn fetch_image(&self, call: &Call, command: FetchImage) -> Result<FetchedImage, AgentError> {
        let (peers, locks) = (self.peers.clone(), self.locks.clone());
        self.fetches.join(call, &command.clone(), |call| fetch::fetch(peers, locks, call, command)).await
    }

    /// Measures an image of this host's image store.
    pub async fn measure_image(&self, command: MeasureImage) -> Result<ImageFacts, AgentError> {
        store::measure(command).await
    }

    /// Which images are in this host's image store.
    pub async fn survey_image_store(&self, command: SurveyImageStore) -> Result<ImageStoreSurvey, AgentError> {
        blocking(move || store::survey(&StorageRoot::existing(&command.root)?)).await
    }

    /// Puts down beside an image of this host's image store what the node knows of it.
    pub async fn label_image(&self, call: &Call, command: LabelImage) -> Result<(), AgentError> {
        store::label(self.locks.clone(), call.clone(), command).await
    }

    /// Removes from this host's image store what nothing needs.
    pub async fn reclaim_space(&self, call: &Call, command: ReclaimSpace) -> Result<ReclaimedSpace, AgentError> {
        store::reclaim(self.locks.clone(), call.clone(), command).await
    }

    /// The images of this host's image stores and what is offered to a host, for other agents: `GET /v1/images?path=…`.
    /// Whoever mounts it must admit only agents of the same management node.
    pub fn serve(&self) -> Router {
        serve::router(self.offers.clone())
    }
}
