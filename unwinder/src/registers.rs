//! The registers a walk up the stack carries along, as far as they are known.

/// The number that DWARF gives the return address, and here RIP (psABI, figure 3.36).
pub(crate) const RIP: usize = 16;
/// Those of two registers the walk itself asks for.
pub(crate) const RBP: usize = 6;
pub(crate) const RSP: usize = 7;

/// RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8-R15 and RIP, numbered as in DWARF. `None` is a
/// register that the function in between was free to overwrite.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    values: [Option<u64>; 17],
}

impl Registers {
    /// All that a trap saved: the general registers in the order of their DWARF numbers.
    pub fn new(general: [u64; 16], rip: u64) -> Registers {
        let mut registers = Registers::default();
        for (place, value) in registers.values.iter_mut().zip(general) {
            *place = Some(value);
        }
        registers.set(RIP, Some(rip));
        registers
    }

    /// The general registers among these.
    pub fn of(all: &machine::Registers) -> Registers {
        let order = [
            all.rax, all.rdx, all.rcx, all.rbx, all.rsi, all.rdi, all.rbp, all.rsp, all.r8, all.r9,
            all.r10, all.r11, all.r12, all.r13, all.r14, all.r15,
        ];
        Registers::new(order, all.rip)
    }

    /// What a thread that has called somebody has saved: RBX, RBP, R12, R13, R14, R15, and where it
    /// goes on with which stack.
    pub fn kept(saved: [u64; 6], rsp: u64, rip: u64) -> Registers {
        let mut registers = Registers::default();
        for (number, value) in [3, RBP, 12, 13, 14, 15].into_iter().zip(saved) {
            registers.set(number, Some(value));
        }
        registers.returned(rsp, rip)
    }

    /// The same, but at this place and with this stack.
    pub(crate) fn returned(mut self, rsp: u64, rip: u64) -> Registers {
        self.set(RSP, Some(rsp));
        self.set(RIP, Some(rip));
        self
    }

    /// The register with this DWARF number.
    pub fn get(&self, number: usize) -> Option<u64> {
        self.values.get(number).copied().flatten()
    }

    pub(crate) fn set(&mut self, number: usize, value: Option<u64>) {
        if let Some(place) = self.values.get_mut(number) {
            *place = value;
        }
    }

    /// Where it runs, or returns to.
    pub fn rip(&self) -> Option<u64> {
        self.get(RIP)
    }

    /// The stack pointer.
    pub fn rsp(&self) -> Option<u64> {
        self.get(RSP)
    }

    /// The frame pointer, where code keeps one.
    pub fn rbp(&self) -> Option<u64> {
        self.get(RBP)
    }
}
