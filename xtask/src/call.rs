//! What a call of `cargo xtask` does.

use lexopt::Parser;

use crate::cli::{self, Command, Machine};
use crate::exec::{self, Outcome};
use crate::guest::{Firmware, Options};
use crate::project::Project;
use crate::{
    bench, checks, corpora, docs, fuzz, gdb, recording, run, screenshot, script, setup, signals,
};

/// Does what a command line asks for.
///
/// # Errors
///
/// What went wrong, for standard error.
pub fn called(parser: Parser) -> anyhow::Result<Outcome> {
    let (command, machine) = cli::parse(parser)?;
    // Under GDB, Ctrl-C is for GDB; until it starts, it ends us.
    if !matches!(command, Command::Gdb { .. } | Command::Replay { .. }) {
        signals::watch();
    }
    match command {
        Command::Help => print!("{}", cli::HELP),
        Command::Setup => {
            let ready = setup::ready(&Project::find())?;
            println!("{}", ready.tools.compiler.name);
            for tool in [&ready.tools.qemu, &ready.tools.ovmf, &ready.tools.gdb] {
                println!("{}", tool.display());
            }
        }
        Command::Build => {
            let built = machine.build_for(&Firmware::ALL)?;
            println!("build {}", built.kernel.build_id);
            println!("{}", built.kernel.whole.display());
            for firmware in Firmware::ALL {
                println!("{}", built.kernel.image(&built.project, firmware).display());
            }
        }
        Command::Run { display } => {
            if display {
                run::screen()?;
            }
            run::run(&options(&machine)?, display)?;
        }
        Command::Exec { sources, json } => {
            let commands = script::commands(&sources)?;
            return Ok(exec::run(&options(&machine)?, &commands, json));
        }
        Command::Symbolize(arguments) => {
            let kernel = Project::find().target().join("ringwalk-kernel.elf");
            let parser = Parser::from_args(arguments);
            symbolizer::tool::run(parser, Some(kernel))
                .map_err(|why| anyhow::anyhow!("symbolize: {why}"))?;
        }
        Command::Rw(arguments) => {
            let parser = Parser::from_args(arguments);
            return match host::main(parser).map_err(|why| why.context("rw"))? {
                true => Ok(Outcome::Ok),
                false => Ok(Outcome::Failed),
            };
        }
        Command::Corpora => corpora::run(&Project::find())?,
        Command::Fuzz { target, seconds } => {
            fuzz::run(&Project::find(), target.as_deref(), seconds)?;
        }
        Command::Mutations { count } => checks::mutations(&Project::find(), count)?,
        Command::Gdb { what, words } => {
            let commands = match &what {
                cli::Debug::Live => Vec::new(),
                cli::Debug::PostMortem(sources) | cli::Debug::Core(_, sources) => {
                    script::commands(sources)?
                }
            };
            let built = machine.build()?;
            let mut options = built.options(machine.firmware);
            machine.apply(&mut options);
            return gdb::run(&built, &options, &what, &commands, &words);
        }
        Command::Record { sources, boot } => {
            let commands = script::commands(&sources)?;
            let built = machine.build()?;
            let mut options = built.options(machine.firmware);
            machine.apply(&mut options);
            let begin = match boot {
                true => recording::Begin::PowerOn,
                false => recording::Begin::Prompt,
            };
            let recording = recording::make(&built, &options, begin, &commands, true)?;
            println!("{recording}");
        }
        Command::Replay { words } => return gdb::replay(&Project::find(), &words),
        Command::Screenshot { file, sources } => {
            screenshot::check(&file)?;
            let commands = script::commands(&sources)?;
            return Ok(screenshot::run(&options(&machine)?, &commands, &file));
        }
        Command::Test { filter } => return checks::test(&Project::find(), filter.as_deref()),
        Command::Bench { runs, check } => {
            let built = machine.build_for(&Firmware::ALL)?;
            return bench::run(&built, |options| machine.apply(options), runs, check);
        }
        Command::Docs { check: true } => {
            if let Err(stale) = docs::check(&Project::find()) {
                eprintln!("xtask: {stale:#}");
                return Ok(Outcome::Failed);
            }
        }
        Command::Docs { check: false } => docs::write(&Project::find())?,
        Command::Tidy => checks::tidy(&Project::find())?,
        Command::Bless => checks::bless(&Project::find())?,
    }
    Ok(Outcome::Ok)
}

/// Builds what is needed, and says which machine was asked for.
fn options(machine: &Machine) -> anyhow::Result<Options> {
    let built = machine.build()?;
    let mut options = built.options(machine.firmware);
    machine.apply(&mut options);
    Ok(options)
}
