//! The fixed values that resources' fields take.

use crate::text_enum;

text_enum! {
    /// Whether a resource takes new work.
    AdminState {
        /// It does.
        Enabled = "Enabled",
        /// It does not; what is there goes on.
        Disabled = "Disabled",
        /// Its host is being serviced: nothing runs there.
        Maintenance = "Maintenance",
        /// VMs are leaving the host, after which it is in maintenance.
        PreMaintenance = "PreMaintenance",
    }
}

text_enum! {
    /// Whether the node can talk to a host or storage.
    ConnectionStatus {
        /// The first connection is being made.
        Connecting = "Connecting",
        /// It answers.
        Connected = "Connected",
        /// It does not answer.
        Disconnected = "Disconnected",
    }
}

text_enum! {
    /// Where an image or volume is in its life.
    MediaStatus {
        /// It is being made.
        Creating = "Creating",
        /// It is being downloaded.
        Downloading = "Downloading",
        /// It can be used.
        Ready = "Ready",
        /// It has no file yet.
        NotInstantiated = "NotInstantiated",
        /// It is being moved to another host or storage.
        Migrating = "Migrating",
        /// It was deleted and can be recovered.
        Deleted = "Deleted",
    }
}

text_enum! {
    /// What an image holds.
    MediaType {
        /// A root volume's content.
        RootVolumeTemplate = "RootVolumeTemplate",
        /// A data volume's content.
        DataVolumeTemplate = "DataVolumeTemplate",
        /// A disc to boot or install from.
        Iso = "ISO",
    }
}

text_enum! {
    /// What a volume is to its VM.
    VolumeType {
        /// The disk it boots from.
        Root = "Root",
        /// A further disk.
        Data = "Data",
    }
}

text_enum! {
    /// A VM instance's state.
    VmInstanceState {
        /// Recorded, never started.
        Created = "Created",
        /// Being started.
        Starting = "Starting",
        /// Running.
        Running = "Running",
        /// Being stopped.
        Stopping = "Stopping",
        /// Not running.
        Stopped = "Stopped",
        /// Being restarted.
        Rebooting = "Rebooting",
        /// Its processors are being suspended.
        Pausing = "Pausing",
        /// Its processors are suspended.
        Paused = "Paused",
        /// Its processors are being resumed.
        Resuming = "Resuming",
        /// Not running; a volume of it is being moved.
        VolumeMigrating = "VolumeMigrating",
        /// Being destroyed.
        Destroying = "Destroying",
        /// Destroyed; can be recovered until it is expunged.
        Destroyed = "Destroyed",
        /// Being expunged.
        Expunging = "Expunging",
        /// Its host cannot be asked.
        Unknown = "Unknown",
    }
}

text_enum! {
    /// The family of guest systems.
    GuestPlatform {
        /// Linux, virtio devices.
        Linux = "Linux",
        /// Windows without virtio drivers.
        Windows = "Windows",
        /// Unknown: devices of older hardware.
        Other = "Other",
        /// virtio, the older name.
        Paravirtualization = "Paravirtualization",
        /// Windows with virtio drivers.
        WindowsVirtio = "WindowsVirtio",
    }
}

text_enum! {
    /// How an affinity group places its VMs.
    AffinityPolicy {
        /// On different hosts where that is possible.
        AntiSoft = "ANTISOFT",
        /// On different hosts, or not at all.
        AntiHard = "ANTIHARD",
    }
}
