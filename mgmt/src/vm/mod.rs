//! What is decided about VMs: their life cycle, where they run, what hosts are told of them.

mod cd_drives;
mod cpu_pinning;
mod image_path;
mod life_cycle;
mod placement;
mod spec;
mod static_ip;
mod tags;

pub use cd_drives::*;
pub use cpu_pinning::*;
pub use image_path::*;
pub use life_cycle::*;
pub use placement::*;
pub use spec::*;
pub use static_ip::*;
pub use tags::*;
