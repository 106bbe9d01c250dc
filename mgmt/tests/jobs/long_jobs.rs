use gantry_common::id::{LongJobUuid, ZoneUuid};
use serde_json::{Value, json};

use super::{
    client::{Call, Client, code, details, eventually},
    image_web::{ImageWeb, PIECES},
    process::Process,
    site::Site,
};

fn submit(job_name: &str, job_data: Value) -> Call {
    Call::post("/longjobs", json!({ "name": "long", "jobName": job_name, "jobData": job_data }))
}

async fn submitted(client: &Client, job_name: &str, job_data: Value) -> Value {
    let (status, reply) = client.run(&submit(job_name, job_data)).await;
    assert_eq!(status, 200, "{reply}");
    reply["inventory"].clone()
}

async fn in_state(client: &Client, long_job: &Value, state: &str) -> Value {
    let path = format!("/longjobs/{}", long_job["uuid"].as_str().unwrap());
    eventually(&format!("the long job is {state}"), async || {
        client.query(&path).await.pop().filter(|found| found["state"] == state)
    })
    .await
}

#[tokio::test]
async fn a_long_job_runs_the_operation_it_names_and_keeps_its_result() {
    let (site, web) = (Site::start().await, ImageWeb::serve(2).await);
    let long_job = submitted(&site.client, "APIAddImageMsg", json!(site.image(&web.url).to_string())).await;
    let running = in_state(&site.client, &long_job, "Running").await;
    assert_eq!(running["jobName"], "APIAddImageMsg");
    assert!(running.get("jobResult").is_none(), "{running}");
    let job = running["apiId"].as_str().unwrap().parse().unwrap();
    eventually("its progress is seen", async || {
        site.client.progress(job, false).await.pop().filter(|step| step["type"] == "Progress")
    })
    .await;
    let delete = Call::delete(&format!("/longjobs/{}", running["uuid"].as_str().unwrap()));
    let (status, reply) = site.client.run(&delete).await;
    assert_eq!((status, code(&reply)), (503, "SYS.1010"), "{reply}");

    web.allowed.send_replace(PIECES);
    let ended = in_state(&site.client, &long_job, "Succeeded").await;
    let result: Value = serde_json::from_str(ended["jobResult"].as_str().unwrap()).unwrap();
    assert_eq!(result["inventory"]["status"], "Ready");
    assert_eq!(site.client.poll(job).await, (200, result));
    assert_eq!(site.client.run(&Call { job: gantry_common::id::JobUuid::random(), ..delete }).await.0, 200);
    assert_eq!(site.client.query("/longjobs").await, Vec::<Value>::new());
    assert_eq!(site.client.query("/images").await.len(), 1);
}

#[tokio::test]
async fn a_long_job_is_cancelled_by_its_job() {
    let (site, web) = (Site::start().await, ImageWeb::serve(1).await);
    let long_job = submitted(&site.client, "AddImage", site.image(&web.url)).await;
    let job = long_job["apiId"].as_str().unwrap().parse().unwrap();
    eventually("the download begins", async || (web.reading() == 1).then_some(())).await;
    assert_eq!(site.client.cancel(job).await.0, 200);
    let ended = in_state(&site.client, &long_job, "Canceled").await;
    assert!(ended["jobResult"].as_str().unwrap().contains("SYS.1013"), "{ended}");
}

#[tokio::test]
async fn a_long_job_that_fails_says_why() {
    let process = Process::start().await;
    let client = process.client().await;
    let (name, data) = ("org.zstack.header.zone.APIDeleteZoneMsg", json!({ "uuid": ZoneUuid::random() }));
    let long_job = submitted(&client, name, data).await;
    let ended = in_state(&client, &long_job, "Failed").await;
    assert!(ended["jobResult"].as_str().unwrap().contains("SYS.1009"), "{ended}");
}

#[tokio::test]
async fn what_is_no_job_or_lacks_a_parameter_is_refused_and_nothing_is_recorded() {
    let process = Process::start().await;
    let client = process.client().await;
    for (name, data, named) in [
        ("APIQueryZoneMsg", json!({}), "jobName"),
        ("APIFlyMsg", json!({}), "jobName"),
        ("APISubmitLongJobMsg", json!({ "jobName": "CreateZone", "jobData": {} }), "jobName"),
        ("APICreateZoneMsg", json!({}), "name '' is not usable: CreateZone needs it in jobData"),
        ("APIDeleteZoneMsg", json!({ "uuid": "x" }), "uuid 'x'"),
    ] {
        let (status, reply) = client.run(&submit(name, data)).await;
        assert_eq!((status, code(&reply)), (503, "SYS.1007"), "{name}: {reply}");
        assert!(details(&reply).contains(named), "{name}: {reply}");
    }
    let (status, reply) = client.submit(&submit("APICreateZoneMsg", json!("{not json"))).await;
    assert_eq!((status, code(&reply)), (400, "SYS.1007"));
    assert!(details(&reply).contains("jobData") && !details(&reply).contains("not json"), "{reply}");
    assert_eq!(client.query("/longjobs").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_secret_of_a_long_job_is_not_shown_and_a_crash_runs_it_once() {
    let mut process = Process::start().await;
    let client = process.client().await;
    let zone = client.make("/zones", json!({ "name": "z" })).await;
    let cluster = json!({ "zoneUuid": zone, "name": "c", "hypervisorType": "KVM" });
    let cluster = client.make("/clusters", cluster).await;
    let host = json!({
        "name": "h", "managementIp": "127.0.0.1", "sshPort": 1, "clusterUuid": cluster,
        "username": "root", "password": "hunter2",
    });
    let uuid = LongJobUuid::random();
    let mut call = submit("APIAddKVMHostMsg", host);
    call.body["params"]["resourceUuid"] = json!(uuid);
    assert_eq!(client.submit(&call).await.0, 202);
    process.kill();
    process.start_again().await;
    let (status, reply) = client.run(&call).await;
    assert_eq!(status, 200, "{reply}");
    let ended = in_state(&client, &json!({ "uuid": uuid }), "Failed").await;
    assert!(ended["jobResult"].as_str().unwrap().contains("HOST.1001"), "{ended}");
    let data: Value = serde_json::from_str(ended["jobData"].as_str().unwrap()).unwrap();
    assert_eq!((&data["password"], &data["sshPort"]), (&json!("******"), &json!(1)));
    assert_eq!(client.query("/longjobs").await.len(), 1);
    assert!(!process.has_written("hunter2"), "the password stands in the node's data or log");
}
