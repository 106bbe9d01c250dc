//! 9.2: billing.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Sets the price of a kind of resource.
    CreateResourcePrice, "9.2.1", Post "/billings/prices", Job -> Price; {
        /// The kind of resource.
        resource_name: String, values &["cpu", "memory", "rootVolume", "dataVolume", "snapShot", "gpu"];
        /// The unit of the resource.
        resource_unit: Option<String>;
        /// The unit of time.
        time_unit: String;
        /// The price.
        price: f64, range 0..=i64::MAX;
        /// The account.
        account_uuid: Option<Uuid>;
        /// When it begins to hold, in milliseconds.
        date_in_long: Option<i64>, range 0..=i64::MAX;
    }

    /// Deletes a resource price.
    DeleteResourcePrice, "9.2.2", Delete "/billings/prices/{uuid}", Job; {
        /// The price.
        uuid: Uuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }

    /// Queries resource prices.
    QueryResourcePrice, "9.2.3", Get "/billings/prices" | "/billing/prices/{uuid}", Sync -> [Price]; {}

    /// Calculates what the resources of an account have cost.
    CalculateAccountSpending, "9.2.4",
        Put "/billings/accounts/{accountUuid}/actions", Sync -> { total: f64, success: bool, spending: [Spending] }; {
        /// The account.
        account_uuid: Uuid;
        /// Where the period begins, in milliseconds.
        date_start: Option<i64>, range 0..=i64::MAX;
        /// Where the period ends, in milliseconds.
        date_end: Option<i64>, range 0..=i64::MAX;
    }
}

inventories! {
    /// A resource price.
    Price {
        uuid: Uuid, resourceName: String, resourceUnit: String, timeUnit: String, price: f64, dateInLong: i64,
        createDate: Timestamp, lastOpDate: Timestamp, pciDeviceOfferings: [PricePciDeviceOfferingRef],
    }

    /// A price is that of a PCI device offering.
    PricePciDeviceOfferingRef {
        priceUuid: Uuid, pciDeviceOfferingUuid: Uuid, createDate: Timestamp, lastOpDate: Timestamp,
    }

    /// What resources of one kind have cost.
    Spending {
        spendingType: String, spending: f64, dateStart: i64, dateEnd: i64, details: [SpendingDetail],
    }

    /// What one resource has cost.
    SpendingDetail {
        resourceUuid: Uuid, resourceName: String, spending: f64, type: String,
    }
}
