//! Any bytes as a pack's moebius.json.

#![no_main]

use libfuzzer_sys::fuzz_target;
use moebius_engine::weights::Manifest;

fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = Manifest::parse(data) else { return };
    for table in manifest.experts.values() {
        let bytes = table.layout().expect("it was checked").bytes();
        assert!(table.records.iter().all(|(shard, at)| at + bytes <= manifest.shards[*shard].bytes));
    }
    // What was read can be written and read again.
    let again = serde_json::to_vec(&manifest).expect("it was read from JSON");
    assert_eq!(Manifest::parse(&again).expect("it was written"), manifest);
});
