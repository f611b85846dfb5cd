//! The sessions in the README and on other pages, read from the page and held against the kernel.
//!
//! A page shows real addresses, which change with every build; so numbers are compared by
//! their shape: each run of hex digits in an address, an entry or a count stands for any other.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::transcript::Answers;

/// A session on a page: a block between fences.
#[derive(Clone, Copy)]
pub struct Session {
    /// The page, from the project's folder.
    pub page: &'static str,
    /// What the block begins with, and no other of the page.
    pub fence: &'static str,
    /// What is before each line typed.
    pub prompt: &'static str,
}

/// The one in the README.
pub const README: Session = Session {
    page: "README.md",
    fence: "```text ringwalk",
    prompt: "ringwalk> ",
};

impl Session {
    /// Where the page is.
    #[must_use]
    pub fn path(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(self.page)
    }
}

/// A line typed and the lines that came back.
struct Exchange {
    typed: String,
    shown: Vec<String>,
}

/// Splits the page into what is before the session, the session, and what is behind it.
fn split<'a>(page: &'a str, session: &Session) -> Result<(&'a str, Vec<Exchange>, &'a str)> {
    let Session { fence, prompt, .. } = session;
    let line = format!("{fence}\n");
    let start = page
        .find(&line)
        .with_context(|| format!("no block that begins {fence}"))?
        + fence.len();
    let (before, rest) = page.split_at(start);
    let end = rest.find("\n```").context("the block has no end")?;
    let (session, after) = rest.split_at(end);
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in session.lines().skip(1) {
        match (line.strip_prefix(prompt), exchanges.last_mut()) {
            (Some(typed), _) => exchanges.push(Exchange {
                typed: typed.to_owned(),
                shown: Vec::new(),
            }),
            (None, Some(exchange)) => exchange.shown.push(line.to_owned()),
            (None, None) => bail!("the block begins without a prompt: {line}"),
        }
    }
    if exchanges.is_empty() {
        bail!("nothing is typed in the block");
    }
    Ok((before, exchanges, after))
}

/// Replays a session. With `bless`, writes what came back into the page.
///
/// # Errors
///
/// The lines whose shape differs.
pub fn replay(session: Session, answers: &mut dyn Answers, bless: bool) -> Result<()> {
    let Session {
        page: name, prompt, ..
    } = session;
    let page = std::fs::read_to_string(session.path())?;
    let (before, exchanges, after) = split(&page, &session)?;
    let mut blessed = before.to_owned();
    let mut differences = String::new();
    for Exchange { typed, shown } in &exchanges {
        let came: Vec<String> = answers
            .answer(typed)?
            .into_iter()
            .map(|line| line.strip_prefix("! ").map_or(line.clone(), str::to_owned))
            .collect();
        write!(blessed, "\n{prompt}{typed}")?;
        for line in &came {
            write!(blessed, "\n{line}")?;
        }
        let same = came.len() == shown.len()
            && came
                .iter()
                .zip(shown)
                .all(|(came, shown)| shape(came) == shape(shown));
        if !same {
            writeln!(
                differences,
                "{prompt}{typed}\n  the page: {shown:#?}\n  came: {came:#?}"
            )?;
        }
    }
    if bless {
        std::fs::write(session.path(), blessed + after)?;
    } else if !differences.is_empty() {
        bail!("{name}\n{differences}");
    }
    Ok(())
}

/// What is typed in a session.
///
/// # Errors
///
/// There is no such block.
pub fn typed(session: Session) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(session.path())?;
    let (_, exchanges, _) = split(&page, &session)?;
    Ok(exchanges
        .into_iter()
        .map(|exchange| exchange.typed)
        .collect())
}

/// The line with every number replaced by `#`, and runs of blanks by one.
#[must_use]
pub fn shape(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(word_shape).collect();
    words.join(" ")
}

/// Letters of hex digits count as part of a number only in words that are one.
fn word_shape(word: &str) -> String {
    let is_number = |text: &str| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        !digits.is_empty()
            && digits.bytes().any(|byte| byte.is_ascii_digit())
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'_')
    };
    let bare = word.trim_end_matches([',', ';', ':', ')']);
    if bare.split("..").all(is_number) || is_number(bare) {
        return word.replacen(bare, "#", 1);
    }
    let mut shape = String::new();
    let mut rest = word;
    while let Some(character) = rest.chars().next() {
        // `(frame=0xffff_c900_0000_1f50)`
        if let Some(digits) = rest.strip_prefix("0x") {
            rest = digits.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '_');
            shape.push('#');
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            other => shape.push(other),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_shape_and_words_keep_theirs() {
        assert_eq!(
            shape("PT   0x0000_0015_3000 [ 33] 000000000e5dc021 page"),
            "PT # [ #] # page"
        );
        assert_eq!(
            shape("0xffff_8000..0xffff_9000 84K -r-- WB 21x4K"),
            "# #K -r-- WB #x#K"
        );
        assert_eq!(shape("rip 0xda15, in f"), "rip #, in f");
        assert_eq!(
            shape("(frame=0xffff_c9ab) at a.rs:49"),
            "(frame=#) at a.rs:#"
        );
        assert_ne!(shape("-r-x"), shape("-rw-"));
        assert_ne!(shape("absent"), shape("table"));
        // Words of hex letters alone are words.
        assert_ne!(shape("dead"), shape("beef"));
    }
}
