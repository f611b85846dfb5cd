//! Transcripts: a comment saying why it matters, a line typed, what came back.
//!
//! ```text
//! # Bad input gets one line.
//! > walk nonsense
//! ! walk: ...
//! ```
//!
//! Lines that begin with `> ` are typed; what follows, up to the next one, a comment or a blank
//! line, is expected. `! ` marks the message of a failed command. In an expected line `[..]`
//! stands for any text; a line that is just `[...]` stands for any number of lines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Something that answers lines.
pub trait Answers {
    /// Runs a line; the answer's lines, those of failures prefixed with `! `.
    ///
    /// # Errors
    ///
    /// When no whole answer came.
    fn answer(&mut self, line: &str) -> Result<Vec<String>>;
}

/// A piece of a transcript.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// A comment or blank line, kept as it is.
    Text(String),
    Exchange {
        typed: String,
        expected: Vec<String>,
    },
}

fn parse(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("> ") {
            pieces.push(Piece::Exchange {
                typed: typed.to_owned(),
                expected: Vec::new(),
            });
            open = true;
        } else if line.is_empty() || line.starts_with('#') {
            pieces.push(Piece::Text(line.to_owned()));
            open = false;
        } else {
            match pieces.last_mut() {
                Some(Piece::Exchange { expected, .. }) if open => expected.push(line.to_owned()),
                _ => bail!("an expected line before anything was typed: {line}"),
            }
        }
    }
    Ok(pieces)
}

/// Replays the file and compares; with `bless`, writes down what came back instead, keeping
/// every exchange that still matches as it is, wildcards included.
///
/// # Errors
///
/// Every difference, as a text to read.
pub fn replay(file: &Path, answers: &mut dyn Answers, bless: bool) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let pieces = parse(&text).with_context(|| file.display().to_string())?;
    if !pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Exchange { .. }))
    {
        bail!("{}: nothing is typed in it", file.display());
    }
    let mut differences = String::new();
    let mut blessed = String::new();
    for piece in &pieces {
        match piece {
            Piece::Text(line) => writeln!(blessed, "{line}")?,
            Piece::Exchange { typed, expected } => {
                // A blank line would end the exchange when it is read back.
                let actual: Vec<String> = answers
                    .answer(typed)
                    .with_context(|| format!("{}: > {typed}", file.display()))?
                    .into_iter()
                    .map(|line| {
                        if line.is_empty() {
                            "\\".to_owned()
                        } else {
                            line
                        }
                    })
                    .collect();
                let matches = lines_match(expected, &actual);
                if !matches {
                    describe(&mut differences, typed, expected, &actual)?;
                }
                writeln!(blessed, "> {typed}")?;
                for line in if matches { expected } else { &actual } {
                    writeln!(blessed, "{line}")?;
                }
            }
        }
    }
    if bless {
        std::fs::write(file, blessed)?;
    } else if !differences.is_empty() {
        bail!("{}\n{differences}", file.display());
    }
    Ok(())
}

fn describe(out: &mut String, typed: &str, expected: &[String], actual: &[String]) -> Result<()> {
    writeln!(out, "> {typed}")?;
    for line in expected {
        writeln!(out, "  expected  {line}")?;
    }
    for line in actual {
        writeln!(out, "  came      {line}")?;
    }
    Ok(())
}

fn lines_match(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == "[...]" => {
            (0..=actual.len()).any(|skip| lines_match(rest, &actual[skip..]))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

/// Whether `line` is `pattern` with every `[..]` replaced by some text.
fn line_matches(pattern: &str, line: &str) -> bool {
    let Some((head, tail)) = pattern.split_once("[..]") else {
        return pattern == line;
    };
    let Some(rest) = line.strip_prefix(head) else {
        return false;
    };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.into_iter().any(|at| line_matches(tail, &rest[at..]))
}

/// Every transcript in the folders, sorted; at least one, or it is the wrong folder.
///
/// # Errors
///
/// When a folder cannot be read, or there is no transcript.
pub fn find(folders: &[&str]) -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut files = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "txt") {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("no transcripts in {folders:?}");
    }
    Ok(files)
}

/// `common/eval` for `.../transcripts/common/eval.txt`.
#[must_use]
pub fn name(file: &Path) -> String {
    let stem =
        |path: Option<&std::ffi::OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    let folder = stem(file.parent().and_then(Path::file_name));
    format!("{folder}/{}", stem(file.file_stem()))
}

/// Whether transcripts are to be written anew.
#[must_use]
pub fn is_blessing() -> bool {
    std::env::var_os("RINGWALK_BLESS").is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_wildcard_stands_for_any_text_and_nothing_else_does() {
        assert!(line_matches("a [..] c", "a b c"));
        assert!(line_matches("a[..]", "a"));
        assert!(line_matches("[..]x[..]y", "1x2xy"));
        assert!(!line_matches("a [..] c", "a b d"));
        assert!(!line_matches("a.c", "abc"));
        assert!(!line_matches("abc", "abcd"));
    }

    #[test]
    fn dots_on_a_line_stand_for_any_lines() {
        assert!(lines_match(
            &owned(&["a", "[...]", "c"]),
            &owned(&["a", "b", "b", "c"])
        ));
        assert!(lines_match(&owned(&["[...]"]), &[]));
        assert!(!lines_match(
            &owned(&["a", "[...]", "c"]),
            &owned(&["a", "b"])
        ));
        assert!(!lines_match(&owned(&["a"]), &owned(&["a", "b"])));
    }

    #[test]
    fn a_transcript_without_an_exchange_is_refused() {
        let file = std::env::temp_dir().join(format!("ringwalk-empty-{}.txt", std::process::id()));
        std::fs::write(&file, "# nothing\n").unwrap();
        struct Nobody;
        impl Answers for Nobody {
            fn answer(&mut self, _: &str) -> Result<Vec<String>> {
                unreachable!("nothing is typed")
            }
        }
        let result = replay(&file, &mut Nobody, false);
        std::fs::remove_file(&file).unwrap();
        assert!(result.is_err());
    }
}
