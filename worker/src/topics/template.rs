//! The topic of a route: parameters of the path stand in it.

use std::sync::Arc;

use crate::context::Params;
use crate::{Error, Result};

/// A topic with places for parameters of the path.
#[derive(Debug, Clone)]
pub(super) struct Template {
    text: String,
}

enum Part<'a> {
    Text(&'a str),
    Param(&'a str),
}

impl Template {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }

    fn parts(&self) -> Result<Vec<Part<'_>>, String> {
        let mut parts = Vec::new();
        let mut rest = &*self.text;
        while let Some((text, behind)) = rest.split_once('{') {
            let (name, behind) = behind
                .split_once('}')
                .ok_or_else(|| format!("the topic {:?} has a '{{' without '}}'", self.text))?;
            parts.extend([Part::Text(text), Part::Param(name)]);
            rest = behind;
        }
        parts.push(Part::Text(rest));
        Ok(parts)
    }

    /// The topics that it can make, and others that begin alike.
    pub(super) fn pattern(&self) -> String {
        match self.text.split_once('{') {
            Some((text, _)) => format!("{text}*"),
            None => self.text.clone(),
        }
    }

    /// Whether a path with these parameters makes a topic.
    pub(super) fn check(&self, params: &[Arc<str>]) -> Result<(), String> {
        if self.text.is_empty() {
            return Err("a topic has a name".to_owned());
        }
        for part in self.parts()? {
            match part {
                Part::Param(name) if !params.iter().any(|known| **known == *name) => {
                    let topic = &self.text;
                    return Err(format!(
                        "the topic {topic:?} needs a parameter {{{name}}}, which the path has not"
                    ));
                }
                Part::Text(_) | Part::Param(_) => {}
            }
        }
        Ok(())
    }

    /// The topic of a connection.
    pub(super) fn fill(&self, params: &Params) -> Result<String> {
        let mut topic = String::new();
        for part in self.parts().map_err(Error::internal)? {
            match part {
                Part::Text(text) => topic.push_str(text),
                Part::Param(name) => {
                    let mut all = params.iter();
                    let found = all.find(|(known, _)| **known == *name);
                    topic.push_str(found.map_or("", |(_, value)| value));
                }
            }
        }
        Ok(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_the_path_stand_in_the_topic() {
        let template = Template::new("room:{room}/{seat}!");
        let mut params = Params::new();
        params.push(("room".into(), "lobby".into()));
        params.push(("seat".into(), "7".into()));
        assert_eq!(template.fill(&params).unwrap(), "room:lobby/7!");
        let names: [Arc<str>; 2] = ["room".into(), "seat".into()];
        template.check(&names).unwrap();
        assert_eq!(template.pattern(), "room:*");
        assert_eq!(Template::new("lobby").pattern(), "lobby");
        let reason = template.check(&names[..1]).unwrap_err();
        assert!(reason.contains("{seat}"), "{reason}");
        Template::new("room:{room").check(&names).unwrap_err();
        Template::new("").check(&names).unwrap_err();
    }
}
