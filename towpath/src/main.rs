//! `towpath`: the demonstration, and the tool to look at any layer.

mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    demo::app().run()
}
