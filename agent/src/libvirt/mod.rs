//! libvirt: the one connection, bounded blocking calls, domain events.
