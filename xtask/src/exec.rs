//! `exec`: boot once, run the commands, print only what they printed, then leave.

use std::io::Write as _;

use serde_json::json;
use shell::Status;

use crate::guest::{Failure, Guest, Left, Options, Reply, Trouble};

/// How a call of ours ends, as its exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// 0: everything succeeded.
    Ok,
    /// 1: a command, an assertion or a check failed.
    Failed,
    /// 2: it could not be found out: no boot, a crash, a timeout, a missing tool.
    Broken,
}

impl Outcome {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Outcome::Ok => 0,
            Outcome::Failed => 1,
            Outcome::Broken => 2,
        }
    }
}

/// Boots and runs them all, going on after one that failed.
#[must_use]
pub fn run(options: &Options, commands: &[String], json: bool) -> Outcome {
    // One wall clock for all of it: `limits` of the guest begin with the boot and are not renewed.
    let mut guest = match Guest::boot(options) {
        Ok(guest) => guest,
        Err(failure) => return broken(&failure),
    };
    let mut outcome = Outcome::Ok;
    for (place, command) in commands.iter().enumerate() {
        match guest.command(command) {
            Ok(reply) => {
                if print(&reply, json).is_err() {
                    // Nobody reads any more, as behind `| head`.
                    return Outcome::Broken;
                }
                if !reply.is_ok() {
                    outcome = Outcome::Failed;
                }
            }
            Err(failure) => {
                let last = place + 1 == commands.len();
                if last && is_a_clean_end(command, &failure) {
                    return outcome;
                }
                if json {
                    // Whoever reads these learns the rest from the exit code.
                    drop(print_line(&lost(place + 1, command, &failure)));
                }
                return broken(&failure);
            }
        }
    }
    outcome
}

fn broken(failure: &Failure) -> Outcome {
    eprintln!("exec: {failure}");
    Outcome::Broken
}

/// Leaving is what was asked for.
fn is_a_clean_end(command: &str, failure: &Failure) -> bool {
    let asked =
        |name: &str, shortest: usize| command.len() >= shortest && name.starts_with(command);
    match failure.trouble {
        Trouble::Left(Left::PowerOff) => asked("poweroff", 1),
        // With -no-reboot a reboot ends QEMU; a triple fault under any other command is a crash.
        Trouble::Left(Left::Reset) => asked("reboot", 3),
        _ => false,
    }
}

fn print(reply: &Reply, json: bool) -> std::io::Result<()> {
    print_notes(reply);
    if json {
        return print_line(&as_json(reply));
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(reply.text().as_bytes())?;
    stdout.flush()?;
    print_errors(reply);
    Ok(())
}

fn print_line(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// What the kernel itself had to say meanwhile.
pub(crate) fn print_notes(reply: &Reply) {
    for note in &reply.notes {
        eprintln!("{note}");
    }
}

/// Why the command failed, if it did.
pub(crate) fn print_errors(reply: &Reply) {
    for error in &reply.errors {
        eprintln!("{error}");
    }
    if reply.errors.is_empty() && reply.status == Status::Interrupted {
        eprintln!("{}: interrupted", reply.command);
    }
}

/// One command as one JSON object.
#[must_use]
pub fn as_json(reply: &Reply) -> String {
    let error = (!reply.errors.is_empty()).then(|| reply.errors.join("\n"));
    json!({
        "seq": reply.seq,
        "command": reply.command,
        "status": reply.status.word(),
        "output": reply.output,
        "error": error,
    })
    .to_string()
}

/// The same for a command whose answer never came, or cannot be trusted: a crash, a timeout.
fn lost(seq: usize, command: &str, failure: &Failure) -> String {
    json!({
        "seq": seq,
        "command": command,
        "status": "lost",
        "output": [],
        "error": failure.reason(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Place;
    use std::time::Duration;

    fn reply() -> Reply {
        Reply {
            seq: 3,
            command: "walk nonsense".to_owned(),
            output: vec!["a \"quoted\" line".to_owned()],
            errors: vec![],
            notes: vec![],
            status: Status::Ok,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_reply_is_one_line_of_json() {
        let value: serde_json::Value =
            serde_json::from_str(&as_json(&reply())).expect("it is JSON");
        assert_eq!(
            value,
            json!({ "seq": 3, "command": "walk nonsense", "status": "ok",
                    "output": ["a \"quoted\" line"], "error": null })
        );
        let failed = Reply {
            errors: vec!["walk: no".to_owned()],
            status: Status::Failed,
            ..reply()
        };
        let text = as_json(&failed);
        assert!(text.contains(r#""error":"walk: no""#), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn a_command_that_was_lost_is_an_object_like_any_other() {
        let failure = Failure {
            trouble: Trouble::Fault {
                report: vec!["fault: #PF".to_owned()],
            },
            place: Place::Prompt,
            evidence: Box::default(),
        };
        let value: serde_json::Value =
            serde_json::from_str(&lost(2, "crash", &failure)).expect("it is JSON");
        assert_eq!(
            value,
            json!({ "seq": 2, "command": "crash", "status": "lost", "output": [],
                    "error": "fault: #PF; at the prompt" })
        );
    }

    #[test]
    fn only_what_was_asked_for_is_a_clean_end() {
        let left = |left| Failure {
            trouble: Trouble::Left(left),
            place: Place::Prompt,
            evidence: Box::default(),
        };
        assert!(is_a_clean_end("poweroff", &left(Left::PowerOff)));
        assert!(is_a_clean_end("reboot", &left(Left::Reset)));
        assert!(!is_a_clean_end("poweroff", &left(Left::Reset)));
        assert!(!is_a_clean_end("map", &left(Left::PowerOff)));
        assert!(!is_a_clean_end("map", &left(Left::Exit(134))));
    }
}
