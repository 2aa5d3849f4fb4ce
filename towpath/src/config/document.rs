//! The reference page, from the tables of keys.

use std::fmt::Write as _;

use super::{DEFAULT_LAYER, keys, show};

const HEAD: &str = "\
# Configuration

<!-- Written by `towpath config docs`; edit the sections in towpath/src/config instead. -->

Every key has a default. A TOML file (`--config FILE`) overrides the defaults, the
environment overrides the file, and flags override the environment, each key by itself.
A variable's name is the key's in capitals behind `TOWPATH__`, with two underscores
between the parts: `server.listen` is `TOWPATH__SERVER__LISTEN`, `layers.default.url` is
`TOWPATH__LAYERS__DEFAULT__URL`. Lists of globs or origins are separated by commas there;
lists of rules are written as in TOML.

`config check` says whether a configuration is in order, `config show` says where each
value came from. A process with a wrong key or value does not start; it says where the
key stands and what was expected, and ends with exit code 64. A variable that begins with
`TOWPATH__` and names no key is warned about.

```toml
[server]
listen = \"0.0.0.0:8000\"
origins = [\"https://example.org\"]

[layers.default]
kind = \"redis\"
url = \"redis://127.0.0.1:6379\"
capacity_rules = [
    { channel = \"websocket.*\", messages = 10000 },
    { channel = \"thumbnails.*\", messages = 1000 },
]
```
";

/// The reference page, in Markdown.
pub(crate) fn reference() -> String {
    let mut page = HEAD.to_owned();
    for section in &keys::SECTIONS {
        let prefix = section.name.replace("<name>", DEFAULT_LAYER);
        let heading = format!("\n## `[{}]`\n\n{}\n\n", section.name, section.about.trim());
        page.push_str(&heading);
        page.push_str("| key | default | takes | meaning |\n|---|---|---|---|\n");
        for field in section.fields {
            let default = show::default(&format!("{prefix}.{}", field.name), field);
            let default = default.map_or("unset".to_owned(), |text| format!("`{text}`"));
            let (name, takes, meaning) = (field.name, field.kind.takes(), field.meaning.trim());
            // Writing to a string cannot fail.
            let _written = writeln!(page, "| `{name}` | {default} | {takes} | {meaning} |");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment;

    #[test]
    fn every_variable_of_the_page_is_a_key() {
        for (key, _) in keys::names(DEFAULT_LAYER) {
            let name = environment::variable(&key);
            let variables = [(name, "1".into())].into();
            let (entries, _, warnings) = environment::read(&variables);
            assert_eq!(entries.first().map(|entry| entry.key.as_str()), Some(&*key));
            assert_eq!(warnings, [""; 0]);
        }
    }
}
