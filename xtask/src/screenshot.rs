//! `screenshot`: boot, run commands, save what the screen shows.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::guest::{Failure, Guest, Options};

/// The screen is drawn after the serial line in places, and blinks nowhere: two equal pictures
/// in a row are the picture.
const PAUSE: Duration = Duration::from_millis(150);
/// Something moves; take it as it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Boots, runs the commands and saves the picture. Commands that fail are in it, too.
///
/// # Errors
///
/// When the guest does not get that far, or QEMU cannot save it.
pub fn run(options: &Options, commands: &[String], file: &Path) -> Result<(), Failure> {
    let mut guest = Guest::boot(options)?;
    for command in commands {
        guest.command(command)?;
    }
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
