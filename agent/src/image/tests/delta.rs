//! Images that go from store to store: what travels is what is missing, counted on the wire.

use std::sync::atomic::{AtomicU64, Ordering};

use gantry_common::{
    agent::{FetchImage, FetchedImage, Peer},
    id::HostUuid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{peers::Authority, *};
use crate::image::chunk::CHUNK_BYTES;

const MIB: usize = 1 << 20;
/// What TLS, HTTP and the list of chunks may take beside the chunks themselves, for the images of these tests.
const OVERHEAD_BYTES: u64 = 64 << 10;

/// A store with an agent that serves it, and one on another host that fetches from it. Between them, bytes are counted.
struct Two {
    from: Store,
    to: Store,
    host: HostUuid,
    there: Images,
    address: std::net::SocketAddr,
    sent_bytes: Arc<AtomicU64>,
}

impl Two {
    /// The connection breaks after `cut_after` bytes, each time anew.
    async fn new(cut_after: u64) -> Self {
        let (authority, host) = (Authority::new(), HostUuid::random());
        let agent = authority.serve(host, &[b"h2"]).await;
        let (address, sent_bytes) = counting_proxy(agent, cut_after).await;
        let there = Images { peers: authority.client(HostUuid::random()), ..images() };
        Self { from: Store::new(), to: Store::new(), host, there, address, sent_bytes }
    }

    /// Puts an image into the first store.
    async fn has(&self, content: &[u8]) -> FetchImage {
        let (image, directory) = (ImageUuid::random(), tempfile::tempdir().unwrap());
        let url = format!("file://{}", public_file(directory.path(), content).display());
        let path = |store: &Store| store.root().join(format!("images/{image}/image"));
        let command = add_image(self.from.root(), &path(&self.from), image, &url, ImageFormat::Raw);
        let facts = images().add_image(&call(), command).await.unwrap();
        FetchImage {
            image,
            peer: Some(Peer { host: self.host, address: self.address.ip().to_string(), port: self.address.port() }),
            source_root: self.from.root().display().to_string(),
            source_path: path(&self.from).display().to_string(),
            md5: facts.md5,
            format: facts.format,
            root: self.to.root().display().to_string(),
            path: path(&self.to).display().to_string(),
        }
    }

    /// Brings it into the second one. Answers what is said of it, and how many bytes were on the wire.
    async fn fetch(&self, command: &FetchImage, content: &[u8]) -> (FetchedImage, u64) {
        let before = self.sent_bytes.load(Ordering::SeqCst);
        let fetched = self.there.fetch_image(&call(), command.clone()).await.unwrap();
        assert_facts(&fetched.facts, content, content.len() as u64, ImageFormat::Raw);
        assert!(fs::read(&command.path).unwrap() == content);
        (fetched, self.sent_bytes.load(Ordering::SeqCst) - before)
    }
}

/// Forwards to `target` and counts what comes from there.
async fn counting_proxy(target: std::net::SocketAddr, cut_after: u64) -> (std::net::SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                let (mut client_reads, mut client_writes) = client.into_split();
                let (server_reads, mut server_writes) = TcpStream::connect(target).await.unwrap().into_split();
                let mut server_reads = server_reads.take(cut_after);
                let back = async {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(length @ 1..) = server_reads.read(&mut buffer).await {
                        counter.fetch_add(length as u64, Ordering::SeqCst);
                        if client_writes.write_all(&buffer[..length]).await.is_err() {
                            break;
                        }
                    }
                    let _ = client_writes.shutdown().await;
                };
                tokio::select! {
                    _ = tokio::io::copy(&mut client_reads, &mut server_writes) => (),
                    () = back => (),
                }
            });
        }
    });
    (address, sent)
}

fn near(wire_bytes: u64, payload_bytes: u64) {
    assert!(
        (payload_bytes..payload_bytes + payload_bytes / 50 + OVERHEAD_BYTES).contains(&wire_bytes),
        "{wire_bytes} bytes were on the wire for {payload_bytes}"
    );
}

#[tokio::test]
async fn of_an_image_that_is_like_another_one_only_the_difference_travels() {
    let two = Two::new(u64::MAX).await;
    let first = noise(8 * MIB);
    let (fetched, wire_bytes) = two.fetch(&two.has(&first).await, &first).await;
    assert_eq!((fetched.received_bytes, fetched.reused_bytes), (8 * MIB as u64, 0));
    near(wire_bytes, 8 * MIB as u64);

    // Something new at the front moves the rest; something is written in the middle; much is empty; the end is cut short.
    let mut second = [&vec![7; 2 * CHUNK_BYTES][..], &first].concat();
    second[5 * MIB] ^= 1;
    second.extend(vec![0; 8 * MIB]);
    second.extend([1, 2, 3]);
    let (fetched, wire_bytes) = two.fetch(&two.has(&second).await, &second).await;
    // The two new chunks are alike and still two; the one written to; and the end.
    let missing_bytes = 3 * CHUNK_BYTES as u64 + 3;
    assert_eq!(fetched.received_bytes, missing_bytes);
    assert_eq!(fetched.reused_bytes, 8 * MIB as u64 - CHUNK_BYTES as u64);
    near(wire_bytes, missing_bytes);
}

