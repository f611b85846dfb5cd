//! `sym`, `line` and `sym:NAME`.

use crate::Status;
use crate::testing::{Machine, Names, output};

/// What a line prints on a machine with names and a process.
fn said(line: &str) -> String {
    let mut machine = Machine::full();
    machine.symbols = Some(Names::new());
    assert_eq!(output(&mut machine, "spawn hello &").1, Status::Ok);
    output(&mut machine, line).0
}

#[test]
fn an_address_shows_where_it_runs_what_the_linker_calls_it_and_who_is_there() {
    assert_eq!(
        said("sym 0xffff_8000_0000_1012"),
        "0xffff_8000_0000_1012 in kernel: link address 0x1012, image base 0xffff_8000_0000_0000\n\
         core::step at /rust/core/src/go.rs:700:5, inlined into\n\
         kernel::go+0x12 at /ringwalk/kernel/src/go.rs:12:9\n"
    );
    assert_eq!(
        said("sym 0xffff_8000_0000_1104"),
        "0xffff_8000_0000_1104 in kernel: link address 0x1104, image base 0xffff_8000_0000_0000\n\
         kernel::stop+0x4\n"
    );
    assert_eq!(
        said("in 1 sym 0x40_0000"),
        "0x0000_0000_0040_0000 in hello: link address 0x400000, image base 0x0000_0000_0000_0000\n\
         hello::main at /ringwalk/kernel/src/go.rs:10:1\n"
    );
}

#[test]
fn the_cost_of_names_is_said_without_them() {
    assert_eq!(
        said("sym 0xffff_8000_0000_1012 cost"),
        "0xffff_8000_0000_1012: 2 frames in 500 cycles\n"
    );
    assert_eq!(
        said("sym go cost"),
        "sym: `cost` is about an address, not a name\n"
    );
}

#[test]
fn a_variable_is_named_with_its_size() {
    let text = said("sym 0xffff_8000_0000_2104");
    assert!(text.ends_with("kernel::COUNT+0x4, 8 bytes\n"), "{text}");
}

#[test]
fn a_part_of_a_name_lists_everything_that_has_it() {
    assert_eq!(
        said("sym kernel::"),
        "0xffff_8000_0000_1000    256 code kernel::go\n\
         0xffff_8000_0000_1100     32 code kernel::stop\n\
         0xffff_8000_0000_2100      8 data kernel::COUNT\n\
         3 symbols\n"
    );
    assert_eq!(
        said("sym step inlined"),
        "0xffff_8000_0000_1010     32 in kernel::go+0x10\n1 inlined piece\n"
    );
    assert_eq!(
        said("in 1 sym stop"),
        "0x0000_0000_0040_0080     16 code hello::stop\n\
         0xffff_8000_0000_1100     32 code kernel::stop\n\
         2 symbols\n"
    );
}

#[test]
fn a_line_is_where_its_own_code_is_and_where_what_it_calls_was_inlined() {
    let of = |line: &str| said(&format!("line kernel/src/go.rs:{line}"));
    assert_eq!(of("10"), "0xffff_8000_0000_1000     16 kernel::go\n");
    assert_eq!(of("12"), "0xffff_8000_0000_1010     32 kernel::go+0x10\n");
    assert_eq!(
        of("13"),
        "line: no code is from kernel/src/go.rs:13; line 14 is the next that has some\n"
    );
    assert_eq!(
        of("15"),
        "line: no code is from kernel/src/go.rs:15 or after it\n"
    );
}

#[test]
fn what_cannot_be_answered_is_said_in_a_line() {
    for (line, expected) in [
        ("sym", "sym: which address or name?"),
        ("sym nobody", "sym: nothing is called `nobody`"),
        (
            "sym step",
            "sym: `step` is only inlined; `sym step inlined` says where",
        ),
        (
            "sym stop inlined",
            "sym: nothing called `stop` is inlined anywhere",
        ),
        (
            "sym stop elsewhere",
            "sym: `elsewhere` is not `inlined` or `cost`",
        ),
        (
            "sym 0xffff_8000_0000_1000 inlined",
            "sym: `inlined` is about a name, not an address",
        ),
        (
            "sym 0xffff_8000_0000_9000",
            "sym: 0xffff_8000_0000_9000 is nothing that has a name in kernel",
        ),
        (
            "sym 0x40_0000",
            "sym: an address in the lower half belongs to a process; `in PID sym ADDRESS` says whose",
        ),
        (
            "line go.rs",
            "line: `go.rs` is not a line; that is FILE:LINE",
        ),
        (
            "line go.rs:0",
            "line: `go.rs:0` is not a line; that is FILE:LINE",
        ),
        ("line o.rs:10", "line: no code of kernel is from `o.rs`"),
        (
            "eval sym:kernel",
            "eval: `kernel` could be 3 symbols; `sym kernel` lists them",
        ),
        ("eval sym:nobody", "eval: nothing is called `nobody`"),
    ] {
        assert_eq!(said(line), format!("{expected}\n"), "{line}");
    }
    assert_eq!(
        said("line go.rs:10"),
        "/ringwalk/kernel/src/go.rs\n/rust/core/src/go.rs\n\
         line: `go.rs` could be each of these; give more of the path\n"
    );
}

#[test]
fn a_name_in_an_expression_is_the_whole_one_before_an_end_before_a_part() {
    for (line, holds) in [
        ("assert sym:go == 0xffff_8000_0000_1000", true),
        ("assert sym:kernel::go + 4 == 0xffff_8000_0000_1004", true),
        ("assert sym:COU == 0xffff_8000_0000_2100", true),
        ("in 1 assert sym:stop == 0x40_0080", true),
        ("assert sym:stop == 0x40_0080", false),
    ] {
        assert_eq!(said(line).is_empty(), holds, "{line}");
    }
}
