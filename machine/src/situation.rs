//! What the CPU has in its registers when it reads descriptors and page tables by itself.

use crate::raised::implicit;
use crate::{
    AccessKind, Controls, Level, PageSize, Paging, PhysAddr, PhysMemory, Raised, ReadError,
    Registers, Segment, SegmentKind, Selector, TablePointer, Verdict, VirtAddr, Walk, judge,
    read_virt, walk,
};

/// The registers that decide which descriptors and pages the CPU finds: those of one moment,
/// or of a moment to come, under the tables of another space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Situation {
    /// How entries are read.
    pub paging: Paging,
    /// CR3.
    pub root: PhysAddr,
    /// WP, SMEP, SMAP, AC and NXE.
    pub controls: Controls,
    /// GDTR.
    pub gdtr: TablePointer,
    /// IDTR.
    pub idtr: TablePointer,
    /// LDTR's selector.
    pub ldtr: Selector,
    /// TR's selector.
    pub tr: Selector,
    /// Where the task state segment is, as TR has it since it was loaded.
    pub tss: TablePointer,
    /// RSP0 as it will be, where that is not what the task state segment holds now.
    pub rsp0: Option<VirtAddr>,
    /// NT in the RFLAGS of now, which IRETQ refuses.
    pub nested: bool,
}

/// Why something the CPU would read by itself is not known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missed {
    /// The CPU could not read it either: this is what it raises.
    Raised(Raised, Option<Level>),
    /// It could not be read from here; the CPU may read it, or not.
    Unknown(VirtAddr, ReadError),
}

/// Why a selector leads to no descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoDescriptor {
    /// It lies beyond the table's limit.
    BeyondLimit,
    /// The table is where no canonical address is.
    NonCanonical,
    /// The descriptor could not be read.
    Missed(Missed),
}

impl Situation {
    /// That of these registers, under the tables at `root`. Where the task state segment is
    /// remains to be said: see [`with_tss`](Situation::with_tss).
    pub const fn new(paging: Paging, root: PhysAddr, registers: &Registers) -> Situation {
        const NT: u64 = 1 << 14;
        Situation {
            paging,
            root,
            controls: Controls::from_registers(registers),
            gdtr: registers.gdtr,
            idtr: registers.idtr,
            ldtr: Selector(registers.ldtr),
            tr: Selector(registers.tr),
            tss: TablePointer { base: 0, limit: 0 },
            rsp0: None,
            nested: registers.rflags & NT != 0,
        }
    }

    /// The same, with the task state segment that TR names. The CPU read its descriptor when TR
    /// was loaded; here it is read through the tables at `present`, the ones in use.
    ///
    /// # Errors
    ///
    /// Why there is no descriptor.
    pub fn with_tss(
        self,
        memory: &mut dyn PhysMemory,
        present: PhysAddr,
    ) -> Result<Situation, NoDescriptor> {
        let here = Situation {
            root: present,
            ..self
        };
        let segment = here.system(memory, self.tr)?;
        let tss = TablePointer {
            base: segment.base,
            limit: u16::try_from(segment.limit).unwrap_or(u16::MAX),
        };
        match segment.kind {
            SegmentKind::Tss { .. } => Ok(Situation { tss, ..self }),
            _ => Err(NoDescriptor::BeyondLimit),
        }
    }

    /// Judges an access; the walk it follows from comes with it.
    pub fn access(
        &self,
        memory: &mut dyn PhysMemory,
        va: VirtAddr,
        access: crate::Access,
        controls: Controls,
    ) -> (Walk, Verdict) {
        let paging = controls.paging(self.paging);
        let walk = walk(memory, &paging, self.root, va);
        let verdict = judge(&walk, access, controls);
        (walk, verdict)
    }

