//! Which fields of a model a binding sends and takes.

/// The fields that a [`Binding`](crate::Binding) sends and that clients may
/// set. There is no default: who binds a table says what becomes visible.
///
/// The primary key always travels as `pk`. It is part of the fields only if
/// [`Only`](Self::Only) lists it; then a client may choose it at create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Every field of the model that is a column.
    All,
    /// These fields. Each must be a column of the table.
    Only(&'static [&'static str]),
    /// Every field of the model that is a column, but these. Each must be a
    /// column of the table, so that a misspelt name hides nothing by mistake.
    AllBut(&'static [&'static str]),
}

impl Fields {
    /// The names that are written down, which must all be columns.
    pub(crate) fn listed(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Only(names) | Self::AllBut(names) => names,
        }
    }

    /// Whether a column that may be the table's key is one of the fields.
    pub(crate) fn contain(self, column: &str, key: &str) -> bool {
        match self {
            Self::All => column != key,
            Self::Only(names) => names.contains(&column),
            Self::AllBut(names) => column != key && !names.contains(&column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_a_field_only_if_it_is_listed() {
        assert!(!Fields::All.contain("id", "id"));
        assert!(!Fields::AllBut(&["secret"]).contain("id", "id"));
        assert!(Fields::Only(&["id"]).contain("id", "id"));
        assert!(!Fields::Only(&["title"]).contain("id", "id"));
    }

    #[test]
    fn what_is_left_out_is_no_field() {
        let fields = Fields::AllBut(&["secret"]);
        assert!(!fields.contain("secret", "id"));
        assert!(fields.contain("title", "id"));
        assert!(!Fields::Only(&["title"]).contain("secret", "id"));
    }
}
