//! A kernel that misbehaves: each test holds the other end of the serial line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use shell::Status;
use shell::framing::Checksum;

use super::link::{Link, Reply};
use super::trouble::{Failure, Left, Place, Trouble};
use super::wire::{Limits, Wire};

const BUILD: &str = "0123456789ab";

/// A shell that says `boot` at once, then answers each line received with what `answer` makes of
/// it; `None` closes the line.
fn guest(boot: &str, answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Link {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let boot = boot.to_owned();
    std::thread::spawn(move || {
        let mut writer = theirs.try_clone().expect("a second handle");
        // The test may be over, and its end of the line gone, at any time.
        let mut say = |text: &str| writer.write_all(text.as_bytes()).is_ok();
        if !say(&boot) {
            return;
        }
        let mut reader = BufReader::new(theirs);
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\r', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let answer = if text == "framing on" {
                Some(format!("framing on\r\n@framed 1 build={BUILD}\r\n"))
            } else {
                answer(&text)
            };
            match answer {
                Some(answer) if say(&answer) => {}
                _ => break,
            }
        }
        // The reader holds the other handle; both go here.
    });
    Link::new(Wire::new(ours, None).expect("a wire"), Instant::now())
}

/// A guest at its prompt, framed.
fn framed(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Link {
    let mut link = guest("boot: memory\r\nringwalk> ", answer);
    link.wait_for_prompt(limits()).expect("it boots");
    link.begin_framing(Some(BUILD), limits())
        .expect("it frames");
    link
}

fn limits() -> Limits {
    Limits::from_now(Duration::from_secs(20), Duration::from_millis(400))
}

fn frame(seq: u64, command: &str, lines: &[&str], status: &str) -> String {
    let mut sum = Checksum::new();
    let mut text = format!("@begin {seq} {command}\r\n");
    for line in lines {
        sum.add(line.as_bytes());
        sum.add(b"\n");
        text.push_str(&format!("{line}\r\n"));
    }
    text.push_str(&format!(
        "@end {seq} lines={} crc={:08x} status={status}\r\n",
        lines.len(),
        sum.value()
    ));
    text
}

fn ask(link: &mut Link, command: &str) -> Result<Reply, Failure> {
    link.command(command, limits())
}

/// What goes wrong when `map` is answered with this.
fn answered(answer: &'static str) -> Failure {
    let mut link = framed(move |_| Some(answer.to_owned()));
    ask(&mut link, "map").expect_err(answer)
}

#[test]
fn a_whole_frame_is_taken_apart() {
    let mut link = framed(|line| {
        Some(match line {
            "map" => frame(1, "map", &["|one", "|", "!map: no"], "failed"),
            other => frame(2, other, &[], "ok"),
        })
    });
    let reply = ask(&mut link, "map").expect("a whole frame");
    assert_eq!((reply.seq, reply.status), (1, Status::Failed));
    assert_eq!(reply.output, ["one", ""]);
    assert_eq!(reply.errors, ["map: no"]);
    assert!(ask(&mut link, "regs").expect("a whole frame").is_ok());
}

#[test]
fn a_note_of_the_kernel_between_lines_is_kept_apart() {
    let mut link = framed(|line| {
        let whole = frame(1, line, &["|one"], "ok");
        Some(whole.replace("|one\r\n", "|one\r\n\r\nnote: #BP at RIP 0, going on\r\n"))
    });
    let reply = ask(&mut link, "map").expect("a whole frame");
    assert_eq!(reply.output, ["one"]);
    assert_eq!(reply.notes, ["note: #BP at RIP 0, going on"]);
}

#[test]
fn a_boot_is_reported_stage_by_stage() {
    let boot = "\x1b[2JBdsDxe: starting Boot0001\r\nboot: memory\r\nboot: shell\r\n\
                Ringwalk 0.1.0 build 0123456789ab\r\n\x1b[1mringwalk> \x1b[0m";
    let boot = guest(boot, |_| None)
        .wait_for_prompt(limits())
        .expect("it boots");
    let stages: Vec<&str> = boot
        .stages
        .iter()
        .map(|(stage, _)| stage.as_str())
        .collect();
    assert_eq!(stages, ["memory", "shell"]);
    assert_eq!(boot.build_id.as_deref(), Some(BUILD));
}

#[test]
fn silence_is_placed_by_the_last_thing_heard() {
    let starting = "BdsDxe: starting Boot0001 \"UEFI\"\r\n";
    for (said, place) in [
        (String::new(), Place::Firmware),
        ("BdsDxe: loading Boot0001\r\n".to_owned(), Place::Firmware),
        (starting.to_owned(), Place::Bootloader),
        (
            format!("{starting}boot: memory\r\n"),
            Place::Boot {
                stage: Some("memory".to_owned()),
            },
        ),
    ] {
        let mut link = guest(&said, |_| None);
        let failure = link
            .wait_for_prompt(limits())
            .expect_err("it never gets there");
        assert!(
            matches!(failure.trouble, Trouble::Silent { .. }),
            "{failure}"
        );
        assert_eq!(failure.place, place);
    }
}

#[test]
fn a_guest_that_hangs_in_a_command_is_silent_after_its_last_line() {
    let failure = answered("@begin 1 map\r\n|one\r\n|tw");
    let Trouble::Silent { partial, silence } = &failure.trouble else {
        panic!("{failure}")
    };
    assert_eq!(partial, "|tw");
    assert!(*silence >= Duration::from_millis(400), "{silence:?}");
    assert_eq!(
        failure.place,
        Place::Command {
            seq: 1,
            text: "map".to_owned(),
            lines: 1
        }
    );
    let text = failure.to_string();
    assert!(
        text.contains("in command 1 `map`, after line 1 of its answer"),
        "{text}"
    );
    assert!(text.ends_with("|one\n    |tw"), "{text}");
}

#[test]
fn a_guest_that_never_ends_runs_out_of_time_and_not_into_silence() {
    let mut link = framed(|_| Some(format!("@begin 1 map\r\n{}", "|more\r\n".repeat(1000))));
    // Keeps hearing something every 10 ms by asking for it.
    let limits = Limits::from_now(Duration::from_millis(300), Duration::from_secs(9));
    let failure = link.command("map", limits).expect_err("it never ends");
    assert!(
        matches!(failure.trouble, Trouble::TimeUp { .. }),
        "{failure}"
    );
}

#[test]
fn a_line_without_its_marker_is_torn() {
    let failure =
        answered("@begin 1 map\r\n|one\r\nwo\r\n@end 1 lines=2 crc=00000000 status=ok\r\n");
    assert_eq!(
        failure.trouble,
        Trouble::Torn {
            line: "wo".to_owned()
        }
    );
}

#[test]
fn two_lines_torn_into_one_do_not_add_up() {
    let text = frame(1, "map", &["|one", "|two"], "ok").replace("|one\r\n|two", "|o|two");
    let mut link = framed(move |_| Some(text.clone()));
    let failure = ask(&mut link, "map").expect_err("a line is lost");
    assert_eq!(
        failure.trouble,
        Trouble::Count {
            announced: 2,
            counted: 1
        }
    );
}

#[test]
fn a_changed_byte_is_a_wrong_checksum() {
    let text = frame(1, "map", &["|one"], "ok").replace("|one", "|One");
    let mut link = framed(move |_| Some(text.clone()));
    let failure = ask(&mut link, "map").expect_err("a byte is another");
    assert!(
        matches!(failure.trouble, Trouble::Checksum { .. }),
        "{failure}"
    );
}

#[test]
fn a_marker_that_does_not_come_is_missed() {
    for (answer, marker) in [
        (
            "|one\r\n@end 1 lines=1 crc=00000000 status=ok\r\n",
            "@begin",
        ),
        ("@end 1 lines=0 crc=00000000 status=ok\r\n", "@begin"),
        ("@begin 1 map\r\n|one\r\n@begin 2 regs\r\n", "@end"),
    ] {
        let failure = answered(answer);
        assert!(
            matches!(failure.trouble, Trouble::Missing { marker: missed, .. } if missed == marker),
            "{failure}"
        );
    }
}

#[test]
fn a_wrong_number_on_either_marker_is_noticed() {
    let failure = answered("@begin 7 map\r\n");
    assert_eq!(
        failure.trouble,
        Trouble::Sequence {
            expected: 1,
            got: 7
        }
    );
    let failure = answered("@begin 1 map\r\n@end 2 lines=0 crc=00000000 status=ok\r\n");
    assert_eq!(
        failure.trouble,
        Trouble::Sequence {
            expected: 1,
            got: 2
        }
    );
}

#[test]
fn a_line_that_lost_a_character_on_its_way_is_misheard() {
    let failure = answered("@begin 1 mp\r\n");
    let Trouble::Misheard { sent, received } = &failure.trouble else {
        panic!("{failure}")
    };
    assert_eq!((sent.as_str(), received.as_str()), ("map", "mp"));
}

#[test]
fn a_fault_report_is_printed_whole_wherever_it_comes() {
    for answer in [
        "@begin 1 map\r\n|one\r\n\r\nfault: #PF page fault, vector 14\r\nRIP 0x0\r\nCR2 0x8\r\n",
        // Even where it begins in the middle of a line.
        "@begin 1 map\r\n|on@\r\nx\r\nfault: #PF page fault, vector 14\r\nRIP 0x0\r\nCR2 0x8\r\n",
    ] {
        let failure = answered(answer);
        let Trouble::Fault { report } = &failure.trouble else {
            panic!("{failure}")
        };
        assert_eq!(
            report,
            &["fault: #PF page fault, vector 14", "RIP 0x0", "CR2 0x8"]
        );
        assert!(failure.to_string().contains("\n  RIP 0x0"), "{failure}");
    }
    let failure = guest(
        "boot: memory\r\npanic: no frames\r\n  at boot.rs:7\r\n",
        |_| None,
    )
    .wait_for_prompt(limits())
    .expect_err("it panics");
    assert!(
        matches!(&failure.trouble, Trouble::Fault { report } if report.len() == 2),
        "{failure}"
    );
    assert_eq!(
        failure.place,
        Place::Boot {
            stage: Some("memory".to_owned())
        }
    );
}

#[test]
fn a_guest_that_leaves_has_left_and_is_not_silent() {
    let mut link = framed(|_| None);
    let failure = ask(&mut link, "poweroff").expect_err("it is gone");
    assert_eq!(failure.trouble, Trouble::Left(Left::Unknown));
}

#[test]
fn another_build_is_a_stale_image() {
    let mut link = guest("ringwalk> ", |_| None);
    link.wait_for_prompt(limits()).expect("it boots");
    let failure = link
        .begin_framing(Some("ba9876543210"), limits())
        .expect_err("it is another");
    let (guest, file) = (BUILD.to_owned(), "ba9876543210".to_owned());
    assert_eq!(failure.trouble, Trouble::Stale { guest, file });
}

#[test]
fn raw_bytes_are_found_across_chunks() {
    let mut link = guest("abcdef", |line| Some(format!("<{line}>")));
    let found = link.wire().until(b"de", limits()).expect("it is there");
    assert_eq!(found, b"abcde");
    link.wire().send(b"xyz\r").expect("it listens");
    assert_eq!(
        link.wire().until(b">", limits()).expect("it comes"),
        b"f<xyz>"
    );
    assert!(link.wire().until(b"never", limits()).is_err());
}

#[test]
fn half_a_sequence_behind_the_prompt_is_no_text_of_the_next_line() {
    let mut link = guest("\x1b[1mringwalk> \x1b[", |line| {
        Some(format!("0m{line}\r\n|on its own\r\n"))
    });
    link.wait_for_prompt(limits()).expect("it boots");
    link.wire().send(b"map\r").expect("it listens");
    assert_eq!(link.wire().line(limits()).as_deref(), Ok("map"));
    assert_eq!(link.wire().last(), ["map", "|on its own"]);
}

#[test]
fn a_machine_that_never_was_is_not_in_the_firmware() {
    let failure = Failure {
        trouble: Trouble::Start("QEMU ended at once\n  no such CPU".to_owned()),
        place: Place::Firmware,
        evidence: Box::default(),
    };
    let why = "the machine did not start: QEMU ended at once";
    assert_eq!(failure.to_string(), format!("{why}\n  no such CPU"));
    assert_eq!(failure.reason(), why);
}
