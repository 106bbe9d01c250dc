//! Networks tried on a real kernel. Every test runs in network, mount and process namespaces of its own, with a peer on
//! the wire and guests that are namespaces too: the machine's own network is never touched. Needs root, iproute2,
//! nftables, dnsmasq-base, busybox and curl.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

mod bridges;
mod dhcp;
mod filter;
mod lifecycle;
mod userdata;
mod world;
