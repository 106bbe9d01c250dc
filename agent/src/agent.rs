//! The real host agent: one implementation of `HostAgent` over libvirt, the kernel and the files.
