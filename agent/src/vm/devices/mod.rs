//! Changing the devices of a VM that runs.
//!
//! Every change is made in the VM's turn and looks at the running domain first, so that a repeated one does nothing.
//! A change that did not come about leaves the device as it was, also where libvirt or the guest is late:
//! - an attachment that succeeds after its deadline is taken back ([`attach`]);
//! - a device that the guest lets go of after [`detach`] gave up is put back ([`Removals`]).

mod attach;
mod detach;
mod lists;
mod live;
mod removals;
mod update;

pub use self::{
    attach::attach,
    detach::detach,
    lists::{cdroms, interfaces},
    live::{DeviceName, look_for},
    removals::{Removal, Removals, put_back},
    update::update,
};

/// A device to attach.
#[derive(Debug, Clone)]
pub struct Device {
    /// How it is found again.
    pub name: DeviceName,
    /// The file behind a drive that has one.
    pub file: Option<String>,
    /// libvirt's XML.
    pub xml: String,
}
