//! Ctrl-C and SIGTERM as a question, so that every wait can end early and clean up after itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static ASKED_TO_STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on, those signals are noted instead of ending us on the spot.
/// A second one ends us, in case the noting is what hangs.
pub fn watch() {
    let flag = ASKED_TO_STOP.get_or_init(Arc::default);
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        // Order matters: the second signal finds the flag already set and ends us.
        let registered =
            signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(flag)));
        if let Err(error) = registered {
            eprintln!("xtask: cannot watch for signal {signal}: {error}");
        }
    }
}

/// From now on Ctrl-C is for a program that we have started and wait for.
pub fn leave_to_the_child() {
    // A handler that notes it, not "ignore", which the program would inherit.
    let noted = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGINT, noted) {
        eprintln!("xtask: cannot leave Ctrl-C to GDB: {error}");
    }
}

/// Has somebody asked us to stop? Always no where nobody called [`watch`].
#[must_use]
pub fn asked_to_stop() -> bool {
    ASKED_TO_STOP
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}
