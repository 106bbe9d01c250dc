//! The `gantry-agent` program.
fn main() {}
