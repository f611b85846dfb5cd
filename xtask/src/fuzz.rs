//! `fuzz`: libFuzzer on what reads ELF files, indexes of symbols and unwind tables.
//!
//! The targets in `symbolizer/fuzz` are laid out for cargo-fuzz, but need neither it nor a nightly compiler: what it
//! tells rustc to do is told here. libFuzzer itself is C++, so a compiler of that is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::project::Project;
use crate::{host, steps, tools};

/// What there is to try. Names are those of the files in `symbolizer/fuzz/fuzz_targets`.
pub const TARGETS: [&str; 3] = ["elf", "index", "unwind"];
/// How long each is tried for, unless somebody says so, in seconds.
pub const USUAL: u64 = 60;

/// Counters for every branch, and what was compared: what libFuzzer steers by.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The longest input: larger than every file to begin with.
const LONGEST: usize = 1 << 16;

/// Tries one target, or all in turn. What was found before is tried first.
///
/// # Errors
///
/// Something cannot be built, or an input was panicked at, took ten seconds or 2 GiB: it is kept, and named.
pub fn run(project: &Project, only: Option<&str>, seconds: u64) -> anyhow::Result<()> {
    if let Some(only) = only {
        ensure!(
            TARGETS.contains(&only),
            "fuzz: what is `{only}`? ({})",
            TARGETS.join(", ")
        );
    }
    if tools::in_path("c++").is_none() {
        bail!(
            "fuzz: libFuzzer needs a C++ compiler, and there is no `c++`; `cargo xtask mutations` does without one"
        );
    }
    let built = build(project)?;
    for target in TARGETS {
        if only.is_none_or(|only| only == target) {
            fuzz(project, &built.join(target), target, seconds)?;
        }
    }
    Ok(())
}

/// Where the fuzzers are.
fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let triple = triple()?;
    let folder = project.target().join("fuzz");
    let mut cargo = host::cargo(project);
    cargo
        .args(["build", "--release", "--bins", "--target", &triple])
        .arg("--manifest-path")
        .arg(project.root().join("symbolizer/fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", FLAGS);
    steps::run(project, "fuzz-build", "build the fuzzers", &mut cargo)?;
    Ok(folder.join(triple).join("release"))
}

/// This machine, as rustc calls it. Only with a name are build scripts compiled without our flags.
fn triple() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output();
    let text = String::from_utf8(output.context("rustc does not start")?.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say what it runs on")?
        .to_owned())
}

fn fuzz(project: &Project, fuzzer: &Path, target: &str, seconds: u64) -> anyhow::Result<()> {
    let folder = project.target().join("fuzz");
    let corpus = folder.join("corpus").join(target);
    let found = folder.join("found");
    for made in [&corpus, &found] {
        std::fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    let mut command = Command::new(fuzzer);
    command
        .arg(&corpus)
        .args(seeds(project, target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/{target}-", found.display()));
    let name = format!("fuzz-{target}");
    let what = format!("fuzz {target} for {seconds} s");
    steps::run(project, &name, &what, &mut command)?;
    let log = project.logs().join(format!("{name}.log"));
    let text =
        std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let number = |what: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what));
        line.map_or("?", str::trim)
    };
    println!(
        "{target}: {} inputs, {} of them new; {} MiB at most",
        number("stat::number_of_executed_units:"),
        number("stat::new_units_added:"),
        number("stat::peak_rss_mb:")
    );
    Ok(())
}

/// Folders with inputs to begin with, as far as something made them.
fn seeds(project: &Project, target: &str) -> Vec<PathBuf> {
    let folders: &[&str] = match target {
        "elf" => &["fixtures", "programs-elf"],
        "index" => &["symbols"],
        // Those are made up by the target itself.
        _ => &[],
    };
    let folders = folders.iter().map(|folder| project.target().join(folder));
    folders.filter(|folder| folder.is_dir()).collect()
}
