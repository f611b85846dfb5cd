//! QEMU's machine protocol: ask the monitor something, and hear what happened to the machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::signals;

/// The longest any request may take; a screen dump under load takes a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long after QEMU has ended what it said last may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection to the monitor.
#[derive(Debug)]
pub struct Qmp {
    writer: UnixStream,
    messages: Receiver<Value>,
    events: Vec<Value>,
    next: u64,
}

impl Qmp {
    /// Greets the monitor at the other end of a socket.
    ///
    /// # Errors
    ///
    /// One line, when it does not greet back.
    pub fn new(stream: UnixStream) -> Result<Self, String> {
        let prepare = || -> std::io::Result<Self> {
            stream.set_nonblocking(false)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let reader = BufReader::new(stream.try_clone()?);
            let (sender, messages) = channel();
            std::thread::Builder::new()
                .name("monitor".to_owned())
                .spawn(move || {
                    for line in reader.lines() {
                        let Ok(line) = line else { break };
                        let Ok(message) = serde_json::from_str(&line) else {
                            continue;
                        };
                        if sender.send(message).is_err() {
                            break;
                        }
                    }
                })?;
            Ok(Self {
                writer: stream,
                messages,
                events: Vec::new(),
                next: 0,
            })
        };
        let mut qmp = prepare().map_err(|error| error.to_string())?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Sends one request and waits for what it returns.
    ///
    /// # Errors
    ///
    /// The monitor's own words, or that it did not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        self.next += 1;
        let id = self.next;
        let request = json!({ "execute": command, "arguments": arguments, "id": id });
        writeln!(self.writer, "{request}").map_err(|error| format!("{command}: {error}"))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self
                .message(until)
                .map_err(|why| format!("{command}: {why}"))?;
            if message.get("event").is_some() {
                self.events.push(message);
            } else if message.get("id").and_then(Value::as_u64) == Some(id) {
                return answer(command, message);
            }
        }
    }

    fn message(&mut self, until: Instant) -> Result<Value, String> {
        loop {
            match self.messages.recv_timeout(Duration::from_millis(50)) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Disconnected) => return Err("the monitor is gone".to_owned()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if signals::asked_to_stop() {
                return Err("interrupted".to_owned());
            }
            if Instant::now() >= until {
                return Err(format!("no answer in {} s", PATIENCE.as_secs()));
            }
        }
    }

    /// A line for the human monitor, and what it prints.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub fn human(&mut self, line: &str) -> Result<String, String> {
        let answer = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(answer.as_str().unwrap_or_default().replace("\r\n", "\n"))
    }

    /// Why the machine shut down, if it did, in QEMU's word, like `guest-reset`. For when QEMU has
    /// ended: waits for the end of what it said, but not long.
    pub fn shutdown_reason(&mut self) -> Option<String> {
        // What ends the messages is that whoever reads them from the socket has come to its end.
        let until = Instant::now() + LAST_WORDS;
        while let Ok(message) = self
            .messages
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if message.get("event").is_some() {
                self.events.push(message);
            }
        }
        self.events
            .iter()
            .find(|event| event.get("event").and_then(Value::as_str) == Some("SHUTDOWN"))
            .and_then(|event| event.pointer("/data/reason")?.as_str().map(str::to_owned))
    }
}

fn answer(command: &str, mut message: Value) -> Result<Value, String> {
    if let Some(error) = message.pointer("/error/desc") {
        return Err(format!(
            "{command}: {}",
            error.as_str().unwrap_or("refused")
        ));
    }
    Ok(message
        .get_mut("return")
        .map(Value::take)
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A monitor that answers each request with one of these after an event.
    fn monitor(answers: Vec<&'static str>) -> Qmp {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        std::thread::spawn(move || {
            let mut writer = theirs.try_clone().expect("a second handle");
            drop(writeln!(
                writer,
                r#"{{"QMP": {{"version": {{}}, "capabilities": []}}}}"#
            ));
            let mut answers = std::iter::once(r#""return": {}"#).chain(answers);
            for line in BufReader::new(theirs).lines().map_while(Result::ok) {
                let request: Value = serde_json::from_str(&line).expect("a request is JSON");
                let id = request
                    .get("id")
                    .and_then(Value::as_u64)
                    .expect("a request has a number");
                drop(writeln!(
                    writer,
                    r#"{{"event": "SHUTDOWN", "data": {{"reason": "guest-reset"}}}}"#
                ));
                let Some(answer) = answers.next() else { break };
                drop(writeln!(writer, r#"{{ {answer}, "id": {id} }}"#));
            }
        });
        Qmp::new(ours).expect("it greets")
    }

    #[test]
    fn events_between_request_and_answer_are_kept_and_not_taken_for_the_answer() {
        let mut qmp = monitor(vec![r#""return": "RIP=0\r\n""#]);
        assert_eq!(qmp.human("info registers").as_deref(), Ok("RIP=0\n"));
        assert_eq!(qmp.shutdown_reason().as_deref(), Some("guest-reset"));
    }

    #[test]
    fn a_refusal_comes_in_the_monitors_words() {
        let mut qmp = monitor(vec![
            r#""error": {"class": "GenericError", "desc": "no such thing"}"#,
        ]);
        let refused = qmp.execute("nothing", json!({})).expect_err("it refuses");
        assert_eq!(refused, "nothing: no such thing");
    }

    #[test]
    fn a_monitor_that_goes_away_is_an_error_and_not_a_wait() {
        let mut qmp = monitor(vec![]);
        let gone = qmp.execute("quit", json!({})).expect_err("it goes");
        assert_eq!(gone, "quit: the monitor is gone");
    }
}
