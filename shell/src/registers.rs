//! Registers by the names that `$` takes.

use machine::{Registers, bits};

/// The value of `rip`, of a bit such as `cr4.smap` (0 or 1), of a field such as
/// `rflags.iopl`, or of `gdtr.limit` and `idtr.limit`. Case does not matter.
pub(crate) fn value(registers: &Registers, name: &str) -> Option<u64> {
    let (register, part) = match name.split_once('.') {
        Some((register, part)) => (register, Some(part)),
        None => (name, None),
    };
    let names = Registers::NAMES.iter();
    let register = names
        .copied()
        .find(|known| known.eq_ignore_ascii_case(register))?;
    match (part, register) {
        (None, _) => registers.by_name(register),
        (Some("base"), "gdtr" | "idtr") => registers.by_name(register),
        (Some("limit"), "gdtr") => Some(registers.gdtr.limit.into()),
        (Some("limit"), "idtr") => Some(registers.idtr.limit.into()),
        (Some(bit), _) => {
            let field = bits::table(register)?.find(bit)?;
            registers.by_name(register).map(|value| field.of(value))
        }
    }
}

/// Calls `each` with every register whose name begins like this.
pub(crate) fn each_name(prefix: &str, each: &mut dyn FnMut(&str)) {
    for name in Registers::NAMES.iter().chain(&["_", "pid"]) {
        if name.starts_with(prefix) {
            each(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_fields_of_control_registers_have_names() {
        let registers = Registers {
            cr4: 1 << 21,
            rflags: 3 << 12,
            ..Registers::default()
        };
        assert_eq!(value(&registers, "cr4.smap"), Some(1));
        assert_eq!(value(&registers, "CR4.SMEP"), Some(0));
        assert_eq!(value(&registers, "rflags.iopl"), Some(3));
        assert_eq!(value(&registers, "cr4.nonsense"), None);
        assert_eq!(value(&registers, "rip.if"), None);
        assert_eq!(value(&registers, "cr9"), None);
        assert_eq!(value(&registers, ""), None);
    }

    #[test]
    fn the_table_registers_have_a_base_and_a_limit() {
        let registers = Registers {
            idtr: machine::TablePointer {
                base: 0x5000,
                limit: 0xfff,
            },
            ..Registers::default()
        };
        assert_eq!(value(&registers, "idtr"), Some(0x5000));
        assert_eq!(value(&registers, "idtr.base"), Some(0x5000));
        assert_eq!(value(&registers, "idtr.limit"), Some(0xfff));
    }
}
