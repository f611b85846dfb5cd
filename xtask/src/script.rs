//! Commands out of texts and files, one by one.

use std::io::Read as _;

use anyhow::Context as _;

use crate::cli::Source;

/// The commands of all sources, in order; blanks and comments are left out.
///
/// # Errors
///
/// When a file cannot be read.
pub fn commands(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let mut commands = Vec::new();
    for source in sources {
        let text = match source {
            Source::Text(text) => text.clone(),
            Source::File(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
            Source::Stdin => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .context("cannot read standard input")?;
                text
            }
        };
        commands.extend(text.lines().flat_map(split));
    }
    Ok(commands)
}

/// Cuts one line at each `;` outside quotes, as the shell does; a `#` at a word's start ends it.
/// An unfinished quote leaves the rest as one command, for the shell to complain about.
#[must_use]
pub fn split(line: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let mut quote = None;
    let mut word_start = true;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, ';') => {
                commands.push(String::new());
                word_start = true;
                continue;
            }
            (None, '#') if word_start => break,
            _ => {}
        }
        word_start = quote.is_none() && character.is_whitespace();
        if let Some(command) = commands.last_mut() {
            command.push(character);
        }
    }
    let trimmed = commands.iter().map(|command| command.trim().to_owned());
    trimmed.filter(|command| !command.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_and_comments_count_only_outside_quotes_and_words() {
        for (line, commands) in [
            ("walk $rip; map", vec!["walk $rip", "map"]),
            (
                "echo 'a; b # c' ; echo \"d;'\"",
                vec!["echo 'a; b # c'", "echo \"d;'\""],
            ),
            ("echo a#b # the rest; is gone", vec!["echo a#b"]),
            ("  ;; \t", vec![]),
            ("# nothing", vec![]),
            ("a;#b;c", vec!["a"]),
            ("echo 'open; still", vec!["echo 'open; still"]),
        ] {
            assert_eq!(split(line), commands, "{line:?}");
        }
    }

    #[test]
    fn each_line_of_a_script_is_a_line() {
        let sources = [Source::Text("map # one\n\nregs; cr\n".to_owned())];
        assert_eq!(
            commands(&sources).expect("no file to read"),
            ["map", "regs", "cr"]
        );
    }
}
