//! What a client asks for, and whether it may stand in a row.

use serde::Deserialize;
use serde_json::Value;

use super::Write;
use crate::change::Row;
use crate::model::fields_of;
use crate::table::Table;
use crate::{Action, Binding};

/// The payload of a client's frame.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incoming {
    action: String,
    #[serde(default)]
    pk: Option<Value>,
    #[serde(default)]
    data: Option<Row>,
}

/// A payload with the parts that its action needs.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: Action,
    pub(super) pk: Option<Value>,
    data: Row,
}

impl Request {
    /// The error is for the client.
    pub(super) fn new(incoming: Incoming) -> Result<Self, String> {
        let Incoming { action, pk, data } = incoming;
        let action = match action.as_str() {
            "create" => Action::Create,
            "update" => Action::Update,
            "delete" => Action::Delete,
            _ => return Err("action is one of create, update, delete".to_owned()),
        };
        let needs_pk = action != Action::Create;
        match (&pk, needs_pk) {
            (Some(Value::String(_) | Value::Number(_)), true) | (None, false) => {}
            (Some(_), true) => return Err("pk is a string or a number".to_owned()),
            (None, true) => return Err(format!("{action} needs a pk")),
            (Some(_), false) => return Err("create has no pk".to_owned()),
        }
        let data = match (data, action) {
            (None, Action::Delete) => Row::new(),
            (Some(_), Action::Delete) => return Err("delete has no data".to_owned()),
            (Some(data), Action::Update) if data.is_empty() => {
                return Err("data has no fields".to_owned());
            }
            (Some(data), _) => data,
            (None, _) => return Err(format!("{action} needs data")),
        };
        Ok(Self { action, pk, data })
    }

    /// Whether the key has its field's type. A database may find a row by another
    /// form of its key, which a permission would not know it by. The error is
    /// for the client.
    pub(super) fn check_key<B: Binding>(&self, table: &Table) -> Result<(), String> {
        let pk = self.pk.iter().map(|pk| (table.key.clone(), pk.clone()));
        check_types::<B>(&pk.collect())
    }

    /// What is to be written, if every field may be set and fits its type. The
    /// error is for the client.
    pub(super) fn write<B: Binding>(
        self,
        table: &Table,
        set_by_server: Vec<(&'static str, Value)>,
    ) -> Result<Write, String> {
        let model = fields_of::<B::Model>();
        for field in self.data.keys() {
            let listed = table.column(field).is_some()
                && B::FIELDS.contain(field, &table.key)
                && model.is_none_or(|model| model.contains(&field.as_str()));
            if !listed {
                return Err(format!("field {field:?} cannot be set"));
            }
        }
        check_types::<B>(&self.data)?;
        let mut data = self.data;
        for (field, value) in set_by_server {
            data.insert(field.to_owned(), value);
        }
        Ok(match (self.action, self.pk) {
            (Action::Update, Some(pk)) => Write::Update(pk, data),
            (Action::Delete, Some(pk)) => Write::Delete(pk),
            _ => Write::Create(data),
        })
    }
}

/// Whether each value has its field's type. That others are missing is no
/// matter here: the row as a whole is looked at when it is written.
fn check_types<B: Binding>(data: &Row) -> Result<(), String> {
    let whole = Value::Object(data.clone());
    match serde_path_to_error::deserialize::<_, B::Model>(whole) {
        Err(error) if error.path().iter().len() > 0 => Err(format!("field {error}")),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(payload: Value, reason: &str) {
        let incoming = serde_json::from_value(payload).unwrap();
        assert_eq!(Request::new(incoming).unwrap_err(), reason);
    }

    #[test]
    fn an_action_has_what_it_needs_and_nothing_else() {
        refused(
            json!({"action": "drop"}),
            "action is one of create, update, delete",
        );
        refused(
            json!({"action": "update", "data": {"a": 1}}),
            "update needs a pk",
        );
        refused(json!({"action": "delete"}), "delete needs a pk");
        refused(json!({"action": "delete", "pk": null}), "delete needs a pk");
        refused(
            json!({"action": "delete", "pk": [1]}),
            "pk is a string or a number",
        );
        refused(
            json!({"action": "delete", "pk": 1, "data": {}}),
            "delete has no data",
        );
        refused(
            json!({"action": "create", "pk": 1, "data": {}}),
            "create has no pk",
        );
        refused(json!({"action": "create"}), "create needs data");
        refused(
            json!({"action": "update", "pk": 1, "data": {}}),
            "data has no fields",
        );
    }

    #[test]
    fn a_payload_with_more_is_refused() {
        let more = json!({"action": "delete", "pk": 1, "where": "1 = 1"});
        serde_json::from_value::<Incoming>(more).unwrap_err();
    }
}
