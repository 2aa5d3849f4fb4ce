//! The layer's HTTP interface, over real sockets, on the layer in memory.

mod batches;
mod document;
mod garbage;
mod groups;
mod lines;
mod outsider;
mod polls;
mod refusals;
mod sends;
mod stopping;
mod topics;
mod workers;
