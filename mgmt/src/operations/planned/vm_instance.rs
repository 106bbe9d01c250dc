//! 3.1: VM instances.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Moves a running VM instance to another host.
    MigrateVm, "3.1.12", Put "/vm-instances/{vmInstanceUuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The host it goes to; one is chosen where it is left out.
        host_uuid: Option<Uuid>;
        /// Whether the guest is slowed down until it can be moved.
        migrate_from_destination: Option<bool>;
    }

    /// Lists the hosts that a VM instance can be moved to.
    GetVmMigrationCandidateHosts, "3.1.14",
        Get "/vm-instances/{vmInstanceUuid}/migration-target-hosts", Sync -> [Host]; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }

    /// Creates a scheduler that starts a VM instance.
    CreateStartVmInstanceScheduler, "3.1.40", Post "/vm-instances/{vmUuid}/schedulers/starting", Job -> Scheduler; {
        /// The VM instance.
        vm_uuid: Uuid;
        /// The cluster.
        cluster_uuid: Option<Uuid>;
        /// The host.
        host_uuid: Option<Uuid>;
        /// Its name.
        scheduler_name: String;
        /// Free text.
        scheduler_description: Option<String>;
        /// Its type.
        kind as "type": String;
        /// Seconds between two runs.
        interval: Option<i32>;
        /// How often it is repeated.
        repeat_count: Option<i32>;
        /// When it begins.
        start_time: Option<i64>;
        /// The schedule, as a cron expression.
        cron: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Creates a scheduler that stops a VM instance.
    CreateStopVmInstanceScheduler, "3.1.41", Post "/vm-instances/{vmUuid}/schedulers/stopping", Job -> Scheduler; {
        /// The VM instance.
        vm_uuid: Uuid;
        /// Its name.
        scheduler_name: String;
        /// Free text.
        scheduler_description: Option<String>;
        /// Its type.
        kind as "type": String;
        /// Seconds between two runs.
        interval: Option<i32>;
        /// How often it is repeated.
        repeat_count: Option<i32>;
        /// When it begins.
        start_time: Option<i64>;
        /// The schedule, as a cron expression.
        cron: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Creates a scheduler that reboots a VM instance.
    CreateRebootVmInstanceScheduler, "3.1.42", Post "/vm-instances/{vmUuid}/schedulers/rebooting", Job -> Scheduler; {
        /// The VM instance.
        vm_uuid: Uuid;
        /// Its name.
        scheduler_name: String;
        /// Free text.
        scheduler_description: Option<String>;
        /// Its type.
        kind as "type": String;
        /// Seconds between two runs.
        interval: Option<i32>;
        /// How often it is repeated.
        repeat_count: Option<i32>;
        /// When it begins.
        start_time: Option<i64>;
        /// The schedule, as a cron expression.
        cron: Option<String>;
        /// The id it gets.
        resource_uuid: Option<Uuid>;
    }

    /// Clones a VM instance.
    CloneVmInstance, "3.1.51",
        Put "/vm-instances/{vmInstanceUuid}/actions", Job -> { result: CloneVmInstanceResult, success: bool }; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// What is done once it is made.
        strategy: Option<String>, values &["InstantStart", "JustCreate"];
        /// The names of the clones.
        names: Vec<String>, nonempty true;
        /// Whether data volumes are cloned too.
        full: Option<bool>;
    }

    /// Replaces the root volume of a VM instance by one made from another image.
    ChangeVmImage, "3.1.61", Put "/vm-instances/{vmInstanceUuid}/actions", Job -> VmInstance; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
        /// The image.
        image_uuid: Uuid;
        /// The id the root volume gets.
        resource_uuid: Option<Uuid>;
    }

    /// Lists the images that the root volume of a VM instance can be made from anew.
    GetImageCandidatesForVmToChange, "3.1.62", Get "/vm-instances/{vmInstanceUuid}/image-candidates", Sync -> [Image]; {
        /// The VM instance.
        vm_instance_uuid: Uuid;
    }
}

inventories! {
    /// A scheduler, in its older form.
    Scheduler {
        uuid: Uuid, targetResourceUuid: Uuid, schedulerName: String, schedulerJob: String, schedulerType: String,
        schedulerInterval: i64, repeatCount: i64, cronScheduler: String, startTime: Timestamp, stopTime: Timestamp,
        createDate: Timestamp, lastOpDate: Timestamp, state: String,
    }

    /// What cloning a VM instance came to.
    CloneVmInstanceResult {
        numberOfClonedVm: i64, inventories: [CloneVmInstanceInventory],
    }

    /// One clone, or why it could not be made.
    CloneVmInstanceInventory {
        error: Json, inventory: VmInstance,
    }
}
