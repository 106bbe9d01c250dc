//! The image that a command asks for: whether it is there already, and whether what arrives is it.

use std::path::Path;

use gantry_common::{
    agent::{AgentError, Call, DigestAlgorithm, ExpectedDigest, ImageFacts, ImageFormat},
    id::ImageUuid,
};

use super::{digest::require_well_formed, format::inspect, record::Record, sink::Arrived};

/// What is known of an image before it arrives.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) image: ImageUuid,
    /// Where it comes from, without secrets.
    pub(crate) source: String,
    /// The digest it must have, where one is known.
    pub(crate) digest: Option<ExpectedDigest>,
    pub(crate) format: ImageFormat,
}

impl Expected {
    /// An image of another storage of Gantry's, whose MD5 is known.
    pub(crate) fn stored(image: ImageUuid, source: &str, md5: &str, format: ImageFormat) -> Result<Self, AgentError> {
        let digest = ExpectedDigest { algorithm: DigestAlgorithm::Md5, hex: md5.to_owned() };
        require_well_formed("md5", &digest)?;
        Ok(Self { image, source: source.to_owned(), digest: Some(digest), format })
    }

    /// The facts of the image at `path`, provided its content is the one that is asked for, wherever it came from.
    /// `remedy` says how an operator gets rid of another one.
    pub(crate) fn require_content(&self, there: Record, path: &Path, remedy: &str) -> Result<ImageFacts, AgentError> {
        let facts = there.facts;
        let md5 = self.digest.as_ref().map_or("", |digest| &digest.hex);
        if there.image == self.image && facts.md5.eq_ignore_ascii_case(md5) && facts.format == self.format {
            return Ok(facts);
        }
        let of = |image, md5: &str, format: ImageFormat| format!("image {image} ({}, MD5 {md5})", format.as_str());
        let remedy = format!(
            "{} is there and {} is asked for; {remedy} it first or use another path",
            of(there.image, &facts.md5, facts.format),
            of(self.image, md5, self.format)
        );
        Err(AgentError::invalid("path", path.display(), remedy))
    }

    /// The facts of the image at `path`, provided it is the one that is asked for and came from the same source.
    pub(crate) fn require_same(&self, there: Record, path: &Path) -> Result<ImageFacts, AgentError> {
        let fits = there.image == self.image
            && there.source == self.source
            && there.facts.format == self.format
            && there.digest == self.digest;
        if fits {
            return Ok(there.facts);
        }
        let remedy = format!(
            "image {} from {} is there and image {} from {} is asked for; delete it first or use another path",
            there.image, there.source, self.image, self.source
        );
        Err(AgentError::invalid("path", path.display(), remedy))
    }

    /// Proves that what has arrived is the image, and puts it in its place.
    pub(crate) async fn put_in_place(self, arrived: Arrived, call: &Call) -> Result<ImageFacts, AgentError> {
        let Self { image, source, digest, format } = self;
        if let Some(digest) = &digest {
            arrived.digests.verify(&source, digest)?;
        }
        let inspected = call.cancelled.run_until_cancelled(inspect(arrived.part.path(), &source, format));
        let size_bytes = inspected.await.ok_or(AgentError::Cancelled)??;
        let facts = ImageFacts { size_bytes, actual_bytes: arrived.length, md5: arrived.digests.md5.clone(), format };
        Record { image, source, digest, facts, label: None }.commit(arrived, call.operation).await
    }
}
