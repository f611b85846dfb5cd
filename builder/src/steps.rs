//! Long steps that show they are alive: which one, how long so far, and where its output went.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

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
    Ok(Step {
        what: what.to_owned(),
        log,
        child,
        since: Instant::now(),
    })
}

/// The same call as one that lets others go first where there are fewer processors than work.
#[must_use]
pub fn behind_others(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "5"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice
}

/// A step that was begun. Given up, it is ended.
#[derive(Debug)]
#[must_use = "a step that nobody waits for is ended"]
pub struct Step {
    what: String,
    log: PathBuf,
    child: Child,
    since: Instant,
}

impl Step {
    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// As [`run`], but for the start.
    pub fn finish(self) -> anyhow::Result<()> {
        finish_all(vec![self])
    }

    /// Whether it has come to its end, and that a good one.
    fn has_ended(&mut self) -> anyhow::Result<bool> {
        let why = match self.child.try_wait()? {
            Some(status) if status.success() => return Ok(true),
            Some(status) => status.to_string(),
            None if signals::asked_to_stop() => "interrupted".to_owned(),
            None if self.since.elapsed() > LIMIT => {
                "still not done after an hour; ended".to_owned()
            }
            None => return Ok(false),
        };
        self.child.kill()?;
        self.child.wait()?;
        bail!(
            "{}: {why}; its last lines, from {}:\n{}",
            self.what,
            self.log.display(),
            tail(&self.log)
        );
    }
}

/// Waits until all of them have ended. One that fails ends the others.
///
/// # Errors
///
/// As [`run`], but for the start.
pub fn finish_all(mut steps: Vec<Step>) -> anyhow::Result<()> {
    let mut ticker = Ticker::new();
    while !steps.is_empty() {
        let mut index = 0;
        while let Some(step) = steps.get_mut(index) {
            match step.has_ended() {
                Ok(true) => {
                    ticker.done(&step.what, step.since.elapsed());
                    drop(steps.remove(index));
                }
                Ok(false) => index += 1,
                Err(why) => {
                    ticker.clear();
                    return Err(why);
                }
            }
        }
        ticker.tick(|| together(&steps));
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What several steps do, the verb once where all have the same: `build the kernel, the programs`.
fn together(steps: &[Step]) -> String {
    let first = steps.first().map_or("", |step| &step.what);
    let verb = first.split_inclusive(' ').next().unwrap_or_default();
    let is_shared = steps.iter().all(|step| step.what.starts_with(verb));
    let others = steps.iter().skip(1).map(|step| match is_shared {
        true => step.what.strip_prefix(verb).unwrap_or(&step.what),
        false => &step.what,
    });
    let all: Vec<&str> = std::iter::once(first).chain(others).collect();
    all.join(", ")
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

/// A line short enough to be shown among others.
#[must_use]
pub fn excerpt(line: &str) -> String {
    const SHOWN: usize = 200;
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// Says on stderr, now and then, what is still going.
#[derive(Debug)]
struct Ticker {
    since: Instant,
    last: Option<Instant>,
    terminal: bool,
}

impl Ticker {
    /// Starts the clock; nothing is printed for the first second.
    fn new() -> Self {
        Self {
            since: Instant::now(),
            last: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Prints a line if one is due.
    fn tick(&mut self, what: impl FnOnce() -> String) {
        let elapsed = self.since.elapsed();
        let due = match self.last {
            None => elapsed >= QUIET,
            Some(last) => last.elapsed() >= if self.terminal { QUIET } else { HEARTBEAT },
        };
        if !due {
            return;
        }
        self.last = Some(Instant::now());
        let what = what();
        if what.is_empty() {
            return;
        }
        let seconds = elapsed.as_secs();
        let mut stderr = std::io::stderr().lock();
        // A closed stderr must not end a build.
        drop(if self.terminal {
            write!(stderr, "\r{what}: {seconds} s\x1b[K").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{what}: {seconds} s")
        });
    }

    /// Says how long a step took, if anything had been said.
    fn done(&mut self, what: &str, took: Duration) {
        if self.last.is_none() {
            return;
        }
        self.clear();
        let seconds = took.as_secs_f64();
        drop(writeln!(
            std::io::stderr(),
            "{what}: done in {seconds:.1} s"
        ));
    }

    /// Takes away the line that is written over and over.
    fn clear(&self) {
        if self.last.is_some() && self.terminal {
            drop(write!(std::io::stderr(), "\r\x1b[K"));
        }
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
    fn steps_go_on_together_until_one_fails() {
        let (_folder, project) = project();
        let begin = |name: &str, script: &str| {
            let what = format!("do {name}");
            start(
                &project,
                name,
                &what,
                Command::new("sh").args(["-c", script]),
            )
            .expect("it starts")
        };
        let file = project.root().join("file");
        let waits = format!("until test -e {0}; do sleep 0.01; done", file.display());
        let makes = format!("touch {}", file.display());
        let both = vec![begin("waits", &waits), begin("makes", &makes)];
        assert_eq!(together(&both), "do waits, makes");
        finish_all(both).expect("each ends well");

        let long = begin("long", "exec sleep 600");
        let process = Path::new("/proc").join(long.child.id().to_string());
        let why = finish_all(vec![long, begin("bad", "exit 4")]).expect_err("one fails");
        assert!(
            why.to_string().starts_with("do bad: exit status: 4"),
            "{why}"
        );
        assert!(!process.exists());
    }

    #[test]
    fn whoever_lets_others_go_first_does_the_same_in_the_same_place() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $WORD $HOME $(pwd) $(nice)"])
            .env("WORD", "a b")
            .env_remove("HOME")
            .current_dir("/");
        let output = behind_others(&command).output().expect("it starts");
        let own = Command::new("nice").output().expect("it starts").stdout;
        let own: u32 = String::from_utf8_lossy(&own)
            .trim()
            .parse()
            .expect("a number");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text, format!("a b / {}\n", (own + 5).min(19)));
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
