//! The guest's serial line as lines of text, where every wait has an end.
//!
//! A thread of its own reads, so that a guest which prints while we write never blocks us both.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::guest::excerpt;
use crate::guest::text::{plain, unfinished};
use crate::signals;

/// How many lines are kept as evidence.
const KEPT: usize = 12;
/// A line longer than this is cut: some other program is talking, or nobody ends lines.
const LONGEST: usize = 1 << 20;
/// How often a wait looks up to see whether it was interrupted.
const SLICE: Duration = Duration::from_millis(50);

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When everything must be over.
    pub end: Instant,
    /// The longest time without a byte.
    pub silence: Duration,
}

impl Limits {
    /// Limits that begin now.
    #[must_use]
    pub fn from_now(total: Duration, silence: Duration) -> Self {
        // A time too far away to be named is as good as a year.
        let year = Duration::from_secs(365 * 24 * 3600);
        Self {
            end: Instant::now() + total.min(year),
            silence,
        }
    }
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// Nothing came for this long.
    Silent(Duration),
    /// The time is over; nothing came for the last part of it, which was this long.
    TimeUp(Duration),
    /// The line is closed; everything before that has been read.
    Closed,
    /// Somebody asked us to stop.
    Interrupted,
}

/// One end of a serial line.
#[derive(Debug)]
pub struct Wire {
    writer: UnixStream,
    chunks: Receiver<Vec<u8>>,
    /// Bytes that came and were not asked for yet.
    pending: VecDeque<u8>,
    heard: Instant,
    closed: bool,
    last: VecDeque<String>,
    log: Option<(File, PathBuf)>,
}

