//! What is written of stages with `--json`.

use crate::record::{Row, flag, hex, number, text};

/// What a record says of a stage; the three rows after it belong to it.
pub(crate) const STAGE: Row = Row {
    name: "stage",
    about: "a stage that was come to",
    fields: &[
        number("pid", "the process on its way"),
        text("stage", "the stage"),
        text("since", "the one before it").or_null(),
        number("instructions", "how many there were between the two").or_null(),
        text("about", "what is about to happen, in words"),
    ],
};

/// What it is about to do.
pub(crate) const FORETOLD: Row = Row {
    name: "foretold",
    about: "what the stage is about to do",
    fields: &[
        text("name", "what gets a value: a register, or RSP0"),
        hex("value", "the value"),
    ],
};

/// The top of the stack at it.
pub(crate) const WORD: Row = Row {
    name: "word",
    about: "a word of the stack, from RSP up",
    fields: &[
        hex("at", "its address"),
        hex("value", "its value").or_null(),
    ],
};

/// What was not the same at the stage before.
pub(crate) const CHANGE: Row = Row {
    name: "change",
    about: "what has changed since the stage before",
    fields: &[
        text("name", "a register, or RSP0"),
        hex("before", "its value there"),
        hex("after", "its value here"),
    ],
};

/// What the stage before was about to do.
pub(crate) const OBSERVED: Row = Row {
    name: "observed",
    about: "whether what was foretold at the stage before is so",
    fields: &[
        text("name", "what was to get a value"),
        hex("foretold", "which one"),
        hex("is", "which one it has").or_null(),
        flag("holds", "whether they are the same"),
    ],
};

/// What `check switch` and `check iret` say.
pub(crate) const PREDICTION: Row = Row {
    name: "prediction",
    about: "what a check says of the way ahead",
    fields: &[
        text("by", "`check switch` or `check iret`"),
        text("foretold", "what it says"),
        text("deviating", "what the emulator is known to do instead").or_null(),
        text("deviations", "the ids of what is known").or_null(),
    ],
};

/// Whether it came so.
pub(crate) const HELD: Row = Row {
    name: "held",
    about: "whether what a check foretold came so",
    fields: &[
        text("by", "`check switch` or `check iret`"),
        text("foretold", "what it had said"),
        flag("holds", "whether it is so"),
        text("came", "what came, if one of the two was foretold").or_null(),
    ],
};
