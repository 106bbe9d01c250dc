//! What is decided about volumes: their life cycle, where their files are, which VMs can have them.

mod attachment;
mod file;
mod life_cycle;
mod room;

pub use attachment::*;
pub use file::*;
pub use life_cycle::*;
pub use room::*;
