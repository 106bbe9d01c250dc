//! From libvirt's states to the agent's.

use gantry_common::agent::VmState;
use virt_sys as sys;

/// The state of a domain of Gantry's, which is transient: one that does not run is not there. Both numbers are
/// libvirt's (`virDomainState` and the reasons that belong to it).
pub fn vm_state(state: sys::virDomainState, reason: i32) -> VmState {
    match state {
        sys::VIR_DOMAIN_SHUTOFF => VmState::Absent,
        sys::VIR_DOMAIN_PAUSED => paused(reason as sys::virDomainPausedReason),
        sys::VIR_DOMAIN_PMSUSPENDED => VmState::Paused,
        // Gantry's domains are destroyed when they crash; one that was told otherwise waits for somebody.
        sys::VIR_DOMAIN_CRASHED => VmState::Stalled,
        _ => VmState::Running,
    }
}

fn paused(reason: sys::virDomainPausedReason) -> VmState {
    match reason {
        sys::VIR_DOMAIN_PAUSED_IOERROR
        | sys::VIR_DOMAIN_PAUSED_WATCHDOG
        | sys::VIR_DOMAIN_PAUSED_CRASHED
        | sys::VIR_DOMAIN_PAUSED_POSTCOPY_FAILED
        | sys::VIR_DOMAIN_PAUSED_API_ERROR => VmState::Stalled,
        // On its way, and nobody's wish.
        sys::VIR_DOMAIN_PAUSED_STARTING_UP | sys::VIR_DOMAIN_PAUSED_SHUTTING_DOWN => VmState::Running,
        _ => VmState::Paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_domain_is_reported_as_paused() {
        assert_eq!(vm_state(sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_USER as i32), VmState::Paused);
    }

    #[test]
    fn a_domain_that_qemu_stopped_is_stalled() {
        for reason in [sys::VIR_DOMAIN_PAUSED_IOERROR, sys::VIR_DOMAIN_PAUSED_WATCHDOG, sys::VIR_DOMAIN_PAUSED_CRASHED]
        {
            assert_eq!(vm_state(sys::VIR_DOMAIN_PAUSED, reason as i32), VmState::Stalled);
        }
    }

    #[test]
    fn a_domain_that_starts_or_shuts_down_still_counts_as_running() {
        assert_eq!(vm_state(sys::VIR_DOMAIN_SHUTDOWN, 0), VmState::Running);
        assert_eq!(vm_state(sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_STARTING_UP as i32), VmState::Running);
        assert_eq!(vm_state(sys::VIR_DOMAIN_BLOCKED, 0), VmState::Running);
    }

    #[test]
    fn a_domain_that_is_only_defined_is_absent() {
        assert_eq!(vm_state(sys::VIR_DOMAIN_SHUTOFF, 0), VmState::Absent);
    }
}
