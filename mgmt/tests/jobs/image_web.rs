//! A web server with one image, which it hands out as far as a test lets it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use tokio::sync::watch;

/// The image: so many pieces of a mebibyte.
pub const PIECES: usize = 10;
const PIECE: usize = 1 << 20;

pub struct ImageWeb {
    pub url: String,
    /// How many pieces each download gets; the rest waits.
    pub allowed: watch::Sender<usize>,
    /// Downloads that are under way.
    pub readers: Arc<AtomicUsize>,
    /// The most there were at the same time.
    pub most_readers: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Served {
    allowed: watch::Receiver<usize>,
    readers: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Reader(Served);

impl Reader {
    fn begin(served: Served) -> Self {
        let readers = served.readers.fetch_add(1, Ordering::SeqCst) + 1;
        served.most.fetch_max(readers, Ordering::SeqCst);
        Self(served)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ImageWeb {
    /// Serves an image of which at first nobody gets more than `allowed` pieces.
    pub async fn serve(allowed: usize) -> Self {
        let (allowed, receiver) = watch::channel(allowed);
        let (readers, most) = (Arc::default(), Arc::default());
        let served = Served { allowed: receiver, readers: Arc::clone(&readers), most: Arc::clone(&most) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/image.raw", listener.local_addr().unwrap());
        let router = Router::new().fallback(image).with_state(served);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, allowed, readers, most_readers: most }
    }

    pub fn reading(&self) -> usize {
        self.readers.load(Ordering::SeqCst)
    }
}

async fn image(State(served): State<Served>) -> Response {
    let pieces = futures_util::stream::unfold((0, Reader::begin(served)), async |(piece, reader)| {
        let mut allowed = reader.0.allowed.clone();
        if piece == PIECES || allowed.wait_for(|allowed| *allowed > piece).await.is_err() {
            return None;
        }
        Some((Ok::<_, std::io::Error>(Bytes::from(vec![0xA5; PIECE])), (piece + 1, reader)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert("content-length", (PIECES * PIECE).into());
    response
}
