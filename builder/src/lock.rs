//! One build at a time: two of us in one target folder would trip over each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::project::Project;

/// Held while something is prepared or built; let go of when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The longest we stand in line. A first build on a slow machine takes minutes, not this.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

impl Lock {
    /// Waits for our turn, saying so once.
    ///
    /// # Errors
    ///
    /// When the file cannot be made, or somebody held it for twenty minutes.
    pub fn take(project: &Project) -> anyhow::Result<Self> {
        Self::take_within(project, PATIENCE)
    }

    fn take_within(project: &Project, patience: Duration) -> anyhow::Result<Self> {
        std::fs::create_dir_all(project.target())?;
        let path = project.target().join("xtask.lock");
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let since = Instant::now();
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            if since.elapsed() >= patience {
                bail!(
                    "another xtask ({}) has been building for {} s; giving up. If it is gone, delete {}",
                    holder.trim(),
                    since.elapsed().as_secs(),
                    path.display()
                );
            }
            if !said {
                eprintln!(
                    "xtask: another xtask ({}) is building here; waiting",
                    holder.trim()
                );
                said = true;
            }
            std::thread::sleep(Duration::from_millis(100).min(patience));
        }
        file.set_len(0)?;
        writeln!(file, "process {}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_waits_and_then_says_who_holds_it() {
        let folder = crate::scratch::Scratch::new("lock").expect("a scratch folder");
        let project = Project::at(folder.path().to_path_buf());
        let first = Lock::take(&project).expect("nobody holds it");
        let second = Lock::take_within(&project, Duration::from_millis(150));
        let text = second.expect_err("it is held").to_string();
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(first);
        Lock::take_within(&project, Duration::from_millis(150)).expect("it is free again");
    }
}
