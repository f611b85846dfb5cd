//! `fault-sse-alignment`: #GP at `fault_here`, error code 0: MOVAPS wants a multiple of 16.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

programs::bare!(main);

extern "C" fn main() -> ! {
    programs::fault! {
        before: [],
        at: ["movaps xmm0, [rsp + 8]"],
    }
}
