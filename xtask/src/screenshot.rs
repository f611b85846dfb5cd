//! `screenshot`: boot, run commands, save what the screen shows.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::exec::{Outcome, print_errors, print_notes};
use crate::guest::{Failure, Guest, Options};

/// The screen is drawn after the serial line in places, and blinks nowhere: two equal pictures
/// in a row are the picture.
const PAUSE: Duration = Duration::from_millis(150);
/// Something moves; take it as it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Can a picture be saved there? Asked before anything is built.
///
/// # Errors
///
/// When the name is not that of a PNG file, or there is no such folder.
pub fn check(file: &Path) -> anyhow::Result<()> {
    let shown = file.display();
    let is_png = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    ensure!(is_png, "screenshot: `{shown}` does not end in .png");
    ensure!(!file.is_dir(), "screenshot: `{shown}` is a folder");
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    ensure!(
        folder.is_dir(),
        "screenshot: there is no folder `{}`",
        folder.display()
    );
    Ok(())
}

/// Boots, runs the commands and saves the picture. Commands that fail are in it, too, and so is the
/// report of a crash.
#[must_use]
pub fn run(options: &Options, commands: &[String], file: &Path) -> Outcome {
    let mut guest = match Guest::start(options) {
        Ok(guest) => guest,
        Err(failure) => return broken(&failure),
    };
    let outcome = typed(&mut guest, commands).unwrap_or_else(|failure| broken(&failure));
    match save(&mut guest, file) {
        Ok(()) if outcome == Outcome::Broken => {
            eprintln!("screenshot: {} shows how it ended", file.display());
            outcome
        }
        Ok(()) => outcome,
        Err(failure) => {
            eprintln!("screenshot: no picture: {}", failure.reason());
            Outcome::Broken
        }
    }
}

fn broken(failure: &Failure) -> Outcome {
    eprintln!("screenshot: {failure}");
    Outcome::Broken
}

fn typed(guest: &mut Guest, commands: &[String]) -> Result<Outcome, Failure> {
    guest.wait_for_prompt()?;
    let mut outcome = Outcome::Ok;
    for command in commands {
        let reply = guest.command(command)?;
        print_notes(&reply);
        print_errors(&reply);
        if !reply.is_ok() {
            outcome = Outcome::Failed;
        }
    }
    Ok(outcome)
}

fn save(guest: &mut Guest, file: &Path) -> Result<(), Failure> {
    let draft = guest.folder().join("screen.png");
    let since = Instant::now();
    let mut before = Vec::new();
    loop {
        guest.screenshot(&draft)?;
        let picture = std::fs::read(&draft).unwrap_or_default();
        if picture == before || since.elapsed() > PATIENCE {
            break;
        }
        before = picture;
        std::thread::sleep(PAUSE);
    }
    guest.screenshot(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_png_in_a_folder_that_exists_is_begun() {
        for (file, why) in [
            ("shot.jpg", "`shot.jpg` does not end in .png"),
            ("png", "`png` does not end in .png"),
            ("no/such/shot.png", "there is no folder `no/such`"),
        ] {
            let error = check(Path::new(file)).expect_err(file).to_string();
            assert_eq!(error, format!("screenshot: {why}"));
        }
        for file in ["shot.png", "./shot.PNG", "/tmp/shot.png"] {
            check(Path::new(file)).expect(file);
        }
    }
}
