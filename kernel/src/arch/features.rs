//! Which CPU features there are, and switching on those that guard us.
//!
//! Every bit is gated by CPUID: a reserved CR4 bit is #GP on real processors and an endless
//! loop without a word under TCG.

use core::fmt;

use raw_cpuid::{CpuId, CpuIdReaderNative};
use spin::Once;
use x86_64::registers::control::Cr4Flags;

use super::cpu;

/// What CPUID says, as far as the kernel cares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// The 12-byte vendor string.
    pub(crate) vendor: [u8; 12],
    /// The brand string, NUL-padded; empty if the CPU has none.
    pub(crate) brand: [u8; 48],
    /// CR4.SMEP may be set.
    pub(crate) smep: bool,
    /// CR4.SMAP may be set.
    pub(crate) smap: bool,
    /// CR4.UMIP may be set.
    pub(crate) umip: bool,
    /// CR4.MCE may be set: CPUID leaf 1, EDX bit 7.
    pub(crate) mce: bool,
    /// CR4.FSGSBASE may be set.
    pub(crate) fsgsbase: bool,
    /// 1 GiB pages.
    pub(crate) gib_pages: bool,
    /// MAXPHYADDR.
    pub(crate) phys_bits: u8,
}

static FEATURES: Once<Features> = Once::new();

/// What this CPU offers; asked once.
pub(crate) fn get() -> &'static Features {
    FEATURES.call_once(read)
}

fn read() -> Features {
    let cpuid = CpuId::with_cpuid_reader(CpuIdReaderNative);
    let mut vendor = [b' '; 12];
    if let Some(info) = cpuid.get_vendor_info() {
        copy_text(&mut vendor, info.as_str());
    }
    let mut brand = [0; 48];
    if let Some(info) = cpuid.get_processor_brand_string() {
        copy_text(&mut brand, info.as_str());
    }
    let extended = cpuid.get_extended_feature_info();
    let identifiers = cpuid.get_extended_processor_and_feature_identifiers();
    Features {
        vendor,
        brand,
        smep: extended.as_ref().is_some_and(|e| e.has_smep()),
        smap: extended.as_ref().is_some_and(|e| e.has_smap()),
        umip: extended.as_ref().is_some_and(|e| e.has_umip()),
        mce: cpuid.get_feature_info().is_some_and(|info| info.has_mce()),
        fsgsbase: extended.as_ref().is_some_and(|e| e.has_fsgsbase()),
        gib_pages: identifiers.as_ref().is_some_and(|i| i.has_1gib_pages()),
        // 36 where the leaf is missing: SDM, "Address-Size Information".
        phys_bits: cpuid
            .get_processor_capacity_feature_info()
            .map_or(36, |info| info.physical_address_bits()),
    }
}

fn copy_text(to: &mut [u8], from: &str) {
    for (to, from) in to.iter_mut().zip(from.bytes()) {
        *to = from;
    }
}

/// Sets CR0.WP, and CR4.SMEP, SMAP, UMIP and MCE where the CPU has them. EFER.NXE is set by the
/// bootloader, which maps with it.
pub(crate) fn enable() {
    let features = get();
    cpu::set_write_protect();
    let mut bits = Cr4Flags::empty();
    bits.set(
        Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        features.smep,
    );
    bits.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.smap);
    bits.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.umip);
    // Without it a machine check would end in a reset without a word.
    bits.set(Cr4Flags::MACHINE_CHECK_EXCEPTION, features.mce);
    cpu::enable_cr4(bits, features);
}

impl Features {
    /// The brand string without padding, or the vendor.
    pub(crate) fn model(&self) -> &str {
        let brand = text(&self.brand);
        if brand.is_empty() {
            text(&self.vendor)
        } else {
            brand
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    core::str::from_utf8(bytes.get(..end).unwrap_or_default())
        .unwrap_or("?")
        .trim()
}

/// The protections by name, those that are on first.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cr4 = Cr4Flags::from_bits_retain(cpu::cr4());
        let named = [
            ("NX", cpu::efer() & (1 << 11) != 0),
            ("WP", cpu::cr0() & (1 << 16) != 0),
            (
                "SMEP",
                cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
            ),
            (
                "SMAP",
                cr4.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
            ),
            (
                "UMIP",
                cr4.contains(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
            ),
        ];
        for (name, _) in named.iter().filter(|(_, on)| *on) {
            write!(f, "{name} ")?;
        }
        f.write_str("on")?;
        let mut lead = "; off: ";
        for (name, _) in named.iter().filter(|(_, on)| !*on) {
            write!(f, "{lead}{name}")?;
            lead = " ";
        }
        Ok(())
    }
}
