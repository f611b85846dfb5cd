//! The picture of an address space, dot by dot: QEMU's screen has each slot's colour in its place.

use anyhow::{Context as _, Result, bail, ensure};
use std::time::{Duration, Instant};
use xtask::guest::Guest;

use crate::ring3::{background, end_all, ok};

/// The cell of a letter, in dots.
const CELL: (usize, usize) = (7, 16);
/// The address before the cells, and the blank behind it.
const MARGIN: usize = 22;
const LINES: usize = 16;
const COLUMNS: usize = 32;
/// Drawing goes on behind the answer; it takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// The paper behind a letter, by the palette of the screen.
fn paper(letter: char) -> Result<[u8; 3]> {
    Ok(match letter {
        '.' => [0x10, 0x14, 0x1a],
        'S' => [0x5f, 0xb3, 0x5f],
        'E' => [0x4a, 0xb8, 0xb8],
        'P' => [0x5a, 0x8f, 0xe0],
        'D' | '!' => [0xd0, 0x4a, 0x4a],
        'L' => [0xd0, 0xa6, 0x4a],
        'R' => [0xb8, 0x7a, 0xd0],
        other => bail!("no colour for {other:?}"),
    })
}

/// A portable pixmap: `P6 WIDTH HEIGHT 255`, then three bytes a dot.
struct Screen {
    width: usize,
    dots: Vec<u8>,
}

impl Screen {
    fn take(guest: &mut Guest) -> Result<Screen> {
        let file = guest.folder().join("picture.ppm");
        let said = guest.hmp(&format!("screendump {}", file.display()))?;
        ensure!(said.trim().is_empty(), "screendump: {said}");
        let bytes = std::fs::read(&file)?;
        let mut ends = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_whitespace());
        let (end, _) = ends.nth(3).context("no header")?;
        let header = std::str::from_utf8(bytes.get(..end).context("short")?)?;
        let mut words = header.split_ascii_whitespace();
        ensure!(words.next() == Some("P6"), "{header:?}");
        let width = words.next().context("no width")?.parse()?;
        let dots = bytes.get(end + 1..).context("no dots")?.to_vec();
        Ok(Screen { width, dots })
    }

    /// The colour in the upper left corner of a cell, where no letter has ink.
    fn paper(&self, column: usize, row: usize) -> Option<[u8; 3]> {
        let (x, y) = (column * CELL.0, row * CELL.1);
        let at = (y * self.width + x) * 3;
        self.dots.get(at..at + 3)?.try_into().ok()
    }
}

/// The first cell whose colour is not that of its letter.
fn wrong(screen: &Screen, picture: &[String]) -> Result<Option<String>> {
    for (row, line) in picture.iter().take(LINES).enumerate() {
        let letters = line.chars().skip(MARGIN);
        for (column, letter) in letters.enumerate() {
            let (found, expected) = (screen.paper(MARGIN + column, row), paper(letter)?);
            if found != Some(expected) {
                return Ok(Some(format!(
                    "{line}\ncell {column}: {letter} is {found:x?}"
                )));
            }
        }
    }
    Ok(None)
}

/// Draws, and holds the screen against the letters on the wire.
fn drawn(guest: &mut Guest, command: &str) -> Result<Vec<String>> {
    let picture = ok(guest, &format!("clear; {command}"))?;
    ensure!(picture.len() == LINES + 1, "{picture:#?}");
    for line in &picture[..LINES] {
        ensure!(line.chars().count() == MARGIN + COLUMNS, "{line:?}");
    }
    let since = Instant::now();
    loop {
        let screen = Screen::take(guest)?;
        match wrong(&screen, &picture)? {
            None => return Ok(picture),
            Some(why) if since.elapsed() > PATIENCE => bail!("{command}: {why}"),
            Some(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

pub(crate) fn slots_have_their_colours(guest: &mut Guest) -> Result<()> {
    let one = background(guest, "sleeper 1000000")?;
    let two = background(guest, "spinner")?;
    // What a process has of its own is in its first and last slot.
    let alone = drawn(guest, &format!("picture {one}"))?;
    ensure!(
        alone[0].ends_with(&format!(" P{}", ".".repeat(31))),
        "{alone:#?}"
    );
    ensure!(
        alone[7].ends_with(&format!(" {}P", ".".repeat(31))),
        "{alone:#?}"
    );
    ensure!(
        alone[LINES].starts_with("S 9 shared, P 2 private, "),
        "{alone:#?}"
    );
    let both = drawn(guest, &format!("picture {one} {two}"))?;
    ensure!(
        both[LINES].starts_with("S 9 shared, E 0 equal, D 2 differs, "),
        "{both:#?}"
    );
    let master = drawn(guest, &format!("picture {one} master; assert $_ == 2"))?;
    ensure!(
        master[LINES].contains(", L 2 only left, R 0 only right, "),
        "{master:#?}"
    );
    let other = drawn(guest, &format!("picture master {one}"))?;
    ensure!(
        other[LINES].contains(", L 0 only left, R 2 only right, "),
        "{other:#?}"
    );
    end_all(guest)
}
