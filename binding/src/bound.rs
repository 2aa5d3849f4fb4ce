//! A binding without its types, and what the bindings of a database need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use serde::Serialize;
use serde_json::{Map, Value};
use towpath_layer_core::GroupName;
use towpath_worker::Websocket;

use crate::audience::audiences;
use crate::bindings::Database;
use crate::change::{Change, Row};
use crate::inbound::consumers;
use crate::model::fields_of;
use crate::table::Table;
use crate::{Action, Binding, BindingError, Fields};

/// A frame, and whom it is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) groups: Vec<GroupName>,
    pub(crate) text: ByteString,
}

/// A row that is no value of the model. It names no value: those are not logged.
#[derive(Debug, thiserror::Error)]
#[error("the row does not fit the model at {field:?}: {problem}")]
pub(crate) struct Misfit {
    field: String,
    problem: &'static str,
}

/// A binding, whatever its model.
pub(crate) trait Bound: Send + Sync {
    fn table(&self) -> &'static str;
    fn stream(&self) -> &'static str;
    fn fields(&self) -> Fields;
    /// The fields that the model names, if it is a struct.
    fn model_fields(&self) -> Option<&'static [&'static str]>;
    /// What is to be sent because of a change, in this order.
    fn tell(&self, table: &Table, change: &Change) -> Result<Vec<Told>, Misfit>;
    /// What takes clients' changes on the stream.
    fn consumers(&self, database: Database) -> Websocket;
}

pub(crate) struct Typed<B>(pub(crate) Arc<B>);

/// A row as the binding sees it.
struct Seen<M> {
    instance: M,
    pk: Value,
    groups: BTreeSet<GroupName>,
}

#[derive(Serialize)]
struct Frame<'a> {
    stream: &'a str,
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct Payload<'a> {
    action: Action,
    pk: &'a Value,
    data: Map<String, Value>,
    model: &'a str,
}

impl<B: Binding> Typed<B> {
    fn see(&self, table: &Table, row: &Row) -> Result<Seen<B::Model>, Misfit> {
        let instance = instance::<B>(row)?;
        let mut groups = BTreeSet::new();
        for name in self.0.group_names(&instance) {
            match GroupName::new(name) {
                Ok(group) => {
                    groups.insert(group);
                }
                Err(_) => {
                    crate::meter::dropped(B::TABLE, "group_name");
                    tracing::error!(
                        stream = B::STREAM,
                        "group_names gave a name that is no group name; it is left out"
                    );
                }
            }
        }
        Ok(Seen {
            instance,
            pk: row.get(&table.key).cloned().unwrap_or_default(),
            groups,
        })
    }

    fn data(&self, table: &Table, instance: &B::Model) -> Result<Map<String, Value>, Misfit> {
        let whole = match serde_json::to_value(instance) {
            Ok(Value::Object(whole)) => whole,
            _ => {
                return Err(Misfit {
                    field: ".".to_owned(),
                    problem: "the model does not serialise as an object",
                });
            }
        };
        let is_sent =
            |field: &str| table.column(field).is_some() && B::FIELDS.contain(field, &table.key);
        let mut data: Map<String, Value> = whole
            .into_iter()
            .filter(|(field, _)| is_sent(field))
            .collect();
        for (name, value) in self.0.members(instance) {
            data.insert(name.to_owned(), value);
        }
        Ok(data)
    }

    fn frame(
        &self,
        table: &Table,
        action: Action,
        seen: &Seen<B::Model>,
        groups: Vec<GroupName>,
    ) -> Result<Told, Misfit> {
        let frame = Frame {
            stream: B::STREAM,
            payload: Payload {
                action,
                pk: &seen.pk,
                data: self.data(table, &seen.instance)?,
                model: B::MODEL,
            },
        };
        match serde_json::to_string(&frame) {
            Ok(text) => Ok(Told {
                groups,
                text: text.into(),
            }),
            Err(_) => Err(Misfit {
                field: ".".to_owned(),
                problem: "it does not serialise as JSON",
            }),
        }
    }
}

/// A row as a value of the model.
pub(crate) fn instance<B: Binding>(row: &Row) -> Result<B::Model, Misfit> {
    let mut row = row.clone();
    if let Some(fields) = fields_of::<B::Model>() {
        row.retain(|column, _| fields.contains(&column.as_str()));
    }
    serde_path_to_error::deserialize(Value::Object(row)).map_err(|error| Misfit {
        field: error.path().to_string(),
        problem: "the column has another type, or is not there",
    })
}

