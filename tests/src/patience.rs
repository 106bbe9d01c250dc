//! Waiting for what must become true.

use std::time::{Duration, Instant};

/// Long enough for anything that ends at all on a busy machine.
pub const ALWAYS: Duration = Duration::from_secs(90);

/// Less than the 30 s between two comparisons of a host with the inventory: what is seen by then came as an event.
pub const AS_AN_EVENT: Duration = Duration::from_secs(20);

/// Looks until there is something to see, and says how long that took.
///
/// # Panics
/// When there is nothing to see in time.
pub fn eventually<T>(what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    let seen = quietly(what, within, look);
    eprintln!("{what}: after {} ms", begin.elapsed().as_millis());
    seen
}

/// The same for what happens all the time: it says nothing.
pub(crate) fn quietly<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begin.elapsed() < within, "{what}: not within {} s", within.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
