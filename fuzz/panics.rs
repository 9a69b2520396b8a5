//! What happens at a panic while it is fuzzed.

/// Those of libFuzzer's crate end the process at every panic, also at one that is caught, as Automerge's are. One
/// that is not caught still ends it.
pub fn are_told_and_may_be_caught() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}
