//! Paths of routes: templates and regular expressions, matched against the
//! whole path.

use std::sync::Arc;

use bytestring::ByteString;
use regex::Regex;

use crate::context::Params;

/// A path as the application wrote it, with what `nest` put before it.
#[derive(Debug, Clone)]
pub(crate) struct PathSpec {
    prefix: String,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Template(String),
    Regex(String),
}

/// A path that can be matched.
#[derive(Debug)]
pub(crate) struct PathPattern {
    source: String,
    names: Vec<Arc<str>>,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    // Most routes are templates; a walk over their segments costs a tenth of
    // what the regular expression of the same meaning costs.
    Segments(Vec<Segment>),
    Regex(Regex),
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Param(Arc<str>),
}

impl PathSpec {
    pub(crate) fn template(template: &str) -> Self {
        Self {
            prefix: String::new(),
            body: Body::Template(template.to_owned()),
        }
    }

    pub(crate) fn regex(pattern: &str) -> Self {
        Self {
            prefix: String::new(),
            body: Body::Regex(pattern.to_owned()),
        }
    }

    /// Puts a prefix before all that is there.
    pub(crate) fn nested(mut self, prefix: &str) -> Self {
        self.prefix.insert_str(0, prefix);
        self
    }

    /// How the route is named in logs, metrics and errors.
    pub(crate) fn label(&self) -> String {
        let (Body::Template(body) | Body::Regex(body)) = &self.body;
        format!("{}{body}", self.prefix)
    }

    pub(crate) fn compile(&self) -> Result<PathPattern, String> {
        if !self.prefix.is_empty() && self.prefix.ends_with('/') {
            return Err(format!(
                "the prefix {:?} ends with '/', and what it is put before begins with one",
                self.prefix
            ));
        }
        match &self.body {
            Body::Template(body) => compile_template(&format!("{}{body}", self.prefix)),
            Body::Regex(body) => compile_regex(&self.prefix, body),
        }
    }
}

fn compile_template(template: &str) -> Result<PathPattern, String> {
    let segments = parse(template)?;
    let names: Vec<Arc<str>> = segments.iter().filter_map(Segment::name).cloned().collect();
    for (position, name) in names.iter().enumerate() {
        if names.iter().skip(position + 1).any(|other| other == name) {
            return Err(format!("the parameter {{{name}}} stands there twice"));
        }
    }
    Ok(PathPattern {
        source: format!("^{}$", source(&segments)),
        names,
        matcher: Matcher::Segments(segments),
    })
}

fn compile_regex(prefix: &str, body: &str) -> Result<PathPattern, String> {
    let prefix = if prefix.is_empty() {
        String::new()
    } else {
        source(&parse(prefix)?)
    };
    let source = format!("^{prefix}(?:{})$", unanchored(body));
    let regex = Regex::new(&source).map_err(|error| error.to_string())?;
    let names = regex.capture_names().flatten().map(Arc::from).collect();
    let positional = regex.capture_names().skip(1).any(|name| name.is_none());
    if positional {
        return Err("a group without a name is no parameter: write (?<name>…) or (?:…)".to_owned());
    }
    Ok(PathPattern {
        source,
        names,
        matcher: Matcher::Regex(regex),
    })
}

/// Takes the anchors off, which stand in the whole pattern.
fn unanchored(pattern: &str) -> &str {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    match pattern.strip_suffix('$') {
        Some(rest) if trailing_backslashes(rest).is_multiple_of(2) => rest,
        Some(_) | None => pattern,
    }
}

fn trailing_backslashes(text: &str) -> usize {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count()
}

fn parse(template: &str) -> Result<Vec<Segment>, String> {
    let Some(rest) = template.strip_prefix('/') else {
        return Err("a path begins with '/'".to_owned());
    };
    rest.split('/').map(Segment::parse).collect()
}

fn source(segments: &[Segment]) -> String {
    let mut source = String::new();
    for segment in segments {
        source.push('/');
        match segment {
            Segment::Literal(text) => source.push_str(&regex::escape(text)),
            Segment::Param(name) => source.push_str(&format!("(?<{name}>[^/]+)")),
        }
    }
    source
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let inside = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match inside {
            Some(name) if is_identifier(name) => Ok(Self::Param(name.into())),
            Some(name) => Err(format!(
                "{name:?} cannot name a parameter: letters, digits and '_', no digit first"
            )),
            None if text.contains(['{', '}']) => Err(format!(
                "a parameter is a whole segment, not a part of {text:?}; use route_regex for that"
            )),
            None => Ok(Self::Literal(text.to_owned())),
        }
    }

    fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Literal(_) => None,
            Self::Param(name) => Some(name),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let letter = |first: char| first.is_ascii_alphabetic() || first == '_';
    name.starts_with(letter) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl PathPattern {
    /// The same pattern as an anchored regular expression.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The parameters, in the order in which they stand in the path.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// A path that fits, if it is made of segments.
    pub(crate) fn example(&self) -> Option<ByteString> {
        let Matcher::Segments(segments) = &self.matcher else {
            return None;
        };
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Param(name) => path.push_str(name),
            }
        }
        Some(path.into())
    }

    /// The parameters of a path that fits, which share its memory.
    pub(crate) fn matches(&self, path: &ByteString) -> Option<Params> {
        match &self.matcher {
            Matcher::Segments(segments) => match_segments(segments, path),
            Matcher::Regex(regex) => {
                let captures = regex.captures(path)?;
                let found = self.names.iter().filter_map(|name| {
                    let found = captures.name(name)?;
                    Some((Arc::clone(name), path.slice_ref(found.as_str())))
                });
                Some(found.collect())
            }
        }
    }
}

