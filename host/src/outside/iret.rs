//! The two commands that are shorter here, and the frame that IRETQ is about to pop.

use anyhow::{Context as _, bail};
use machine::{PhysAddr, VirtAddr};

use super::Outside;

/// REX.W IRET.
const IRETQ: [u8; 2] = [0x48, 0xcf];

/// A line that begins with `iret` or `switch`, which stand for checks, as the shell takes it.
pub(crate) fn as_check(line: &str) -> Option<String> {
    let line = line.trim_start();
    let name = line.split(' ').next();
    matches!(name, Some("iret" | "switch")).then(|| format!("check {line}"))
}

impl Outside {
    /// A line as the shell takes it.
    pub(crate) fn in_full(&mut self, line: &str) -> anyhow::Result<String> {
        // Without a frame or a process, which one is meant is known better here than in the shell.
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["iret"] | ["check", "iret"] => self.next_iret(),
            _ => Ok(as_check(line).unwrap_or_else(|| line.to_owned())),
        }
    }

    fn next_iret(&mut self) -> anyhow::Result<String> {
        let now = self
            .registers
            .context("the registers of the processor are not known")?;
        let paging = self.found.paging;
        let root = PhysAddr(now.cr3);
        let memory = self.memory.get_mut();
        let mut read = |at: u64, bytes: &mut [u8]| {
            machine::read_virt(memory, &paging, root, VirtAddr(at), bytes)
        };
        let mut code = [0; 2];
        if now.cs & 3 == 0 && read(now.rip, &mut code).is_ok() && code == IRETQ {
            let mut words = [0; 5];
            for (index, word) in (0..).zip(&mut words) {
                let at = now.rsp.wrapping_add(index * 8);
                let mut bytes = [0; 8];
                read(at, &mut bytes)
                    .with_context(|| format!("the frame at {} cannot be read", VirtAddr(at)))?;
                *word = u64::from_le_bytes(bytes);
            }
            let [rip, cs, rflags, rsp, ss] = words;
            return Ok(format!(
                "check iret {rip:#x} {cs:#x} {rflags:#x} {rsp:#x} {ss:#x}"
            ));
        }
        // The kernel leaves by the frame at the top of its stack; one that is stopped will go on with its registers.
        let is_on_its_way = now.cs & 3 == 0 || self.stop.is_stopped != 0;
        match self.current() {
            Some(pid) if pid != 0 && is_on_its_way => Ok(format!("check iret {pid}")),
            _ => bail!(
                "no frame is about to be popped: the processor is at {}, not at an IRETQ, and not \
                 in the kernel on behalf of a process; name a process: `rw iret PID`",
                VirtAddr(now.rip)
            ),
        }
    }
}
