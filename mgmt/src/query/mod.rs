//! The query engine: conditions over declared resources, compiled to one SQL statement with bound parameters, and one
//! more for each list that stands in an inventory.

mod compile;
mod condition;
mod inventory;
mod parameters;

pub use condition::*;
pub use inventory::*;
pub use parameters::*;

#[cfg(test)]
mod tests;
