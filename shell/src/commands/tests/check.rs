//! `check`: a sound machine on which nothing is found, and broken ones on which exactly that is
//! found which was broken.

mod corpus;
mod given;

use crate::Status;
use crate::testing::{Machine, output};

/// Those that a sound machine is asked about; it keeps no books about frames.
const PARTS: [&str; 10] = [
    "kernel-half",
    "stacks",
    "wx",
    "user-bits",
    "nx",
    "global",
    "reserved",
    "alias",
    "loops",
    "descriptors",
];

/// A part: its name, its verdict, and its rows.
type Part<'a> = (&'a str, &'a str, Vec<&'a str>);

/// What `check all` prints, taken apart: the parts, and what follows them.
fn parts(text: &str) -> (Vec<Part<'_>>, Vec<&str>) {
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or("");
        if let (Some(row), Some((_, _, rows))) = (line.strip_prefix("  "), parts.last_mut()) {
            let rows: &mut Vec<&str> = rows;
            rows.push(row);
        } else if PARTS.contains(&first) {
            parts.push((first, words.next().unwrap_or(""), Vec::new()));
        } else if first != "frames" {
            rest.push(line);
        }
    }
    (parts, rest)
}

#[test]
fn nothing_is_wrong_with_a_sound_machine() {
    let (text, status) = output(&mut Machine::sound(), "check all; assert $_ == 0");
    assert_eq!(
        text,
        "kernel-half  pass  2 processes, 512 slots\n\
         stacks       pass  17 stacks in 3 spaces\n\
         wx           pass  3 spaces, 50 entries\n\
         user-bits    pass  3 spaces, 50 entries\n\
         nx           pass  3 spaces, 50 entries\n\
         global       pass  3 spaces, 50 entries\n\
         reserved     pass  3 spaces, 50 entries\n\
         alias        pass  3 spaces, 56 tables, 2 pages of user code\n\
         loops        pass  3 spaces, 50 entries\n\
         frames       skipped  this target has no frame records\n\
         descriptors  pass  5 descriptors, 49 gates, 4 stacks\n\
         10 parts passed, 1 skipped\n"
    );
    assert_eq!(status, Status::Ok);
}
