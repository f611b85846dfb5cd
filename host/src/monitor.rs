//! Registers as QEMU's monitor prints them: `info registers`.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use machine::{Registers, TablePointer};

/// The registers in such a text. Those that it does not name are 0.
pub(crate) fn registers(text: &str) -> anyhow::Result<Registers> {
    let words = words(text);
    if words.contains_key("EAX") {
        bail!("the processor is not in 64-bit mode: no kernel runs yet");
    }
    let get = |name: &str| words.get(name).copied();
    let need = |name: &str| get(name).with_context(|| format!("QEMU names no {name}"));
    let low = |name: &str| (get(name).unwrap_or(0) & 0xffff) as u16;
    let table = |name: &str| TablePointer {
        base: get(&format!("{name} base")).unwrap_or(0),
        limit: low(&format!("{name} limit")),
    };
    let base = |name: &str| get(&format!("{name} base")).unwrap_or(0);
    Ok(Registers {
        rax: need("RAX")?,
        rbx: need("RBX")?,
        rcx: need("RCX")?,
        rdx: need("RDX")?,
        rsi: need("RSI")?,
        rdi: need("RDI")?,
        rbp: need("RBP")?,
        rsp: need("RSP")?,
        r8: need("R8")?,
        r9: need("R9")?,
        r10: need("R10")?,
        r11: need("R11")?,
        r12: need("R12")?,
        r13: need("R13")?,
        r14: need("R14")?,
        r15: need("R15")?,
        rip: need("RIP")?,
        rflags: need("RFL")?,
        cs: low("CS"),
        ss: low("SS"),
        ds: low("DS"),
        es: low("ES"),
        fs: low("FS"),
        gs: low("GS"),
        tr: low("TR"),
        ldtr: low("LDT"),
        cr0: need("CR0")?,
        cr2: need("CR2")?,
        cr3: need("CR3")?,
        cr4: need("CR4")?,
        efer: need("EFER")?,
        fs_base: base("FS"),
        gs_base: base("GS"),
        dr0: get("DR0").unwrap_or(0),
        dr1: get("DR1").unwrap_or(0),
        dr2: get("DR2").unwrap_or(0),
        dr3: get("DR3").unwrap_or(0),
        dr6: get("DR6").unwrap_or(0),
        dr7: get("DR7").unwrap_or(0),
        gdtr: table("GDT"),
        idtr: table("IDT"),
        ..Registers::default()
    })
}

/// `NAME=hex`, and of segments and tables what follows on the line.
fn words(text: &str) -> HashMap<String, u64> {
    let mut out = HashMap::new();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    for line in text.lines() {
        // `R8 =` and `ES =` have a blank before the sign.
        let line = line.replace(" =", "=").replace("= ", "=");
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let Some((name, value)) = word.split_once('=') else {
                continue;
            };
            let is_table = matches!(name, "GDT" | "IDT");
            let is_segment = matches!(name, "ES" | "CS" | "SS" | "DS" | "FS" | "GS" | "LDT" | "TR");
            let value = match (is_table, value) {
                // The rest was blanks.
                (true, "") => words.next().unwrap_or_default(),
                (_, value) => value,
            };
            let Some(value) = hex(value) else { continue };
            if is_table {
                out.insert(format!("{name} base"), value);
                if let Some(limit) = words.next().and_then(hex) {
                    out.insert(format!("{name} limit"), limit);
                }
                continue;
            }
            out.insert(name.to_owned(), value);
            if is_segment && let Some(base) = words.next().and_then(hex) {
                out.insert(format!("{name} base"), base);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // From QEMU 7.2.
    const TEXT: &str = "\
RAX=0000000000000001 RBX=00000000000003f8 RCX=0000000000000000 RDX=00000000000003fd
RSI=0000000000000000 RDI=ffff80000009c3a0 RBP=0000000000000000 RSP=ffffc9000000fc18
R8 =0000000000000000 R9 =0000000000000001 R10=00000000000000ff R11=0000000000000000
R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 R15=0000000000000007
RIP=ffff8000000123ab RFL=00000202 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1
ES =0010 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]
CS =0008 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]
SS =0010 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]
DS =0010 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]
FS =0000 00000000000000aa 00000000 00000000
GS =0000 0000000000000000 00000000 00000000
LDT=0000 0000000000000000 00000000 00008200 DPL=0 LDT
TR =0028 ffff8000000a1000 00000067 00008b00 DPL=0 TSS64-busy
GDT=     ffff8000000a2000 00000047
IDT=     ffff8000000a3000 00000fff
CR0=80010033 CR2=0000000000000010 CR3=0000000000101000 CR4=00000668
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000
DR6=00000000ffff0ff0 DR7=0000000000000400
CCS=0000000000000010 CCD=ffffc9000000fc18 CCO=SUBQ
EFER=0000000000000d01
";

    #[test]
    fn reads_what_the_monitor_prints() {
        let read = registers(TEXT).expect("it is complete");
        assert_eq!(read.rip, 0xffff_8000_0001_23ab);
        assert_eq!((read.r8, read.r9, read.r15), (0, 1, 7));
        assert_eq!((read.cs, read.ss, read.tr), (8, 0x10, 0x28));
        assert_eq!(
            (read.cr0, read.cr3, read.cr4),
            (0x8001_0033, 0x10_1000, 0x668)
        );
        assert_eq!((read.rflags, read.efer, read.dr7), (0x202, 0xd01, 0x400));
        let table = |base, limit| TablePointer { base, limit };
        assert_eq!(read.gdtr, table(0xffff_8000_000a_2000, 0x47));
        assert_eq!(read.idtr, table(0xffff_8000_000a_3000, 0xfff));
        assert_eq!(read.fs_base, 0xaa);
    }

    #[test]
    fn a_processor_in_another_mode_has_no_kernel() {
        let error = registers("EAX=00000000 EBX=00000000\nEIP=0000fff0").expect_err("16-bit");
        assert_eq!(
            error.to_string(),
            "the processor is not in 64-bit mode: no kernel runs yet"
        );
        let error = registers("").expect_err("nothing");
        assert_eq!(error.to_string(), "QEMU names no RAX");
    }
}
