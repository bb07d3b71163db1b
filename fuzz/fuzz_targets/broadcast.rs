#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bruit_sim::bytes::broadcast(data));
