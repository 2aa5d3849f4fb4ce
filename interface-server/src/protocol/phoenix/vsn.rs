//! Which serializer a client asks for (§1.2).

use crate::protocol::phoenix::serializer::Serializer;

/// The serializer for a `vsn` parameter; 1.0.0 stands for none. Without one
/// the handshake is refused with 403.
///
/// `~> 1.0.0` is V1 and `~> 2.0.0` is V2, as Elixir reads it: any patch, and
/// build metadata says nothing. A pre-release comes before its release, so
/// `2.0.0-rc.1` is below the range and `2.0.1-rc.1` is in it.
pub(crate) fn negotiate(vsn: Option<&str>) -> Option<Serializer> {
    let version = Version::parse(vsn.unwrap_or("1.0.0"))?;
    if version.minor != "0" || (version.patch == "0" && version.is_pre_release) {
        return None;
    }
    match version.major {
        "1" => Some(Serializer::V1),
        "2" => Some(Serializer::V2),
        _ => None,
    }
}

/// A semantic version. Its numbers have no leading zeros, so they are equal if
/// their digits are, and none is too large.
struct Version<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    is_pre_release: bool,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, pre_release)) => (numbers, Some(pre_release)),
            None => (text, None),
        };
        let well_formed = build.is_none_or(|build| build.split('.').all(is_identifier))
            && pre_release.is_none_or(|pre| pre.split('.').all(is_pre_release_identifier));
        let mut numbers = numbers.split('.');
        let mut number = || numbers.next().filter(|number| is_number(number));
        let version = Self {
            major: number()?,
            minor: number()?,
            patch: number()?,
            is_pre_release: pre_release.is_some(),
        };
        (well_formed && numbers.next().is_none()).then_some(version)
    }
}

fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_pre_release_identifier(text: &str) -> bool {
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit());
    is_identifier(text) && (!numeric || is_number(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_asks_for_nothing_speaks_version_1() {
        assert_eq!(negotiate(None), Some(Serializer::V1));
    }

    #[test]
    fn every_patch_of_a_version_has_its_serializer() {
        for vsn in [
            "1.0.0",
            "1.0.7",
            "1.0.0+build.01",
            "1.0.18446744073709551616",
        ] {
            assert_eq!(negotiate(Some(vsn)), Some(Serializer::V1), "{vsn}");
        }
        for vsn in ["2.0.0", "2.0.99", "2.0.0+-", "2.0.1+a-b"] {
            assert_eq!(negotiate(Some(vsn)), Some(Serializer::V2), "{vsn}");
        }
    }

    #[test]
    fn other_versions_have_none() {
        for vsn in ["0.9.0", "1.1.0", "2.1.0", "3.0.0", "123.1.1", "12.0.0"] {
            assert_eq!(negotiate(Some(vsn)), None, "{vsn}");
        }
    }

    #[test]
    fn a_pre_release_comes_before_its_release() {
        for vsn in [
            "1.0.0-rc.0",
            "2.0.0-rc",
            "2.0.0-rc.1+b",
            "2.1.0-dev",
            "2.1.0-0",
        ] {
            assert_eq!(negotiate(Some(vsn)), None, "{vsn}");
        }
        assert_eq!(negotiate(Some("2.0.1-rc.1")), Some(Serializer::V2));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        let garbage = [
            "",
            "1",
            "2.0",
            "2.0.0.0",
            "2..0",
            "v2.0.0",
            " 2.0.0",
            "2.0.0 ",
            "02.0.0",
            "2.00.0",
            "2.0.00",
            "2.0.0-",
            "2.0.0+",
            "2.0.1-a..b",
            "2.0.1-01",
            "2.0.1-é",
            "+2.0.0",
            "-2.0.0",
            "2.0.x",
            "~> 2.0.0",
            "２.0.0",
            "2.0.0+a+b",
            "garbage",
            "null",
        ];
        for vsn in garbage {
            assert_eq!(negotiate(Some(vsn)), None, "{vsn}");
        }
    }
}
