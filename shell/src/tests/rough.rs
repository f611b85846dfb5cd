//! Whatever arrives, the shell answers the next line.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::Decoder;
use crate::testing::{Machine, Scripted, output, shell};

/// Bytes as they come from a line: text, garbage, and pieces of things.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let names: BTreeSet<&str> = crate::commands::COMMANDS
        .iter()
        .map(|command| command.name)
        .collect();
    // What would leave, wait for long, or change how answers come.
    let names: Vec<&str> = names
        .into_iter()
        .filter(|name| !["repeat", "framing"].contains(name))
        .collect();
    let pieces = vec![
        "$rip",
        "$rsp",
        "0x",
        "cr3",
        "master",
        " ",
        " ",
        " ",
        ";",
        "'",
        "\"",
        "(",
        ")",
        "..",
        "#",
        "$",
        "-",
        "*",
        "==",
        "leaves",
        "phys",
        "w",
        "_x",
        "\t",
        "\t\t",
        "\r",
        "\n",
        "\r\n",
        "\x1b[A",
        "\x1b[B",
        "\x1b[C",
        "\x1b[D",
        "\x1b[3~",
        "\x1b",
        "\x1b]",
        "\x03",
        "\x04",
        "\x0c",
        "\x14",
        "\x0b",
        "\x15",
        "q",
        "a",
        "--help",
        "--json",
        "|",
        " | head 2",
        " | grep -i 0",
        "|count",
        " | sort 2 ",
        " | tail 3",
        " | gerp",
        "/",
        "/16g",
        "repeat 3 ",
        "repeat 2 repeat 2 ",
        "é",
        "字",
        "18446744073709551615",
        "0xffff_ffff_ffff_ffff",
        "root=",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(names).prop_map(|text| text.as_bytes().to_vec()),
        8 => proptest::sample::select(pieces).prop_map(|text| text.as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 1..6),
        1 => "[0-9a-fx_]{1,8}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_typed_the_next_command_works(bytes in bytes(), columns in 1_u16..100, rows in 1_u16..30) {
        let mut decoder = Decoder::new();
        let mut keys = Vec::new();
        // Ctrl-C leaves whatever is open: a quote, a page, a line too long.
        for byte in bytes.iter().chain(b"\x03\x03\rframing off\recho the\\ next\\ command\r") {
            decoder.feed(*byte, |key| keys.push(key));
        }
        let mut machine = Machine::full();
        machine.cycles = Some(0);
        let mut terminal = Scripted::new(columns.max(8), rows).keys(keys);
        terminal.size = (columns, rows);
        let mut shell = shell();
        shell.run(&mut machine, &mut terminal);
        prop_assert!(terminal.wire.contains("the\\ next\\ command\n"), "{}", terminal.wire);
    }

    #[test]
    fn any_line_at_all_has_a_status(line in "\\PC{0,80}") {
        output(&mut Machine::full(), &line);
        output(&mut Machine::bare(), &line);
    }
}
