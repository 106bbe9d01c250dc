//! The program is killed again and again while a thousand calls are on their way.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt, stream};
use gantry_common::id::{InstanceOfferingUuid, ZoneUuid};
use serde_json::{Value, json};

use super::{
    client::{Call, Client, code, eventually},
    process::Process,
    receiver::Receiver,
};

const CALLS: usize = 1000;
const CALLERS: usize = 32;
const KILLS: usize = 3;

/// What a call must come to.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Zone(ZoneUuid),
    NoZone(ZoneUuid),
    Offering(InstanceOfferingUuid),
    /// Recorded at first, then undone: nobody answers at its address.
    NoHost,
    /// Refused: there is such a thing already.
    Duplicate,
}

async fn calls(client: &Client) -> Vec<(Call, Expected)> {
    let cluster_zone = client.make("/zones", json!({ "name": "first" })).await;
    let cluster = json!({ "zoneUuid": cluster_zone, "name": "c", "hypervisorType": "KVM" });
    let cluster = client.make("/clusters", cluster).await;
    let mut calls = Vec::new();
    for number in 0..CALLS {
        calls.push(match number % 10 {
            0..=3 => {
                let uuid = ZoneUuid::random();
                (
                    Call::post("/zones", json!({ "name": format!("z{number}"), "resourceUuid": uuid })),
                    Expected::Zone(uuid),
                )
            }
            4..=6 => {
                let uuid = InstanceOfferingUuid::random();
                let params =
                    json!({ "name": format!("o{number}"), "cpuNum": 1, "memorySize": 1 << 30, "resourceUuid": uuid });
                (Call::post("/instance-offerings", params), Expected::Offering(uuid))
            }
            7 => {
                let uuid = ZoneUuid::random();
                client.make("/zones", json!({ "name": format!("d{number}"), "resourceUuid": uuid })).await;
                (Call::delete(&format!("/zones/{uuid}")), Expected::NoZone(uuid))
            }
            8 => {
                // Nothing listens on any of these.
                let address = format!("127.1.{}.{}", number / 200, number % 200 + 1);
                let params = json!({
                    "name": format!("h{number}"), "managementIp": address, "sshPort": 1, "clusterUuid": cluster,
                    "username": "root", "password": "x",
                });
                (Call::post("/hosts/kvm", params), Expected::NoHost)
            }
            _ => (Call::post("/zones", json!({ "name": "again", "resourceUuid": cluster_zone })), Expected::Duplicate),
        });
    }
    calls
}

/// Sends calls until none is left to send.
async fn send(client: &Client, calls: &[Call], from: &AtomicUsize, until: usize) {
    let callers = (0..CALLERS).map(|_| async {
        loop {
            let index = from.fetch_add(1, Ordering::SeqCst);
            if index >= until {
                return;
            }
            // One that got no answer is sent again in the end.
            let _ = client.try_submit(&calls[index]).await;
        }
    });
    futures_util::future::join_all(callers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_are_each_done_or_undone_once_however_often_the_node_is_killed() {
    let mut process = Process::start().await;
    let client = process.client().await;
    let receiver = Receiver::listen().await;
    let expected = calls(&client).await;
    let zones_before = client.query("/zones?limit=5000").await.len();
    let calls: Vec<Call> = expected.iter().map(|(call, _)| call.clone().webhook(&receiver.url())).collect();

    for round in 0..=KILLS {
        let until = CALLS * (round + 1) / (KILLS + 1);
        let from = AtomicUsize::new(CALLS * round / (KILLS + 1));
        // It dies while the last of the round's calls are on their way, and many are not done.
        let killing = async {
            if round < KILLS {
                let near = || from.load(Ordering::SeqCst) + CALLERS >= until;
                eventually("most of the round's calls are sent", async || near().then_some(())).await;
                process.kill();
            }
        };
        tokio::join!(send(&client, &calls, &from, until), killing);
        if round < KILLS {
            process.start_again().await;
        }
    }
    // Callers that got no answer ask again; for the others this changes nothing.
    stream::iter(&calls)
        .for_each_concurrent(CALLERS, async |call| {
            let (status, reply) = client.submit(call).await;
            assert_eq!(status, 202, "{reply}");
        })
        .await;

    for (call, expected) in &expected {
        let (status, reply) = client.end_of(call.job).await;
        let outcome = (status, if status == 503 { code(&reply) } else { "" });
        let right = match expected {
            Expected::Zone(_) | Expected::NoZone(_) | Expected::Offering(_) => (200, ""),
            Expected::NoHost => (503, "HOST.1001"),
            Expected::Duplicate => (503, "SYS.1012"),
        };
        assert_eq!(outcome, right, "{} {}: {reply}", call.path, call.body);
    }
    is_as_expected(&client, &expected, zones_before).await;
    everything_was_posted(&receiver, &expected).await;
}

async fn is_as_expected(client: &Client, expected: &[(Call, Expected)], zones_before: usize) {
    let uuids = |inventories: &[Value]| -> HashSet<String> {
        inventories.iter().map(|inventory| inventory["uuid"].as_str().unwrap().to_owned()).collect()
    };
    let zones = uuids(&client.query("/zones?limit=5000").await);
    let offerings = uuids(&client.query("/instance-offerings?limit=5000").await);
    let count = |which: fn(&Expected) -> bool| expected.iter().filter(|(_, one)| which(one)).count();
    let made = count(|one| matches!(one, Expected::Zone(_)));
    let deleted = count(|one| matches!(one, Expected::NoZone(_)));
    assert_eq!(zones.len(), zones_before + made - deleted);
    assert_eq!(offerings.len(), count(|one| matches!(one, Expected::Offering(_))));
    for (_, one) in expected {
        match one {
            Expected::Zone(uuid) => assert!(zones.contains(&uuid.to_string())),
            Expected::NoZone(uuid) => assert!(!zones.contains(&uuid.to_string())),
            Expected::Offering(uuid) => assert!(offerings.contains(&uuid.to_string())),
            Expected::NoHost | Expected::Duplicate => {}
        }
    }
    assert_eq!(client.query("/hosts").await, Vec::<Value>::new());
}

async fn everything_was_posted(receiver: &Receiver, expected: &[(Call, Expected)]) {
    let posted = eventually("every result has arrived", async || {
        let posted: HashMap<_, _> = receiver.posted().into_iter().map(|posted| (posted.job, posted)).collect();
        (posted.len() == expected.len()).then_some(posted)
    })
    .await;
    for (call, one) in expected {
        let good = !matches!(one, Expected::NoHost | Expected::Duplicate);
        assert_eq!(posted[&call.job].success, good.to_string(), "{}", call.path);
    }
}
