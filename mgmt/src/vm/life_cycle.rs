//! The VM life cycle: which commands a state allows, and what an observation makes of it. Pure, so that every case can
//! be tried.
//!
//! ```text
//! Created ─┐                 ┌── Paused ──┐
//! Stopped ─┴─ start ─▶ Running ◀─ resume ─┘     any but Destroyed ─ destroy ─▶ Destroyed ─ expunge ─▶ gone
//!    ▲                   │  ▲└─ reboot ─┘        Stopped ◀───────── recover ──────┘
//!    └────── stop ───────┘  │
//!    └── it ended by itself ┘  (observed)
//! ```

use gantry_common::{agent::VmState, error::ErrorKind};

use crate::{
    failure::Failure,
    resource::{VmInstance, VmInstanceState as State},
};

/// What a caller wants of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Run it.
    Start,
    /// Stop it.
    Stop,
    /// Restart it.
    Reboot,
    /// Suspend it.
    Pause,
    /// Let it go on.
    Resume,
    /// Put it aside.
    Destroy,
    /// Take it back.
    Recover,
    /// Remove it for good.
    Expunge,
}

/// Whether a command has anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes ahead; meanwhile the VM is in this state.
    Go(State),
    /// The VM is where the command would bring it.
    Done,
}

/// Whether `state` allows `command`. A refusal names the states that would.
pub fn admit(state: State, command: Command) -> Result<Admission, &'static [State]> {
    use Admission::{Done, Go};
    match (command, state) {
        (Command::Start, State::Created | State::Stopped) => Ok(Go(State::Starting)),
        (Command::Start, State::Running) => Ok(Done),
        (Command::Start, _) => Err(&[State::Created, State::Stopped]),

        (Command::Stop, State::Running | State::Paused | State::Unknown) => Ok(Go(State::Stopping)),
        (Command::Stop, State::Stopped | State::Created) => Ok(Done),
        (Command::Stop, _) => Err(&[State::Running, State::Paused, State::Unknown]),

        (Command::Reboot, State::Running) => Ok(Go(State::Rebooting)),
        (Command::Reboot, _) => Err(&[State::Running]),

        (Command::Pause, State::Running) => Ok(Go(State::Pausing)),
        (Command::Pause, State::Paused) => Ok(Done),
        (Command::Pause, _) => Err(&[State::Running]),

        (Command::Resume, State::Paused) => Ok(Go(State::Resuming)),
        (Command::Resume, State::Running) => Ok(Done),
        (Command::Resume, _) => Err(&[State::Paused]),

        (Command::Destroy, State::Destroyed) => Ok(Done),
        (Command::Destroy, State::Created | State::Stopped | State::Running | State::Paused | State::Unknown) => {
            Ok(Go(State::Destroying))
        }
        (Command::Destroy, _) => Err(&[State::Created, State::Stopped, State::Running, State::Paused, State::Unknown]),

        (Command::Recover, State::Destroyed) => Ok(Go(State::Stopped)),
        (Command::Recover, _) => Err(&[State::Destroyed]),

        (Command::Expunge, State::Destroyed) => Ok(Go(State::Expunging)),
        (Command::Expunge, _) => Err(&[State::Destroyed]),
    }
}

/// [`admit`] for a VM, with a refusal that says which state is in the way.
pub fn admit_vm(vm: &VmInstance, command: Command) -> Result<Admission, Failure> {
    admit(vm.state, command).map_err(|allowed| {
        let allowed: Vec<&str> = allowed.iter().map(|state| state.as_str()).collect();
        Failure::new(
            ErrorKind::StateForbids,
            format!("VM '{}' ({}) is {}: this needs it {}", vm.name, vm.uuid, vm.state, allowed.join(" or ")),
        )
    })
}

/// Refuses to change what a VM has while it is neither running nor off.
pub fn require_running_or_off(vm: &VmInstance) -> Result<(), Failure> {
    match vm.state {
        State::Running | State::Stopped | State::Created => Ok(()),
        state => {
            let details = format!("VM '{}' ({}) is {state}: this needs it Running or Stopped", vm.name, vm.uuid);
            Err(Failure::new(ErrorKind::StateForbids, details))
        }
    }
}

/// Whether a job owns the VM's state: observations then wait until it is done.
pub fn is_in_hand(state: State) -> bool {
    match state {
        State::Starting
        | State::Stopping
        | State::Rebooting
        | State::Pausing
        | State::Resuming
        | State::VolumeMigrating
        | State::Destroying
        | State::Expunging => true,
        State::Created | State::Running | State::Stopped | State::Paused | State::Destroyed | State::Unknown => false,
    }
}

