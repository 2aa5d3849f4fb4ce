//! Clients of Phoenix: what the interface server makes of their messages, and
//! of what a worker says to them.

mod broadcast;
mod ending;
mod joining;
pub(crate) mod longpoll;
mod longpoll_limits;
mod longpoll_windows;
mod mounts;
mod plain;
mod presence;
mod presence_outages;
mod presence_seams;
mod presence_troubles;
mod resume;
mod resume_bounds;
mod resume_order;
mod stage;
mod standstill;
