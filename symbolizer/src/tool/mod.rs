//! The host tool: `symbolize`, on its own and as `cargo xtask symbolize`.
//!
//! Given addresses, it answers like `addr2line`. Given none and no wish for any, it is a filter: a log goes in, the
//! same log comes out, and behind every address that lies in the image stands its name.

mod apart;
mod demangle;
mod filter;
mod options;
mod print;
mod progress;
mod source;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use lexopt::Parser;

use options::{Asked, Mode, Options};
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
        Asked::Work(options) => options,
        Asked::Text(text) => {
            print!("{text}");
            return Ok(());
        }
    };
    let file = options.file.clone().or(usual).or_else(|| {
        let theirs = PathBuf::from("a.out");
        theirs.is_file().then_some(theirs)
    });
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
    let from = match &options.section {
        Some(name) => source.start_of(name).ok_or_else(|| {
            format!(
                "{}: no section in memory is called `{name}`",
                file.display()
            )
        })?,
        None => 0,
    };
    let answers = Answers {
        options,
        source: &source,
        from,
    };
    match &options.mode {
        Mode::Addresses(addresses) if !addresses.is_empty() => {
            let mut progress = Progress::new("naming addresses", count(addresses.len()));
            for (done, address) in addresses.iter().enumerate() {
                answers.write(Some(*address), out)?;
                progress.at(count(done));
            }
            Ok(())
        }
        Mode::Addresses(_) => answers.each(&mut io::stdin().lock(), out),
        Mode::Filter(None) => {
            let mut lines = io::stdin().lock();
            // Whoever asks as one asks addr2line is answered like that.
            let first = lines.fill_buf()?;
            match !options.is_filter && (first.is_empty() || begins_with_address(first)) {
                true => answers.each(&mut lines, out),
                false => filter::run(options, &source, &mut lines, None, out),
            }
        }
        Mode::Filter(Some(log)) => {
            let open =
                || File::open(log).map_err(|why| format!("cannot read {}: {why}", log.display()));
            // A fault in early boot comes before the banner that says where the image is.
            let first = filter::first_base(&mut BufReader::new(open()?))?;
            filter::run(options, &source, &mut BufReader::new(open()?), first, out)
        }
    }
}

/// Whether the first line is an address, and nothing else.
fn begins_with_address(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next();
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    line.is_some_and(|line| options::number(line.trim()).is_some())
}

/// Whoever answers as addr2line does.
struct Answers<'a> {
    options: &'a Options,
    source: &'a Source<'a>,
    /// What addresses count from.
    from: u64,
}

impl Answers<'_> {
    /// The answer for an address; that of nowhere, if there is none.
    fn write(&self, asked: Option<u64>, out: &mut dyn Write) -> Result<(), Failure> {
        let at = asked.map(|asked| asked.wrapping_add(self.from));
        print::address(self.options, self.source, asked.unwrap_or(0), at, out)
    }

    /// One for each line of a text, so that lines and answers stay together whatever is in one.
    fn each(&self, lines: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), Failure> {
        let mut lines = BufReader::new(lines);
        let (mut line, mut strange) = (Vec::new(), 0_u64);
        while lines.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let address = options::leading(&text);
            if address.is_none() {
                strange = strange.saturating_add(1);
                eprintln!("symbolize: `{}` is not an address", text.trim_end());
            }
            self.write(address, out)?;
            // Whoever asks one by one waits for each answer.
            if lines.buffer().is_empty() {
                out.flush()?;
            }
            line.clear();
        }
        let why = match strange {
            0 => return Ok(()),
            1 => "one line was no address; its answer is that of nowhere".to_owned(),
            _ => format!("{strange} lines were no addresses; their answers are those of nowhere"),
        };
        Err(why.into())
    }
}