    /// What an access raises that the CPU makes by itself, to each page of a range.
    ///
    /// # Errors
    ///
    /// The first page that it cannot access, or that cannot be judged.
    pub fn touch(
        &self,
        memory: &mut dyn PhysMemory,
        va: VirtAddr,
        bytes: u64,
        kind: AccessKind,
    ) -> Result<(), Missed> {
        let controls = Controls {
            ac: false,
            ..self.controls
        };
        let last = va.0.wrapping_add(bytes.saturating_sub(1));
        // Nothing the CPU reads by itself is longer than a page, so it lies on two at most.
        for at in [va, VirtAddr(last)] {
            let (_, verdict) = self.access(memory, at, implicit(kind), controls);
            if let Verdict::Unknown { why, .. } = verdict {
                return Err(Missed::Unknown(at, why));
            }
            if let Some(raised) = Raised::by_access(&verdict, at, false) {
                let level = match verdict {
                    Verdict::PageFault { level, .. } => Some(level),
                    _ => None,
                };
                return Err(Missed::Raised(raised, level));
            }
            if at.0 & !(PageSize::Size4K.bytes() - 1) == last & !(PageSize::Size4K.bytes() - 1) {
                break;
            }
        }
        Ok(())
    }

    /// Reads what the CPU reads by itself.
    ///
    /// # Errors
    ///
    /// What the CPU would raise, or why it cannot be said.
    pub fn read<const N: usize>(
        &self,
        memory: &mut dyn PhysMemory,
        va: VirtAddr,
    ) -> Result<[u8; N], Missed> {
        self.touch(memory, va, N as u64, AccessKind::Read)?;
        let mut bytes = [0; N];
        let paging = self.controls.paging(self.paging);
        match read_virt(memory, &paging, self.root, va, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => {
                let lost = ReadError::Lost;
                Err(Missed::Unknown(error.at, error.memory.unwrap_or(lost)))
            }
        }
    }

    /// The descriptor that a selector names, as the CPU would find it. `NULL` is not asked about.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn descriptor(
        &self,
        memory: &mut dyn PhysMemory,
        selector: Selector,
    ) -> Result<(VirtAddr, Segment), NoDescriptor> {
        let (base, limit) = match selector.is_local() {
            true => self.local_table(memory)?,
            false => (self.gdtr.base, u64::from(self.gdtr.limit)),
        };
        let offset = u64::from(selector.index()) * 8;
        if offset + 7 > limit {
            return Err(NoDescriptor::BeyondLimit);
        }
        let at = VirtAddr(base.wrapping_add(offset));
        if !self.paging.is_canonical(at) {
            return Err(NoDescriptor::NonCanonical);
        }
        let low = self
            .read(memory, at)
            .map(u64::from_le_bytes)
            .map_err(NoDescriptor::Missed)?;
        // Of a code or data segment these 8 bytes are all; a system segment's rest decides
        // nothing for whoever wants code or data.
        Ok((at, Segment::decode(low, 0)))
    }

    fn local_table(&self, memory: &mut dyn PhysMemory) -> Result<(u64, u64), NoDescriptor> {
        if self.ldtr.is_null() || self.ldtr.is_local() {
            return Err(NoDescriptor::BeyondLimit);
        }
        let segment = self.system(memory, self.ldtr)?;
        match segment.kind {
            SegmentKind::Ldt => Ok((segment.base, u64::from(segment.limit))),
            _ => Err(NoDescriptor::BeyondLimit),
        }
    }

    /// The system descriptor, of 16 bytes, that a selector of the GDT names.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn system(
        &self,
        memory: &mut dyn PhysMemory,
        selector: Selector,
    ) -> Result<Segment, NoDescriptor> {
        let offset = u64::from(selector.index()) * 8;
        if offset + 15 > u64::from(self.gdtr.limit) {
            return Err(NoDescriptor::BeyondLimit);
        }
        let mut word = |at: u64| {
            let at = VirtAddr(self.gdtr.base.wrapping_add(at));
            self.read(memory, at)
                .map(u64::from_le_bytes)
                .map_err(NoDescriptor::Missed)
        };
        let (low, high) = (word(offset)?, word(offset + 8)?);
        Ok(Segment::decode(low, high))
    }
}
