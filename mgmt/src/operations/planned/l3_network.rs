//! 5.2: L3 networks.

use crate::inventories;

inventories! {
    /// A free IP address.
    FreeIp {
        ipRangeUuid: Uuid, ip: String, netmask: String, gateway: String,
    }
}
