//! `cargo xtask`: the one command a person or a CI calls.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use xtask::lock::Lock;
use xtask::project::Project;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut parser = lexopt::Parser::from_env();
    let mut features = Vec::new();
    let mut command = String::new();
    while let Some(argument) = parser.next()? {
        match argument {
            lexopt::Arg::Value(word) => command = word.to_string_lossy().into_owned(),
            lexopt::Arg::Long("features") => {
                features.extend(
                    parser
                        .value()?
                        .to_string_lossy()
                        .split(',')
                        .map(str::to_owned),
                );
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let project = Project::find();
    let _lock = Lock::take(&project)?;
    let ready = xtask::setup::ready(&project)?;
    if command == "build" {
        let kernel = xtask::kernel::build(&project, &ready.toolchain, &features)?;
        let builder = xtask::image::builder(&project, &ready.toolchain)?;
        let images = xtask::image::write(&project, &builder, &kernel, None)?;
        println!("build {}", kernel.build_id);
        for file in [&kernel.whole, &kernel.loaded, &images.bios, &images.uefi] {
            println!("{}", file.display());
        }
    }
    Ok(())
}