impl<B: Binding> Bound for Typed<B> {
    fn table(&self) -> &'static str {
        B::TABLE
    }

    fn stream(&self) -> &'static str {
        B::STREAM
    }

    fn fields(&self) -> Fields {
        B::FIELDS
    }

    fn model_fields(&self) -> Option<&'static [&'static str]> {
        fields_of::<B::Model>()
    }

    fn consumers(&self, database: Database) -> Websocket {
        consumers(Arc::clone(&self.0), database)
    }

    fn tell(&self, table: &Table, change: &Change) -> Result<Vec<Told>, Misfit> {
        let see = |row: &Option<Row>| row.as_ref().map(|row| self.see(table, row)).transpose();
        let (old, new) = (see(&change.old)?, see(&change.new)?);
        let none = BTreeSet::new();
        // A row with another key is another row.
        let same = match (&old, &new) {
            (Some(old), Some(new)) => old.pk == new.pk,
            _ => true,
        };
        let before = old.as_ref().map_or(&none, |old| &old.groups);
        let now = new.as_ref().map_or(&none, |new| &new.groups);
        let steps = if same {
            Vec::from(audiences(before, now))
        } else {
            let mut steps = Vec::from(audiences(before, &none));
            steps.extend(audiences(&none, now));
            steps
        };
        let mut told = Vec::new();
        for (action, groups) in steps {
            // Who no longer sees the row is not shown what it has become.
            let seen = if action == Action::Delete { &old } else { &new };
            if let Some(seen) = seen.as_ref().filter(|_| !groups.is_empty()) {
                told.push(self.frame(table, action, seen, groups)?);
            }
        }
        Ok(told)
    }
}

/// What the bindings of one database need of it, checked against its tables.
pub(crate) struct Plan {
    /// By the name that the bindings use; with the recorded columns, or `None`
    /// for all.
    tables: BTreeMap<String, Planned>,
    pub(crate) kept_rows_max: u32,
}

struct Planned {
    table: Arc<Table>,
    columns: Option<Vec<String>>,
    bound: Vec<Arc<dyn Bound>>,
}

impl Plan {
    pub(crate) fn new(kept_rows_max: u32) -> Self {
        Self {
            tables: BTreeMap::new(),
            kept_rows_max,
        }
    }

    /// Takes a binding in, after a look at whether it fits its table.
    pub(crate) fn add(&mut self, table: Table, bound: Arc<dyn Bound>) -> Result<(), BindingError> {
        check_fields(&table, bound.as_ref())?;
        let twice = |planned: &Planned| {
            planned
                .bound
                .iter()
                .any(|other| other.stream() == bound.stream())
        };
        if self.tables.values().any(twice) {
            return Err(BindingError::StreamTwice {
                stream: bound.stream().to_owned(),
            });
        }
        let columns = recorded(&table, bound.as_ref());
        let planned = self
            .tables
            .entry(table.name.clone())
            .or_insert_with(|| Planned {
                table: Arc::new(table),
                columns: Some(Vec::new()),
                bound: Vec::new(),
            });
        planned.columns = match (planned.columns.take(), columns) {
            (Some(mut all), Some(more)) => {
                all.extend(more);
                all.sort();
                all.dedup();
                Some(all)
            }
            _ => None,
        };
        planned.bound.push(bound);
        Ok(())
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = (&Arc<Table>, Option<&Vec<String>>)> {
        self.tables
            .values()
            .map(|planned| (&planned.table, planned.columns.as_ref()))
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name).map(|planned| &planned.table)
    }

    /// The bindings of a table.
    pub(crate) fn bound(&self, table: &str) -> Option<(&Table, &[Arc<dyn Bound>])> {
        let planned = self.tables.get(table)?;
        Some((&planned.table, &planned.bound))
    }
}

/// The columns that a binding needs; `None` if its model takes any.
fn recorded(table: &Table, bound: &dyn Bound) -> Option<Vec<String>> {
    let fields = bound.model_fields()?;
    let wanted = |column: &&str| *column == table.key || fields.contains(column);
    let columns = table.columns.iter().map(|column| column.name.as_str());
    Some(columns.filter(wanted).map(str::to_owned).collect())
}

fn check_fields(table: &Table, bound: &dyn Bound) -> Result<(), BindingError> {
    let unknown = |field: &str, what, known| BindingError::UnknownField {
        field: field.to_owned(),
        stream: bound.stream().to_owned(),
        what,
        known,
    };
    for field in bound.fields().listed() {
        if table.column(field).is_none() {
            return Err(unknown(
                field,
                "a column of the table",
                table.column_names(),
            ));
        }
    }
    if let (Fields::Only(fields), Some(model)) = (bound.fields(), bound.model_fields()) {
        let key = table.key.as_str();
        if let Some(field) = fields.iter().find(|it| **it != key && !model.contains(it)) {
            return Err(unknown(field, "a field of the model", model.join(", ")));
        }
    }
    Ok(())
}
