//! A dump of a guest's memory: the ELF file that QEMU's `dump-guest-memory` writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context as _, bail};
use exported::PhysRange;
use machine::{Registers, TablePointer};
use object::Endianness;
use object::elf::{ET_CORE, FileHeader64, PT_LOAD, PT_NOTE};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::source::{Hint, Source};

/// Headers and notes are at the beginning, and never as long as this.
const HEAD: u64 = 1 << 20;

/// A dump.
pub(crate) struct Dump {
    file: File,
    pieces: Vec<Piece>,
    registers: Registers,
    tr_base: u64,
}

/// Memory from `start` on, at an offset in the file.
struct Piece {
    memory: PhysRange,
    offset: u64,
}

impl Dump {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Dump> {
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            let mut head = vec![0; length.min(HEAD) as usize];
            file.read_exact_at(&mut head, 0)?;
            anyhow::Ok((file, head, length))
        };
        let name = path.display();
        let (file, head, length) = open().with_context(|| format!("cannot read {name}"))?;
        let (pieces, (registers, tr_base)) =
            parse(&head, length).with_context(|| format!("{name} is no dump of a guest"))?;
        Ok(Dump {
            file,
            pieces,
            registers,
            tr_base,
        })
    }

    /// Where the TSS is.
    pub(crate) fn tr_base(&self) -> u64 {
        self.tr_base
    }
}

fn parse(head: &[u8], length: u64) -> anyhow::Result<(Vec<Piece>, (Registers, u64))> {
    let header = FileHeader64::<Endianness>::parse(head).context("it is not an ELF file")?;
    let endian = header.endian()?;
    if header.e_type.get(endian) != ET_CORE {
        bail!("it is an ELF file, but not a core");
    }
    let mut pieces = Vec::new();
    let mut registers = None;
    for segment in header.program_headers(endian, head)? {
        match segment.p_type(endian) {
            PT_LOAD => {
                let (start, bytes) = (segment.p_paddr(endian), segment.p_filesz(endian));
                let offset = segment.p_offset(endian);
                let end = start.checked_add(bytes);
                let is_there = offset.checked_add(bytes).is_some_and(|end| end <= length);
                match end {
                    Some(end) if is_there => pieces.push(Piece {
                        memory: PhysRange { start, end },
                        offset,
                    }),
                    _ => bail!("it is cut off: memory from {start:#x} on is not all there"),
                }
            }
            PT_NOTE => {
                let Some(mut notes) = segment.notes(endian, head)? else {
                    continue;
                };
                while let Some(note) = notes.next()? {
                    // The first processor is the one that runs the kernel.
                    if note.name() == b"QEMU" && registers.is_none() {
                        registers = Some(state(note.desc())?);
                    }
                }
            }
            _ => {}
        }
    }
    if pieces.is_empty() {
        bail!("it holds no memory");
    }
    let registers = registers.context("it holds no registers of QEMU's (`dump-guest-memory`)")?;
    Ok((pieces, registers))
}

/// The processor as QEMU describes it: `QEMUCPUState` in its `target/i386/arch_dump.c`. And where
/// the TSS is.
fn state(bytes: &[u8]) -> anyhow::Result<(Registers, u64)> {
    let mut words = Words(bytes);
    let (version, size) = (words.half()?, words.half()?);
    if version != 1 || usize::try_from(size).is_ok_and(|size| size > bytes.len()) {
        bail!("its registers have version {version} and {size} bytes; version 1 is known");
    }
    let mut out = Registers::default();
    for register in [
        &mut out.rax,
        &mut out.rbx,
        &mut out.rcx,
        &mut out.rdx,
        &mut out.rsi,
        &mut out.rdi,
        &mut out.rsp,
        &mut out.rbp,
        &mut out.r8,
        &mut out.r9,
        &mut out.r10,
        &mut out.r11,
        &mut out.r12,
        &mut out.r13,
        &mut out.r14,
        &mut out.r15,
        &mut out.rip,
        &mut out.rflags,
    ] {
        *register = words.word()?;
    }
    let low = |value: u32| (value & 0xffff) as u16;
    let mut segment = || {
        let (selector, limit) = (words.half()?, words.half()?);
        let _flags_and_padding = words.word()?;
        let base = words.word()?;
        let limit = low(limit);
        anyhow::Ok((low(selector), TablePointer { base, limit }))
    };
    (out.cs, _) = segment()?;
    (out.ds, _) = segment()?;
    (out.es, _) = segment()?;
    let (fs, fs_base) = segment()?;
    let (gs, gs_base) = segment()?;
    (out.fs, out.fs_base) = (fs, fs_base.base);
    (out.gs, out.gs_base) = (gs, gs_base.base);
    (out.ss, _) = segment()?;
    (out.ldtr, _) = segment()?;
    let (tr, tss) = segment()?;
    out.tr = tr;
    (_, out.gdtr) = segment()?;
    (_, out.idtr) = segment()?;
    out.cr0 = words.word()?;
    let _cr1 = words.word()?;
    out.cr2 = words.word()?;
    out.cr3 = words.word()?;
    out.cr4 = words.word()?;
    Ok((out, tss.base))
}

/// Little-endian numbers, one after the other.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .context("its registers are cut off")?;
        self.0 = rest;
        Ok(*first)
    }

    fn half(&mut self) -> anyhow::Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn word(&mut self) -> anyhow::Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }
}

impl Source for Dump {
    fn read(&mut self, at: u64, buf: &mut [u8]) -> anyhow::Result<()> {
        let end = at.saturating_add(buf.len() as u64);
        let piece = self
            .pieces
            .iter()
            .find(|piece| piece.memory.start <= at && end <= piece.memory.end);
        let piece = piece.with_context(|| format!("the dump has no memory at {at:#x}"))?;
        let offset = piece.offset + (at - piece.memory.start);
        self.file.read_exact_at(buf, offset)?;
        Ok(())
    }

    fn registers(&mut self) -> anyhow::Result<Registers> {
        Ok(self.registers)
    }

    fn ram(&mut self) -> anyhow::Result<Vec<PhysRange>> {
        // RAM, not the ROM below 4 GiB or a framebuffer: finding nothing there costs little.
        Ok(self.pieces.iter().map(|piece| piece.memory).collect())
    }

    fn hint(&mut self) -> Hint {
        Hint::default()
    }

    fn found(&mut self, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_dump_is_refused_in_words() {
        for (bytes, why) in [
            (&b""[..], "it is not an ELF file"),
            (b"#!/bin/sh\n", "it is not an ELF file"),
        ] {
            let error = parse(bytes, bytes.len() as u64)
                .map(|_| ())
                .expect_err("it is none");
            assert_eq!(error.to_string(), why);
        }
        let error = state(&[1, 0, 0, 0, 8, 0, 0, 0]).expect_err("it is short");
        assert_eq!(error.to_string(), "its registers are cut off");
        let error = state(&[9, 0, 0, 0, 8, 0, 0, 0]).expect_err("it is another");
        assert!(error.to_string().contains("version 9"), "{error}");
    }
}
