//! The mark that tells Gantry's domains from everybody else's.

use gantry_common::{agent::AgentError, id::VmUuid};
use virt::domain::Domain;
use virt_sys as sys;

use super::xml::Element;
use crate::libvirt::failed;

/// The mark's XML namespace.
pub const NAMESPACE: &str = "urn:gantry:domain:1";

/// The mark. It names the VM, so that a copy of a domain (`virt-clone`, an edited dump) does not pass for the VM.
pub fn mark(vm: VmUuid) -> Element {
    Element::new("metadata").child(Element::new("gantry:vm").attr("xmlns:gantry", NAMESPACE).attr("uuid", vm))
}

/// Whether Gantry made `domain`, which has the uuid `vm`.
pub fn is_ours(domain: &Domain, vm: VmUuid) -> Result<bool, AgentError> {
    match domain.get_metadata(sys::VIR_DOMAIN_METADATA_ELEMENT as i32, Some(NAMESPACE), 0) {
        Ok(mark) => Ok(marked_vm(&mark) == Some(vm)),
        Err(error) if error.code().to_raw() == sys::VIR_ERR_NO_DOMAIN_METADATA => Ok(false),
        Err(error) => Err(failed("virDomainGetMetadata")(error)),
    }
}

fn marked_vm(mark: &str) -> Option<VmUuid> {
    roxmltree::Document::parse(mark).ok()?.root_element().attribute("uuid")?.parse().ok()
}
