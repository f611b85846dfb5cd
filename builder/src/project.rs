//! Where things are: the project's own folders, and nothing else.

use std::path::{Path, PathBuf};

/// The checkout this program belongs to.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the checkout: the one cargo is running us from, else the one we were built in.
    #[must_use]
    pub fn find() -> Self {
        let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = [running, Some(built.clone())]
            .into_iter()
            .flatten()
            .filter_map(|manifest| manifest.parent().map(Path::to_path_buf))
            .find(|root| root.join("xtask/Cargo.toml").is_file())
            .unwrap_or(built);
        Self { root }
    }

    /// A project at a given folder, for tests.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of the workspace's `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that is made lives here, and may be deleted at any time.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The prepared kernel toolchain. Its `bin` goes first in PATH.
    #[must_use]
    pub fn toolchain(&self) -> PathBuf {
        self.target().join("toolchain")
    }

    /// What long steps and guests had to say.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.target().join("logs")
    }
}
