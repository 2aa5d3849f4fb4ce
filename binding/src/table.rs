//! A bound table as the database has it.

use crate::BindingError;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The declared type, in upper case.
    pub(crate) kind: String,
    /// Whether it is part of the primary key.
    pub(crate) key: bool,
}

/// A table, with what is known of it at start-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As bindings name it.
    pub(crate) name: String,
    /// As SQL names it, quoted.
    pub(crate) quoted: String,
    pub(crate) columns: Vec<Column>,
    /// The column of its primary key.
    pub(crate) key: String,
}

impl Table {
    pub(crate) fn new(
        name: &str,
        quoted: String,
        columns: Vec<Column>,
    ) -> Result<Self, BindingError> {
        let keys: Vec<&Column> = columns.iter().filter(|column| column.key).collect();
        let [key] = keys.as_slice() else {
            return Err(BindingError::Key {
                table: name.to_owned(),
                columns: keys.len(),
            });
        };
        Ok(Self {
            name: name.to_owned(),
            key: key.name.clone(),
            quoted,
            columns,
        })
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(crate) fn column_names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|it| it.name.as_str()).collect();
        names.join(", ")
    }
}
