//! How a section of the configuration is written down: once, as a struct whose
//! fields carry their default, kind and meaning.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An address and port.
    Address,
    /// An address and port, `auto` or `off`.
    Listener,
    /// An address and port, or `off`.
    OptionalAddress,
    /// A list of secrets, never shown.
    Secrets,
    /// A duration above zero.
    Duration,
    /// A duration, zero included.
    Delay,
    /// A whole number of bytes, at least one.
    Bytes,
    /// A whole number of something, at least this many.
    Count(u64),
    /// Text.
    Text,
    /// A URL, shown without its password.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Globs over channel names.
    Globs,
    /// Origins of pages.
    Origins,
    /// Capacities by glob.
    Capacities,
    /// Expiries by glob.
    Expiries,
}

impl Kind {
    /// What is expected of a value, for the person who wrote another.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Address => r#"an IP address and port, such as "127.0.0.1:8000""#.to_owned(),
            Self::Listener => {
                r#"an IP address and port, such as "127.0.0.1:8001", or "auto" or "off""#.to_owned()
            }
            Self::OptionalAddress => {
                r#"an IP address and port, such as "127.0.0.1:8002", or "off""#.to_owned()
            }
            Self::Secrets => "a list of texts".to_owned(),
            Self::Duration => r#"a duration above zero, such as "500ms", "30s" or "2m""#.to_owned(),
            Self::Delay => r#"a duration, such as "0s", "500ms" or "30s""#.to_owned(),
            Self::Bytes => "a whole number of bytes, at least 1".to_owned(),
            Self::Count(least) => format!("a whole number, at least {least}"),
            Self::Text => "text".to_owned(),
            Self::Url => r#"a URL, such as "redis://127.0.0.1:6379""#.to_owned(),
            Self::Choice(words) => format!("one of {}", quoted(words)),
            Self::Globs => r#"a list of globs, such as ["thumbnails.*"]"#.to_owned(),
            Self::Origins => {
                r#""same-host", "*" or a list of origins, such as ["https://example.org"]"#
                    .to_owned()
            }
            Self::Capacities => {
                r#"a list of rules, such as [{ channel = "thumbnails.*", messages = 1000 }]"#
                    .to_owned()
            }
            Self::Expiries => {
                r#"a list of rules, such as [{ channel = "thumbnails.*", expiry = "10m" }]"#
                    .to_owned()
            }
        }
    }
}

impl Kind {
    /// What the key takes, in a word or two, for a table.
    pub(crate) fn takes(self) -> String {
        let words = match self {
            Self::Address => "address",
            Self::Listener => "address, `auto` or `off`",
            Self::OptionalAddress => "address or `off`",
            Self::Secrets => "secrets",
            Self::Duration => "duration above zero",
            Self::Delay => "duration",
            Self::Bytes => "bytes",
            Self::Count(least) => return format!("number from {least}"),
            Self::Text => "text",
            Self::Url => "URL",
            Self::Choice(words) => return format!("`{}`", words.join("`, `")),
            Self::Globs => "globs",
            Self::Origins => "`same-host`, `*` or origins",
            Self::Capacities | Self::Expiries => "rules",
        };
        words.to_owned()
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(", ")
}

/// One key of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Its name in the section.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// What it does.
    pub(crate) meaning: &'static str,
}

/// Writes a section: the struct, its defaults, and the table of its keys, from
/// one text.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                $field:ident: $type:ty = $default:expr, $kind:expr;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)+)])?
                pub $field: $type,
            )+
        }

        impl $name {
            /// What the section is about.
            pub(crate) const ABOUT: &'static str = concat!($($about),+);

            /// Its keys.
            pub(crate) const FIELDS: &'static [$crate::config::section::Field] = &[$(
                $crate::config::section::Field {
                    name: stringify!($field),
                    kind: $kind,
                    meaning: concat!($($doc),+),
                }
            ),+];
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }
    };
}

pub(crate) use section;
