//! The command line, read into values.
