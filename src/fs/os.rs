//! Real system calls.
