//! What clients may take of the node.

use std::time::Duration;

/// The limits of the front. What lies beyond them is refused or waits; what was accepted is never given up for them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Of these, from one address that is not this machine's own, where a proxy may stand.
    pub connections_per_address: usize,
    /// How long a connection may be without a request, and how long the head of one may take to arrive.
    pub head_patience: Duration,
    /// The size of a request's line and header.
    pub head_bytes: usize,
    /// The size of a request's body.
    pub body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_patience: Duration,
    /// Requests at work at once, those included whose client has gone.
    pub requests: usize,
    /// Of these, requests of one session.
    pub requests_per_session: usize,
    /// How long a request waits for its turn where there are as many.
    pub turn_patience: Duration,
    /// When a request is answered at the latest, counted from the arrival of its body.
    pub answer_deadline: Duration,
    /// How long a client may take none of its answer.
    pub write_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            head_patience: Duration::from_secs(30),
            head_bytes: 64 << 10,
            body_bytes: 4 << 20,
            body_patience: Duration::from_secs(30),
            requests: 1024,
            requests_per_session: 64,
            turn_patience: Duration::from_secs(5),
            answer_deadline: Duration::from_secs(25),
            write_patience: Duration::from_secs(30),
        }
    }
}
