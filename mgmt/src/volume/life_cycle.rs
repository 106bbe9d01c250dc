//! The life cycle of volumes: which commands a volume's standing allows. Pure, so that every case can be tried.
//!
//! ```text
//! NotInstantiated ── first attach ──▶ Ready ◀─ attach, detach, grow
//!        └───────── delete ─▶ Deleted ◀─┴─ delete (detached first) ── expunge ─▶ gone
//!        ◀───────── recover ─────┴───── recover ─▶
//! ```
//!
//! A root volume is made, kept and removed with its VM: of these, it can only grow and be measured.

use gantry_common::error::ErrorKind;

use crate::{
    failure::Failure,
    resource::{AdminState, MediaStatus, Volume, VolumeType},
};

/// What a caller wants of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeCommand {
    /// Give it to a VM.
    Attach,
    /// Take it from its VM.
    Detach,
    /// Put it aside.
    Delete,
    /// Take it back.
    Recover,
    /// Remove it for good.
    Expunge,
    /// Make it larger.
    Grow,
    /// Measure its file.
    Measure,
}

/// What of a volume decides about commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Root or data.
    pub kind: VolumeType,
    /// Where it is in its life.
    pub status: MediaStatus,
    /// Whether a VM has it.
    pub is_attached: bool,
    /// Whether it may be attached.
    pub is_enabled: bool,
}

impl From<&Volume> for Standing {
    fn from(volume: &Volume) -> Self {
        Self {
            kind: volume.kind,
            status: volume.status,
            is_attached: volume.vm_instance_uuid.is_some(),
            is_enabled: volume.state == AdminState::Enabled,
        }
    }
}

/// Whether a command has anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeAdmission {
    /// It goes ahead.
    Go,
    /// The volume is where the command would bring it.
    Done,
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is a VM's root volume.
    IsRoot,
    /// It must be in one of these.
    Status(&'static [MediaStatus]),
    /// A VM has it.
    IsAttached,
    /// It is disabled.
    IsDisabled,
}

/// Whether a volume that stands so allows `command`.
pub fn admit_standing(standing: Standing, command: VolumeCommand) -> Result<VolumeAdmission, Refusal> {
    use MediaStatus::{Deleted, NotInstantiated, Ready};
    use VolumeAdmission::{Done, Go};
    let is_one_of = |allowed: &'static [MediaStatus]| {
        if allowed.contains(&standing.status) { Ok(Go) } else { Err(Refusal::Status(allowed)) }
    };
    match command {
        VolumeCommand::Grow | VolumeCommand::Measure => is_one_of(&[Ready]),
        _ if standing.kind == VolumeType::Root => Err(Refusal::IsRoot),
        VolumeCommand::Attach => {
            if standing.is_attached {
                return Err(Refusal::IsAttached);
            }
            let admission = is_one_of(&[Ready, NotInstantiated])?;
            if standing.is_enabled { Ok(admission) } else { Err(Refusal::IsDisabled) }
        }
        VolumeCommand::Detach if !standing.is_attached => Ok(Done),
        VolumeCommand::Detach => is_one_of(&[Ready]),
        VolumeCommand::Delete if standing.status == Deleted => Ok(Done),
        VolumeCommand::Delete => is_one_of(&[Ready, NotInstantiated]),
        VolumeCommand::Recover | VolumeCommand::Expunge => is_one_of(&[Deleted]),
    }
}

