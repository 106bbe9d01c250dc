//! Images, end to end.
