//! The `gantry-mgmt` program.
fn main() {}
