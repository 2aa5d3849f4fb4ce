//! The codecs against a client's own way to read and write.

mod client;
mod decoding;
mod properties;
mod vectors;
