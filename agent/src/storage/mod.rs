//! Storage directories and volumes.
