//! `list`.

use crate::Status;
use crate::testing::{Library, Machine, Names, output};

fn machine() -> Machine {
    let mut machine = Machine::full();
    machine.symbols = Some(Names::new());
    machine.sources = Some(Library::new());
    machine
}

fn said(line: &str) -> String {
    output(&mut machine(), line).0
}

#[test]
fn the_source_around_a_line_is_shown_and_the_line_is_marked() {
    assert_eq!(
        said("list kernel/src/go.rs:12 3; assert $_ == 12"),
        "/ringwalk/kernel/src/go.rs:12\n     11 text 11\n=>   12 text 12\n     13 text 13\n"
    );
}

#[test]
fn an_address_is_that_of_the_innermost_function_whose_source_is_there() {
    // `step`, which is inlined there, is the compiler's own.
    let place = "/ringwalk/kernel/src/go.rs:12\n";
    let text = said("list 0xffff_8000_0000_1012 1");
    assert_eq!(text, format!("{place}=>   12 text 12\n"));
    assert_eq!(
        said("list kernel::go 1"),
        "/ringwalk/kernel/src/go.rs:10\n=>   10 text 10\n"
    );
    assert!(said("list sym:kernel::go+0x30").starts_with("/ringwalk/kernel/src/go.rs:14\n"));
    assert!(said("list kernel::stop").starts_with("list: no line of a source belongs to 0x"));
}

#[test]
fn the_ends_of_a_file_are_no_lines() {
    assert_eq!(
        said("list kernel/src/go.rs:1 4"),
        "/ringwalk/kernel/src/go.rs:1\n=>    1 text 1\n      2 text 2\n      3 text 3\n      4 text 4\n"
    );
    assert_eq!(
        said("list kernel/src/go.rs:16 2"),
        "/ringwalk/kernel/src/go.rs:16\n=>   16 text 16\n"
    );
    assert!(said("list kernel/src/go.rs:17").ends_with("list: the file ends before that line\n"));
    assert!(said("list kernel/src/go.rs:0").ends_with("list: the file ends before that line\n"));
    assert!(said("list kernel/src/go.rs:99999999999").ends_with("before that line\n"));
    let mut odd = machine();
    odd.sources = Some(Library(b"one\n\xff\xfe\n\n".to_vec()));
    assert_eq!(
        output(&mut odd, "list kernel/src/go.rs:2").0,
        "/ringwalk/kernel/src/go.rs:2\n      1 one\n=>    2 (not UTF-8)\n      3\n"
    );
}

#[test]
fn what_is_not_there_is_one_line() {
    let mut without = machine();
    without.sources = None;
    assert_eq!(
        output(&mut without, "list"),
        (
            "list: no sources were built in; `cargo xtask run --sources` builds them in\n"
                .to_owned(),
            Status::Failed
        )
    );
    for (line, message) in [
        (
            "list nowhere.rs:1",
            "list: no code of kernel is from `nowhere.rs`\n",
        ),
        (
            "list /rust/core/src/go.rs:1",
            "list: the source of `/rust/core/src/go.rs` was not built in\n",
        ),
        (
            "list nobody::knows",
            "list: nothing is called `nobody::knows`\n",
        ),
    ] {
        assert_eq!(said(line), message, "{line}");
    }
}
