//! The command line, read into values. Nothing here does anything.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use lexopt::{Arg, Parser, ValueExt as _};

use crate::built::{self, Built};
use crate::fuzz;
use crate::guest::{Accel, Firmware, Options};

/// How many damaged files there are if nobody says.
const MUTATIONS: u64 = 1_000_000;

/// What `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Find the tools.
    Setup,
    /// Build everything.
    Build,
    /// Boot for a person.
    Run {
        /// In a window.
        display: bool,
    },
    /// Boot for a script.
    Exec {
        /// What to run, in order.
        sources: Vec<Source>,
        /// One JSON object per command.
        json: bool,
    },
    /// Boot for a picture.
    Screenshot {
        /// The picture.
        file: PathBuf,
        /// What to run before.
        sources: Vec<Source>,
    },
    /// Everything CI runs.
    Test {
        /// Only tests with this in their name.
        filter: Option<String>,
    },
    /// Measure.
    Bench {
        /// How often.
        runs: usize,
        /// Fail above the limits.
        check: bool,
    },
    /// Write or compare the documentation.
    Docs {
        /// Only compare.
        check: bool,
    },
    /// Format and lint.
    Tidy,
    /// Record transcripts.
    Bless,
    /// Look at a dump: what follows is for `rw`.
    Rw(Vec<OsString>),
    /// Fetch ELF files from everywhere and read them.
    Corpora,
    /// Let libFuzzer look for what is panicked at.
    Fuzz {
        /// Only this one of its targets.
        target: Option<String>,
        /// How long each.
        seconds: u64,
    },
    /// Damage files in as many ways and read them.
    Mutations {
        /// How many.
        count: u64,
    },
    /// Name addresses: what follows is for `symbolizer`'s tool.
    Symbolize(Vec<OsString>),
    /// GDB on the kernel.
    Gdb {
        /// What it looks at.
        what: Debug,
        /// More words for GDB.
        words: Vec<OsString>,
    },
    /// Boot, and record what commands do.
    Record {
        /// What to run.
        sources: Vec<Source>,
        /// From when the machine is switched on, not from the prompt.
        boot: bool,
    },
    /// GDB on the recording.
    Replay {
        /// More words for GDB.
        words: Vec<OsString>,
    },
}

/// Where commands come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// The text behind `-c`.
    Text(String),
    /// A script.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// What GDB looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Debug {
    /// A machine that somebody runs with `--gdb`, or else one of its own, stopped before the kernel.
    Live,
    /// What is left when these commands have been run.
    PostMortem(Vec<Source>),
    /// A dump of a machine's memory; commands of the kernel's shell to run on it, or none for GDB.
    Core(PathBuf, Vec<Source>),
}

