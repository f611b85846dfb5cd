//! Long steps that show they are alive: which one, how long so far, and where its output went.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::guest::excerpt;
use crate::project::Project;
use crate::signals;

/// A step quicker than this says nothing.
const QUIET: Duration = Duration::from_secs(1);
/// How often a running step is heard of when stderr is a file.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest any one step may take; a first build on a slow machine fits many times over.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// How many lines of a failed step's output are shown.
const TAIL: usize = 40;

/// Runs one named step to its end, its output going to `target/logs/NAME.log`.
///
/// # Errors
///
/// When it cannot be started, fails, takes an hour or is interrupted; the message ends with the
/// last lines it printed.
pub fn run(project: &Project, name: &str, what: &str, command: &mut Command) -> anyhow::Result<()> {
    start(project, name, what, command)?.finish()
}

/// Begins a step, to go on beside others. Nothing is said of it until it is waited for.
///
/// # Errors
///
/// When it cannot be started.
pub fn start(
    project: &Project,
    name: &str,
    what: &str,
    command: &mut Command,
) -> anyhow::Result<Step> {
    let log = log_path(project, name)?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("{what}: cannot start {program}"))?;
    let ticker = Ticker::new(what);
    Ok(Step { log, child, ticker })
}

/// A step that was begun. Given up, it is ended.
#[derive(Debug)]
#[must_use = "a step that nobody waits for is ended"]
pub struct Step {
    log: PathBuf,
    child: Child,
    ticker: Ticker,
}

impl Step {
    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// As [`run`], but for the start.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let why = loop {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    self.ticker.done();
                    return Ok(());
                }
                break status.to_string();
            }
            if signals::asked_to_stop() {
                break "interrupted".to_owned();
            }
            if self.ticker.since.elapsed() > LIMIT {
                break "still not done after an hour; ended".to_owned();
            }
            self.ticker.tick();
            std::thread::sleep(Duration::from_millis(20));
        };
        self.child.kill()?;
        self.child.wait()?;
        self.ticker.done();
        bail!(
            "{}: {why}; its last lines, from {}:\n{}",
            self.ticker.what,
            self.log.display(),
            tail(&self.log)
        );
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log_path(project: &Project, name: &str) -> anyhow::Result<PathBuf> {
    let folder = project.logs();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(format!("{name}.log")))
}

/// The last lines of a log, each indented, however odd its bytes.
#[must_use]
pub fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines
        .iter()
        .skip(from)
        .map(|line| format!("  {}\n", excerpt(line)))
        .collect()
}

/// Says on stderr, now and then, that a step is still going.
#[derive(Debug)]
pub struct Ticker {
    what: String,
    since: Instant,
    last: Option<Instant>,
    terminal: bool,
}

impl Ticker {
    /// Starts the clock; nothing is printed for the first second.
    #[must_use]
    pub fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            since: Instant::now(),
            last: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Prints a line if one is due.
    pub fn tick(&mut self) {
        let elapsed = self.since.elapsed();
        let due = match self.last {
            None => elapsed >= QUIET,
            Some(last) => last.elapsed() >= if self.terminal { QUIET } else { HEARTBEAT },
        };
        if !due {
            return;
        }
        self.last = Some(Instant::now());
        let seconds = elapsed.as_secs();
        let mut stderr = std::io::stderr().lock();
        // A closed stderr must not end a build.
        drop(if self.terminal {
            write!(stderr, "\r{}: {seconds} s\x1b[K", self.what).and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{}: {seconds} s", self.what)
        });
    }

    /// Says how long it took, if anything had been said.
    pub fn done(&mut self) {
        if self.last.take().is_none() {
            return;
        }
        let start = if self.terminal { "\r" } else { "" };
        let end = if self.terminal { "\x1b[K" } else { "" };
        drop(writeln!(
            std::io::stderr(),
            "{start}{}: done in {:.1} s{end}",
            self.what,
            self.since.elapsed().as_secs_f64()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn project() -> (Scratch, Project) {
        let folder = Scratch::new("steps").expect("a scratch folder");
        let project = Project::at(folder.path().to_path_buf());
        (folder, project)
    }

    #[test]
    fn a_failing_step_shows_its_last_lines_and_its_log() {
        let (_folder, project) = project();
        let script = "for n in $(seq 100); do echo line $n; done; echo to stderr >&2; exit 3";
        let error = run(
            &project,
            "fails",
            "fail on purpose",
            Command::new("sh").args(["-c", script]),
        )
        .expect_err("it exits 3");
        let text = format!("{error:#}");
        assert!(text.contains("fail on purpose: exit status: 3"), "{text}");
        assert!(text.contains("fails.log"), "{text}");
        assert!(text.contains("line 100\n  to stderr\n"), "{text}");
        assert!(!text.contains("line 61\n"), "{text}");
    }

    #[test]
    fn a_step_that_is_given_up_is_ended() {
        let (_folder, project) = project();
        let step = start(
            &project,
            "sleeps",
            "sleep",
            Command::new("sleep").arg("600"),
        )
        .expect("it starts");
        let process = Path::new("/proc").join(step.child.id().to_string());
        assert!(process.exists());
        drop(step);
        assert!(!process.exists());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let (_folder, project) = project();
        let error = run(
            &project,
            "none",
            "run nothing",
            &mut Command::new("/nowhere/nothing"),
        )
        .expect_err("there is no such program");
        assert!(
            format!("{error:#}").contains("/nowhere/nothing"),
            "{error:#}"
        );
    }
}