/// [`admit_standing`] for a volume, with a refusal that says what is in the way.
pub fn admit_volume(volume: &Volume, command: VolumeCommand) -> Result<VolumeAdmission, Failure> {
    admit_standing(volume.into(), command).map_err(|refusal| {
        let name = format!("volume '{}' ({})", volume.name, volume.uuid);
        match refusal {
            Refusal::IsRoot => Failure::new(
                ErrorKind::Refused,
                format!("{name} is a VM's root volume, which comes, stays and goes with its VM: name a data volume"),
            ),
            Refusal::Status(allowed) => {
                let allowed: Vec<&str> = allowed.iter().map(|status| status.as_str()).collect();
                let details = format!("{name} is {}: this needs it {}", volume.status, allowed.join(" or "));
                Failure::new(ErrorKind::StateForbids, details)
            }
            Refusal::IsAttached => {
                let vm = volume.vm_instance_uuid.map_or_else(String::new, |vm| vm.to_string());
                Failure::new(ErrorKind::ResourceInUse, format!("{name} is attached to VM {vm}: detach it first"))
            }
            Refusal::IsDisabled => {
                Failure::new(ErrorKind::StateForbids, format!("{name} is Disabled: enable it with ChangeVolumeState"))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMANDS: [VolumeCommand; 7] = [
        VolumeCommand::Attach,
        VolumeCommand::Detach,
        VolumeCommand::Delete,
        VolumeCommand::Recover,
        VolumeCommand::Expunge,
        VolumeCommand::Grow,
        VolumeCommand::Measure,
    ];

    fn any_standing() -> impl Strategy<Value = Standing> {
        let kind = prop::sample::select(VolumeType::ALL);
        let status = prop::sample::select(MediaStatus::ALL);
        (kind, status, any::<bool>(), any::<bool>()).prop_map(|(kind, status, is_attached, is_enabled)| Standing {
            kind,
            status,
            is_attached,
            is_enabled,
        })
    }

    fn any_command() -> impl Strategy<Value = VolumeCommand> {
        prop::sample::select(&COMMANDS[..])
    }

    /// Where an admitted command brings a volume; `None` where it is gone.
    fn after(standing: Standing, command: VolumeCommand, has_file: bool) -> Option<Standing> {
        let settled = if has_file { MediaStatus::Ready } else { MediaStatus::NotInstantiated };
        match command {
            VolumeCommand::Attach => Some(Standing { is_attached: true, status: MediaStatus::Ready, ..standing }),
            VolumeCommand::Detach => Some(Standing { is_attached: false, ..standing }),
            VolumeCommand::Delete => Some(Standing { is_attached: false, status: MediaStatus::Deleted, ..standing }),
            VolumeCommand::Recover => Some(Standing { status: settled, ..standing }),
            VolumeCommand::Expunge => None,
            VolumeCommand::Grow | VolumeCommand::Measure => Some(standing),
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_a_deleted_volume_is_attached_to_nothing_and_an_attached_one_has_a_file(
            has_file in any::<bool>(), commands in prop::collection::vec(any_command(), 0..40),
        ) {
            let status = if has_file { MediaStatus::Ready } else { MediaStatus::NotInstantiated };
            let mut has_file = has_file;
            let mut standing =
                Standing { kind: VolumeType::Data, status, is_attached: false, is_enabled: true };
            for command in commands {
                if admit_standing(standing, command) != Ok(VolumeAdmission::Go) {
                    continue;
                }
                has_file |= command == VolumeCommand::Attach;
                let Some(next) = after(standing, command, has_file) else { return Ok(()) };
                standing = next;
                prop_assert!(!(standing.is_attached && standing.status != MediaStatus::Ready), "{command:?}: {standing:?}");
            }
        }

        #[test]
        fn a_volume_is_expunged_only_after_it_was_deleted(standing in any_standing()) {
            let admitted = admit_standing(standing, VolumeCommand::Expunge).is_ok();
            prop_assert_eq!(admitted, standing.status == MediaStatus::Deleted && standing.kind == VolumeType::Data);
        }

        #[test]
        fn a_root_volume_only_grows_and_is_measured(standing in any_standing(), command in any_command()) {
            let standing = Standing { kind: VolumeType::Root, ..standing };
            let own = matches!(command, VolumeCommand::Grow | VolumeCommand::Measure);
            prop_assert_eq!(admit_standing(standing, command) == Err(Refusal::IsRoot), !own);
        }

        #[test]
        fn a_refusal_names_only_statuses_that_would_be_allowed(standing in any_standing(), command in any_command()) {
            if let Err(Refusal::Status(allowed)) = admit_standing(standing, command) {
                for status in allowed {
                    let standing = Standing { status: *status, is_enabled: true, ..standing };
                    prop_assert_eq!(admit_standing(standing, command), Ok(VolumeAdmission::Go));
                }
            }
        }

        #[test]
        fn nothing_is_done_with_a_volume_that_is_being_made(standing in any_standing(), command in any_command()) {
            let standing = Standing { status: MediaStatus::Creating, ..standing };
            prop_assert_ne!(admit_standing(standing, command), Ok(VolumeAdmission::Go));
        }
    }
}