impl Wire {
    /// Takes over a connected socket; everything read is also kept in `log`.
    ///
    /// # Errors
    ///
    /// When the socket or the log cannot be had.
    pub fn new(stream: UnixStream, log: Option<&Path>) -> std::io::Result<Self> {
        let log = match log {
            Some(path) => Some((File::create(path)?, path.to_path_buf())),
            None => None,
        };
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        let mut reader = stream.try_clone()?;
        let (sender, chunks) = channel();
        std::thread::Builder::new()
            .name("serial line".to_owned())
            .spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                // Ends when the line closes, or when nobody listens any more.
                while let Ok(count @ 1..) = reader.read(&mut buffer) {
                    let chunk = buffer.get(..count).unwrap_or_default().to_vec();
                    if sender.send(chunk).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            writer: stream,
            chunks,
            pending: VecDeque::new(),
            heard: Instant::now(),
            closed: false,
            last: VecDeque::new(),
            log,
        })
    }

    /// Sends bytes. The guest may take up to ten seconds to make room for each part of them.
    ///
    /// # Errors
    ///
    /// When the line is closed, or the guest stopped reading.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let result = self.writer.write_all(bytes);
        self.heard = Instant::now();
        result
    }

    /// Waits for bytes.
    fn pump(&mut self, limits: Limits) -> Result<(), Stop> {
        loop {
            if self.closed {
                return Err(Stop::Closed);
            }
            if signals::asked_to_stop() {
                return Err(Stop::Interrupted);
            }
            let now = Instant::now();
            let silence = now.duration_since(self.heard);
            if silence >= limits.silence {
                return Err(Stop::Silent(silence));
            }
            if now >= limits.end {
                return Err(Stop::TimeUp(silence));
            }
            let wait = SLICE.min(limits.silence - silence).min(limits.end - now);
            match self.chunks.recv_timeout(wait) {
                Ok(chunk) => {
                    self.take(&chunk);
                    while let Ok(chunk) = self.chunks.try_recv() {
                        self.take(&chunk);
                    }
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.heard = Instant::now();
        self.pending.extend(chunk);
        if let Some((file, _)) = &mut self.log {
            // Evidence is worth having but not worth failing for.
            drop(file.write_all(chunk));
        }
    }

    /// The next whole line, without its end and without colours or cursor movements.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn line(&mut self, limits: Limits) -> Result<String, Stop> {
        let mut searched = 0;
        loop {
            let end = self
                .pending
                .iter()
                .skip(searched)
                .position(|byte| *byte == b'\n');
            let end = end.map(|end| searched + end + 1);
            if let Some(end) = end.or((self.pending.len() > LONGEST).then_some(LONGEST)) {
                let bytes: Vec<u8> = self.pending.drain(..end).collect();
                let line = plain(&bytes);
                self.remember(&line);
                return Ok(line);
            }
            searched = self.pending.len();
            self.pump(limits)?;
        }
    }

    /// The next whole line, or what stands at the end of the text so far once `is_it` likes it.
    /// That is how a prompt is seen, which no line end follows.
    ///
    /// # Errors
    ///
    /// Why there is neither.
    pub fn line_or(
        &mut self,
        limits: Limits,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<Result<String, String>, Stop> {
        loop {
            if self.pending.contains(&b'\n') {
                return self.line(limits).map(Ok);
            }
            let partial = self.partial();
            if is_it(&partial) {
                // What follows a prompt may be on its way: half a sequence stays until it is whole.
                let half = unfinished(self.pending.make_contiguous());
                self.pending.drain(..self.pending.len() - half);
                return Ok(Err(partial));
            }
            self.pump(limits)?;
        }
    }

    /// Every byte up to and including the first occurrence of `wanted`.
    ///
    /// # Errors
    ///
    /// Why it did not come; the bytes stay to be read.
    pub fn until(&mut self, wanted: &[u8], limits: Limits) -> Result<Vec<u8>, Stop> {
        let mut searched: usize = 0;
        loop {
            let bytes = self.pending.make_contiguous();
            let from = searched.saturating_sub(wanted.len());
            let place = bytes
                .get(from..)
                .unwrap_or_default()
                .windows(wanted.len().max(1))
                .position(|window| window == wanted);
            if let Some(place) = place {
                let found: Vec<u8> = self.pending.drain(..from + place + wanted.len()).collect();
                for line in String::from_utf8_lossy(&found).lines() {
                    self.remember(&plain(line.as_bytes()));
                }
                return Ok(found);
            }
            searched = bytes.len();
            self.pump(limits)?;
        }
    }

    /// What has come of a line that is not finished.
    #[must_use]
    pub fn partial(&self) -> String {
        let start = self.pending.iter().rposition(|byte| *byte == b'\n');
        let bytes: Vec<u8> = self
            .pending
            .iter()
            .skip(start.map_or(0, |end| end + 1))
            .copied()
            .collect();
        plain(&bytes)
    }

    /// Everything that came and was not asked for, after waiting until nothing comes for `quiet`.
    pub fn drain(&mut self, quiet: Duration, longest: Duration) -> Vec<u8> {
        self.heard = Instant::now();
        let limits = Limits::from_now(longest, quiet);
        while self.pump(limits).is_ok() {}
        self.pending.drain(..).collect()
    }

    /// Starts the clock of silence again: something other than the line shows life.
    pub fn awake(&mut self) {
        self.heard = Instant::now();
    }

    fn remember(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    /// The last lines that came, read or not, and what stands unfinished after them.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        let pending: Vec<u8> = self.pending.iter().copied().collect();
        let unread = pending
            .split(|byte| *byte == b'\n')
            .map(plain)
            .filter(|line| !line.is_empty());
        let lines: Vec<String> = self.last.iter().cloned().chain(unread).collect();
        let from = lines.len().saturating_sub(KEPT);
        lines
            .into_iter()
            .skip(from)
            .map(|line| excerpt(&line))
            .collect()
    }

    /// Where everything is kept.
    #[must_use]
    pub fn log(&self) -> Option<PathBuf> {
        self.log.as_ref().map(|(_, path)| path.clone())
    }
}
