//! What a client sends along with its handshake.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use towpath_layer_core::Frame;

use crate::{Context, Error, Result};

/// What a client sends along with its handshake: the parameters of the query,
/// and those of the path, which win. All are text; of a name that stands there
/// twice the last counts. A client of Phoenix writes a nested object as
/// `user[name]=…`, which is the name of the parameter here.
///
/// ```
/// use serde::Deserialize;
/// use towpath_worker::{Result, SocketParams};
///
/// #[derive(Deserialize)]
/// struct Params {
///     user_id: u32,
/// }
///
/// fn user(params: &SocketParams) -> Result<u32> {
///     let Params { user_id } = params.parse()?;
///     Ok(user_id)
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SocketParams {
    values: BTreeMap<String, String>,
}

impl SocketParams {
    pub(super) fn of(context: &Context) -> Result<Self> {
        let query = &context.handshake()?.query_string;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(query)
            .map_err(|error| Error::bad_payload(format!("the query string: {error}")))?;
        let mut values: BTreeMap<String, String> = pairs.into_iter().collect();
        // What stands before the first and behind the last `&` may be empty.
        values.remove("");
        for (name, value) in context.params() {
            values.insert(name.to_string(), value.to_string());
        }
        Ok(Self { values })
    }

    /// One parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// All parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The parameters as a value: a struct with a field for each that is needed.
    ///
    /// # Errors
    ///
    /// [`Error::bad_payload`] says what does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let encoded = serde_urlencoded::to_string(&self.values)?;
        serde_urlencoded::from_str(&encoded)
            .map_err(|error| Error::bad_payload(format!("the parameters: {error}")))
    }

    /// As a JSON object of strings.
    pub(super) fn to_json(&self) -> Result<Frame> {
        Ok(Frame::Text(serde_json::to_string(&self.values)?.into()))
    }
}

/// Without the values, among which tokens may be.
impl std::fmt::Debug for SocketParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}