/// What an observation of a VM means for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The record is right, or a job is at work on it.
    Keep,
    /// The VM is in this state, on the host that saw it.
    Becomes(State),
    /// The VM runs where it must not: it was stopped, destroyed or is elsewhere. The host is to stop it.
    MustStop,
}

/// Where the record places a VM, seen from the host that looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// On that host.
    Here,
    /// On another host.
    Elsewhere,
    /// On none.
    Nowhere,
}

/// Judges an observation by a host.
pub fn judge(recorded: State, place: Whereabouts, seen: VmState) -> Verdict {
    use Whereabouts::{Elsewhere, Here, Nowhere};
    if is_in_hand(recorded) {
        return Verdict::Keep;
    }
    let seen = match seen {
        VmState::Absent => {
            return match (place, recorded) {
                (Here, State::Running | State::Paused | State::Unknown) => Verdict::Becomes(State::Stopped),
                _ => Verdict::Keep,
            };
        }
        VmState::Running => State::Running,
        VmState::Paused | VmState::Stalled => State::Paused,
    };
    match (place, recorded) {
        // Its files may be gone, or written by the other one: it must not run here too.
        (_, State::Destroyed) | (Elsewhere, _) => Verdict::MustStop,
        (Here | Nowhere, recorded) if recorded == seen && place == Here => Verdict::Keep,
        // What runs is never stopped for a record's sake: the record is wrong.
        (Here | Nowhere, _) => Verdict::Becomes(seen),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMANDS: [Command; 8] = [
        Command::Start,
        Command::Stop,
        Command::Reboot,
        Command::Pause,
        Command::Resume,
        Command::Destroy,
        Command::Recover,
        Command::Expunge,
    ];

    fn any_state() -> impl Strategy<Value = State> {
        prop::sample::select(State::ALL)
    }

    fn any_sight() -> impl Strategy<Value = VmState> {
        prop::sample::select(vec![VmState::Running, VmState::Paused, VmState::Stalled, VmState::Absent])
    }

    fn any_place() -> impl Strategy<Value = Whereabouts> {
        prop::sample::select(vec![Whereabouts::Here, Whereabouts::Elsewhere, Whereabouts::Nowhere])
    }

    proptest! {
        #[test]
        fn no_command_begins_while_a_job_has_the_vm_in_hand(state in any_state(), command in prop::sample::select(&COMMANDS[..])) {
            if is_in_hand(state) {
                prop_assert!(admit(state, command).is_err());
            }
        }

        #[test]
        fn a_refusal_names_only_states_that_would_be_allowed(state in any_state(), command in prop::sample::select(&COMMANDS[..])) {
            if let Err(allowed) = admit(state, command) {
                for state in allowed {
                    prop_assert!(matches!(admit(*state, command), Ok(Admission::Go(_))));
                }
            }
        }

        #[test]
        fn judging_the_same_sight_twice_changes_nothing_more(state in any_state(), place in any_place(), seen in any_sight()) {
            if let Verdict::Becomes(next) = judge(state, place, seen) {
                let place = if next == State::Stopped { Whereabouts::Nowhere } else { Whereabouts::Here };
                prop_assert_eq!(judge(next, place, seen), Verdict::Keep);
            }
        }

        #[test]
        fn a_vm_is_never_recorded_running_by_a_host_that_does_not_have_it(state in any_state(), place in any_place()) {
            prop_assert_ne!(judge(state, place, VmState::Absent), Verdict::Becomes(State::Running));
        }

        #[test]
        fn a_vm_is_stopped_only_if_it_is_destroyed_or_elsewhere(state in any_state(), place in any_place(), seen in any_sight()) {
            if judge(state, place, seen) == Verdict::MustStop {
                prop_assert!(state == State::Destroyed || place == Whereabouts::Elsewhere);
            }
        }
    }

    #[test]
    fn a_guest_that_powers_itself_off_is_stopped() {
        assert_eq!(judge(State::Running, Whereabouts::Here, VmState::Absent), Verdict::Becomes(State::Stopped));
    }

    #[test]
    fn a_vm_that_was_destroyed_while_its_host_was_away_is_stopped_there() {
        assert_eq!(judge(State::Destroyed, Whereabouts::Nowhere, VmState::Running), Verdict::MustStop);
    }
}
