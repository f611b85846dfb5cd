//! Everything ready to boot: tools found, kernel and programs built, images written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::guest::{Accel, Firmware, Options};
use crate::image::{self, Images};
use crate::kernel::{self, Kernel};
use crate::lock::Lock;
use crate::programs::{self, Programs};
use crate::project::Project;
use crate::ramdisk;
use crate::scratch::Scratch;
use crate::setup::{self, Ready};

/// A kernel on its disks, and the machine to boot them on.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where we are.
    pub project: Project,
    /// What was found on this machine.
    pub ready: Ready,
    /// The kernel.
    pub kernel: Kernel,
    /// What a process can be made of, unless another ramdisk was asked for.
    pub programs: Programs,
    /// Its disks: copies of our own, so that a build meanwhile changes nothing under a guest.
    pub images: Images,
    disks: Arc<Scratch>,
}

/// Sets this machine up, builds the kernel with these features and writes its images. What is
/// fresh is left alone, so calling it again costs about a second.
///
/// # Errors
///
/// What is missing, or what did not compile.
pub fn prepare(features: &[String]) -> anyhow::Result<Built> {
    prepare_with(features, None)
}

/// The same with the sources beside the programs, for the command `list`.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_with_sources(features: &[String]) -> anyhow::Result<Built> {
    make(features, |project, kernel, programs, archive| {
        ramdisk::with_sources(project, kernel, programs, archive)
    })
}

/// The same with another ramdisk than the programs: a file the bootloader puts into memory beside
/// the kernel.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_with(features: &[String], ramdisk: Option<&Path>) -> anyhow::Result<Built> {
    make(features, |_, _, _, archive| {
        Ok(ramdisk.unwrap_or(archive).to_owned())
    })
}

/// The same with the ramdisk that comes of the usual one.
fn make(
    features: &[String],
    change: impl FnOnce(&Project, &Kernel, &Programs, &Path) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Built> {
    let project = Project::find();
    let _lock = Lock::take(&project)?;
    let ready = setup::ready(&project)?;
    // The first time it is what takes longest.
    let builder = image::start_builder(&project, &ready.toolchain)?;
    let programs = programs::build(&project, &ready.toolchain)?;
    let kernel = kernel::build(&project, &ready.toolchain, features)?;
    let builder = builder.finish()?;
    let archive = ramdisk::build(&project, &kernel, &programs)?;
    let ramdisk = change(&project, &kernel, &programs, &archive)?;
    let written = image::write(&project, &builder, &kernel, Some(&ramdisk))?;
    let disks = Arc::new(Scratch::new("disks").context("no folder for the disks")?);
    let keep = |image: &Path, name: &str| {
        let copy = disks.path().join(name);
        let copied = std::fs::copy(image, &copy);
        copied.with_context(|| format!("cannot write {}", copy.display()))?;
        anyhow::Ok(copy)
    };
    let images = Images {
        bios: keep(&written.bios, "bios.img")?,
        uefi: keep(&written.uefi, "uefi.img")?,
    };
    Ok(Built {
        project,
        ready,
        kernel,
        programs,
        images,
        disks,
    })
}

impl Built {
    /// The ELF file of a program, with all its symbols, whether there is such a program or not.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.folder.join(name)
    }

    /// The machine our tests and people boot unless they ask for another.
    #[must_use]
    pub fn options(&self, firmware: Firmware) -> Options {
        let image = match firmware {
            Firmware::Uefi => &self.images.uefi,
            Firmware::Bios => &self.images.bios,
        };
        Options {
            qemu: self.ready.tools.qemu.clone(),
            ovmf: self.ready.tools.ovmf.clone(),
            image: image.clone(),
            overlay: None,
            disks: Some(Arc::clone(&self.disks)),
            build_id: Some(self.kernel.build_id.clone()),
            firmware,
            memory_mib: 256,
            smp: 1,
            accel: Accel::Tcg,
            cpu: Some("max".to_owned()),
            serial: true,
            screen: true,
            gdb: false,
            extra: Vec::new(),
            timeout: Duration::from_secs(180),
            silence: Duration::from_secs(60),
            logs: self.project.logs(),
        }
    }
}
