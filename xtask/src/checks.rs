//! `test` and `tidy`: everything CI runs, step by step, going on after one that failed.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::exec::Outcome;
use crate::guest::Firmware;
use crate::project::Project;
use crate::{built, docs, host, stages, steps};

/// The crates built for this machine whose tests boot nothing.
const QUICK: [&str; 8] = [
    "builder",
    "machine",
    "symbolizer",
    "unwinder",
    "exported",
    "host",
    "shell",
    "xtask",
];
/// The one whose tests boot the kernel. The kernel, the programs and the image builder have their own
/// compiler.
const BOOTING: &str = "tests";

/// How a step went.
enum Went {
    Well(Duration),
    Badly(String),
    Skipped(&'static str),
}

/// Steps with numbers, and what became of them.
struct Sequence {
    total: usize,
    done: Vec<(String, Went)>,
}

impl Sequence {
    fn step(&mut self, what: &str, run: impl FnOnce() -> anyhow::Result<Option<&'static str>>) {
        let number = self.done.len() + 1;
        eprintln!("[{number}/{}] {what}", self.total);
        let since = Instant::now();
        let went = match run() {
            Ok(None) => Went::Well(since.elapsed()),
            Ok(Some(why)) => {
                eprintln!("  skipped: {why}");
                Went::Skipped(why)
            }
            Err(error) => {
                eprintln!("{error:#}");
                Went::Badly(
                    error
                        .to_string()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                )
            }
        };
        self.done.push((what.to_owned(), went));
    }

    fn summary(&self) -> Outcome {
        let mut outcome = Outcome::Ok;
        eprintln!();
        for (what, went) in &self.done {
            match went {
                Went::Well(took) => eprintln!("ok      {:6.1} s  {what}", took.as_secs_f64()),
                Went::Skipped(why) => eprintln!("skipped           {what}: {why}"),
                Went::Badly(why) => {
                    eprintln!("FAILED            {what}: {why}");
                    outcome = Outcome::Failed;
                }
            }
        }
        outcome
    }
}

/// Everything CI runs; with a filter, only the tests whose name holds it.
///
/// # Errors
///
/// Only when this machine cannot be set up; a failed step is an [`Outcome`].
pub fn test(project: &Project, filter: Option<&str>) -> anyhow::Result<Outcome> {
    let mut all = Sequence {
        total: if filter.is_some() { 3 } else { 8 },
        done: Vec::new(),
    };
    // Told apart from a kernel that does not compile: this is not the change's fault.
    crate::setup::ready(project)?;
    all.step("set up, build the kernel, write its images", || {
        built::prepare(&[])?;
        without_warnings(project, &["kernel", "programs"])?;
        without_warnings(project, &Firmware::ALL.map(stages::log_name))?;
        Ok(None)
    });
    if filter.is_none() {
        all.step("formatting", || {
            optional(project, "fmt", "rustfmt", |_| format(project, true))
        });
        all.step("lints of the host's crates", || {
            optional(project, "clippy", "clippy", |_| lint_host(project))
        });
        all.step("lints of the kernel and the programs", || {
            optional(project, "clippy", "clippy", |_| lint_kernel(project))
        });
        all.step("docs/commands.md is up to date", || {
            docs::check(project).map(|()| None)
        });
        all.step("documentation builds without warnings", || {
            document(project).map(|()| None)
        });
    }
    all.step("unit tests", || {
        tests(project, "unit-tests", &QUICK, filter).map(|()| None)
    });
    all.step("transcripts, oracles, boots", || {
        tests(project, "tests", &[BOOTING], filter).map(|()| None)
    });
    Ok(all.summary())
}

/// Formats and lints.
///
/// # Errors
///
/// The first lint, or that a tool is not installed.
pub fn tidy(project: &Project) -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !host::has(project, subcommand) {
            bail!("{component} is not installed; with rustup: rustup component add {component}");
        }
    }
    format(project, false)?;
    lint_host(project)?;
    lint_kernel(project)
}

/// Records the transcripts and the generated documentation again.
///
/// # Errors
///
/// When the tests crate cannot be built or a transcript cannot be recorded.
pub fn bless(project: &Project) -> anyhow::Result<()> {
    built::prepare(&[])?;
    docs::write(project)?;
    let mut cargo = host::cargo(project);
    cargo
        .args(["test", "--package", "tests"])
        .env("RINGWALK_BLESS", "1");
    steps::run(project, "bless", "record the transcripts", &mut cargo)?;
    eprintln!("read the difference as carefully as the code: git diff");
    Ok(())
}

/// Reads damaged files, as many as that. What each kind came to is printed.
///
/// # Errors
///
/// One of them was panicked at, or took too long; the message has its number.
pub fn mutations(project: &Project, count: u64) -> anyhow::Result<()> {
    let mut cargo = host::cargo(project);
    cargo
        .args([
            "test",
            "--package",
            "tests",
            "--test",
            "symbols",
            "damaged_",
        ])
        .args(["--", "--nocapture", "--test-threads=1"])
        .env("RINGWALK_MUTATIONS", count.to_string());
    steps::run(project, "mutations", "read damaged files", &mut cargo)?;
    let log = project.logs().join("mutations.log");
    let text =
        std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    for line in text.lines().filter(|line| line.ends_with("at most")) {
        println!("{line}");
    }
    Ok(())
}

