//! The consoles that are open.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::Ending;

/// How long viewers have to hear that the node stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The consoles that are open.
#[derive(Default)]
pub struct Consoles {
    open: TaskTracker,
    /// Tells those that are open why they are closed; those that come later listen to another one.
    closing: Mutex<watch::Sender<Option<Ending>>>,
}

/// Held by an open console.
pub struct Place {
    closing: watch::Receiver<Option<Ending>>,
    _one_of_all: TaskTrackerToken,
}

impl Consoles {
    /// A place for one more console, where `most` may be open.
    pub fn take(&self, most: u32) -> Result<Place, Ending> {
        let one_of_all = self.open.token();
        if self.open.is_closed() {
            return Err(Ending::NodeStops);
        }
        if self.open.len() > most as usize {
            return Err(Ending::TooMany(most));
        }
        Ok(Place { closing: self.closing.lock().subscribe(), _one_of_all: one_of_all })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Closes all that are open now.
    pub fn close_all(&self, why: Ending) {
        let closing = std::mem::take(&mut *self.closing.lock());
        closing.send_replace(Some(why));
    }

    /// Closes all and lets none in any more. Returns when their viewers have heard of it.
    pub async fn stop(&self) {
        self.open.close();
        self.close_all(Ending::NodeStops);
        if timeout(STOP_PATIENCE, self.open.wait()).await.is_err() {
            tracing::warn!(consoles = self.len(), "some viewers did not hear that the node stops");
        }
    }
}

impl Place {
    /// Returns when the console is to be closed, with the reason.
    pub async fn closing(&mut self) -> Ending {
        let told = self.closing.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        // The one who tells is kept until it has told, unless the node itself goes.
        told.unwrap_or(Ending::NodeStops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_so_many_places_and_each_that_is_left_is_free_again() {
        let consoles = Consoles::default();
        let first = consoles.take(1).unwrap();
        assert_eq!(consoles.take(1).err(), Some(Ending::TooMany(1)));
        drop(first);
        consoles.take(1).unwrap();
        assert!(consoles.is_empty());
    }

    #[tokio::test]
    async fn closing_reaches_those_that_are_open_and_none_that_come_later() {
        let consoles = Consoles::default();
        let mut before = consoles.take(9).unwrap();
        consoles.close_all(Ending::ProxyReconnected);
        let mut after = consoles.take(9).unwrap();
        assert_eq!(before.closing().await, Ending::ProxyReconnected);
        drop(before);
        let told = tokio::spawn(async move { after.closing().await });
        consoles.stop().await;
        assert_eq!(told.await.unwrap(), Ending::NodeStops);
        assert_eq!(consoles.take(9).err(), Some(Ending::NodeStops));
    }
}
