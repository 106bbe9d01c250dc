//! Removing from image caches what nothing can be made from any more.

use std::sync::Arc;

use gantry_common::error::ErrorKind;

use crate::{
    failure::Failure,
    node::Node,
    notification::Notice,
    operations::{Unneeded, clean_up_cache},
    resource::{NotificationType, PrimaryStorage},
};

/// Removes the cached images whose image exists no longer and that nothing uses, from all storages.
pub async fn clean_up_caches(node: Arc<Node>) -> Result<(), Failure> {
    for storage in node.store.read(|tx| Ok::<_, Failure>(tx.all::<PrimaryStorage>()?)).await? {
        match clean_up_cache(&node, storage.uuid, Unneeded::Orphaned).await {
            Ok((0, _)) => {}
            Ok((images, bytes)) => {
                let content = "the image cache of primary storage '%s' was cleaned up: %s images, %s bytes";
                let arguments = [storage.name, images.to_string(), bytes.to_string()];
                Notice::new(NotificationType::Info, content, arguments)
                    .about::<PrimaryStorage>(storage.uuid)
                    .tell(&node)
                    .await;
            }
            // It is on no host that could be asked.
            Err(failure) if matches!(failure.kind, ErrorKind::StateForbids | ErrorKind::HostDisconnected) => {}
            Err(failure) => {
                tracing::warn!(storage = %storage.uuid, error = %failure, "the image cache could not be cleaned up");
            }
        }
    }
    Ok(())
}
