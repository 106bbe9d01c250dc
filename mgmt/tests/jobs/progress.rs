use serde_json::{Value, json};

use super::{
    client::{Call, eventually},
    image_web::{ImageWeb, PIECES},
    site::Site,
};

fn percent(progress: &[Value]) -> Option<u64> {
    let step = progress.first()?;
    (step["type"] == "Progress").then(|| step["content"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_slow_download_is_seen_to_come_and_has_no_progress_once_it_is_done() {
    let (site, web) = (Site::start().await, ImageWeb::serve(0).await);
    let call = Call::post("/images", site.image(&web.url));
    assert_eq!(site.client.submit(&call).await.0, 202);

    let step = eventually("the download begins", async || {
        site.client.progress(call.job, false).await.pop().filter(|step| step["currentStep"] == 2)
    })
    .await;
    assert_eq!((&step["totalSteps"], &step["taskName"]), (&json!(3), &json!("APIAddImageMsg")));
    assert_eq!((&step["taskUuid"], &step["taskId"]), (&json!(call.job), &json!(call.job)));
    assert_eq!(step["opaque"]["step"], "download the image");
    assert!(step["time"].as_i64().unwrap() > 1_500_000_000_000, "{step}");

    // The agent tells of its progress a few times a second: a piece more now and then.
    let (mut seen, mut looks) = (Vec::new(), 0);
    eventually("the download is seen to come", async || {
        looks += 1;
        if looks % 20 == 0 {
            web.allowed.send_modify(|allowed| *allowed = (*allowed + 1).min(PIECES - 1));
        }
        let progress = site.client.progress(call.job, false).await;
        let now = percent(&progress)?;
        let bytes = |name: &str| progress[0]["opaque"][name].as_u64().unwrap();
        assert_eq!(
            (now, bytes("totalBytes")),
            (bytes("doneBytes") * 100 / ((PIECES as u64) << 20), (PIECES as u64) << 20)
        );
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        (seen.len() == 4).then_some(())
    })
    .await;
    assert!(seen.is_sorted() && seen.iter().all(|percent| *percent < 100), "{seen:?}");
    assert_eq!(site.client.progress(call.job, true).await.len(), 1, "one step took time so far");

    web.allowed.send_replace(PIECES);
    let (status, reply) = site.client.end_of(call.job).await;
    assert_eq!((status, &reply["inventory"]["size"]), (200, &json!(PIECES << 20)));
    assert_eq!(site.client.progress(call.job, true).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_job_that_waits_for_another_says_so() {
    let (site, web) = (Site::start().await, ImageWeb::serve(1).await);
    let mut image = site.image(&web.url);
    image["resourceUuid"] = json!(gantry_common::id::ImageUuid::random());
    let first = Call::post("/images", image.clone());
    let second = Call::delete(&format!("/images/{}", image["resourceUuid"].as_str().unwrap()));
    for call in [&first, &second] {
        assert_eq!(site.client.submit(call).await.0, 202);
    }
    let waiting = site.client.progress(second.job, false).await;
    assert_eq!(waiting[0]["content"], "waiting for the jobs before it");
    web.allowed.send_replace(PIECES);
    assert_eq!(site.client.end_of(first.job).await.0, 200);
    // It found the image that the first one made.
    assert_eq!(site.client.end_of(second.job).await.0, 200);
    assert_eq!(site.client.progress(second.job, false).await, Vec::<Value>::new());
}
