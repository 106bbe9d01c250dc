//! Why a console ends.

use std::time::Duration;

use axum::extract::ws::{CloseCode, CloseFrame};

/// The longest reason that a WebSocket's close frame carries.
const REASON_BYTES: usize = 123;

/// Why a console ends, or does not begin. The text is for the viewer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The token opens nothing.
    #[error("This address was used, has expired, or its VM has stopped since: request another one.")]
    BadToken,
    /// What the token stands for cannot be opened.
    #[error("The console cannot be opened: {0}")]
    CannotOpen(String),
    /// There are as many consoles as there may be.
    #[error("{0} consoles are open, which is the most: close one, then request another address.")]
    TooMany(u32),
    /// The VM does not run any more.
    #[error("The VM has stopped.")]
    VmStopped,
    /// The VM runs, but its screen is gone: it was restarted, for one.
    #[error("The VM's screen was closed, as it is when the VM restarts: request another address.")]
    ScreenClosed,
    /// The connection to the host's agent is lost.
    #[error("The connection to the VM's host was lost. The VM may still run: request another address.")]
    HostLost,
    /// The viewer closed it.
    #[error("The viewer closed the console.")]
    ViewerLeft,
    /// Nothing is heard of the viewer any more.
    #[error("Nothing was heard of the viewer for too long.")]
    ViewerLost,
    /// The viewer speaks another protocol.
    #[error("A console takes binary messages only.")]
    NotBinary,
    /// Nothing passed for too long.
    #[error("Nothing happened for {} seconds: request another address.", .0.as_secs())]
    Idle(Duration),
    /// An operator reconnected the console proxy.
    #[error("The console proxy was reconnected by an operator: request another address.")]
    ProxyReconnected,
    /// The node stops.
    #[error("The management node stops: request another address when it is back.")]
    NodeStops,
}

impl Ending {
    /// What the viewer's WebSocket is closed with.
    pub fn frame(&self) -> CloseFrame {
        let mut reason = self.to_string();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        CloseFrame { code: self.code(), reason: reason.into() }
    }

    /// RFC 6455's codes where one fits, else one of those that are left to applications.
    fn code(&self) -> CloseCode {
        match self {
            Self::ViewerLeft => 1000,
            Self::NodeStops => 1001,
            Self::NotBinary => 1003,
            Self::BadToken => 1008,
            Self::TooMany(_) => 1013,
            Self::VmStopped => 4000,
            Self::ScreenClosed => 4001,
            Self::HostLost => 4002,
            Self::ViewerLost => 4003,
            Self::Idle(_) => 4004,
            Self::ProxyReconnected => 4005,
            Self::CannotOpen(_) => 4006,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_fits_a_close_frame_and_a_longer_one_is_cut_between_characters() {
        for ending in [
            Ending::BadToken,
            Ending::TooMany(1_000_000),
            Ending::VmStopped,
            Ending::ScreenClosed,
            Ending::HostLost,
            Ending::ViewerLeft,
            Ending::ViewerLost,
            Ending::NotBinary,
            Ending::Idle(Duration::from_secs(31_536_000)),
            Ending::ProxyReconnected,
            Ending::NodeStops,
        ] {
            assert_eq!(ending.frame().reason.as_str(), ending.to_string());
        }
        let cut = Ending::CannotOpen("\u{e9}".repeat(100)).frame().reason;
        assert!(cut.len() <= REASON_BYTES && cut.ends_with('\u{e9}'), "{cut}");
    }
}
