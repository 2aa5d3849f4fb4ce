//! What one user is in the middle of.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use super::figures::Figures;
use super::view::View;
use crate::topics::client::{Heard, PATIENCE, Reply};

/// How long a client waits for an answer before it tries again, as the Phoenix
/// clients do.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One user.
#[derive(Debug)]
pub struct Seat {
    /// Under which it is present; another user has the same.
    pub key: String,
    pub connected: bool,
    pub memberships: HashMap<String, Membership>,
    pub figures: Figures,
}

/// One user in one topic.
#[derive(Debug)]
pub struct Membership {
    /// The reference of its join.
    pub joined: u64,
    standing: Standing,
    /// What it is present with, if it is.
    pub n: Option<u64>,
    said: VecDeque<Said>,
    pub view: View,
    /// What it was told of who is here, for who looks for a fault.
    told: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Joining { since: Instant },
    Joined,
    Leaving { reference: u64, since: Instant },
}

/// A message that was not answered.
#[derive(Debug)]
struct Said {
    reference: u64,
    n: Option<u64>,
    at: Instant,
}

impl Seat {
    pub fn new(key: String) -> Self {
        Self {
            key,
            connected: false,
            memberships: HashMap::new(),
            figures: Figures::default(),
        }
    }

    /// There is a connection.
    pub fn is_connected(&mut self) {
        self.connected = true;
        self.figures.note("connected");
    }

    /// The connection is gone, and why.
    pub fn is_cut_off(&mut self, why: impl Into<String>) {
        self.connected = false;
        self.memberships.clear();
        self.figures.note(why);
    }

    /// A join is on its way.
    pub fn joins(&mut self, topic: &str, joined: u64, n: u64) {
        let membership = Membership {
            joined,
            standing: Standing::Joining {
                since: Instant::now(),
            },
            n: Some(n),
            said: VecDeque::new(),
            view: View::default(),
            told: Vec::new(),
        };
        self.memberships.insert(topic.to_owned(), membership);
    }

    /// A message is on its way that makes it present with `n`, or absent.
    pub fn says(&mut self, topic: &str, reference: u64, n: Option<u64>) {
        if let Some(membership) = self.memberships.get_mut(topic) {
            let at = Instant::now();
            membership.said.push_back(Said { reference, n, at });
        }
    }

    /// It is on its way out.
    pub fn leaves(&mut self, topic: &str, reference: u64) {
        if let Some(membership) = self.memberships.get_mut(topic) {
            let since = Instant::now();
            membership.standing = Standing::Leaving { reference, since };
        }
    }

    /// The topics that it has joined.
    pub fn joined(&self) -> impl Iterator<Item = (&String, &Membership)> {
        let joined = |one: &Membership| one.standing == Standing::Joined;
        self.memberships.iter().filter(move |(_, one)| joined(one))
    }

    /// Where a message has not been answered for too long.
    pub fn unanswered(&self) -> Vec<(String, u64)> {
        let late = |one: &Membership| {
            let first = one.said.front();
            first.is_some_and(|said| said.at.elapsed() > ANSWER_MAX)
        };
        let late = self.joined().filter(|(_, one)| late(one));
        late.map(|(topic, one)| (topic.clone(), one.joined))
            .collect()
    }

    /// Joining and leaving are answered, whatever happens.
    pub fn check_answers(&self) -> Result<()> {
        for (topic, membership) in &self.memberships {
            let since = match membership.standing {
                Standing::Joining { since } | Standing::Leaving { since, .. } => since,
                Standing::Joined => continue,
            };
            let waits = since.elapsed();
            ensure!(
                waits < PATIENCE,
                "{} in {topic} has no answer: {membership:?}",
                self.key
            );
        }
        Ok(())
    }

    /// A message of the server came.
    pub fn hears(&mut self, heard: &Heard) -> Result<()> {
        let Some(membership) = self.memberships.get_mut(&heard.topic) else {
            return Ok(());
        };
        let own = heard.join_ref() == Some(membership.joined);
        let about = || format!("{} was told {heard:?}", heard.topic);
        match &*heard.event {
            "presence_state" | "presence_diff" => {
                let told = membership.is_told(heard, &mut self.figures);
                told.with_context(|| {
                    let before = membership.told.join("\n");
                    format!("{}, as {}; before it:\n{before}", about(), self.key)
                })
            }
            "phx_reply" if own => {
                if membership
                    .is_answered(heard, &mut self.figures)
                    .with_context(about)?
                {
                    self.memberships.remove(&heard.topic);
                }
                Ok(())
            }
            "phx_error" | "phx_close" if own => {
                self.figures.note(&*heard.event);
                self.memberships.remove(&heard.topic);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Membership {
    /// Whether it has joined and nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.standing == Standing::Joined && self.said.is_empty()
    }

    /// What it hears before the answer to its join is for an older one.
    fn is_told(&mut self, heard: &Heard, figures: &mut Figures) -> Result<()> {
        if self.standing != Standing::Joined {
            return Ok(());
        }
        figures.told += 1;
        match &*heard.event {
            "presence_state" => self.view.state(heard.payload()?)?,
            _ => self.view.diff(heard.payload()?)?,
        }
        self.told.push(heard.text().to_owned());
        Ok(())
    }

    /// Whether it ends with this answer.
    fn is_answered(&mut self, heard: &Heard, figures: &mut Figures) -> Result<bool> {
        let reply: Reply = heard.payload()?;
        let (reference, ok) = (heard.reference(), reply.status == "ok");
        if reference == Some(self.joined) {
            let joining = matches!(self.standing, Standing::Joining { .. });
            if ok && joining {
                self.standing = Standing::Joined;
            }
            let refused = || format!("join refused: {}", reply.response);
            figures.note(if ok { "joined".to_owned() } else { refused() });
            return Ok(!ok);
        }
        if let Standing::Leaving {
            reference: leave, ..
        } = self.standing
        {
            return Ok(reference == Some(leave));
        }
        // Messages are handled in order: those before it were lost.
        let said = &mut self.said;
        let at = said
            .iter()
            .position(|said| Some(said.reference) == reference);
        let at = at.context("an answer to nothing")?;
        (0..at).for_each(|_| figures.note("message lost"));
        if let Some(said) = said.drain(..=at).next_back() {
            match ok {
                true => self.n = said.n,
                false => figures.note(format!("message refused: {}", reply.response)),
            }
        }
        Ok(false)
    }
}
