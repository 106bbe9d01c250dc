//! 3.1: what VM instances are attached to.

use uuid::Uuid;

use crate::planned;

planned! {
    /// Lists the L3 networks that go with an image, or the images that go with L3 networks.
    GetInterdependentL3NetworksImages, "3.1.28",
        Get "/images-l3networks/dependencies", Sync -> { inventories: [Json] }; {
        /// The zone.
        zone_uuid: Uuid;
        /// The L3 networks.
        l3_network_uuids: Option<Vec<Uuid>>, nonempty true;
        /// The image.
        image_uuid: Option<Uuid>;
    }
}