fn match_segments(segments: &[Segment], path: &ByteString) -> Option<Params> {
    let mut params = Params::new();
    let mut parts = path.strip_prefix('/')?.split('/');
    for segment in segments {
        let part = parts.next()?;
        match segment {
            Segment::Literal(text) if text == part => {}
            Segment::Param(name) if !part.is_empty() => {
                params.push((Arc::clone(name), path.slice_ref(part)));
            }
            Segment::Literal(_) | Segment::Param(_) => return None,
        }
    }
    parts.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn params(spec: &PathSpec, path: &str) -> Option<Vec<(String, String)>> {
        let params = spec.compile().unwrap().matches(&path.into())?;
        let owned = params
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        Some(owned.collect())
    }

    fn param(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[track_caller]
    fn refused(spec: &PathSpec, part: &str) {
        let reason = spec.compile().unwrap_err();
        assert!(reason.contains(part), "{reason}");
    }

    #[test]
    fn a_template_matches_the_whole_path() {
        let spec = PathSpec::template("/chat/{room}");
        assert_eq!(
            params(&spec, "/chat/a b%"),
            Some(vec![param("room", "a b%")])
        );
        for path in [
            "/chat/",
            "/chat",
            "/chat/a/",
            "/chat/a/b",
            "chat/a",
            "/x/chat/a",
            "",
        ] {
            assert_eq!(params(&spec, path), None, "{path}");
        }
        let slash = PathSpec::template("/chat/{room}/");
        assert!(params(&slash, "/chat/a/").is_some() && params(&slash, "/chat/a").is_none());
        assert!(params(&PathSpec::template("/"), "/").is_some());
    }

    #[test]
    fn a_regex_matches_the_whole_path_and_its_groups_are_parameters() {
        let spec = PathSpec::regex(r"^/room/(?<name>[^/]+)(?:/(?<seat>\d+))?$");
        let seat = vec![param("name", "a"), param("seat", "7")];
        assert_eq!(params(&spec, "/room/a/7"), Some(seat));
        assert_eq!(params(&spec, "/room/a"), Some(vec![param("name", "a")]));
        assert_eq!(params(&spec, "/room/a/x"), None);
        assert_eq!(params(&PathSpec::regex("/a|/b"), "/ax"), None);
        assert!(params(&PathSpec::regex(r"/cost\$"), "/cost$").is_some());
    }

    #[test]
    fn a_prefix_comes_before_templates_and_regexes() {
        let spec = PathSpec::regex("^/b|/c$").nested("/{y}").nested("/x");
        assert_eq!(params(&spec, "/x/1/c"), Some(vec![param("y", "1")]));
        assert_eq!(params(&spec, "/c"), None);
        assert_eq!(
            spec.compile().unwrap().source(),
            "^/x/(?<y>[^/]+)(?:/b|/c)$"
        );
        let spec = PathSpec::template("/{a}").nested("/{b}");
        assert_eq!(
            params(&spec, "/1/2"),
            Some(vec![param("b", "1"), param("a", "2")])
        );
        assert_eq!(spec.label(), "/{b}/{a}");
    }

    #[test]
    fn what_cannot_be_matched_is_refused_with_a_reason() {
        refused(&PathSpec::template("chat"), "begins with '/'");
        refused(&PathSpec::template("/{a}/{a}"), "twice");
        refused(&PathSpec::template("/{a}/{a}").nested("/{a}"), "twice");
        refused(&PathSpec::template("/file-{id}"), "route_regex");
        refused(&PathSpec::template("/{1}"), "no digit first");
        refused(&PathSpec::template("/{}"), "no digit first");
        refused(&PathSpec::regex("/(a"), "unclosed group");
        refused(&PathSpec::regex("/(a)"), "without a name");
        refused(&PathSpec::template("/a").nested("/x/"), "ends with '/'");
    }

    proptest! {
        #[test]
        fn a_template_and_its_regex_mean_the_same(
            template in "(/([a-c.+]{0,2}|\\{[xy]\\})){1,3}",
            path in "(/[a-c.+ß\n]{0,2}){0,4}",
        ) {
            if let Ok(pattern) = PathSpec::template(&template).compile() {
                let path = ByteString::from(path);
                let regex = PathPattern {
                    source: String::new(),
                    names: pattern.names.clone(),
                    matcher: Matcher::Regex(Regex::new(pattern.source()).unwrap()),
                };
                prop_assert_eq!(pattern.matches(&path), regex.matches(&path));
            }
        }
    }
}
