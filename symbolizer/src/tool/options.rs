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
  -j, --section NAME     addresses count from the beginning of this section
      --columns          the column, too
      --json             one JSON object an address
      --base ADDRESS     where the image runs; in a log it is found out from the kernel's banner
      --filter           a log, even if the options say otherwise
  -v, --version          which version this is
  -h, --help             this

Of addr2line's options -b, -r and -R are taken, too, and change nothing.
";

/// What `--version` prints.
const VERSION: &str = concat!("symbolize ", env!("CARGO_PKG_VERSION"), ", of Ringwalk\n");

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
    /// The section that addresses count from.
    pub(super) section: Option<String>,
    /// It is a log, whatever it looks like.
    pub(super) is_filter: bool,
}

/// What a command line asks for.
pub(super) enum Asked {
    /// To be told this.
    Text(&'static str),
    /// To work.
    Work(Options),
}

/// Reads a command line.
pub(super) fn parse(mut parser: Parser) -> Result<Asked, Failure> {
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
        section: None,
        is_filter: false,
    };
    let (mut words, mut is_filter) = (Vec::new(), false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Text(HELP)),
            Arg::Short('v') | Arg::Long("version") => return Ok(Asked::Text(VERSION)),
            Arg::Short('e') | Arg::Long("exe" | "elf") => {
                options.file = Some(parser.value()?.into())
            }
            Arg::Short('f') | Arg::Long("functions") => options.functions = true,
            Arg::Short('i') | Arg::Long("inlines") => options.inlines = true,
            Arg::Short('C') => options.demangle = true,
            Arg::Long("demangle") => {
                options.demangle = true;
                // The style, which is found by the name.
                let _ = parser.optional_value();
            }
            Arg::Short('b') | Arg::Long("target") => drop(parser.value()?),
            Arg::Short('r' | 'R') | Arg::Long("recurse-limit" | "no-recurse-limit") => {}
            Arg::Short('j') | Arg::Long("section") => {
                options.section = Some(parser.value()?.string()?);
            }
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
        || options.section.is_some()
        || options.json;
    options.is_filter = is_filter;
    let mut strange = words.iter().filter(|word| number(word).is_none());
    if let Some(word) = strange.find(|word| is_about_addresses || is_long(word))
        && !is_filter
    {
        return Err(match is_long(word) {
            true => format!("`{word}` does not fit into 64 bits"),
            false => format!("`{word}` is not an address (a log? --filter)"),
        }
        .into());
    }
    options.mode = match (numbers, words.as_slice()) {
        (_, []) if is_about_addresses && !is_filter => Mode::Addresses(Vec::new()),
        (_, []) => Mode::Filter(None),
        (Some(numbers), _) if !is_filter => Mode::Addresses(numbers),
        (_, [log]) => Mode::Filter(Some(log.into())),
        (_, [_, word, ..]) => {
            return Err(format!("what is `{word}`? (one log, or addresses)").into());
        }
    };
    Ok(Asked::Work(options))
}

/// Whether it is a number that is too large for an address.
fn is_long(word: &str) -> bool {
    const MOST: usize = 16;
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let digits = digits.trim_start_matches('0');
    digits.len() > MOST && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The address that a line begins with, as logs have them: `401000`, `0x401000:`, `401000 main`.
pub(super) fn leading(line: &str) -> Option<u64> {
    let word = line.split_whitespace().next()?;
    number(word.trim_end_matches([':', ',', ';']))
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

    fn read(line: &str) -> Result<Options, Failure> {
        match parse(Parser::from_args(line.split_whitespace()))? {
            Asked::Work(options) => Ok(options),
            Asked::Text(text) => Err(text.into()),
        }
    }

    #[test]
    fn numbers_are_addresses_and_another_word_is_a_log() {
        let mode = |line: &str| read(line).expect(line).mode;
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
            ("-f foo", "`foo` is not an address"),
            ("0x1ffffffffffffffff", "does not fit into 64 bits"),
            ("--help", "--pretty-print"),
            ("-v", "Ringwalk"),
        ] {
            let error = read(line).expect_err(line).to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
        let options = read("-j .text -b elf64-x86-64 --demangle=gnu-v3 -r").expect("addr2line's");
        assert_eq!(options.section.as_deref(), Some(".text"));
        assert!(options.demangle);
    }

    #[test]
    fn a_line_may_say_more_than_its_address() {
        for line in ["401000\n", "  0x401000:", "401000 main", "40_1000,\r\n"] {
            assert_eq!(leading(line), Some(0x40_1000), "{line:?}");
        }
        for line in ["", " \n", "main 401000", "0x", "x401000"] {
            assert_eq!(leading(line), None, "{line:?}");
        }
    }
}
