//! Reads what QEMU and the firmware tell about a guest that no longer speaks for itself.

use std::fmt;

use crate::guest::trouble::Place;

/// The few registers that tell where a silent processor is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cpu {
    rip: String,
    cs: String,
    cr3: String,
    flags: String,
    halted: bool,
}

impl Cpu {
    /// From the text of `info registers`; what is not there stays empty.
    pub(crate) fn read(registers: &str) -> Self {
        let mut cpu = Self::default();
        for line in registers.lines() {
            if let Some(rest) = line.strip_prefix("CS =") {
                cpu.cs = rest
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
            }
            for word in line.split_whitespace() {
                match word.split_once('=') {
                    Some(("RIP" | "EIP", value)) => cpu.rip = value.to_owned(),
                    Some(("RFL" | "EFL", value)) => cpu.flags = value.to_owned(),
                    Some(("CR3", value)) => cpu.cr3 = value.to_owned(),
                    Some(("HLT", value)) => cpu.halted = value == "1",
                    _ => {}
                }
            }
        }
        cpu
    }

    /// Where only the kernel is.
    pub(crate) fn is_in_the_upper_half(&self) -> bool {
        self.rip.len() == 16 && self.rip.starts_with("ffff")
    }

    fn interrupts_off(&self) -> bool {
        u64::from_str_radix(&self.flags, 16).is_ok_and(|flags| flags & (1 << 9) == 0)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rip, cs, cr3, .. } = self;
        write!(f, "the processor: CS 0x{cs} RIP 0x{rip} CR3 0x{cr3}")?;
        if self.halted {
            write!(f, ", halted")?;
        }
        if self.interrupts_off() {
            write!(f, ", interrupts off")?;
        }
        Ok(())
    }
}

/// Has SeaBIOS handed over? It says so on its debug port before it jumps.
pub(crate) fn place_under_seabios(messages: &[String]) -> Place {
    if messages
        .iter()
        .any(|line| line.starts_with("Booting from 0000:7c00"))
    {
        Place::Bootloader
    } else {
        Place::Firmware
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERS: &str = "\
CPU#0
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=00000000000003f8
RIP=ffff800000001234 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
ES =0010 0000000000000000 00000000 00009300 DPL=0 DS   [-WA]
CS =0008 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]
CR0=80010011 CR2=0000000000000000 CR3=0000000000103000 CR4=00000668
";

    #[test]
    fn a_kernel_that_halted_with_interrupts_off_is_seen() {
        let cpu = Cpu::read(REGISTERS);
        assert!(cpu.is_in_the_upper_half());
        assert_eq!(
            cpu.to_string(),
            "the processor: CS 0x0008 RIP 0xffff800000001234 CR3 0x0000000000103000, halted, interrupts off"
        );
    }

    #[test]
    fn seabios_has_handed_over_once_it_says_where_it_jumps() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            place_under_seabios(&lines("SeaBIOS\nBooting from Hard Disk...")),
            Place::Firmware
        );
        let over = lines("Booting from Hard Disk...\nBooting from 0000:7c00");
        assert_eq!(place_under_seabios(&over), Place::Bootloader);
    }
}
