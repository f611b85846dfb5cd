//! Everything ready to boot: tools found, kernel and programs built, images written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::compile;
use crate::guest::{Accel, Firmware, Options};
use crate::image;
use crate::kernel::{self, Kernel};
use crate::lock::Lock;
use crate::programs::{self, Programs};
use crate::project::Project;
use crate::ramdisk;
use crate::scratch::Scratch;
use crate::setup::{self, Ready};
use crate::steps;

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
    disks: Arc<Scratch>,
}

/// Sets this machine up, builds the kernel with these features and writes its images, for both kinds of
/// firmware. What is fresh is left alone, so calling it again costs about a second.
///
/// # Errors
///
/// What is missing, or what did not compile.
pub fn prepare(features: &[String]) -> anyhow::Result<Built> {
    prepare_for(&Firmware::ALL, features)
}

/// The same for some firmware only: the boot stages are what takes longest the first time.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_for(firmware: &[Firmware], features: &[String]) -> anyhow::Result<Built> {
    make(
        firmware,
        features,
        |_, _, _, archive| Ok(archive.to_owned()),
    )
}

/// The same with the sources beside the programs, for the command `list`.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_with_sources(firmware: &[Firmware], features: &[String]) -> anyhow::Result<Built> {
    make(firmware, features, |project, kernel, programs, archive| {
        ramdisk::with_sources(project, kernel, programs, archive)
    })
}

/// The same with the ramdisk that comes of the usual one.
fn make(
    firmware: &[Firmware],
    features: &[String],
    change: impl FnOnce(&Project, &Kernel, &Programs, &Path) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Built> {
    let project = Project::find();
    let _lock = Lock::take(&project)?;
    let ready = setup::ready(&project)?;
    steps::finish_all(compile::start(
        &project,
        &ready.toolchain,
        firmware,
        features,
    )?)?;
    let programs = programs::built(&project, &ready.toolchain)?;
    let kernel = kernel::built(&project, &ready.toolchain, features)?;
    let archive = ramdisk::build(&project, &kernel, &programs)?;
    let ramdisk = change(&project, &kernel, &programs, &archive)?;
    let disks = Arc::new(Scratch::new("disks").context("no folder for the disks")?);
    for firmware in firmware {
        let image = kernel.image(&project, *firmware);
        image::write(&project, *firmware, &kernel.loaded, Some(&ramdisk), &image)?;
        let copy = disk(&disks, *firmware);
        let copied = std::fs::copy(&image, &copy);
        copied.with_context(|| format!("cannot write {}", copy.display()))?;
    }
    Ok(Built {
        project,
        ready,
        kernel,
        programs,
        disks,
    })
}

fn disk(disks: &Scratch, firmware: Firmware) -> PathBuf {
    disks.path().join(format!("{}.img", firmware.word()))
}

impl Built {
    /// The ELF file of a program, with all its symbols, whether there is such a program or not.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.folder.join(name)
    }

    /// The machine our tests and people boot unless they ask for another. Its disk is there if it was built
    /// for this firmware.
    #[must_use]
    pub fn options(&self, firmware: Firmware) -> Options {
        Options {
            qemu: self.ready.tools.qemu.clone(),
            ovmf: self.ready.tools.ovmf.clone(),
            image: disk(&self.disks, firmware),
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
