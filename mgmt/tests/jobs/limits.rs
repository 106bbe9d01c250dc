use std::sync::atomic::Ordering;

use super::{
    client::{Call, eventually},
    image_web::{ImageWeb, PIECES},
    site::Site,
};

#[tokio::test]
async fn a_host_gets_a_few_downloads_at_once_and_the_others_follow() {
    let (site, web) = (Site::start().await, ImageWeb::serve(1).await);
    let calls: Vec<Call> = (0..12).map(|_| Call::post("/images", site.image(&web.url))).collect();
    for call in &calls {
        assert_eq!(site.client.submit(call).await.0, 202);
    }
    eventually("four downloads are under way", async || (web.reading() == 4).then_some(())).await;
    // One that waits for its turn on the host can be cancelled, too.
    let cancelled = &calls[11];
    assert_eq!(site.client.cancel(cancelled.job).await.0, 200);
    assert_eq!(site.client.end_of(cancelled.job).await.0, 503);
    web.allowed.send_replace(PIECES);
    for call in &calls[..11] {
        assert_eq!(site.client.end_of(call.job).await.0, 200);
    }
    assert_eq!(web.most_readers.load(Ordering::SeqCst), 4);
    assert_eq!(site.client.query("/images").await.len(), 11);
}
