//! The settings. Category and name are the published ones where there is such a setting; what has none has Gantry's own.
//!
//! A setting stands here once: the API, the README and the field that the program reads all come from its line. To add
//! one, add its line and read its field; a category that is new goes into [`crate::resource::SettingCategory`].

use super::{Bytes, Count, DeletionPolicy, Ratio, Seconds, Switch, VncListen, declaration::settings};
use crate::vm::Strategy;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3600;
const YEAR: u64 = 365 * DAY;
const TEBIBYTE: u64 = 1 << 40;

settings! {
    /// How long a session lasts without being used.
    session_timeout: Seconds = Identity "session.timeout", "7200", MINUTE..=YEAR;
    /// How many sessions an account may have at once; one more is refused.
    session_max_concurrent: Count = Identity "session.maxConcurrent", "500", 1..=1_000_000;
    /// How often sessions and join tokens that have expired are removed.
    session_cleanup_interval: Seconds = Identity "session.cleanup.interval", "600", 1..=DAY;
    /// How long the result of a job can be asked for after its end.
    job_expired_period: Seconds = Rest "completedApi.expiredPeriod", "172800", MINUTE..=YEAR;
    /// How often jobs that have expired are removed.
    job_scan_interval: Seconds = Rest "expiredApi.scanInterval", "600", 1..=DAY;
    /// How long after a job's end its result is posted to a webhook that does not take it.
    webhook_give_up: Seconds = Rest "webhook.giveUpPeriod", "86400", 1..=30 * DAY;

    /// How many virtual processors are promised for each processor of a host.
    cpu_overcommit: Ratio = Host "cpu.overProvisioning.ratio", "10", 0.01..=1000.0;
    /// How much memory is promised for each byte that a host has above its reserve.
    memory_overcommit: Ratio = Mevoco "overProvisioning.memory", "1", 0.01..=1000.0;
    /// How much disk is promised for each byte that a primary storage has above its reserve.
    storage_overcommit: Ratio = Mevoco "overProvisioning.primaryStorage", "1", 0.01..=1000.0;
    /// The memory of each host that no VM gets, where the host, its cluster or its zone is not tagged otherwise.
    host_reserved_memory_bytes: Bytes = Kvm "reservedMemory", "1G", 0..=TEBIBYTE;
    /// The bytes of each primary storage, on each host, that no volume gets.
    storage_reserved_bytes: Bytes = PrimaryStorage "reservedCapacity", "1G", 0..=TEBIBYTE;
    /// The bytes of each backup storage that no image gets.
    backup_reserved_bytes: Bytes = BackupStorage "reservedCapacity", "1G", 0..=TEBIBYTE;
    /// The part of a primary storage's file system that may be in use; a fuller one gets no new volumes.
    storage_physical_threshold: Ratio = Mevoco "threshold.primaryStorage.physicalCapacity", "0.9", 0.01..=1.0;
    /// How a host is chosen for VMs whose instance offering names no strategy.
    allocator_strategy: Strategy = Mevoco "hostAllocatorStrategy", "LeastVmPreferredHostAllocatorStrategy", ();

    /// How long a host may be silent before it is Disconnected; a host that is well is heard of every second.
    host_max_silence: Seconds = Host "ping.timeout", "4", 2..=3600;
    /// The longest wait between two attempts to connect to a host that is away.
    host_reconnect_interval: Seconds = Host "reconnect.interval", "5", 1..=3600;
    /// How often the storages of connected hosts are measured; besides, they are soon after the node changed files there.
    storage_measure_interval: Seconds = PrimaryStorage "ping.interval", "600", 1..=DAY;
    /// How often cached images are removed from primary storages that nothing uses and whose image exists no longer.
    image_cache_cleanup_interval: Seconds = PrimaryStorage "imageCache.cleanup.interval", "3600", 1..=30 * DAY;
    /// How often the management node notes that it is there.
    heartbeat_interval: Seconds = ManagementServer "node.heartbeatInterval", "10", 1..=3600;

    /// How often hosts are asked again for clean-up that they owe.
    gc_retry_interval: Seconds = Gc "retryInterval", "600", 1..=DAY;
    /// How often a host that answers is asked for clean-up that it does not do, before that is left to an operator.
    gc_max_attempts: Count = Gc "maxAttempts", "50", 1..=1_000_000;
    /// How long a clean-up that is done is still shown.
    gc_retention: Seconds = Gc "retentionTime", "1209600", 0..=YEAR;
    /// How long a notification is kept.
    notification_retention: Seconds = Notification "retentionTime", "2592000", MINUTE..=10 * YEAR;
    /// How many notifications are kept; the oldest go first.
    notification_max: Count = Notification "maxNumber", "10000", 1..=1_000_000;

    /// How long a call is kept in the audit.
    audit_retention: Seconds = Audit "retentionTime", "7776000", MINUTE..=10 * YEAR;
    /// How many calls the audit keeps; the oldest go first.
    audit_max: Count = Audit "maxNumber", "200000", 100..=100_000_000;

    /// What becomes of a destroyed VM: it is expunged at once (Direct), when it is old enough (Delay), or by hand (Never).
    vm_deletion_policy: DeletionPolicy = Vm "deletionPolicy", "Delay", ();
    /// How long a destroyed VM can be recovered before it is expunged.
    vm_expunge_period: Seconds = Vm "expungePeriod", "259200", 0..=10 * YEAR;
    /// How often it is looked for destroyed VMs that are to be expunged.
    vm_expunge_interval: Seconds = Vm "expungeInterval", "600", 1..=DAY;
    /// Whether hosts drop what a VM sends under another address than its own; a VM that runs is treated as it was started.
    vm_clean_traffic: Switch = Vm "cleanTraffic", "true", ();
    /// How long a guest may take to shut down before it is stopped by force.
    vm_stop_grace: Seconds = Vm "stop.gracePeriod", "60", 1..=3600;
    /// How many data volumes a VM may have.
    vm_max_data_volumes: Count = Kvm "dataVolume.maxNum", "24", 1..=24;
    /// What becomes of a deleted data volume: it is expunged at once (Direct), when it is old enough (Delay), or by hand (Never).
    volume_deletion_policy: DeletionPolicy = Volume "deletionPolicy", "Delay", ();
    /// How long a deleted data volume can be recovered before it is expunged.
    volume_expunge_period: Seconds = Volume "expungePeriod", "259200", 0..=10 * YEAR;
    /// How often it is looked for deleted data volumes that are to be expunged.
    volume_expunge_interval: Seconds = Volume "expungeInterval", "600", 1..=DAY;
    /// How long the address of a console can be opened, once.
    console_token_timeout: Seconds = Console "vnc.token.timeout", "120", 1..=DAY;
    /// How long a console stays open in which nothing happens, neither on the screen nor on the keyboard.
    console_idle_timeout: Seconds = Console "proxy.idleTimeout", "3600", 10..=YEAR;
    /// How many consoles may be open at once.
    console_max: Count = Console "proxy.maxConnections", "256", 1..=100_000;
    /// Where a VM that is started listens for VNC viewers, without a password: on the host's management address (managementIp),
    /// or nowhere (none); one that runs stays as it was started.
    console_listen: VncListen = Console "vnc.listen", "none", ();
    /// What becomes of a deleted image: it is expunged at once (Direct), when it is old enough (Delay), or by hand (Never).
    image_deletion_policy: DeletionPolicy = Image "deletionPolicy", "Delay", ();
    /// How long a deleted image can be recovered before it is expunged.
    image_expunge_period: Seconds = Image "expungePeriod", "259200", 0..=10 * YEAR;
    /// How often it is looked for deleted images that are to be expunged.
    image_expunge_interval: Seconds = Image "expungeInterval", "600", 1..=DAY;
}
