//! Which rows of a resource an account sees. The operator sees all of everything.

/// Which rows of a resource an account sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// None.
    Operator,
    /// All.
    Everyone,
    /// Those it owns. A row is owned by the account on whose behalf it was added.
    Owned {
        /// Whether those that are shared with it are seen, too.
        shareable: bool,
        /// The column that names the resource that a new row is a part of, and whose owner it gets.
        part_of: Option<&'static str>,
    },
    /// Those whose relation of this name leads to something it sees.
    With(&'static str),
    /// Those in which this column names an owned resource that it sees.
    About(&'static str),
    /// Those in which one of these columns names it. They are its own where the first does.
    Account(&'static [&'static str]),
}

impl Scope {
    /// Whether rows have owners.
    pub const fn is_owned(self) -> bool {
        matches!(self, Self::Owned { .. })
    }
}
