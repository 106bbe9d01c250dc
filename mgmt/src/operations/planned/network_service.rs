//! 6.1: network services.

use crate::planned;

planned! {
    /// Lists the types of network services with their providers.
    GetNetworkServiceTypes, "6.1.1", Get "/network-services/types", Sync -> { types: ([String]) }; {}
}
