//! Files that go from one storage to another: on one host, or from host to host without passing the management node.

use serde::{Deserialize, Serialize};

use super::{ImageFacts, Peer};
use crate::id::{HostUuid, VolumeUuid};

/// Lets one host fetch a file of a storage here: a cached image, or a volume that no VM has open. The offer ends with the
/// file, with its next change, and with the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfferFile {
    /// The storage's absolute path.
    pub root: String,
    /// The file's absolute path, below `root`.
    pub path: String,
    /// The host that may fetch it; this one, where the file only goes to another of its storages.
    pub to: HostUuid,
}

/// A file that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedFile {
    /// The MD5 digest of the file, in lower-case hex.
    pub md5: String,
    /// The digest of the firmware's variables that belong to a root volume, where there are any.
    pub nvram_md5: Option<String>,
    /// What a volume stands on, as it names it.
    pub backing_path: Option<String>,
    /// What is known of a cached image.
    pub image: Option<ImageFacts>,
}

/// Makes a volume that is the copy of an offered one. One that is there already is left as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyVolume {
    /// The volume.
    pub volume: VolumeUuid,
    /// The host that offers it; `None` where that is this host.
    pub peer: Option<Peer>,
    /// The absolute path of the storage it is on.
    pub source_root: String,
    /// The volume's absolute path there.
    pub source_path: String,
    /// The MD5 digest it must have.
    pub md5: String,
    /// The digest that the firmware's variables must have, where they come with it.
    pub nvram_md5: Option<String>,
    /// The absolute path of the storage it goes to.
    pub root: String,
    /// Where it goes: an absolute path below `root`. It appears there only when it is whole and checked.
    pub path: String,
    /// The absolute path, below `root`, of what the copy stands on: the same image as the original's.
    pub backing_path: Option<String>,
}

/// Makes a self-contained copy of a volume that no VM has open, for an image. One that is there already is left as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlattenVolume {
    /// The storage's absolute path.
    pub root: String,
    /// The volume's absolute path, below `root`.
    pub source_path: String,
    /// Where the copy goes: an absolute path below `root`. It appears there only when it is whole.
    pub path: String,
}
