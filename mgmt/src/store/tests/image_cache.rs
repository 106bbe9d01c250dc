//! Who has a cached image in hand.

use gantry_common::id::{HostUuid, ImageUuid, JobUuid, PrimaryStorageUuid};

use super::open;
use crate::store::{CachePlace, StoreError};

fn place() -> CachePlace {
    CachePlace { image: ImageUuid::random(), storage: PrimaryStorageUuid::random(), host: HostUuid::random() }
}

#[tokio::test]
async fn an_image_is_evicted_by_one_job_and_by_none_while_another_needs_it() {
    let (_dir, store) = open();
    store
        .write(|tx| {
            let (here, user, evictor) = (place(), JobUuid::random(), JobUuid::random());
            tx.claim_use(here, user)?;
            assert!(!tx.claim_eviction(here, evictor)? && !tx.is_being_evicted(here)?);
            tx.release_cache_claims(user)?;
            assert!(tx.claim_eviction(here, evictor)? && tx.is_being_evicted(here)?);
            assert!(!tx.claim_eviction(here, JobUuid::random())?);
            for elsewhere in [
                CachePlace { host: HostUuid::random(), ..here },
                CachePlace { storage: PrimaryStorageUuid::random(), ..here },
                CachePlace { image: ImageUuid::random(), ..here },
            ] {
                assert!(!tx.is_being_evicted(elsewhere)? && !tx.is_cached_image_used(elsewhere)?);
            }
            tx.release_cache_claims(evictor)?;
            assert!(!tx.is_cached_image_used(here)?);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn claims_of_nobody_who_goes_on_are_dropped() {
    let (_dir, store) = open();
    store
        .write(|tx| {
            let here = place();
            tx.claim_eviction(here, JobUuid::random())?;
            tx.drop_lost_cache_claims()?;
            assert!(!tx.is_being_evicted(here)?);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}
