//! A folder of our own for sockets and half-made files, gone when dropped.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A folder is left alone for this long even if nobody seems to own it: whoever does may live
/// where we cannot see processes, as in a container that shares the folder.
const LEFT_ALONE: Duration = Duration::from_secs(60 * 60);

/// A fresh, private folder in the system's place for temporary files.
///
/// Not under `target/`: a socket's path may be no longer than 107 bytes.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder, readable only by us.
    ///
    /// # Errors
    ///
    /// When the system has no room or no right for it.
    pub fn new(purpose: &str) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(&std::env::temp_dir(), LEFT_ALONE));
        let process = std::process::id();
        for _ in 0..1000 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("ringwalk-{purpose}-{process}-{number}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                // Left behind by somebody who had our process number before us.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(std::io::Error::other("no free name for a temporary folder"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing to be done if it will not go; the system clears its own folder one day.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// Removes what processes left behind that ended without a chance to do it.
fn sweep(folder: &Path, left_alone: Duration) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(owner) else {
            continue;
        };
        let since = entry.metadata().and_then(|about| about.modified());
        let is_old = since.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= left_alone));
        if is_old && !Path::new("/proc").join(process.to_string()).exists() {
            // Somebody else's, or somebody was quicker.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// The process in a name of ours.
fn owner(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix("ringwalk-")?.rsplitn(3, '-');
    let _number: u32 = parts.next()?.parse().ok()?;
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_processes_that_are_gone_are_swept() {
        let folder = Scratch::new("sweep").expect("a scratch folder");
        let make = |name: String| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("writable");
            path
        };
        // No process has that number: Linux stops at 4,194,304.
        let gone = make("ringwalk-guest-4294967290-0".to_owned());
        let ours = make(format!("ringwalk-guest-{}-0", std::process::id()));
        let other = make("ringwalk-notes".to_owned());
        sweep(folder.path(), Duration::from_secs(60));
        assert!(gone.exists(), "too young");
        sweep(folder.path(), Duration::ZERO);
        assert!(!gone.exists() && ours.exists() && other.exists());
    }
}
