//! Holds the tables of `docs/abi.md` against the numbers that programs are compiled with.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "made for another crate; only some of it is looked at here"
)]
#[path = "../../kernel/programs/src/abi.rs"]
mod abi;

const PAGE: &str = include_str!("../../docs/abi.md");

/// The first two columns of the table under a heading.
fn table(heading: &str) -> Vec<(u64, &'static str)> {
    let (_, section) = PAGE.split_once(heading).expect("a heading");
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let number = cells.next().expect("a number").parse();
        (
            number.expect("a decimal number"),
            cells.next().expect("a name"),
        )
    })
    .collect()
}

#[test]
fn the_page_lists_exactly_the_calls_that_programs_know() {
    assert_eq!(table("\n## System calls\n"), abi::CALLS);
}

#[test]
fn the_page_lists_exactly_the_errors_that_programs_know() {
    assert_eq!(table("\n## Errors\n"), abi::ERRORS);
}

#[test]
fn what_the_page_says_of_a_process_is_what_programs_check() {
    let address = |value: u64| {
        let digits = format!("{value:016x}");
        let fours = [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]];
        format!("`0x{}`", fours.join("_"))
    };
    for value in [
        abi::IMAGE,
        abi::MAP_START,
        abi::STACK_END - abi::STACK_BYTES,
        abi::STACK_END,
        abi::USER_END - abi::PAGE,
    ] {
        assert!(PAGE.contains(&address(value)), "{}", address(value));
    }
    for words in [
        format!("CS {:#x}", abi::USER_CODE),
        format!("SS {:#x}", abi::USER_DATA),
        format!("RFLAGS is {:#x}", abi::START_FLAGS),
        format!("MXCSR {:#x}", abi::START_MXCSR),
        format!("at most {} bytes", abi::ARGUMENTS_MOST),
        format!("at most {} KiB", abi::WRITE_MOST / 1024),
        format!("the first {} bytes of a longer `read`", abi::READ_MOST),
        format!("{:#x} for a process that was killed", abi::KILLED),
        format!("{:#x} \\| vector", abi::FAULTED),
    ] {
        assert!(PAGE.contains(&words), "{words}");
    }
}