/// Runs a step whose tool may not be installed: that is a failure for a CI, not for a person.
fn optional(
    project: &Project,
    subcommand: &str,
    component: &'static str,
    run: impl FnOnce(&Project) -> anyhow::Result<()>,
) -> anyhow::Result<Option<&'static str>> {
    if host::has(project, subcommand) {
        return run(project).map(|()| None);
    }
    match missing_tool(std::env::var("CI").ok().as_deref()) {
        Ok(why) => Ok(Some(why)),
        Err(why) => bail!("{component}: {why}"),
    }
}

fn missing_tool(ci: Option<&str>) -> Result<&'static str, &'static str> {
    match ci {
        None | Some("" | "false" | "0") => Ok("not installed here; a CI would fail"),
        Some(_) => Err("not installed, and this is a CI (the variable CI is set)"),
    }
}

fn format(project: &Project, check: bool) -> anyhow::Result<()> {
    let mut cargo = host::cargo(project);
    cargo.args(["fmt", "--all"]);
    if check {
        cargo.arg("--check");
    }
    steps::run(project, "fmt", "rustfmt", &mut cargo)
}

fn packages(command: &mut Command, packages: &[&str]) {
    for package in packages {
        command.args(["--package", package]);
    }
}

fn lint_host(project: &Project) -> anyhow::Result<()> {
    let mut cargo = host::cargo(project);
    cargo.arg("clippy");
    packages(&mut cargo, &QUICK);
    packages(&mut cargo, &[BOOTING]);
    cargo.args(["--all-targets", "--", "-D", "warnings"]);
    steps::run(project, "clippy", "clippy", &mut cargo)
}

/// Only checked, so the host's own core library will do; in a folder of its own, because its
/// dependencies are chosen with other features than the host's.
fn lint_kernel(project: &Project) -> anyhow::Result<()> {
    let mut cargo = host::cargo(project);
    cargo.arg("clippy");
    packages(&mut cargo, &["kernel", "programs"]);
    cargo.arg("--target-dir");
    cargo.arg(project.target().join("clippy-kernel"));
    cargo.args(["--", "-D", "warnings"]);
    steps::run(
        project,
        "clippy-kernel",
        "clippy for the kernel and the programs",
        &mut cargo,
    )
}

fn document(project: &Project) -> anyhow::Result<()> {
    let mut cargo = host::cargo(project);
    cargo.args(["doc", "--no-deps"]);
    packages(&mut cargo, &QUICK);
    packages(&mut cargo, &[BOOTING]);
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    steps::run(project, "doc", "rustdoc", &mut cargo)
}

fn tests(
    project: &Project,
    name: &str,
    crates: &[&str],
    filter: Option<&str>,
) -> anyhow::Result<()> {
    let mut cargo = host::cargo(project);
    cargo.arg("test");
    packages(&mut cargo, crates);
    cargo.args(filter);
    steps::run(project, name, "cargo test", &mut cargo)?;
    let log = project.logs().join(format!("{name}.log"));
    let text =
        std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    eprintln!("  {} tests passed", passed(&text));
    Ok(())
}

/// How many tests the harnesses of a log say passed.
fn passed(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| {
        let rest = line.strip_prefix("test result: ok. ")?;
        rest.split_whitespace().next()?.parse::<usize>().ok()
    });
    counts.sum()
}

/// Cargo repeats the warnings of our own crates even where nothing was compiled.
fn without_warnings(project: &Project, logs: &[impl AsRef<str>]) -> anyhow::Result<()> {
    for name in logs {
        let log = project.logs().join(format!("{}.log", name.as_ref()));
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.lines().any(|line| line.starts_with("warning: ")) {
            bail!(
                "the compiler warns; from {}:\n{}",
                log.display(),
                steps::tail(&log)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod steps_and_tools {
    use super::*;

    #[test]
    fn a_missing_tool_is_a_failure_only_where_nobody_looks() {
        assert!(missing_tool(None).is_ok());
        assert!(missing_tool(Some("")).is_ok());
        assert!(missing_tool(Some("false")).is_ok());
        assert!(missing_tool(Some("true")).is_err());
        assert!(missing_tool(Some("1")).is_err());
    }

    #[test]
    fn passed_tests_of_all_harnesses_are_added_up() {
        let log = "running 2 tests\ntest result: ok. 2 passed; 0 failed\n\ntest result: ok. 40 passed; 1 ignored\n";
        assert_eq!(passed(log), 42);
        assert_eq!(passed(""), 0);
    }

    #[test]
    fn one_failed_step_fails_it_all_and_the_rest_still_runs() {
        let mut all = Sequence {
            total: 2,
            done: Vec::new(),
        };
        all.step("breaks", || bail!("broken"));
        all.step("works", || Ok(None));
        assert_eq!(all.done.len(), 2);
        assert_eq!(all.summary(), Outcome::Failed);
    }
}
