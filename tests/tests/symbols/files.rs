//! The files that are asked about.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use object::{Object as _, ObjectSection as _};
use xtask::built::{self, Built};
use xtask::lock::Lock;
use xtask::project::Project;
use xtask::setup::{self, Ready};

/// A file with debug information.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Of DWARF.
    pub(super) version: u8,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| built::prepare(&[]).expect("everything compiles"));

/// What this machine has. The small program needs no kernel, and does not wait for one.
static READY: LazyLock<Ready> = LazyLock::new(|| {
    let project = Project::find();
    let _lock = Lock::take(&project).expect("our turn");
    setup::ready(&project).expect("this machine is set up")
});

/// The kernel, whole.
pub(super) fn kernel() -> Sample {
    Sample {
        name: "kernel".to_owned(),
        path: BUILT.kernel.whole.clone(),
        version: 5,
    }
}

/// A tool of the LLVM that the kernel is built with.
pub(super) fn llvm(tool: &str) -> PathBuf {
    READY.toolchain.compiler.llvm.join(tool)
}

/// The small program: DWARF 4 and 5, plain and compressed in the ways there are.
pub(super) fn fixtures() -> &'static [Sample] {
    &FIXTURES
}

static FIXTURES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let project = Project::find();
    let folder = project.target().join("fixtures");
    std::fs::create_dir_all(&folder).expect("writable");
    let source = project.root().join("tests/fixtures/inlined.rs");
    let mut samples = Vec::new();
    for version in [4u8, 5] {
        let plain = folder.join(format!("inlined-{version}"));
        compile(&source, &plain, version);
        let mut sample = |form: &str, path: PathBuf| {
            samples.push(Sample {
                name: format!("DWARF {version}, {form}"),
                path,
                version,
            });
        };
        for form in ["zlib", "zstd"] {
            let compressed = folder.join(format!("inlined-{version}-{form}"));
            let mut objcopy = Command::new(llvm("llvm-objcopy"));
            objcopy.arg(format!("--compress-debug-sections={form}"));
            // An LLVM may have been built without one of them.
            if objcopy
                .arg(&plain)
                .arg(&compressed)
                .status()
                .is_ok_and(|status| status.success())
            {
                sample(form, compressed);
            }
        }
        sample("plain", plain);
    }
    assert!(samples.len() >= 4, "{samples:?}");
    samples
});

fn compile(source: &Path, to: &Path, version: u8) {
    let status = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "bin",
            "-Copt-level=2",
            "-g",
            "-Cpanic=abort",
        ])
        .args([
            "-Clink-arg=-nostartfiles",
            "-Clink-arg=-nostdlib",
            "-Clink-arg=-Wl,--build-id",
        ])
        .arg(format!("-Cdwarf-version={version}"))
        .arg("-o")
        .args([to, source])
        .status()
        .expect("rustc runs");
    assert!(status.success(), "{}", source.display());
}

/// How many bytes of debug information a file has, uncompressed.
pub(super) fn debug_bytes(file: &[u8]) -> u64 {
    let parsed = object::File::parse(file).expect("an ELF file");
    let sections = parsed
        .sections()
        .filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug_")));
    sections.map(|section| section.size()).sum()
}
