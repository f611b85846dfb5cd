//! `docs`: the page about the shell's commands, made from the table the shell runs.

use anyhow::{Context as _, bail};

use crate::project::Project;

/// Where it is, below the project's root.
const PAGE: &str = "docs/commands.md";

/// Writes the page.
///
/// # Errors
///
/// When it cannot be written.
pub fn write(project: &Project) -> anyhow::Result<()> {
    let path = project.root().join(PAGE);
    std::fs::write(&path, page()).with_context(|| format!("cannot write {}", path.display()))
}

/// Compares the page with what would be written.
///
/// # Errors
///
/// When it is another, naming the first line that differs.
pub fn check(project: &Project) -> anyhow::Result<()> {
    let path = project.root().join(PAGE);
    let there = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    match first_difference(&there, &page()) {
        None => Ok(()),
        Some(line) => bail!("{PAGE} is stale from line {line} on; cargo xtask docs writes it"),
    }
}

/// What the shell says about itself.
fn page() -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = shell::docs::commands(&mut page);
    page
}

/// The number of the first line that differs, from 1.
fn first_difference(left: &str, right: &str) -> Option<usize> {
    if left == right {
        return None;
    }
    let same = left
        .split('\n')
        .zip(right.split('\n'))
        .take_while(|(left, right)| left == right);
    Some(same.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\nb", "a\nb\n"), Some(3));
        assert_eq!(first_difference("", "a"), Some(1));
    }
}
