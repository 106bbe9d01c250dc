//! Lists of what an operation could use: each tells what it leaves out, and why.

mod exclusion;

pub use exclusion::*;
