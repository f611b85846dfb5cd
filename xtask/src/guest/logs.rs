//! Where each guest's serial line is kept.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::guest::Options;

/// How many serial logs are kept.
const LOGS: usize = 200;

/// A log file of its own for each guest; the oldest ones go.
pub(super) fn new(options: &Options) -> std::io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = options.logs.join("serial");
    std::fs::create_dir_all(&folder)?;
    let mut logs: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(&folder)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    logs.sort();
    let old = logs.len().saturating_sub(LOGS);
    for (_, path) in logs.into_iter().take(old) {
        // Somebody else may have been quicker.
        drop(std::fs::remove_file(path));
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let firmware = options.firmware.word();
    Ok(folder.join(format!("{firmware}-{}-{number}.log", std::process::id())))
}
