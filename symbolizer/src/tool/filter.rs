//! A log in, the same log out, with names.

use std::io::{BufRead, Write};

use super::Failure;
use super::options::{Options, number};
use super::source::Source;

/// What the kernel's banner says before the address of its image.
const IMAGE: &str = "image at ";
/// What it says before its build id.
const BUILD: &str = " build ";
/// How many digits of it there are.
const BUILD_DIGITS: usize = 12;

/// Copies the log. `base` is where the image is until a banner says otherwise.
pub(super) fn run(
    options: &Options,
    source: &Source<'_>,
    log: &mut dyn BufRead,
    base: Option<u64>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let build = source.build_id();
    let mut base = options.base.or(base);
    let mut foreign: Option<String> = None;
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        // A log may hold anything; what is no text is copied all the same.
        let text = String::from_utf8_lossy(&line);
        if let Some(found) = build_of(&text) {
            let is_ours = !build.is_empty() && build.starts_with(found);
            foreign = (!is_ours).then(|| found.to_owned());
            if let Some(found) = &foreign {
                eprintln!(
                    "symbolize: the log is of build {found}, the file of build {build}: no names from here on"
                );
            }
        }
        if options.base.is_none() {
            base = base_of(&text).or(base);
        }
        match base.filter(|_| foreign.is_none()) {
            Some(base) => out.write_all(named(source, base, &text).as_bytes())?,
            None => out.write_all(&line)?,
        }
        out.flush()?;
        line.clear();
    }
    match (base, foreign) {
        (None, _) => {
            Err("no line says where the image is, and no --base: nothing was named".into())
        }
        (_, Some(found)) => Err(format!("the log is of build {found}; the file is not").into()),
        _ => Ok(()),
    }
}

/// Where the first banner of a log says that the image is.
pub(super) fn first_base(log: &mut dyn BufRead) -> Result<Option<u64>, Failure> {
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        if let Some(base) = base_of(&String::from_utf8_lossy(&line)) {
            return Ok(Some(base));
        }
        line.clear();
    }
    Ok(None)
}

fn base_of(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(IMAGE)?;
    let word = rest.split([',', ' ', '\r', '\n']).next()?;
    number(word).filter(|_| word.starts_with("0x"))
}

fn build_of(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(BUILD)?;
    let id = rest.trim_end();
    let is_id = id.len() == BUILD_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    (name.starts_with("Ringwalk ") && is_id).then_some(id)
}

/// A line with a name behind each address.
fn named(source: &Source<'_>, base: u64, line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    // Whose call it was stands before the address that a call returns to.
    let is_caller = line
        .strip_prefix('#')
        .is_some_and(|rest| !rest.starts_with("0 "));
    let mut rest = line;
    while let Some((before, word, after)) = next_number(rest) {
        out.push_str(before);
        out.push_str(word);
        let link = number(word).and_then(|address| address.checked_sub(base));
        if let Some(short) = link.and_then(|link| source.short(link, is_caller)) {
            out.push_str(" <");
            out.push_str(&short.name);
            if let Some(place) = &short.place {
                out.push_str(" at ");
                out.push_str(place);
            }
            out.push('>');
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The next number that may be an address: `0x` and hex digits, or sixteen hex digits.
fn next_number(line: &str) -> Option<(&str, &str, &str)> {
    let is_digit = |c: char| c.is_ascii_hexdigit() || c == '_';
    let mut from = 0;
    loop {
        let rest = line.get(from..)?;
        let start = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_')?;
        let word = rest.get(start..)?;
        let end = word
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(word.len());
        let word = word.get(..end)?;
        let digits = word.strip_prefix("0x");
        let is_number = match digits {
            Some(digits) => !digits.is_empty() && digits.chars().all(is_digit),
            None => word.len() == 16 && word.chars().all(|c| c.is_ascii_hexdigit()),
        };
        let at = from.checked_add(start)?;
        let behind = at.checked_add(end)?;
        if is_number {
            return Some((line.get(..at)?, word, line.get(behind..)?));
        }
        from = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_every_spelling_and_nothing_else_is_one() {
        let line = "RIP 0xffff_8000_0002_94ef, ffff8000000294ef ab12 x0x12 0x (0x10)\n";
        let mut found = Vec::new();
        let mut rest = line;
        while let Some((_, word, after)) = next_number(rest) {
            found.push(word);
            rest = after;
        }
        assert_eq!(found, ["0xffff_8000_0002_94ef", "ffff8000000294ef", "0x10"]);
    }

    #[test]
    fn the_banner_says_where_the_image_is_and_which() {
        assert_eq!(
            base_of("firmware BIOS, image at 0xffff_8000_0000_0000, physmap at 0x1\r\n"),
            Some(0xffff_8000_0000_0000)
        );
        assert_eq!(base_of("image at noon"), None);
        assert_eq!(
            build_of("Ringwalk 0.1.0 build 3b394ecec3e6\r\n"),
            Some("3b394ecec3e6")
        );
        assert_eq!(build_of("Ringwalk 0.1.0 build of mine"), None);
        assert_eq!(build_of("a build 3b394ecec3e6"), None);
    }
}
