//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

use super::Failure;

/// What `--help` prints.
pub(super) const HELP: &str = "\
symbolize [-e FILE] ADDRESS...   name addresses; without any, they are read from standard input (with -a, -f, -i, ...)
symbolize [-e FILE] [LOG]        copy a log (or standard input), naming every address of the image in it

  -e, --exe, --elf FILE  an ELF file with debug information, or an index of symbols
  -f, --functions        the function, on a line of its own before the place
  -i, --inlines          also those it was inlined into
  -C, --demangle         names as people write them
  -p, --pretty-print     all about a function on one line
  -s, --basenames        files without their folders
  -a, --addresses        the address first
      --columns          the column, too
      --json             one JSON object an address
      --base ADDRESS     where the image runs; in a log it is found out from the kernel's banner
      --filter           a log, even if the options say otherwise
  -h, --help             this
";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Name these; those of standard input, if there are none.
    Addresses(Vec<u64>),
    /// Copy this log; standard input, if there is none.
    Filter(Option<PathBuf>),
}

/// How.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) mode: Mode,
    pub(super) file: Option<PathBuf>,
    pub(super) functions: bool,
    pub(super) inlines: bool,
    pub(super) demangle: bool,
    pub(super) pretty: bool,
    pub(super) basenames: bool,
    pub(super) addresses: bool,
    pub(super) columns: bool,
    pub(super) json: bool,
    pub(super) base: Option<u64>,
}

/// Reads a command line; nothing if help was asked for.
pub(super) fn parse(mut parser: Parser) -> Result<Option<Options>, Failure> {
    let mut options = Options {
        mode: Mode::Filter(None),
        file: None,
        functions: false,
        inlines: false,
        demangle: false,
        pretty: false,
        basenames: false,
        addresses: false,
        columns: false,
        json: false,
        base: None,
    };
    let (mut words, mut is_filter) = (Vec::new(), false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Short('e') | Arg::Long("exe" | "elf") => {
                options.file = Some(parser.value()?.into())
            }
            Arg::Short('f') | Arg::Long("functions") => options.functions = true,
            Arg::Short('i') | Arg::Long("inlines") => options.inlines = true,
            Arg::Short('C') | Arg::Long("demangle") => options.demangle = true,
            Arg::Short('p') | Arg::Long("pretty-print") => options.pretty = true,
            Arg::Short('s') | Arg::Long("basenames") => options.basenames = true,
            Arg::Short('a') | Arg::Long("addresses") => options.addresses = true,
            Arg::Long("columns") => options.columns = true,
            Arg::Long("json") => options.json = true,
            Arg::Long("filter") => is_filter = true,
            Arg::Long("base") => {
                let word = parser.value()?.string()?;
                let base =
                    number(&word).ok_or_else(|| format!("--base is an address, not `{word}`"))?;
                options.base = Some(base);
            }
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let numbers: Option<Vec<u64>> = words.iter().map(|word| number(word)).collect();
    let is_about_addresses = options.functions
        || options.inlines
        || options.pretty
        || options.addresses
        || options.columns
        || options.demangle
        || options.basenames
        || options.json;
    options.mode = match (numbers, words.as_slice()) {
        (_, []) if is_about_addresses && !is_filter => Mode::Addresses(Vec::new()),
        (_, []) => Mode::Filter(None),
        (Some(numbers), _) if !is_filter => Mode::Addresses(numbers),
        (_, [log]) => Mode::Filter(Some(log.into())),
        (_, [_, word, ..]) => {
            return Err(format!("what is `{word}`? (one log, or addresses)").into());
        }
    };
    Ok(Some(options))
}

/// An address as people and programs write it: hex digits, maybe with `0x` and `_`.
pub(super) fn number(word: &str) -> Option<u64> {
    let digits = word
        .strip_prefix("0x")
        .or(word.strip_prefix("0X"))
        .unwrap_or(word);
    let digits: String = digits.chars().filter(|digit| *digit != '_').collect();
    match digits.starts_with('+') {
        true => None,
        false => u64::from_str_radix(&digits, 16).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Options>, Failure> {
        parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn numbers_are_addresses_and_another_word_is_a_log() {
        let mode = |line: &str| read(line).expect(line).expect(line).mode;
        assert_eq!(mode("-e x 0x1_0 2f"), Mode::Addresses(vec![0x10, 0x2f]));
        assert_eq!(mode("-e x boot.log"), Mode::Filter(Some("boot.log".into())));
        assert_eq!(mode("-e x"), Mode::Filter(None));
        assert_eq!(mode("-e x -fiC"), Mode::Addresses(Vec::new()));
        assert_eq!(mode("-e x -s"), Mode::Addresses(Vec::new()));
        assert_eq!(mode("--filter -e x 12"), Mode::Filter(Some("12".into())));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, named) in [
            ("--base boot", "boot"),
            ("a.log b.log", "b.log"),
            ("--wings", "wings"),
            ("-e", "-e"),
        ] {
            let error = read(line).expect_err(line).to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
        assert!(read("--help").expect("well formed").is_none());
    }
}