#[tokio::test]
async fn lists_of_chunks_that_are_lost_or_not_the_images_are_made_again() {
    let two = Two::new(u64::MAX).await;
    let first = noise(2 * MIB);
    let command = two.has(&first).await;
    two.fetch(&command, &first).await;
    let second = [&first[..], b"and more"].concat();
    let next = two.has(&second).await;
    let lists = [&next.source_path, &command.path].map(|path| format!("{path}.chunks"));
    let expected = lists.clone().map(|path| fs::read(path).unwrap());
    fs::remove_file(&lists[0]).unwrap();
    fs::write(&lists[1], "nonsense").unwrap();
    let (fetched, _) = two.fetch(&next, &second).await;
    assert_eq!(fetched.received_bytes, 8 + (2 * MIB % CHUNK_BYTES) as u64);
    assert_eq!(lists.map(|path| fs::read(path).unwrap()), expected);
}

#[tokio::test]
async fn an_image_here_that_is_damaged_is_no_source() {
    let two = Two::new(u64::MAX).await;
    let first = noise(2 * MIB);
    let command = two.has(&first).await;
    two.fetch(&command, &first).await;
    fs::set_permissions(&command.path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut damaged = first.clone();
    damaged[MIB] ^= 1;
    fs::write(&command.path, damaged).unwrap();
    let second = [&first[..], &[1; CHUNK_BYTES]].concat();
    let (fetched, _) = two.fetch(&two.has(&second).await, &second).await;
    assert!(fetched.received_bytes <= 17 * CHUNK_BYTES as u64, "{fetched:?}");
}

#[tokio::test]
async fn a_transfer_goes_on_where_the_connection_broke_and_where_a_killed_agent_was() {
    let content = noise(8 * MIB);
    let two = Two::new(3 * MIB as u64).await;
    let command = two.has(&content).await;
    let (fetched, wire_bytes) = two.fetch(&command, &content).await;
    assert_eq!(fetched.received_bytes, 8 * MIB as u64);
    // What was in the receiver's window of up to 2 MiB when a connection broke travels again.
    assert!((8 * MIB..24 * MIB).contains(&(wire_bytes as usize)), "{wire_bytes} bytes were on the wire");

    let two = Two::new(u64::MAX).await;
    let command = two.has(&content).await;
    let left = PathBuf::from(format!("{}.{}.part", command.path, OperationId::random()));
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, &content[..5 * MIB]).unwrap();
    let (fetched, wire_bytes) = two.fetch(&command, &content).await;
    assert_eq!((fetched.received_bytes, fetched.reused_bytes), (3 * MIB as u64, 5 * MIB as u64));
    near(wire_bytes, 3 * MIB as u64);
    assert!(!left.exists());
    // The same again finds it there.
    let (fetched, wire_bytes) = two.fetch(&command, &content).await;
    assert_eq!((fetched.received_bytes, wire_bytes), (0, 0));
}

#[tokio::test]
async fn what_is_not_the_wanted_image_leaves_nothing() {
    let two = Two::new(u64::MAX).await;
    let command = two.has(&noise(MIB)).await;
    let wrong = |change: &dyn Fn(&mut FetchImage)| {
        let mut command = command.clone();
        change(&mut command);
        command
    };
    for (command, expected) in [
        (wrong(&|command| command.md5 = "0".repeat(32)), "is wanted"),
        (wrong(&|command| command.source_path += "x"), "404"),
        (wrong(&|command| command.format = ImageFormat::Qcow2), "should be a qcow2"),
        (wrong(&|command| command.md5 = "short".into()), "hexadecimal"),
        (wrong(&|command| command.path = "/elsewhere/image".into()), "below"),
    ] {
        let error = two.there.fetch_image(&call(), command).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        two.to.assert_clean();
    }
    two.there.fetch_image(&call(), command.clone()).await.unwrap();
    let other = wrong(&|command| command.image = ImageUuid::random());
    let error = two.there.fetch_image(&call(), other).await.unwrap_err();
    assert!(matches!(&error, AgentError::InvalidArgument { field, .. } if field == "path"), "{error:?}");
}

#[tokio::test]
async fn a_cancelled_transfer_leaves_nothing_once_the_call_returns() {
    let two = Two::new(u64::MAX).await;
    let command = two.has(&noise(16 * MIB)).await;
    let progress: Arc<dyn Fn(gantry_common::agent::Progress) + Send + Sync>;
    let cancel = tokio_util::sync::CancellationToken::new();
    let told = cancel.clone();
    // Cancelled as soon as something has arrived.
    progress = Arc::new(move |_| told.cancel());
    let mut call = Call::new(OperationId::random(), progress);
    call.cancelled = cancel;
    assert_eq!(two.there.fetch_image(&call, command).await, Err(AgentError::Cancelled));
    two.to.assert_clean();
}

#[tokio::test]
async fn an_image_of_another_store_on_the_same_host_is_copied_without_the_network() {
    let two = Two::new(u64::MAX).await;
    let content = noise(MIB);
    let command = FetchImage { peer: None, ..two.has(&content).await };
    let (fetched, wire_bytes) = two.fetch(&command, &content).await;
    assert_eq!((fetched.received_bytes, wire_bytes), (0, 0));
    assert!(PathBuf::from(format!("{}.chunks", command.path)).exists());
}
