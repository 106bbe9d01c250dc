//! The transport: HTTP/2 with mutual TLS.
