//! The fourth part of `bench`: how long `symbolize` takes, beside `llvm-symbolizer` and `addr2line`.
//!
//! All of them name the same addresses of the kernel's own file in the same way: functions, demangled, with
//! everything inlined. Rounds alternate, so that a busy machine disturbs all alike; the quickest
//! round counts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use symbolizer::dwarf::Elf;

use crate::built::Built;
use crate::{host, steps, tools};

/// How often everything is run.
const ROUNDS: usize = 5;
/// How many addresses the large round names.
const MANY: usize = 10_000;

/// One of those that are compared.
struct Named {
    name: &'static str,
    program: PathBuf,
    words: &'static [&'static str],
    cold: Duration,
    many: Duration,
}

/// Builds the tool, runs everything and prints a table.
///
/// # Errors
///
/// When something cannot be built or run, or nobody reads `out` any more.
pub fn run(built: &Built, out: &mut impl Write) -> anyhow::Result<()> {
    let file = std::fs::read(&built.kernel.whole)?;
    let elf = Elf::read(&file).map_err(|why| anyhow!("{why}"))?;
    let addresses = addresses(&elf);
    let one = addresses.first().context("the kernel has no code")?;
    let lines: String = addresses
        .iter()
        .map(|address| format!("{address:#x}\n"))
        .collect();

    let mut all = vec![new("symbolize", tool(built)?, &["-f", "-i", "-C"])];
    let llvm = built.ready.toolchain.compiler.llvm.join("llvm-symbolizer");
    match llvm.is_file() {
        true => all.push(new("llvm-symbolizer", llvm, &["--inlines", "--demangle"])),
        false => writeln!(out, "there is no llvm-symbolizer here to compare with")?,
    }
    match tools::in_path("addr2line") {
        Some(path) => all.push(new("addr2line", path, &["-f", "-i", "-C"])),
        None => writeln!(out, "there is no addr2line here to compare with")?,
    }
    for _ in 0..ROUNDS {
        for named in &mut all {
            named.cold =
                named
                    .cold
                    .min(named.time(&built.kernel.whole, &format!("{one:#x}\n"), 1)?);
            named.many = named
                .many
                .min(named.time(&built.kernel.whole, &lines, MANY)?);
        }
    }
    writeln!(
        out,
        "seconds to name addresses of the kernel's file, the quickest of {ROUNDS} rounds, and how often symbolize's"
    )?;
    writeln!(
        out,
        "program              one, cold            {MANY} addresses"
    )?;
    let (cold, many) = all.first().map_or((1.0, 1.0), |ours| {
        (ours.cold.as_secs_f64(), ours.many.as_secs_f64())
    });
    for named in &all {
        let (own_cold, own_many) = (named.cold.as_secs_f64(), named.many.as_secs_f64());
        writeln!(
            out,
            "{:16}  {own_cold:9.3}  {:9.2}  {own_many:12.3}  {:9.2}",
            named.name,
            own_cold / cold,
            own_many / many
        )?;
    }
    Ok(())
}

fn new(name: &'static str, program: PathBuf, words: &'static [&'static str]) -> Named {
    Named {
        name,
        program,
        words,
        cold: Duration::MAX,
        many: Duration::MAX,
    }
}

impl Named {
    /// How long it takes to answer these lines.
    fn time(&self, file: &Path, lines: &str, count: usize) -> anyhow::Result<Duration> {
        let since = Instant::now();
        let mut child = Command::new(&self.program)
            .args(self.words)
            .arg("-e")
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        let lines = lines.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
        let output = child.wait_with_output()?;
        let took = since.elapsed();
        writer
            .join()
            .map_err(|_| anyhow!("the writer panicked"))?
            .with_context(|| format!("{} stopped reading", self.name))?;
        ensure!(output.status.success(), "{}: {}", self.name, output.status);
        let answered = output.stdout.iter().filter(|byte| **byte == b'\n').count();
        ensure!(
            answered >= 2 * count,
            "{}: {answered} lines for {count} addresses",
            self.name
        );
        Ok(took)
    }
}

/// The tool as people have it: optimized.
fn tool(built: &Built) -> anyhow::Result<PathBuf> {
    let mut cargo = host::cargo(&built.project);
    cargo.args(["build", "--release", "--package", "symbolizer"]);
    cargo.args(["--features", "tool", "--bin", "symbolize"]);
    steps::run(&built.project, "symbolize", "build symbolize", &mut cargo)?;
    Ok(built.project.target().join("release/symbolize"))
}

/// Addresses of code, spread evenly, in an order that has none near the one before.
fn addresses(elf: &Elf<'_>) -> Vec<u64> {
    let code: u64 = elf.code().iter().map(|range| range.end - range.start).sum();
    let count = MANY as u64;
    // A prime that does not divide the count: each is asked once.
    let each = (0..count).map(|number| number * 7919 % count * code / count);
    each.filter_map(|mut at| {
        elf.code().iter().find_map(|range| {
            let length = range.end - range.start;
            let found = (at < length).then_some(range.start + at);
            at = at.saturating_sub(length);
            found
        })
    })
    .collect()
}
