#![no_main]

#[path = "../panics.rs"]
mod panics;
#[path = "../../tests/fuzz/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(init: panics::are_told_and_may_be_caught(), |data: &[u8]| targets::run("messages", data));
