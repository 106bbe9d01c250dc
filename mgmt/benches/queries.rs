//! How long queries take over HTTP, on inventories of 25,000 and 100,000 VMs: `make bench-queries`.
//!
//! The node and its callers share the machine. Each caller asks again as soon as it is answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails ends")]

#[path = "queries/inventory.rs"]
mod inventory;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use gantry_mgmt::{
    api,
    clock::Timestamp,
    config::Overrides,
    node::{Node, Start},
    resource::Session,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// A measurement: how many callers ask for what, how often each, and what they may wait.
struct Case {
    what: &'static str,
    vms: usize,
    callers: usize,
    requests: usize,
    /// `{start}` is a random place, `{l2}` a random L2 network's number, `{vm}` a random VM's.
    query: &'static str,
    budget: Option<Duration>,
}

const BUDGET: Option<Duration> = Some(Duration::from_millis(20));

const CASES: &[Case] = &[
    Case {
        what: "a page of 100, 32 callers",
        vms: 25_000,
        callers: 32,
        requests: 100,
        query: "limit=100&start={start}",
        budget: BUDGET,
    },
    Case {
        what: "a page of 100, newest first, 32 callers",
        vms: 25_000,
        callers: 32,
        requests: 100,
        query: "limit=100&sort=-createDate",
        budget: BUDGET,
    },
    Case {
        what: "a page of 100, three relations",
        vms: 100_000,
        callers: 1,
        requests: 200,
        query: "limit=100&q=vmNics.l3Network.l2Network.name=l2-{l2}",
        budget: BUDGET,
    },
    Case {
        what: "the same, sorted, with the total",
        vms: 100_000,
        callers: 1,
        requests: 100,
        query: "limit=100&sort=-createDate&replyWithCount=true&q=vmNics.l3Network.l2Network.name=l2-{l2}",
        budget: None,
    },
    Case {
        what: "a page of 100, three relations that all fit",
        vms: 100_000,
        callers: 1,
        requests: 50,
        query: "limit=100&q=vmNics.l3Network.zone.name=zone",
        budget: None,
    },
    Case {
        what: "a page of 100 of one cluster",
        vms: 100_000,
        callers: 1,
        requests: 100,
        query: "limit=100&q=cluster.name=cluster-3",
        budget: None,
    },
    Case {
        what: "a VM by its address",
        vms: 100_000,
        callers: 1,
        requests: 500,
        query: "q=vmNics.ip=10.{vm}",
        budget: None,
    },
    Case {
        what: "a page of 100 by part of the name",
        vms: 100_000,
        callers: 1,
        requests: 50,
        query: "limit=100&q=name~=%-99_",
        budget: None,
    },
    Case {
        what: "how many run",
        vms: 100_000,
        callers: 1,
        requests: 50,
        query: "count=true&q=state=Running",
        budget: None,
    },
];

fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    println!("{:<46} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "VMs", "median", "p99", "slowest", "budget", "work");
    let mut node: Option<(usize, Server)> = None;
    for case in CASES {
        if node.as_ref().is_none_or(|(vms, _)| *vms != case.vms) {
            drop(node.take());
            node = Some((case.vms, Server::start(case.vms)));
        }
        let Some((_, server)) = &node else { continue };
        let before = processor_millis();
        let mut times = measure(server, case);
        let work = (processor_millis() - before) / times.len() as f64;
        times.sort_unstable();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        println!(
            "{:<46} {:>8} {:>8} {:>8} {:>8} {:>8} {work:>8.2}",
            case.what,
            case.vms,
            millis(at(50)),
            millis(at(99)),
            millis(at(100)),
            case.budget.map(millis).unwrap_or_default(),
        );
    }
    println!("\nmilliseconds from a caller's request to the last byte of the answer; the budget is for p99.");
    println!(
        "work: processor time for each request, of node and caller together; it does not depend on who else is busy"
    );
}

/// The processor time this process has taken.
fn processor_millis() -> f64 {
    const MILLIS_PER_TICK: f64 = 10.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() * MILLIS_PER_TICK).sum()
}

struct Server {
    address: SocketAddr,
    session: String,
    _runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

impl Server {
    fn start(vms: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (address, session) = runtime.block_on(async {
            let config = Overrides {
                data: Some(data.path().join("node")),
                agent_binary: Some("/bin/true".into()),
                ..Overrides::default()
            };
            let start =
                Start { config: config.finish().unwrap(), admin_password: Some("bench".to_owned()), failpoint: None };
            let node = Node::open(start).await.unwrap();
            inventory::fill(&node.store, vms).await;
            let session = session(&node).await;
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let application = api::application(node).into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(async move { axum::serve(listener, application).await });
            (address, session)
        });
        Self { address, session, _runtime: runtime, _data: data }
    }
}

async fn session(node: &Arc<Node>) -> String {
    let (uuid, admin) = (gantry_common::id::SessionUuid::random(), node.admin);
    let now = Timestamp::now();
    let session = Session {
        uuid,
        account_uuid: admin,
        user_uuid: admin.as_uuid().into(),
        expired_date: now.plus(api::SESSION_LIFETIME),
        create_date: now,
    };
    node.store.write(move |tx| tx.insert(&session)).await.unwrap();
    uuid.to_string()
}

fn measure(server: &Server, case: &Case) -> Vec<Duration> {
    thread::scope(|scope| {
        let callers: Vec<_> = (0..case.callers)
            .map(|caller| {
                scope.spawn(move || {
                    let mut rng = StdRng::seed_from_u64(caller as u64);
                    let mut stream = BufReader::new(TcpStream::connect(server.address).unwrap());
                    stream.get_ref().set_nodelay(true).unwrap();
                    let mut body = Vec::new();
                    // The first few warm the connections up.
                    let ask =
                        |stream: &mut _, body: &mut _, rng: &mut _| ask(stream, body, &request(server, case, rng));
                    for _ in 0..3 {
                        ask(&mut stream, &mut body, &mut rng);
                    }
                    let mut times = Vec::new();
                    for _ in 0..case.requests {
                        let begin = Instant::now();
                        ask(&mut stream, &mut body, &mut rng);
                        times.push(begin.elapsed());
                    }
                    times
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

fn request(server: &Server, case: &Case, rng: &mut StdRng) -> String {
    let vm = rng.random_range(0..case.vms);
    let query = case
        .query
        .replace("{start}", &rng.random_range(0..case.vms - 100).to_string())
        .replace("{l2}", &rng.random_range(0..inventory::L2_NETWORKS).to_string())
        .replace("{vm}", &inventory::address(vm).to_string()[3..])
        .replace('%', "%25");
    format!(
        "GET /zstack/v1/vm-instances?{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: OAuth {}\r\n\r\n",
        server.session
    )
}

/// Sends a request and reads its answer to the end.
fn ask(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>, request: &str) {
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}{request}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    body.resize(length, 0);
    stream.read_exact(body).unwrap();
    assert!(body.starts_with(b"{\"inventories\":[{") || body.starts_with(b"{\"total\":"), "{request}");
}
