//! The one module with `unsafe`: what the `virt` crate lacks of libvirt's C interface, wrapped so that its callers
//! cannot misuse it.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    os::fd::{FromRawFd, OwnedFd},
    ptr,
    sync::OnceLock,
    thread,
    time::Duration,
};

use gantry_common::id::VmUuid;
use uuid::Uuid;
use virt::{connect::Connect, domain::Domain, error::Error};
use virt_sys as sys;

/// What happened to a domain. It only says that a look is due: the domain may have moved on since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainEvent {
    /// It started, stopped, was suspended, resumed, or crashed.
    Lifecycle(VmUuid),
    /// Its guest restarted.
    Rebooted(VmUuid),
    /// A disk of its could not be read or written.
    IoError(VmUuid),
    /// A guest let go of a device, which is gone now.
    DeviceRemoved {
        /// The domain.
        domain: VmUuid,
        /// libvirt's name of the device.
        alias: String,
    },
    /// A guest refused to let go of a device.
    DeviceKept {
        /// The domain.
        domain: VmUuid,
        /// libvirt's name of the device.
        alias: String,
    },
}

impl DomainEvent {
    /// The domain's uuid, whoever made it.
    pub fn domain(&self) -> VmUuid {
        match self {
            Self::Lifecycle(domain)
            | Self::Rebooted(domain)
            | Self::IoError(domain)
            | Self::DeviceRemoved { domain, .. }
            | Self::DeviceKept { domain, .. } => *domain,
        }
    }
}

/// Prepares libvirt for the process: no printing of errors to standard error, and a thread that runs libvirt's event
/// loop. It has to come before the first connection is opened; later calls do nothing.
pub fn initialize() -> Result<(), Error> {
    static DONE: OnceLock<Result<(), Error>> = OnceLock::new();
    DONE.get_or_init(|| {
        virt::error::clear_error_callback();
        virt::event::event_register_default_impl()?;
        let spawned = thread::Builder::new().name("libvirt-events".into()).stack_size(256 * 1024).spawn(|| {
            loop {
                if let Err(error) = virt::event::event_run_default_impl() {
                    tracing::warn!(%error, "libvirt's event loop failed");
                    thread::sleep(Duration::from_millis(100));
                }
            }
        });
        spawned.map(drop).map_err(|error| {
            tracing::error!(%error, "no thread for libvirt's event loop");
            Error::last_error()
        })
    })
    .clone()
}

/// A connection that is closed when it is dropped, which `virt` leaves to its user.
pub struct Connection(Connect);

impl Connection {
    /// Opens a connection to `uri`.
    pub fn open(uri: &str) -> Result<Self, Error> {
        initialize()?;
        Connect::open(Some(uri)).map(Self)
    }
}

impl std::ops::Deref for Connection {
    type Target = Connect;

    fn deref(&self) -> &Connect {
        &self.0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Err(error) = self.0.close() {
            tracing::debug!(%error, "closing a connection to libvirt");
        }
    }
}

