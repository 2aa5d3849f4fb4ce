//! The tutorial shows the examples as they are, and starts them by their names.

use std::fs;
use std::path::PathBuf;

const EXAMPLES: [&str; 6] =
    ["chat-functions", "chat-struct", "typed-json", "two-streams", "jobs", "todo"];

/// What an example may have of lines with code.
const LINES_MAX: usize = 59;

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn program(example: &str) -> String {
    read(&format!("{example}/main.rs"))
}

fn page(example: &str) -> String {
    read(&format!("../docs/tutorial/{example}.md"))
}

/// The text of a page's blocks in one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let mut parts = page.split(&start);
    parts.next();
    parts.map(|it| it.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Lines that are not empty, without what a reader of the page does not need.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//!")).collect()
}

#[test]
fn a_page_shows_its_whole_program_in_order() {
    for example in EXAMPLES {
        let (program, shown) = (program(example), blocks(&page(example), "rust").concat());
        for (line, expected) in lines(&shown).iter().zip(lines(&program)) {
            assert_eq!(*line, expected, "docs/tutorial/{example}.md differs from the program");
        }
        assert_eq!(lines(&shown).len(), lines(&program).len(), "{example}: something is missing");
    }
}

#[test]
fn what_a_page_shows_of_other_files_stands_there() {
    for example in EXAMPLES {
        let mut files = [read("head.html"), read(&format!("{example}/page.html"))].concat();
        if example == "todo" {
            files.push_str(&read("todo/schema.sql"));
        }
        let languages = ["html", "js", "sql"].iter();
        for block in languages.flat_map(|language| blocks(&page(example), language)) {
            assert!(files.contains(&block), "docs/tutorial/{example}.md: no such lines:\n{block}");
        }
    }
}

#[test]
fn an_example_is_short() {
    for example in EXAMPLES {
        let program = program(example);
        let code = lines(&program).iter().filter(|line| !line.trim().starts_with("//")).count();
        assert!(code <= LINES_MAX, "{example} has {code} lines, {LINES_MAX} are enough");
    }
}

#[test]
fn commands_start_the_example_of_their_page() {
    for example in EXAMPLES {
        let page = page(example);
        let commands = blocks(&page, "sh");
        let ours: Vec<&String> = commands.iter().filter(|it| it.contains("-p towpath")).collect();
        assert!(!ours.is_empty(), "{example} is not started");
        for command in ours {
            let start = format!("cargo run -p towpath-examples --bin {example}");
            assert!(command.starts_with(&start), "docs/tutorial/{example}.md: {command}");
        }
    }
}

#[test]
fn the_index_names_every_page() {
    let index = read("../docs/tutorial.md");
    for example in EXAMPLES {
        assert!(index.contains(&format!("](tutorial/{example}.md)")), "{example} is not listed");
    }
}