/// The machine that was asked for; what was not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// `--firmware`.
    pub firmware: Firmware,
    /// `--memory`.
    pub memory_mib: Option<u32>,
    /// `--smp`.
    pub smp: Option<u32>,
    /// `--accel`.
    pub accel: Accel,
    /// `--cpu`; `default` is QEMU's default.
    pub cpu: Option<String>,
    /// `--features`.
    pub features: Vec<String>,
    /// `--sources`.
    pub sources: bool,
    /// `--gdb`.
    pub gdb: bool,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--silence`.
    pub silence: Option<Duration>,
}

impl Machine {
    /// Builds what is to run on it.
    ///
    /// # Errors
    ///
    /// What is missing, or what did not compile.
    pub fn build(&self) -> anyhow::Result<Built> {
        self.build_for(&[self.firmware])
    }

    /// The same for some firmware, whatever was asked for.
    ///
    /// # Errors
    ///
    /// As [`Machine::build`].
    pub fn build_for(&self, firmware: &[Firmware]) -> anyhow::Result<Built> {
        match self.sources {
            true => built::prepare_with_sources(firmware, &self.features),
            false => built::prepare_for(firmware, &self.features),
        }
    }

    /// Changes what was named.
    pub fn apply(&self, options: &mut Options) {
        options.accel = self.accel;
        options.gdb = self.gdb;
        options.memory_mib = self.memory_mib.unwrap_or(options.memory_mib);
        options.smp = self.smp.unwrap_or(options.smp);
        options.timeout = self.timeout.unwrap_or(options.timeout);
        options.silence = self.silence.unwrap_or(options.silence);
        match self.cpu.as_deref() {
            Some("default") => options.cpu = None,
            Some(model) => options.cpu = Some(model.to_owned()),
            None => {}
        }
    }
}

/// Every option that was given, before the command decides which it knows.
#[derive(Default)]
struct Given {
    machine: Machine,
    words: Vec<String>,
    sources: Vec<Source>,
    flags: Vec<&'static str>,
    runs: Option<usize>,
    core: Option<PathBuf>,
    rest: Vec<OsString>,
}

/// Reads a command line without the program's name.
///
/// # Errors
///
/// One line naming what is not understood.
pub fn parse(mut parser: Parser) -> anyhow::Result<(Command, Machine)> {
    let mut given = Given::default();
    loop {
        let debugs = |name: &String| name == "gdb" || name == "replay";
        if given.words.first().is_some_and(debugs)
            && let Some(mut raw) = parser.try_raw_args()
            && raw.next_if(|word| word == "--").is_some()
        {
            given.rest = raw.collect();
            break;
        }
        let Some(argument) = parser.next()? else {
            break;
        };
        if given.words.is_empty() && argument == Arg::Value("symbolize".into()) {
            return Ok((
                Command::Symbolize(parser.raw_args()?.collect()),
                given.machine,
            ));
        }
        if given.words.is_empty() && argument == Arg::Value("rw".into()) {
            return Ok((Command::Rw(parser.raw_args()?.collect()), given.machine));
        }
        if let Some(flag) = flag(&argument) {
            given.flags.push(flag);
            continue;
        }
        match argument {
            Arg::Long("firmware") => given.machine.firmware = firmware(&parser.value()?.string()?)?,
            Arg::Long("accel") => given.machine.accel = accel(&parser.value()?.string()?)?,
            Arg::Long("memory") => {
                given.machine.memory_mib = Some(positive("memory", &mut parser)?)
            }
            Arg::Long("smp") => given.machine.smp = Some(positive("smp", &mut parser)?),
            Arg::Long("cpu") => given.machine.cpu = Some(parser.value()?.string()?),
            Arg::Long("timeout") => given.machine.timeout = Some(seconds("timeout", &mut parser)?),
            Arg::Long("silence") => given.machine.silence = Some(seconds("silence", &mut parser)?),
            Arg::Long("core") => given.core = Some(parser.value()?.into()),
            Arg::Long("runs") => given.runs = Some(positive("runs", &mut parser)?),
            Arg::Long("sources") => given.machine.sources = true,
            Arg::Long("features") => {
                let value = parser.value()?.string()?;
                let features = value
                    .split(',')
                    .map(str::trim)
                    .filter(|feature| !feature.is_empty());
                given.machine.features.extend(features.map(str::to_owned));
            }
            Arg::Short('c') => given.sources.push(Source::Text(parser.value()?.string()?)),
            Arg::Value(word) => {
                let word = word.string()?;
                // The first word is the command; what may follow depends on it.
                if word == "-" {
                    given.sources.push(Source::Stdin);
                } else if given
                    .words
                    .first()
                    .is_some_and(|command| command == "exec" || command == "record")
                {
                    given.sources.push(Source::File(word.into()));
                } else {
                    given.words.push(word);
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    given.machine.gdb = given.flags.contains(&"gdb");
    let command = command(&mut given)?;
    if let Some(flag) = given
        .flags
        .iter()
        .find(|flag| !known_flags(&command).contains(flag))
    {
        bail!("--{flag} means nothing here; see cargo xtask --help");
    }
    Ok((command, given.machine))
}

fn flag(argument: &Arg<'_>) -> Option<&'static str> {
    const FLAGS: [&str; 7] = [
        "display",
        "gdb",
        "json",
        "check",
        "help",
        "post-mortem",
        "boot",
    ];
    match argument {
        Arg::Short('h') => Some("help"),
        Arg::Long(name) => FLAGS.into_iter().find(|flag| flag == name),
        _ => None,
    }
}

fn known_flags(command: &Command) -> &'static [&'static str] {
    match command {
        Command::Help => &["display", "gdb", "json", "check", "help"],
        Command::Run { .. } => &["display", "gdb"],
        Command::Gdb { .. } => &["post-mortem"],
        Command::Record { .. } => &["boot"],
        Command::Exec { .. } => &["json"],
        Command::Bench { .. } | Command::Docs { .. } => &["check"],
        _ => &[],
    }
}

fn command(given: &mut Given) -> anyhow::Result<Command> {
    let has = |flag| given.flags.contains(&flag);
    let mut words = std::mem::take(&mut given.words).into_iter();
    let name = words.next().unwrap_or_default();
    if has("help") || name.is_empty() || name == "help" {
        return Ok(Command::Help);
    }
    let command = match name.as_str() {
        "setup" => Command::Setup,
        "build" => Command::Build,
        "run" => Command::Run {
            display: has("display"),
        },
        "exec" if given.sources.is_empty() => {
            bail!("exec: which commands? (-c 'COMMANDS', FILE, or - for stdin)")
        }
        "exec" => Command::Exec {
            sources: std::mem::take(&mut given.sources),
            json: has("json"),
        },
        "screenshot" => {
            let file = words
                .next()
                .ok_or_else(|| anyhow!("screenshot: which file? (FILE.png)"))?;
            Command::Screenshot {
                file: file.into(),
                sources: std::mem::take(&mut given.sources),
            }
        }
        "test" => Command::Test {
            filter: words.next(),
        },
        "bench" => Command::Bench {
            runs: given.runs.take().unwrap_or(5),
            check: has("check"),
        },
        "docs" => Command::Docs {
            check: has("check"),
        },
        "tidy" => Command::Tidy,
        "bless" => Command::Bless,
        "corpora" => Command::Corpora,
        "fuzz" => {
            let mut word = words.next();
            let target = match &word {
                Some(name) if name.parse::<u64>().is_err() => {
                    std::mem::replace(&mut word, words.next())
                }
                _ => None,
            };
            let seconds = word.map(|word| {
                let seconds = word.parse();
                seconds.map_err(|_| anyhow!("fuzz: how many seconds are `{word}`?"))
            });
            Command::Fuzz {
                target,
                seconds: seconds.transpose()?.unwrap_or(fuzz::USUAL),
            }
        }
        "mutations" => Command::Mutations {
            count: match words.next() {
                Some(word) => word
                    .parse()
                    .map_err(|_| anyhow!("mutations: how many is `{word}`?"))?,
                None => MUTATIONS,
            },
        },
        "gdb" => Command::Gdb {
            what: debug(given)?,
            words: std::mem::take(&mut given.rest),
        },
        "record" if given.sources.is_empty() && !has("boot") => {
            bail!("record: which commands? (-c 'COMMANDS', FILE, or - for stdin)")
        }
        "record" => Command::Record {
            boot: has("boot"),
            sources: std::mem::take(&mut given.sources),
        },
        "replay" => Command::Replay {
            words: std::mem::take(&mut given.rest),
        },
        other => bail!("no command `{other}`; see cargo xtask --help"),
    };
    if let Some(word) = words.next() {
        bail!("{name}: what is `{word}`?");
    }
    if !given.sources.is_empty() {
        bail!("{name}: takes no commands");
    }
    Ok(command)
}

fn debug(given: &mut Given) -> anyhow::Result<Debug> {
    let dies = given.flags.contains(&"post-mortem");
    match (given.core.take(), dies) {
        (Some(_), true) => bail!("gdb: --core or --post-mortem, not both"),
        (Some(core), false) => Ok(Debug::Core(core, std::mem::take(&mut given.sources))),
        (None, true) if given.sources.is_empty() => {
            bail!("gdb: --post-mortem of what? (-c 'COMMANDS', or - for stdin)")
        }
        (None, true) => Ok(Debug::PostMortem(std::mem::take(&mut given.sources))),
        (None, false) => Ok(Debug::Live),
    }
}

fn firmware(word: &str) -> anyhow::Result<Firmware> {
    let found = Firmware::ALL
        .into_iter()
        .find(|firmware| firmware.word() == word);
    found.ok_or_else(|| anyhow!("--firmware is uefi or bios, not `{word}`"))
}

fn accel(word: &str) -> anyhow::Result<Accel> {
    let found = [Accel::Tcg, Accel::Kvm]
        .into_iter()
        .find(|accel| accel.word() == word);
    found.ok_or_else(|| anyhow!("--accel is tcg or kvm, not `{word}`"))
}

fn positive<N: std::str::FromStr + PartialOrd + From<u8>>(
    name: &str,
    parser: &mut Parser,
) -> anyhow::Result<N> {
    let word = parser.value()?.string()?;
    let number = word.parse().ok().filter(|number| *number >= N::from(1));
    number.ok_or_else(|| anyhow!("--{name} is a number from 1, not `{word}`"))
}

fn seconds(name: &str, parser: &mut Parser) -> anyhow::Result<Duration> {
    let word = parser.value()?.string()?;
    let number = word.parse::<f64>().ok().filter(|number| *number > 0.0);
    let duration = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    duration.ok_or_else(|| anyhow!("--{name} is a number of seconds, not `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> anyhow::Result<(Command, Machine)> {
        parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn exec_takes_commands_and_files_in_the_order_they_were_given() {
        let (command, machine) =
            read("exec -c map a.txt --json - -c regs --firmware bios --timeout 2.5")
                .expect("well formed");
        let sources = vec![
            Source::Text("map".to_owned()),
            Source::File("a.txt".into()),
            Source::Stdin,
            Source::Text("regs".to_owned()),
        ];
        assert_eq!(
            command,
            Command::Exec {
                sources,
                json: true
            }
        );
        assert_eq!(machine.firmware, Firmware::Bios);
        assert_eq!(machine.timeout, Some(Duration::from_millis(2500)));
    }

    #[test]
    fn options_may_stand_before_the_command() {
        let (command, machine) =
            read("--memory 512 --features a,b run --display --gdb --sources").expect("well formed");
        assert_eq!(command, Command::Run { display: true });
        assert_eq!(machine.memory_mib, Some(512));
        assert_eq!(machine.features, ["a", "b"]);
        assert!(machine.gdb && machine.sources);
    }

    /// Each of these lines with a word that the refusal has.
    fn refuses(lines: &[(&str, &str)]) {
        for (line, named) in lines {
            let error = read(line).expect_err(line).to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        refuses(&[
            ("fly", "fly"),
            ("run --firmware uboot", "uboot"),
            ("run --memory 0", "memory"),
            ("run --timeout -1", "timeout"),
            ("run --json", "json"),
            ("run -c map", "run"),
            ("test a b", "`b`"),
            ("exec", "which commands"),
            ("screenshot", "which file"),
            ("build --wings", "wings"),
        ]);
    }

    #[test]
    fn gdb_gets_what_follows_two_dashes() {
        let words = ["-ex", "break kernel::boot::first_half"];
        let line = ["--firmware", "bios", "gdb", "--"].into_iter().chain(words);
        let (command, machine) = parse(Parser::from_args(line)).expect("well formed");
        let what = Debug::Live;
        let words = words.map(OsString::from).to_vec();
        assert_eq!(command, Command::Gdb { what, words });
        assert_eq!(machine.firmware, Firmware::Bios);
        refuses(&[
            ("gdb --post-mortem", "post-mortem of what"),
            ("gdb --post-mortem --core x", "not both"),
            ("gdb -c map", "takes no commands"),
            ("record", "which commands"),
            ("run --post-mortem", "post-mortem"),
        ]);
        assert_eq!(read("").expect("well formed").0, Command::Help);
    }
}
