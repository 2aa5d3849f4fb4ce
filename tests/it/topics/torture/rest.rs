//! Whether everybody's view is what is true.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use anyhow::{Result, ensure};

use super::Seats;
use super::figures::Sum;
use super::form::Form;
use super::seat::Membership;
use super::view::Who;

/// Differences that are shown at most.
const SHOWN_MAX: usize = 10;

type Truth = HashMap<String, HashSet<Who>>;

/// What is not at rest, or not as it should be.
pub fn differences(seats: &Seats) -> Result<(), String> {
    let truth = truth(seats);
    let (mut shown, mut count) = (String::new(), 0);
    for seat in seats {
        let seat = seat.lock();
        for (topic, membership) in &seat.memberships {
            if let Some(difference) = difference(&truth, topic, membership) {
                count += 1;
                if count <= SHOWN_MAX {
                    let _infallible = writeln!(shown, "{} in {topic}: {difference}", seat.key);
                }
            }
        }
    }
    match count {
        0 => Ok(()),
        _ => Err(format!("{count} differences, the first:\n{shown}")),
    }
}

/// Who is where, as each knows of itself.
fn truth(seats: &Seats) -> Truth {
    let mut truth = Truth::new();
    for seat in seats {
        let seat = seat.lock();
        for (topic, membership) in seat.joined() {
            let here = truth.entry(topic.clone()).or_default();
            here.extend(membership.n.map(|n| (seat.key.clone(), n)));
        }
    }
    truth
}

fn difference(truth: &Truth, topic: &str, membership: &Membership) -> Option<String> {
    if !membership.is_quiet() {
        return Some(format!("waits for an answer: {membership:?}"));
    }
    let truth = truth.get(topic)?;
    let Some(seen) = membership.view.here() else {
        return Some("was told no state".to_owned());
    };
    // Nobody is seen twice: then there were more than there are.
    if seen.len() == truth.len() && seen.clone().all(|who| truth.contains(who)) {
        return None;
    }
    let seen: HashSet<&Who> = seen.collect();
    let missing: Vec<_> = truth.iter().filter(|who| !seen.contains(who)).collect();
    let ghosts: Vec<_> = seen.iter().filter(|who| !truth.contains(**who)).collect();
    Some(format!("does not see {missing:?}, sees {ghosts:?}"))
}

/// A run in which nothing happens shows nothing.
pub fn enough_was_going_on(sum: &Sum, form: &Form) -> Result<()> {
    ensure!(
        sum.connected > form.users / 2,
        "few users are left: {sum:?}"
    );
    ensure!(sum.joined > form.users / 2, "few joined: {sum:?}");
    for what in [
        "joined",
        "left",
        "tracked",
        "untracked",
        "joined again",
        "killed",
        "closed",
    ] {
        ensure!(sum.others.contains_key(what), "nobody {what}: {sum:?}");
    }
    Ok(())
}
