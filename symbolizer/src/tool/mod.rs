//! The host tool: `symbolize`, on its own and as `cargo xtask symbolize`.
//!
//! Given addresses, it answers like `addr2line`. Given none and no wish for any, it is a filter: a log goes in, the
//! same log comes out, and behind every address that lies in the image stands its name.

mod apart;
mod filter;
mod options;
mod print;
mod progress;
mod source;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use lexopt::Parser;

use options::{Mode, Options};
use progress::Progress;
use source::{Loaded, Source};

/// What ends a run, in words.
pub type Failure = Box<dyn std::error::Error>;

/// Runs the tool with these arguments. `usual` is the file that is meant if none is named.
///
/// # Errors
///
/// One line for a person.
pub fn run(parser: Parser, usual: Option<PathBuf>) -> Result<(), Failure> {
    let options = match options::parse(parser)? {
        Some(options) => options,
        None => {
            print!("{}", options::HELP);
            return Ok(());
        }
    };
    let file = options.file.clone().or(usual);
    let file = file.ok_or("which file? (-e FILE, an ELF file or an index of symbols)")?;
    let mut out = BufWriter::new(io::stdout().lock());
    let result = work(&options, &file, &mut out).and_then(|()| Ok(out.flush()?));
    match result {
        // Whoever reads has seen enough.
        Err(why) if is_closed(&*why) => Ok(()),
        result => result,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn is_closed(why: &(dyn std::error::Error + 'static)) -> bool {
    why.downcast_ref::<io::Error>()
        .is_some_and(|why| why.kind() == ErrorKind::BrokenPipe)
}

fn work(options: &Options, file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let loaded = Loaded::read(file)?;
    let elf = loaded.elf(file)?;
    let whole = Source::open(&loaded, elf.as_ref(), &[], file)?;
    let apart = apart::read(file, &whole.split_off())?;
    let split = apart::open(&apart)?;
    let source = match split.is_empty() {
        true => whole,
        false => Source::open(&loaded, elf.as_ref(), &split, file)?,
    };
    source.warn(file);
    match &options.mode {
        Mode::Addresses(addresses) if !addresses.is_empty() => {
            let mut progress = Progress::new("naming addresses", count(addresses.len()));
            for (done, address) in addresses.iter().enumerate() {
                print::address(options, &source, *address, out)?;
                progress.at(count(done));
            }
            Ok(())
        }
        Mode::Addresses(_) => {
            let mut lines = BufReader::new(io::stdin().lock());
            let mut line = String::new();
            while lines.read_line(&mut line)? > 0 {
                match options::number(line.trim()) {
                    Some(address) => print::address(options, &source, address, out)?,
                    None => return Err(format!("`{}` is not an address", line.trim()).into()),
                }
                // Whoever asks one by one waits for each answer.
                if lines.buffer().is_empty() {
                    out.flush()?;
                }
                line.clear();
            }
            Ok(())
        }
        Mode::Filter(None) => filter::run(options, &source, &mut io::stdin().lock(), None, out),
        Mode::Filter(Some(log)) => {
            let open =
                || File::open(log).map_err(|why| format!("cannot read {}: {why}", log.display()));
            // A fault in early boot comes before the banner that says where the image is.
            let first = filter::first_base(&mut BufReader::new(open()?))?;
            filter::run(options, &source, &mut BufReader::new(open()?), first, out)
        }
    }
}