/// A new connection to the domain's first graphics device, a stream socket, whatever that listens on. The device asks
/// whoever comes this way for no password: libvirt has let them in.
pub fn open_graphics(domain: &Domain) -> Result<OwnedFd, Error> {
    // SAFETY: the domain's handle is valid for as long as `domain` lives.
    let descriptor =
        unsafe { sys::virDomainOpenGraphicsFD(domain.as_ptr(), 0, sys::VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH) };
    if descriptor < 0 {
        return Err(Error::last_error());
    }
    // SAFETY: libvirt has opened the descriptor for its caller, who is to close it; nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

type EventHandler = Box<dyn Fn(DomainEvent) + Send + Sync>;
type CloseHandler = Box<dyn Fn(&'static str) + Send + Sync>;

/// Domain events and the end of a connection, for as long as this value lives.
pub struct Subscription {
    connection: Connection,
    callbacks: Vec<c_int>,
    close_registered: bool,
}

impl Subscription {
    /// Calls `on_event` for what happens to any domain of `connection`, and `on_close` when the connection ends other
    /// than by being dropped. Both run on libvirt's event thread: they must not block and must not call libvirt.
    ///
    /// Drivers without close notices or keepalive (`test:///`) do without.
    pub fn new(
        connection: Connection,
        on_event: impl Fn(DomainEvent) + Clone + Send + Sync + 'static,
        on_close: impl Fn(&'static str) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut this = Self { connection, callbacks: Vec::new(), close_registered: false };
        this.register(sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle_event as *const (), on_event.clone())?;
        this.register(sys::VIR_DOMAIN_EVENT_ID_REBOOT, reboot_event as *const (), on_event.clone())?;
        this.register(sys::VIR_DOMAIN_EVENT_ID_IO_ERROR, io_error_event as *const (), on_event.clone())?;
        let removed = device_removed_event as *const ();
        this.register(sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, removed, on_event.clone())?;
        this.register(sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, device_kept_event as *const (), on_event)?;

        let handler: *mut CloseHandler = Box::into_raw(Box::new(Box::new(on_close)));
        // SAFETY: `handler` is a live CloseHandler, which `connection_closed` expects; libvirt owns it from here on
        // and gives it to `free_close_handler` exactly once.
        let code = unsafe {
            sys::virConnectRegisterCloseCallback(
                this.connection.as_ptr(),
                Some(connection_closed),
                handler.cast(),
                Some(free_close_handler),
            )
        };
        if code == 0 {
            this.close_registered = true;
        } else {
            // SAFETY: a failed registration does not take ownership.
            drop(unsafe { Box::from_raw(handler) });
            let error = Error::last_error();
            if error.code().to_raw() != sys::VIR_ERR_NO_SUPPORT {
                return Err(error);
            }
        }
        Ok(this)
    }

    /// The connection the events come from.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn register(
        &mut self,
        event: sys::virDomainEventID,
        callback: *const (),
        handler: impl Fn(DomainEvent) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let handler: *mut EventHandler = Box::into_raw(Box::new(Box::new(handler)));
        // SAFETY: libvirt takes every event's callback under one generic type and casts it back to the type that
        // belongs to `event`; the callers pair event and callback so. `handler` is a live EventHandler, owned
        // by libvirt from here on and given to `free_event_handler` exactly once. A null domain means any domain.
        let id = unsafe {
            let callback = std::mem::transmute::<*const (), sys::virConnectDomainEventGenericCallback>(callback);
            sys::virConnectDomainEventRegisterAny(
                self.connection.as_ptr(),
                ptr::null_mut(),
                event as c_int,
                callback,
                handler.cast(),
                Some(free_event_handler),
            )
        };
        if id < 0 {
            // SAFETY: a failed registration does not take ownership.
            drop(unsafe { Box::from_raw(handler) });
            return Err(Error::last_error());
        }
        self.callbacks.push(id);
        Ok(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Every callback holds a reference to the connection: without this, closing it would not end it.
        for id in &self.callbacks {
            // SAFETY: the connection is open and the id was given out for it.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connection.as_ptr(), *id) };
        }
        if self.close_registered {
            // SAFETY: the connection is open and this callback was registered on it.
            unsafe { sys::virConnectUnregisterCloseCallback(self.connection.as_ptr(), Some(connection_closed)) };
        }
    }
}

/// # Safety
/// libvirt calls it with a valid domain and the `EventHandler` given at registration.
unsafe fn deliver(domain: sys::virDomainPtr, opaque: *mut c_void, event: impl FnOnce(VmUuid) -> DomainEvent) {
    let mut bytes = [0u8; sys::VIR_UUID_BUFLEN as usize];
    // SAFETY: the domain is valid for the duration of the callback, and the buffer has the length libvirt writes.
    if unsafe { sys::virDomainGetUUID(domain, bytes.as_mut_ptr()) } == 0 {
        // SAFETY: `opaque` is the EventHandler that `register` leaked; libvirt frees it only after deregistration.
        let handler = unsafe { &*opaque.cast::<EventHandler>() };
        handler(event(Uuid::from_bytes(bytes).into()));
    }
}

unsafe extern "C" fn lifecycle_event(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: as libvirt calls it.
    unsafe { deliver(domain, opaque, DomainEvent::Lifecycle) };
    0
}

unsafe extern "C" fn reboot_event(_: sys::virConnectPtr, domain: sys::virDomainPtr, opaque: *mut c_void) {
    // SAFETY: as libvirt calls it.
    unsafe { deliver(domain, opaque, DomainEvent::Rebooted) };
}

unsafe extern "C" fn io_error_event(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _path: *const c_char,
    _alias: *const c_char,
    _action: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as libvirt calls it.
    unsafe { deliver(domain, opaque, DomainEvent::IoError) };
}

unsafe extern "C" fn device_removed_event(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's alias is a string that lives as long as the callback; the rest is as libvirt calls it.
    unsafe {
        let alias = CStr::from_ptr(alias).to_string_lossy();
        deliver(domain, opaque, |domain| DomainEvent::DeviceRemoved { domain, alias: alias.into_owned() });
    }
}

unsafe extern "C" fn device_kept_event(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt's alias is a string that lives as long as the callback; the rest is as libvirt calls it.
    unsafe {
        let alias = CStr::from_ptr(alias).to_string_lossy();
        deliver(domain, opaque, |domain| DomainEvent::DeviceKept { domain, alias: alias.into_owned() });
    }
}

unsafe extern "C" fn connection_closed(_: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    let reason = match reason as sys::virConnectCloseReason {
        sys::VIR_CONNECT_CLOSE_REASON_EOF => "libvirtd closed the connection",
        sys::VIR_CONNECT_CLOSE_REASON_KEEPALIVE => "libvirtd does not answer",
        sys::VIR_CONNECT_CLOSE_REASON_CLIENT => return,
        _ => "the connection broke",
    };
    // SAFETY: `opaque` is the CloseHandler given at registration, alive until it is unregistered.
    let handler = unsafe { &*opaque.cast::<CloseHandler>() };
    handler(reason);
}

unsafe extern "C" fn free_event_handler(opaque: *mut c_void) {
    // SAFETY: `opaque` came from `Box::into_raw` in `register`, and libvirt calls this once.
    drop(unsafe { Box::from_raw(opaque.cast::<EventHandler>()) });
}

unsafe extern "C" fn free_close_handler(opaque: *mut c_void) {
    // SAFETY: `opaque` came from `Box::into_raw` in `Subscription::new`, and libvirt calls this once.
    drop(unsafe { Box::from_raw(opaque.cast::<CloseHandler>()) });
}

/// Asks the guest of a running domain to let go of the device that libvirt calls `alias`. It answers before the guest
/// does: [`DomainEvent::DeviceRemoved`] and [`DomainEvent::DeviceKept`] tell the end.
pub fn ask_to_release_device(domain: &Domain, alias: &str) -> Result<(), Error> {
    // libvirt finds no device under half a name.
    let alias = CString::new(alias).unwrap_or_default();
    // SAFETY: the domain is valid, and the string ends in a NUL and outlives the call.
    let code = unsafe { sys::virDomainDetachDeviceAlias(domain.as_ptr(), alias.as_ptr(), sys::VIR_DOMAIN_AFFECT_LIVE) };
    if code < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// One domain's part of a bulk statistics call.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainStats {
    /// The domain.
    pub uuid: VmUuid,
    /// Its number in this run of libvirtd.
    pub id: u32,
    /// The values by libvirt's names, such as `cpu.time` or `net.0.rx.bytes`.
    pub values: Vec<(String, StatValue)>,
}

/// A value of a bulk statistics call.
#[derive(Debug, Clone, PartialEq)]
pub enum StatValue {
    /// A whole number.
    Integer(i128),
    /// A fraction.
    Double(f64),
    /// A name.
    Text(String),
}

/// The statistics of all running domains in one call, `groups` being `VIR_DOMAIN_STATS_*`. With `no_wait`, a domain
/// that is busy or hung is reported with what is known without asking it, so that it delays nobody.
pub fn all_domain_stats(connection: &Connect, groups: u32, no_wait: bool) -> Result<Vec<DomainStats>, Error> {
    let mut flags = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
    if no_wait {
        flags |= sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    }
    let mut records: *mut sys::virDomainStatsRecordPtr = ptr::null_mut();
    // SAFETY: the connection is open; libvirt fills `records` with an array of as many records as it returns.
    let count = unsafe { sys::virConnectGetAllDomainStats(connection.as_ptr(), groups, &mut records, flags) };
    if count < 0 {
        return Err(Error::last_error());
    }
    // SAFETY: the array holds `count` valid record pointers until it is freed below.
    let stats = unsafe { (0..count as usize).filter_map(|index| domain_stats(&**records.add(index))).collect() };
    // SAFETY: allocated by the call above and not used any more.
    unsafe { sys::virDomainStatsRecordListFree(records) };
    Ok(stats)
}

/// # Safety
/// `record` is one that libvirt filled.
unsafe fn domain_stats(record: &sys::virDomainStatsRecord) -> Option<DomainStats> {
    let mut bytes = [0u8; sys::VIR_UUID_BUFLEN as usize];
    // SAFETY: the record holds a reference to its domain.
    let id = unsafe {
        if sys::virDomainGetUUID(record.dom, bytes.as_mut_ptr()) != 0 {
            return None;
        }
        sys::virDomainGetID(record.dom)
    };
    let values = (0..usize::try_from(record.nparams).unwrap_or(0))
        .filter_map(|index| {
            // SAFETY: `params` holds `nparams` parameters; `field` is a NUL-terminated array; the union's member in
            // use is the one that `type_` names.
            unsafe {
                let parameter = &*record.params.add(index);
                let name = CStr::from_ptr(parameter.field.as_ptr()).to_string_lossy().into_owned();
                let value = match parameter.type_ as sys::virTypedParameterType {
                    sys::VIR_TYPED_PARAM_INT => StatValue::Integer(parameter.value.i.into()),
                    sys::VIR_TYPED_PARAM_BOOLEAN => StatValue::Integer(i128::from(parameter.value.b != 0)),
                    sys::VIR_TYPED_PARAM_UINT => StatValue::Integer(parameter.value.ui.into()),
                    sys::VIR_TYPED_PARAM_LLONG => StatValue::Integer(parameter.value.l.into()),
                    sys::VIR_TYPED_PARAM_ULLONG => StatValue::Integer(parameter.value.ul.into()),
                    sys::VIR_TYPED_PARAM_DOUBLE => StatValue::Double(parameter.value.d),
                    sys::VIR_TYPED_PARAM_STRING => {
                        StatValue::Text(CStr::from_ptr(parameter.value.s).to_string_lossy().into_owned())
                    }
                    _ => return None,
                };
                Some((name, value))
            }
        })
        .collect();
    Some(DomainStats { uuid: Uuid::from_bytes(bytes).into(), id, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_statistics_carry_every_domain_with_its_values() {
        let connection = Connection::open("test:///default").unwrap();
        let stats = all_domain_stats(&connection, sys::VIR_DOMAIN_STATS_STATE, true).unwrap();
        let domains = connection.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE).unwrap();
        assert!(!domains.is_empty());
        for domain in domains {
            let found = stats.iter().find(|stats| stats.uuid.as_uuid() == domain.get_uuid().unwrap()).unwrap();
            let running = StatValue::Integer(sys::VIR_DOMAIN_RUNNING.into());
            assert!(found.values.contains(&("state.state".into(), running)), "{found:?}");
        }
    }

    #[test]
    fn a_dropped_subscription_lets_go_of_its_connection() {
        struct Flag(std::sync::Arc<()>);
        let kept = std::sync::Arc::new(());
        let flag = std::sync::Arc::new(Flag(kept.clone()));
        let connection = Connection::open("test:///default").unwrap();
        let subscription = Subscription::new(connection, move |_| drop(flag.0.clone()), |_| ()).unwrap();
        assert_eq!(std::sync::Arc::strong_count(&kept), 2);
        drop(subscription);
        // The event thread frees callbacks in its own time.
        while std::sync::Arc::strong_count(&kept) > 1 {
            thread::yield_now();
        }
    }
}
