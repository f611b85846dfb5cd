//! The text of source files: the kernel's own, if they were built in, or else those of the checkout that
//! this program was built in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use shell::Sources;
use symbolizer::build_id;

use super::Outside;

/// The path of the repository, as the indexes of symbols have it.
const REPOSITORY: &str = "/ringwalk/";
/// That of the standard library's sources, and where the set-up puts them.
const RUST: (&str, &str) = ("/rust/", "target/toolchain/sysroot/lib/rustlib/src/rust");
/// What `cargo xtask` keeps of the last kernel it built.
const KERNEL: &str = "target/ringwalk-kernel.elf";

/// A checkout.
pub(super) struct Checkout {
    root: PathBuf,
    /// When the kernel that is looked at was built here; nothing if the last one built here is another.
    built: Option<SystemTime>,
    read: RefCell<HashMap<String, Option<&'static [u8]>>>,
    doubts: RefCell<Vec<String>>,
}

impl Checkout {
    /// The one this program was built in, for a kernel of this build.
    pub(super) fn of(build: &str) -> Checkout {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        Checkout::at(own.parent().unwrap_or(own).to_owned(), build)
    }

    fn at(root: PathBuf, build: &str) -> Checkout {
        let kernel = root.join(KERNEL);
        let digits = |bytes: &[u8]| -> String {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            digits.collect()
        };
        let built = std::fs::read(&kernel).ok().and_then(|bytes| {
            let here = digits(build_id(&bytes)?);
            // As much of it as both have.
            let is_it = !build.is_empty() && (here.starts_with(build) || build.starts_with(&here));
            is_it.then(|| kernel.metadata().ok()?.modified().ok())?
        });
        Checkout {
            root,
            built,
            read: RefCell::default(),
            doubts: RefCell::default(),
        }
    }

    /// The text of a file, as it is now.
    fn text(&self, path: &str) -> Option<&'static [u8]> {
        if let Some(known) = self.read.borrow().get(path) {
            return *known;
        }
        let text = self.read(path);
        self.read.borrow_mut().insert(path.to_owned(), text);
        text
    }

    fn read(&self, path: &str) -> Option<&'static [u8]> {
        let (folder, rest) = match path.strip_prefix(REPOSITORY) {
            Some(rest) => (self.root.clone(), rest),
            None => (self.root.join(RUST.1), path.strip_prefix(RUST.0)?),
        };
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(rest).components().all(is_plain) {
            return None;
        }
        let file = folder.join(rest);
        let bytes = std::fs::read(&file).ok()?;
        let changed = file.metadata().and_then(|data| data.modified()).ok();
        if self.built.is_none() || changed > self.built {
            let doubt = format!(
                "{} is shown as it is now; it may have changed since this kernel was built",
                file.display()
            );
            self.doubts.borrow_mut().push(doubt);
        }
        Some(Vec::leak(bytes))
    }

    /// What may not be as it was, a line each; once.
    pub(super) fn doubts(&self) -> Vec<String> {
        self.doubts.take()
    }
}

impl Sources for Outside {
    fn text(&self, path: &str) -> Option<&[u8]> {
        let built_in = path.strip_prefix(REPOSITORY);
        let built_in = built_in.and_then(|rest| self.file(&format!("sources/{rest}")));
        built_in.or_else(|| self.checkout.text(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_checkout_are_read_and_no_others() {
        let here = Checkout::of("");
        let own = here.text("/ringwalk/host/src/outside/sources.rs");
        assert!(own.is_some_and(|text| text.starts_with(b"//! The text of source files")));
        // Which kernel it is about is not known, so nobody knows whether that is what it was built of.
        let doubts = here.doubts();
        assert!(doubts.iter().all(|doubt| doubt.contains("as it is now")) && doubts.len() == 1);
        assert!(here.doubts().is_empty());
        for path in [
            "/ringwalk/../etc/hostname",
            "/ringwalk//etc/hostname",
            "/etc/hostname",
            "/ringwalk/nowhere.rs",
            "/ringwalk/",
        ] {
            assert_eq!(here.text(path), None, "{path}");
        }
    }
}
