//! VMs on this host.
