#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| port21_fuzz::trace::names(bytes));
